//! A shelf that speaks S3.
//!
//! `object_store` signs requests and reads answers; how they travel is ours: the same HTTP client, the same TLS (rustls
//! with ring) and the same roots as the rest of the program has. Its own way would bring a second TLS library.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use object_store::ClientOptions;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody,
    HttpService,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use serde::{Deserialize, Serialize};

use crate::ShelfError;

/// How long a connection may take, and a whole request.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Retries of the store's own, all together within this time.
const RETRIES: usize = 2;
const RETRY_WITHIN: Duration = Duration::from_secs(15);

/// Where the store is, and who we are there.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct S3Configuration {
    /// Its address, such as `https://oss-cn-beijing.aliyuncs.com`; `http` for a store on this machine.
    pub endpoint: String,
    /// The region; many stores take anything.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// The key's id.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: String,
    /// The bucket stands in the host's name, not in the path.
    pub virtual_hosted: bool,
}

impl std::fmt::Debug for S3Configuration {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("S3Configuration")
            .field("endpoint", &self.endpoint)
            .field("bucket", &self.bucket)
            .finish_non_exhaustive()
    }
}

pub(crate) fn connect(configuration: &S3Configuration) -> Result<AmazonS3, ShelfError> {
    for (name, value) in [
        ("endpoint", &configuration.endpoint),
        ("bucket", &configuration.bucket),
        ("access_key_id", &configuration.access_key_id),
        ("secret_access_key", &configuration.secret_access_key),
    ] {
        if value.is_empty() {
            return Err(ShelfError::Configuration(format!("media.s3.{name} is missing")));
        }
    }
    let region = if configuration.region.is_empty() { "us-east-1" } else { &configuration.region };
    let retry = object_store::RetryConfig {
        max_retries: RETRIES,
        retry_timeout: RETRY_WITHIN,
        ..object_store::RetryConfig::default()
    };
    AmazonS3Builder::new()
        .with_endpoint(&configuration.endpoint)
        .with_region(region)
        .with_bucket_name(&configuration.bucket)
        .with_access_key_id(&configuration.access_key_id)
        .with_secret_access_key(&configuration.secret_access_key)
        .with_virtual_hosted_style_request(configuration.virtual_hosted)
        .with_allow_http(configuration.endpoint.starts_with("http://"))
        // One by one, which every store understands alike.
        .with_disable_bulk_delete(true)
        .with_retry(retry)
        .with_http_connector(Connector { encrypted: configuration.endpoint.starts_with("https://") })
        .build()
        .map_err(|error| ShelfError::Configuration(error.to_string()))
}

/// Makes the client by which requests travel.
#[derive(Debug)]
struct Connector {
    encrypted: bool,
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        let generic = |error: Box<dyn std::error::Error + Send + Sync>| object_store::Error::Generic {
            store: "S3",
            source: error,
        };
        let tls = tls(self.encrypted).map_err(|error| generic(Box::new(error)))?;
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(self.encrypted)
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_WITHIN)
            .timeout(ANSWER_WITHIN);
        let builder = if self.encrypted { builder } else { builder.no_proxy() };
        let client = builder.build().map_err(|error| generic(Box::new(error)))?;
        Ok(HttpClient::new(Client(client)))
    }
}

fn tls(encrypted: bool) -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let builder = if encrypted {
        builder.with_platform_verifier()?
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(builder.with_no_client_auth())
}

#[derive(Debug)]
struct Client(reqwest::Client);

#[async_trait]
impl HttpService for Client {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        // Pictures are small: a body in one piece is simpler than a stream.
        let bytes = body.collect().await?.to_bytes();
        let answered = self
            .0
            .request(parts.method, parts.uri.to_string())
            .headers(parts.headers)
            .body(bytes)
            .send()
            .await
            .map_err(kind_of)?;
        let (status, headers) = (answered.status(), answered.headers().clone());
        let bytes = answered.bytes().await.map_err(kind_of)?;
        let mut response = HttpResponse::new(HttpResponseBody::from(bytes));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }
}

fn kind_of(error: reqwest::Error) -> HttpError {
    let kind = if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_connect() {
        HttpErrorKind::Connect
    } else if error.is_body() || error.is_request() {
        HttpErrorKind::Interrupted
    } else {
        HttpErrorKind::Unknown
    };
    // The address holds the key's id.
    HttpError::new(kind, error.without_url())
}
