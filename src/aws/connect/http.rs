//! The HTTP client of all calls: proxies, trusted certificates and the cryptography.

use std::path::Path;
use std::time::Duration;

use aws_sdk_ecs::config::http::HttpRequest;
use aws_sdk_ecs::config::{RuntimeComponents, SharedHttpClient};
use aws_smithy_http_client as http;
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use hyper::Uri;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::environment::variable;
use super::error::StartError;
use super::proxy::{Proxies, Way};

const BUNDLE: &str = "AWS_CA_BUNDLE";

/// The number of idle connections that are kept for each host. A burst opens many more, and each holds on to a buffer of the
/// largest response that it received, which is 0.2 MB.
const IDLE_CONNECTIONS: usize = 8;

/// The first and the last line of a certificate in PEM format (RFC 7468).
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Sends each request directly or through the proxy for its URL. (The SDK's own rules for proxies differ from Go's,
/// and would send the container's token to a proxy.)
#[derive(Clone, Debug)]
pub(super) struct Client {
    proxies: Proxies,
    direct: SharedHttpClient,
    http_proxy: Option<SharedHttpClient>,
    https_proxy: Option<SharedHttpClient>,
    /// Replaces the read timeout, where a client of the SDK does not let it be set.
    read_timeout: Option<Duration>,
}

impl Client {
    /// Creates the client. `bundle` is the file of certificates that the profile names.
    pub(super) fn new(bundle: Option<&str>) -> Result<Self, StartError> {
        let proxies = Proxies::from_environment()?;
        let trusted = trusted(bundle)?;
        let through = |config: Result<ProxyConfig, _>| {
            let invalid = |error: http::proxy::ProxyError| StartError::Invalid(error.to_string());
            config.map_err(invalid).map(|config| client(trusted.clone(), config))
        };
        Ok(Self {
            direct: client(trusted.clone(), ProxyConfig::disabled()),
            http_proxy: proxies.http.as_deref().map(|url| through(ProxyConfig::http(url))).transpose()?,
            https_proxy: proxies.https.as_deref().map(|url| through(ProxyConfig::https(url))).transpose()?,
            proxies,
            read_timeout: None,
        })
    }

    /// Returns the same client with another read timeout.
    pub(super) fn with_read_timeout(&self, timeout: Duration) -> Self {
        Self { read_timeout: Some(timeout), ..self.clone() }
    }

    fn for_url(&self, url: &str) -> &SharedHttpClient {
        let way = url.parse::<Uri>().map_or(Way::Direct, |url| self.proxies.way(&url));
        let proxy = match way {
            Way::Direct => &None,
            Way::HttpProxy => &self.http_proxy,
            Way::HttpsProxy => &self.https_proxy,
        };
        proxy.as_ref().unwrap_or(&self.direct)
    }
}

impl HttpClient for Client {
    fn http_connector(&self, settings: &HttpConnectorSettings, components: &RuntimeComponents) -> SharedHttpConnector {
        let mut builder = HttpConnectorSettings::builder();
        builder.set_connect_timeout(settings.connect_timeout());
        builder.set_read_timeout(self.read_timeout.or(settings.read_timeout()));
        let (settings, components) = (builder.build(), components.clone());
        SharedHttpConnector::new(Connector { client: self.clone(), settings, components })
    }
}

/// Chooses the client by the URL of a request. The clients cache their connections.
#[derive(Debug)]
struct Connector {
    client: Client,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        self.client.for_url(request.uri()).http_connector(&self.settings, &self.components).call(request)
    }
}

/// Creates a client like the SDK's own (aws-smithy-runtime, `default_https_client`), but with ring for the cryptography.
fn client(trusted: TrustStore, proxy: ProxyConfig) -> SharedHttpClient {
    http::Builder::new().build_with_connector_fn(move |settings, components| {
        let ring = Provider::Rustls(CryptoMode::Ring);
        let mut connector = http::Connector::builder().tls_provider(ring).proxy_config(proxy.clone());
        connector = connector.pool_max_idle_per_host(IDLE_CONNECTIONS);
        if let Ok(context) = TlsContext::builder().with_trust_store(trusted.clone()).build() {
            connector = connector.tls_context(context);
        }
        connector.set_connector_settings(settings.cloned());
        connector.set_sleep_impl(components.and_then(|components| components.sleep_impl()));
        connector.build()
    })
}

/// Returns the trusted certificates: those of the bundle, as in the SDK for Go, or else the system's, for which
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` can name another place.
fn trusted(profile: Option<&str>) -> Result<TrustStore, StartError> {
    let variable_or_key = variable(BUNDLE).map(|path| (BUNDLE, path));
    let bundle = variable_or_key.or_else(|| profile.map(|path| ("ca_bundle in the profile", path.to_owned())));
    if let Some((name, path)) = bundle {
        let certificates = read_certificates(name, Path::new(&path))?;
        return Ok(certificates.into_iter().fold(TrustStore::empty(), TrustStore::with_pem_certificate));
    }
    if let (Some(path), None) = (variable("SSL_CERT_FILE"), variable("SSL_CERT_DIR")) {
        read_certificates("SSL_CERT_FILE", Path::new(&path))?;
    }
    Ok(TrustStore::default())
}

/// Returns the certificates of a file in PEM format, one by one. The SDK panics on an unusable one; OpenSSL and Go
/// skip it.
fn read_certificates(name: &str, path: &Path) -> Result<Vec<Vec<u8>>, StartError> {
    let invalid = |error: &dyn std::fmt::Display| StartError::Invalid(format!("{name}={}: {error}", path.display()));
    let bytes = std::fs::read(path).map_err(|error| invalid(&error))?;
    // Comments between the certificates are in any encoding.
    let text = String::from_utf8_lossy(&bytes);
    let blocks = text.split_inclusive(END).filter_map(|block| Some(&block[block.find(BEGIN)?..]));
    let usable = |block: &&str| CertificateDer::from_pem_slice(block.as_bytes()).is_ok_and(is_trust_anchor);
    let certificates: Vec<_> = blocks.filter(usable).map(|block| block.as_bytes().to_vec()).collect();
    if certificates.is_empty() { Err(invalid(&"no usable certificate in PEM format")) } else { Ok(certificates) }
}

fn is_trust_anchor(certificate: CertificateDer<'_>) -> bool {
    RootCertStore::empty().add(certificate.into_owned()).is_ok()
}
