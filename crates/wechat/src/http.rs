//! How a connection is made: one place for TLS, redirects and proxies.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Url, redirect};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::client::BuildError;

/// A client for `base_url`.
///
/// The TLS configuration is handed over whole, with its cryptography (ring), so that nothing in the process depends
/// on a default that somebody installed or forgot. Redirects are never followed, because the secret stands in the
/// address. A plain `http` address is the sandbox on this machine: no proxy is asked, no root certificates are read
/// (a bare container has none), and an `https` address is held to `https`.
pub(crate) fn client_for(base_url: &Url, connect_timeout: Duration) -> Result<reqwest::Client, BuildError> {
    let encrypted = base_url.scheme() == "https";
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls(encrypted)?)
        .https_only(encrypted)
        .redirect(redirect::Policy::none())
        .connect_timeout(connect_timeout);
    let builder = if encrypted { builder } else { builder.no_proxy() };
    // The error's text could name an address; its kind is all that is worth telling here.
    builder.build().map_err(|_| BuildError::Http)
}

fn tls(encrypted: bool) -> Result<ClientConfig, BuildError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = if encrypted {
        builder.with_platform_verifier()?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}
