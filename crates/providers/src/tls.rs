//! TLS for every outgoing client: ring, TLS 1.2 and 1.3, Mozilla's roots compiled in.
//!
//! Named here so that no client depends on a process-wide default, and so that a container without a certificate store
//! works. The workspace builds `reqwest` without a crypto provider of its own: hand this to
//! `ClientBuilder::tls_backend_preconfigured`, or building a client fails.

use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// Settings for an HTTPS client.
///
/// # Errors
/// Only if the compiled-in crypto provider lacks both protocol versions.
pub fn client_config() -> Result<ClientConfig, rustls::Error> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    Ok(builder.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth())
}
