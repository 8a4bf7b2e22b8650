//! How bytes travel: by plain HTTP or TLS, within the limits of the configuration.
//!
//! In come requests, out go responses and bodies of bounded size, or the fault. No redirect is
//! followed here.

use std::error::Error;
use std::path::Path;
use std::sync::{Once, OnceLock};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use reqwest::{Certificate, Identity, RequestBuilder, Response, Url, redirect};

use super::Fault;
use crate::config;
use crate::disk;
use crate::logging::shown;

/// The two clients, made of one configuration.
pub(super) struct Transport {
    pub(super) config: config::Marathon,
    /// Knows no certificates, so that plain HTTP works on hosts that have none.
    plain: reqwest::Client,
    /// Made when first needed.
    tls: OnceLock<reqwest::Client>,
}

impl Transport {
    pub(super) fn new(config: &config::Marathon) -> anyhow::Result<Self> {
        let plain = builder(config)
            .tls_certs_only([])
            .build()
            .context("HTTP cannot be set up")?;
        Ok(Self {
            config: config.clone(),
            plain,
            tls: OnceLock::new(),
        })
    }

    /// Makes the client for `https:`.
    ///
    /// # Errors
    /// When the bundle of certificates cannot be read, or the host has none.
    pub(super) fn tls(&self) -> anyhow::Result<&reqwest::Client> {
        if let Some(client) = self.tls.get() {
            return Ok(client);
        }
        let client = tls_client(&self.config)?;
        Ok(self.tls.get_or_init(|| client))
    }

    /// The client that speaks as `url` asks for.
    pub(super) fn client(&self, url: &Url) -> Result<&reqwest::Client, Fault> {
        if url.scheme() != "https" {
            return Ok(&self.plain);
        }
        self.tls()
            .map_err(|error| Fault::Unreachable(format!("{error:#}")))
    }

    pub(super) async fn send(&self, request: RequestBuilder) -> Result<Response, Fault> {
        request.send().await.map_err(|error| {
            if error.is_timeout() && error.is_connect() {
                let limit = shown(self.config.connect_timeout);
                Fault::Unreachable(format!("no answer to the attempt within {limit}"))
            } else if error.is_timeout() {
                Fault::Silent(self.config.read_timeout)
            } else if error.is_connect() {
                Fault::Unreachable(deepest_cause(&error))
            } else {
                Fault::BrokeOff(deepest_cause(&error))
            }
        })
    }

    /// The whole body, of at most so many bytes.
    pub(super) async fn body(&self, mut response: Response, most: u64) -> Result<Vec<u8>, Fault> {
        let announced = response.content_length().unwrap_or_default();
        if announced > most {
            return Err(Fault::TooLarge(most));
        }
        let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or_default());
        loop {
            let chunk = response.chunk().await;
            let chunk = chunk.map_err(|error| broken(&error, self.config.read_timeout))?;
            let Some(chunk) = chunk else { break };
            if (body.len() + chunk.len()) as u64 > most {
                return Err(Fault::TooLarge(most));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Why a body did not go on, where silence is borne for so long.
pub(super) fn broken(error: &reqwest::Error, read_timeout: Duration) -> Fault {
    if error.is_timeout() {
        Fault::Silent(read_timeout)
    } else {
        Fault::BrokeOff(deepest_cause(error))
    }
}

fn builder(config: &config::Marathon) -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder()
        .user_agent(concat!(
            env!("CARGO_PKG_NAME"),
            "/",
            env!("CARGO_PKG_VERSION")
        ))
        .connect_timeout(config.connect_timeout)
        .read_timeout(config.read_timeout)
        .redirect(redirect::Policy::none())
        .referer(false);
    if config.proxy_from_environment {
        builder
    } else {
        builder.no_proxy()
    }
}

fn tls_client(config: &config::Marathon) -> anyhow::Result<reqwest::Client> {
    let mut builder = builder(config);
    if let Some(certificate) = &config.client_cert {
        builder = builder.identity(identity(certificate, config.client_key.as_deref())?);
    }
    if config.insecure {
        // Answers and events travel by clients of their own.
        static WARNED: Once = Once::new();
        WARNED.call_once(|| {
            tracing::warn!(
                "certificates of Marathon are not verified: whoever is on the way can read the \
                 credentials and choose where traffic goes; --marathon-ca-cert names what verifies \
                 them"
            );
        });
        return builder
            .tls_certs_only([])
            .tls_danger_accept_invalid_certs(true)
            .build()
            .context("HTTPS without verification cannot be set up");
    }
    let Some(path) = &config.ca_cert else {
        return builder.build().context(
            "HTTPS cannot be set up; does this host have CA certificates, or should \
             --marathon-ca-cert name some",
        );
    };
    let file = || format!("certificates of --marathon-ca-cert `{}`", path.display());
    let pem = disk::read(path, disk::LARGEST).with_context(file)?;
    let certificates = Certificate::from_pem_bundle(&pem).with_context(file)?;
    if certificates.is_empty() {
        bail!("{}: found none, expected a PEM bundle", file());
    }
    builder
        .tls_certs_only(certificates)
        .build()
        .with_context(file)
}

/// The certificate of this program and its key, which may stand in one file.
fn identity(certificate: &Path, key: Option<&Path>) -> anyhow::Result<Identity> {
    let read = |option: &str, path: &Path| {
        disk::read(path, disk::LARGEST).with_context(|| format!("--{option} `{}`", path.display()))
    };
    let mut pem = read("marathon-client-cert", certificate)?;
    if let Some(key) = key {
        pem.push(b'\n');
        pem.extend(read("marathon-client-key", key)?);
    }
    // The reason of the library is left out: it might tell of the key.
    Identity::from_pem(&pem).map_err(|_| {
        let place = key.unwrap_or(certificate).display();
        anyhow!(
            "--marathon-client-cert `{}`: found no certificate with a key in `{place}`, expected \
             both in PEM",
            certificate.display()
        )
    })
}

/// reqwest's own sentences only repeat the question; the reason lies at the bottom.
fn deepest_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}
