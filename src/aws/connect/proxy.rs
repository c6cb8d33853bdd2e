//! Which requests go through a proxy, by the rules of Go's `net/http` (`golang.org/x/net/http/httpproxy`).

use std::net::IpAddr;

use hyper::Uri;

use super::environment::variable;
use super::error::StartError;

/// The proxies of the environment.
#[derive(Clone, Debug, Default)]
pub(super) struct Proxies {
    /// The proxy for `http://` URLs.
    pub(super) http: Option<String>,
    /// The proxy for `https://` URLs.
    pub(super) https: Option<String>,
    exceptions: Vec<Exception>,
}

/// The way of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Direct,
    HttpProxy,
    HttpsProxy,
}

/// An entry of `NO_PROXY`.
#[derive(Clone, Debug)]
enum Exception {
    /// `*`.
    Everything,
    /// An address, or a network in CIDR notation, and a port.
    Network(IpAddr, u32, Option<u16>),
    /// A domain that begins with a dot, a host, and a port. The host is `None` for subdomains only.
    Domain(String, Option<String>, Option<u16>),
}

impl Proxies {
    /// Reads `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY`, or the same names in lower case.
    pub(super) fn from_environment() -> Result<Self, StartError> {
        let exceptions = first_of(["NO_PROXY", "no_proxy"]).map(|(_, list)| list).unwrap_or_default();
        Ok(Self {
            http: proxy(["HTTP_PROXY", "http_proxy"])?,
            https: proxy(["HTTPS_PROXY", "https_proxy"])?,
            exceptions: exceptions.split(',').filter_map(|entry| Exception::parse(entry.trim())).collect(),
        })
    }

    /// Returns the way of a request to this URL. Loopback and link-local addresses never go through a proxy, because
    /// that could not reach them, and would get the token for the container's credentials.
    pub(super) fn way(&self, url: &Uri) -> Way {
        let way = match url.scheme_str() {
            Some("http") if self.http.is_some() => Way::HttpProxy,
            Some("https") if self.https.is_some() => Way::HttpsProxy,
            _ => return Way::Direct,
        };
        let host = url.host().unwrap_or_default().trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        let default = if way == Way::HttpProxy { 80 } else { 443 };
        let port = url.port_u16().unwrap_or(default);
        let is_exception = |exception: &Exception| exception.matches(&host, port);
        if is_local(&host) || self.exceptions.iter().any(is_exception) { Way::Direct } else { way }
    }
}

/// Returns whether it is a host that only this machine or the container's host can reach, among them IMDS and the
/// credentials of ECS and EKS.
fn is_local(host: &str) -> bool {
    // "Amazon EKS Pod Identity" and IMDS over IPv6: fd00:ec2::23 and fd00:ec2::254.
    let is_aws_local = |ip: &std::net::Ipv6Addr| ip.segments()[..2] == [0xfd00, 0x0ec2];
    match host.parse() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_link_local(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || ip.is_unicast_link_local() || is_aws_local(&ip),
        Err(_) => host == "localhost",
    }
}

impl Exception {
    fn parse(entry: &str) -> Option<Self> {
        let entry = entry.to_ascii_lowercase();
        if entry == "*" {
            return Some(Self::Everything);
        }
        if let Some((network, bits)) = entry.split_once('/')
            && let (Ok(ip), Ok(bits)) = (network.parse(), bits.parse())
        {
            return Some(Self::Network(ip, bits, None));
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()),
            _ => (entry.as_str(), None),
        };
        if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            return Some(Self::Network(ip, if ip.is_ipv4() { 32 } else { 128 }, port));
        }
        let host = host.strip_prefix('*').filter(|domain| domain.starts_with('.')).unwrap_or(host);
        match host {
            "" => None,
            domain if domain.starts_with('.') => Some(Self::Domain(domain.into(), None, port)),
            host => Some(Self::Domain(format!(".{host}"), Some(host.into()), port)),
        }
    }

    fn matches(&self, host: &str, to_port: u16) -> bool {
        match self {
            Self::Everything => true,
            Self::Network(network, bits, port) => {
                let is_within =
                    |ip: IpAddr| prefix(ip, *bits).is_some() && prefix(ip, *bits) == prefix(*network, *bits);
                port.is_none_or(|port| port == to_port) && host.parse().is_ok_and(is_within)
            }
            Self::Domain(domain, itself, port) => {
                let is_within = host.ends_with(domain.as_str()) || itself.as_deref() == Some(host);
                port.is_none_or(|port| port == to_port) && is_within
            }
        }
    }
}

/// Returns the family and the leading bits of an address.
fn prefix(ip: IpAddr, bits: u32) -> Option<(bool, u128)> {
    let (address, size) = match ip {
        IpAddr::V4(ip) => (u128::from(ip.to_bits()), 32),
        IpAddr::V6(ip) => (ip.to_bits(), 128),
    };
    let rest = u32::checked_sub(size, bits)?;
    Some((ip.is_ipv4(), address.checked_shr(rest).unwrap_or_default()))
}

fn proxy(names: [&'static str; 2]) -> Result<Option<String>, StartError> {
    let Some((name, value)) = first_of(names) else { return Ok(None) };
    let url = if value.contains("://") { value } else { format!("http://{value}") };
    match url.parse::<Uri>().ok().filter(|uri| uri.host().is_some_and(|host| !host.is_empty())) {
        Some(uri) if matches!(uri.scheme_str(), Some("http" | "https")) => Ok(Some(url)),
        // The value may hold a password.
        _ => Err(StartError::Invalid(format!("{name}: expected the URL of an HTTP proxy, such as http://HOST:PORT"))),
    }
}

/// Returns the first variable that is set, with its name.
fn first_of(names: [&'static str; 2]) -> Option<(&'static str, String)> {
    names.into_iter().find_map(|name| Some((name, variable(name)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(exceptions: &str, url: &str) -> Way {
        let exceptions = exceptions.split(',').filter_map(Exception::parse).collect();
        let proxies = Proxies { http: Some("http://p".into()), https: Some("http://p".into()), exceptions };
        proxies.way(&url.parse().unwrap())
    }

    #[test]
    fn local_addresses_never_use_a_proxy() {
        for url in [
            "http://localhost:4566/x",
            "https://127.0.0.1/",
            "http://[::1]/",
            "http://169.254.170.2/v2/credentials",
            "http://169.254.169.254/latest",
            "http://[fd00:ec2::254]/latest",
            "http://[fd00:ec2::23]/v1/credentials",
        ] {
            assert_eq!(way("", url), Way::Direct, "{url}");
        }
        assert_eq!(way("", "http://10.0.0.1/"), Way::HttpProxy);
        assert_eq!(way("", "https://ecs.eu-west-1.amazonaws.com/"), Way::HttpsProxy);
        assert_eq!(Proxies::default().way(&"https://example.com/".parse().unwrap()), Way::Direct);
    }

    /// The rows are those of the documentation of Go's package `httpproxy`.
    #[test]
    fn exceptions_are_those_of_go() {
        for (exception, url, direct) in [
            ("*", "https://example.com/", true),
            ("example.com", "https://example.com/", true),
            ("Example.com", "https://ECS.example.com/", true),
            ("example.com", "https://notexample.com/", false),
            (".example.com", "https://example.com/", false),
            (".example.com", "https://ecs.example.com/", true),
            ("*.example.com", "https://ecs.example.com/", true),
            ("example.com:443", "https://example.com/", true),
            ("example.com:80", "https://example.com/", false),
            ("10.0.0.0/8", "https://10.1.2.3/", true),
            ("10.0.0.0/8", "https://11.1.2.3/", false),
            ("0.0.0.0/0", "https://11.1.2.3/", true),
            ("10.1.2.3", "https://10.1.2.3:8443/", true),
            ("10.1.2.3:443", "https://10.1.2.3:8443/", false),
            ("fd00::/8", "https://[fd00::1]/", true),
            ("::/0", "https://10.1.2.3/", false),
            ("[2001:db8::1]:443", "https://[2001:db8::1]/", true),
            ("a,b", "https://b/", true),
            ("10.0.0.0/64", "https://10.0.0.1/", false),
        ] {
            assert_eq!(way(exception, url) == Way::Direct, direct, "{exception} {url}");
        }
    }
}
