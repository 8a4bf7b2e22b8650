//! One question to one node: the whole body of the answer as text, or the fault.
//!
//! Redirects are followed here and not by reqwest, because credentials go only to hosts that were
//! configured with them. Nothing of an answer is used before all of it has come.

use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::{Certificate, Response, StatusCode, Url, redirect};

use super::Fault;
use super::address::{Node, without_credentials};
use crate::config;

/// The two questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// All apps with their tasks, as JSON.
    Apps,
    /// Addresses by service port, as text.
    Text,
}

impl Form {
    /// Marathon 0.7 to 0.10 heed only the first `embed`, and need it in exactly this spelling.
    const fn resource(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Apps => ("/v2/apps", Some("embed=apps.tasks")),
            Self::Text => ("/v2/tasks", None),
        }
    }

    /// Marathon compares this header as a whole.
    const fn accept(self) -> &'static str {
        match self {
            Self::Apps => "application/json",
            Self::Text => "text/plain",
        }
    }
}

/// Asks nodes within the limits of the configuration.
pub(super) struct Fetcher {
    config: config::Marathon,
    /// Knows no certificates, so that plain HTTP works on hosts that have none.
    plain: reqwest::Client,
    /// Made when first needed.
    tls: OnceLock<reqwest::Client>,
}

impl Fetcher {
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

    /// For one whole answer.
    pub(super) fn fetch_timeout(&self) -> Duration {
        self.config.fetch_timeout
    }

    /// Bytes of one answer.
    pub(super) fn max_body(&self) -> u64 {
        self.config.max_body
    }

    /// Asks `node`. `nodes` are all that were configured, for the credentials after a redirect.
    pub(super) async fn get<'a>(
        &self,
        node: &Node,
        nodes: impl Iterator<Item = &'a Node> + Clone,
        form: Form,
    ) -> Result<String, Fault> {
        const MOST_REDIRECTS: usize = 5;
        let (resource, query) = form.resource();
        let mut url = node.url(resource, query);
        let mut asked = url.clone();
        let mut authorized = node.authorize(&mut asked);
        for _ in 0..=MOST_REDIRECTS {
            let response = self.send(asked, form).await?;
            if !response.status().is_redirection() {
                return self.body(response, form, authorized).await;
            }
            url = target(&url, &response, authorized)?;
            asked = url.clone();
            authorized = node.authorize(&mut asked)
                || nodes.clone().any(|other| other.authorize(&mut asked));
        }
        Err(Fault::Redirect(format!(
            "found more than {MOST_REDIRECTS} redirects, the last to `{}`",
            shown(&url)
        )))
    }

    async fn send(&self, url: Url, form: Form) -> Result<Response, Fault> {
        let client = if url.scheme() == "https" {
            self.tls()
                .map_err(|error| Fault::Unreachable(format!("{error:#}")))?
        } else {
            &self.plain
        };
        let request = client.get(url).header(ACCEPT, form.accept());
        request.send().await.map_err(|error| {
            if error.is_timeout() && error.is_connect() {
                let limit = humantime::format_duration(self.config.connect_timeout);
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

    async fn body(
        &self,
        mut response: Response,
        form: Form,
        authorized: bool,
    ) -> Result<String, Fault> {
        let status = response.status();
        if status != StatusCode::OK {
            return Err(Fault::Status { status, authorized });
        }
        check_type(&response, form)?;
        let most = self.config.max_body;
        let announced = response.content_length().unwrap_or_default();
        if announced > most {
            return Err(Fault::TooLarge(most));
        }
        let mut body = Vec::with_capacity(usize::try_from(announced).unwrap_or_default());
        loop {
            let chunk = response.chunk().await.map_err(|error| {
                if error.is_timeout() {
                    Fault::Silent(self.config.read_timeout)
                } else {
                    Fault::BrokeOff(deepest_cause(&error))
                }
            })?;
            let Some(chunk) = chunk else { break };
            if (body.len() + chunk.len()) as u64 > most {
                return Err(Fault::TooLarge(most));
            }
            body.extend_from_slice(&chunk);
        }
        text(body)
    }
}

/// The text of a whole body.
pub(super) fn text(body: Vec<u8>) -> Result<String, Fault> {
    let text = String::from_utf8(body).map_err(|_| Fault::NotUtf8)?;
    if text.trim_ascii().is_empty() {
        return Err(Fault::Empty);
    }
    Ok(text)
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
    let builder = builder(config);
    if config.insecure {
        tracing::warn!(
            "certificates of Marathon are not verified: whoever is on the way can read the \
             credentials and choose where traffic goes"
        );
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
    let pem = std::fs::read(path).with_context(file)?;
    let certificates = Certificate::from_pem_bundle(&pem).with_context(file)?;
    if certificates.is_empty() {
        bail!("{}: found none, expected a PEM bundle", file());
    }
    builder
        .tls_certs_only(certificates)
        .build()
        .with_context(file)
}

/// Where a redirect leads. Only those that say so by `Location` can be followed.
fn target(from: &Url, response: &Response, authorized: bool) -> Result<Url, Fault> {
    let status = response.status();
    let Some(location) = response.headers().get(LOCATION) else {
        return Err(Fault::Status { status, authorized });
    };
    let to = location
        .to_str()
        .ok()
        .and_then(|location| from.join(location).ok())
        .filter(|to| matches!(to.scheme(), "http" | "https"))
        .ok_or_else(|| Fault::Redirect("found a redirect to no HTTP address".to_owned()))?;
    Ok(without_credentials(&to))
}

/// For messages: a query may hold a secret.
fn shown(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_query(None);
    url
}

/// JSON is judged by its parser, whatever a proxy calls it, but a page of HTML is an error message
/// and text has no parser that could refuse it.
fn check_type(response: &Response, form: Form) -> Result<(), Fault> {
    let Some(found) = response.headers().get(CONTENT_TYPE) else {
        return Ok(());
    };
    let found = String::from_utf8_lossy(found.as_bytes()).to_ascii_lowercase();
    let right = match form {
        Form::Apps => !found.contains("html"),
        Form::Text => found.starts_with("text/plain"),
    };
    if right {
        return Ok(());
    }
    Err(Fault::WrongType {
        found,
        expected: form.accept(),
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
