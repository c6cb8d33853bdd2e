//! The port of a target: parsing the port docker label, and finding the host port that a container port is published at.

use crate::inventory::{Binding, Family};

/// An item of the port docker label: `PORT[/PATH]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Item<'a> {
    /// The container port.
    pub(super) port: u16,
    /// The metrics path, with its leading slash.
    pub(super) path: Option<&'a str>,
}

/// Parses the port docker label: comma-separated items, with surrounding blanks ignored. Each invalid item is an error
/// of its own that holds its text.
pub(super) fn items(label: &str) -> impl Iterator<Item = Result<Item<'_>, &str>> {
    label.split(',').map(str::trim).map(|text| item(text).ok_or(text))
}

fn item(text: &str) -> Option<Item<'_>> {
    let (port, path) = match text.find('/') {
        Some(slash) => (text[..slash].trim_end(), Some(&text[slash..])),
        None => (text, None),
    };
    // `u16` accepts a plus sign and leading zeros, as the original's parser does.
    let port = port.parse().ok().filter(|port| *port != 0)?;
    Some(Item { port, path })
}

/// Where a container's port is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostPort {
    /// At the same port of any address.
    Same(u16),
    /// At published ports, which may differ between IPv4 and IPv6.
    Published { v4: Option<u16>, v6: Option<u16> },
}

impl HostPort {
    /// Looks a port up in a container's bindings. AWS returns bindings in random order and may repeat a port: the
    /// lowest host port is taken, so that equal snapshots give equal files.
    pub(super) fn published(container_port: u16, bindings: &[Binding]) -> Option<Self> {
        let lowest = |family| {
            bindings
                .iter()
                .filter(|binding| binding.tcp && binding.family.is_none_or(|listens| listens == family))
                .filter_map(|binding| binding.host_port(container_port))
                .min()
        };
        match (lowest(Family::V4), lowest(Family::V6)) {
            (None, None) => None,
            (v4, v6) => Some(Self::Published { v4, v6 }),
        }
    }

    /// Returns the port at an address of this family. For a name, whose family is not known, IPv4 comes first.
    pub(super) fn at(self, family: Option<Family>) -> Option<u16> {
        match (self, family) {
            (Self::Same(port), _) => Some(port),
            (Self::Published { v4, .. }, Some(Family::V4)) => v4,
            (Self::Published { v6, .. }, Some(Family::V6)) => v6,
            (Self::Published { v4, v6 }, None) => v4.or(v6),
        }
    }
}

/// Returns the only published container port, or the number of published ports. Every port of a range counts; bindings
/// of one port for both address families or protocols count once.
pub(super) fn only_published(bindings: &[Binding]) -> Result<u16, usize> {
    let mut ports: Vec<u16> = bindings.iter().flat_map(|binding| binding.container_ports.clone()).collect();
    ports.sort_unstable();
    ports.dedup();
    match ports[..] {
        [port] => Ok(port),
        _ => Err(ports.len()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn binding(tcp: bool, family: Option<Family>, container: u16, host: u16) -> Binding {
        Binding { tcp, family, container_ports: container..=container, first_host_port: host }
    }

    #[test]
    fn parses_port_labels() {
        let ok = |port, path| Ok(Item { port, path });
        for (label, expected) in [
            ("9102", vec![ok(9102, None)]),
            (" 9090 ", vec![ok(9090, None)]),
            ("+9090", vec![ok(9090, None)]),
            ("9102,8080/actuator/prometheus", vec![ok(9102, None), ok(8080, Some("/actuator/prometheus"))]),
            ("9102 , 8080 /m", vec![ok(9102, None), ok(8080, Some("/m"))]),
            ("8080/", vec![ok(8080, Some("/"))]),
            ("9102,", vec![ok(9102, None), Err("")]),
            ("", vec![Err("")]),
            ("70000", vec![Err("70000")]),
            ("0", vec![Err("0")]),
            ("-1", vec![Err("-1")]),
            ("4294967306", vec![Err("4294967306")]),
            ("abc,1", vec![Err("abc"), ok(1, None)]),
            ("9102/a,x/b", vec![ok(9102, Some("/a")), Err("x/b")]),
            ("/metrics", vec![Err("/metrics")]),
            ("90 90", vec![Err("90 90")]),
            ("65535", vec![ok(65_535, None)]),
        ] {
            assert_eq!(items(label).collect::<Vec<_>>(), expected, "{label:?}");
        }
    }

    #[test]
    fn published_ports_are_tcp_and_of_the_hosts_family() {
        let (v4, v6) = (Some(Family::V4), Some(Family::V6));
        let bindings =
            [binding(false, v4, 80, 1), binding(true, v6, 80, 3), binding(true, v4, 80, 5), binding(true, v4, 80, 4)];
        let port = HostPort::published(80, &bindings).unwrap();
        assert_eq!((port.at(v4), port.at(v6), port.at(None)), (Some(4), Some(3), Some(4)));
        let only_v6 = HostPort::published(80, &bindings[..2]).unwrap();
        assert_eq!((only_v6.at(v4), only_v6.at(v6), only_v6.at(None)), (None, Some(3), Some(3)));
        assert_eq!(HostPort::published(80, &bindings[..1]), None);
        assert_eq!(HostPort::published(80, &[binding(true, None, 80, 7)]).unwrap().at(v4), Some(7));
    }

    #[test]
    fn only_published_counts_ports_rather_than_bindings() {
        let both = [
            binding(true, Some(Family::V4), 80, 1),
            binding(true, Some(Family::V6), 80, 2),
            binding(false, None, 80, 3),
        ];
        assert_eq!(only_published(&both), Ok(80));
        assert_eq!(only_published(&[]), Err(0));
        assert_eq!(only_published(&[binding(true, None, 80, 1), binding(false, None, 81, 1)]), Err(2));
        assert_eq!(
            only_published(&[Binding { tcp: true, family: None, container_ports: 1..=3, first_host_port: 1 }]),
            Err(3)
        );
    }

    proptest! {
        #[test]
        fn any_label_gives_one_result_per_item(label: String) {
            prop_assert_eq!(items(&label).count(), label.matches(',').count() + 1);
        }

        #[test]
        fn parses_every_port(port in 1..=u16::MAX, path in "(/[a-z]{0,5})?") {
            let label = format!("{port}{path}");
            let path = Some(path.as_str()).filter(|path| !path.is_empty());
            prop_assert_eq!(items(&label).next(), Some(Ok(Item { port, path })));
        }
    }
}
