//! The host of a target: the server name docker label, the host attribute, or an IP address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::inventory::Family;

/// A host, displayed as before the `:port` of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// An address; IPv6 is displayed in brackets.
    Address(IpAddr),
    /// A host name.
    Name(String),
}

impl Host {
    /// Returns the host's address family; `None` for a name.
    pub(super) fn family(&self) -> Option<Family> {
        match self {
            Self::Address(address) => Some((*address).into()),
            Self::Name(_) => None,
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(IpAddr::V4(address)) => address.fmt(f),
            Self::Address(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Name(name) => name.fmt(f),
        }
    }
}

/// Parses the server name docker label, or the host attribute of a container instance. Trailing slashes are cut off, as the original does, and an empty remainder means
/// no host. An invalid host is an error, since Prometheus would reject or misread the target.
pub(super) fn parse(label: &str) -> Result<Option<Host>, ()> {
    let text = label.trim().trim_end_matches('/').trim_end();
    if text.is_empty() {
        return Ok(None);
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Some(Host::Address(address.into())));
    }
    let unbracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(address) = unbracketed.parse::<Ipv6Addr>() {
        return Ok(Some(Host::Address(address.into())));
    }
    if is_host_name(text) { Ok(Some(Host::Name(text.to_owned()))) } else { Err(()) }
}

/// Returns whether resolvers accept the text as a host name: RFC 1123, plus underscores, which private DNS zones use. A
/// last label of digits only would make it an (invalid) IPv4 address.
fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    let labels_fit = name.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    });
    let last = name.rsplit('.').next().unwrap_or(name);
    labels_fit && name.len() <= 253 && !last.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn parses_server_names() {
        for (label, expected) in [
            ("app.internal", Ok(Some("app.internal"))),
            ("app.internal/", Ok(Some("app.internal"))),
            ("app.internal//", Ok(Some("app.internal"))),
            (" app ", Ok(Some("app"))),
            ("app.internal.", Ok(Some("app.internal."))),
            ("my_app", Ok(Some("my_app"))),
            ("10.0.0.1", Ok(Some("10.0.0.1"))),
            ("fd00::1", Ok(Some("[fd00::1]"))),
            ("[fd00::1]", Ok(Some("[fd00::1]"))),
            ("", Ok(None)),
            ("/", Ok(None)),
            ("  ", Ok(None)),
            ("https://x/", Err(())),
            ("x:8443", Err(())),
            ("[fd00::1]:80", Err(())),
            ("fe80::1%eth0", Err(())),
            ("x/path", Err(())),
            ("a b", Err(())),
            ("a..b", Err(())),
            (".", Err(())),
            ("-a", Err(())),
            ("user@host", Err(())),
            ("10.0.0.256", Err(())),
            ("12345", Err(())),
            ("a\nb", Err(())),
        ] {
            let parsed = parse(label).map(|host| host.map(|host| host.to_string()));
            assert_eq!(parsed, expected.map(|host| host.map(String::from)), "{label:?}");
        }
        assert_eq!(parse(&"a".repeat(64)), Err(()));
        assert_eq!(parse(&vec!["a"; 128].join(".")), Err(()));
    }

    proptest! {
        #[test]
        fn any_accepted_host_makes_a_valid_target(label: String) {
            if let Ok(Some(host)) = parse(&label) {
                let host = host.to_string();
                let colons = host.matches(':').count();
                prop_assert!(colons == 0 || host.starts_with('[') && host.ends_with(']'), "{}", host);
                prop_assert!(!host.is_empty() && host.is_ascii() && !host.contains(['/', ' ', '\n', '@']), "{}", host);
            }
        }

        #[test]
        fn accepts_every_ip_address(address: IpAddr) {
            prop_assert_eq!(parse(&address.to_string()), Ok(Some(Host::Address(address))));
        }
    }
}
