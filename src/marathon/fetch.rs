//! One question to one node: the whole body of the answer as text, or the fault.
//!
//! Redirects are followed here and not by reqwest, because credentials go only to hosts that were
//! configured with them. Nothing of an answer is used before all of it has come.

use std::time::Duration;

use reqwest::header::{ACCEPT, CONTENT_TYPE, LOCATION};
use reqwest::{Response, StatusCode, Url};

use super::Fault;
use super::address::{Node, without_credentials};
use super::transport::Transport;
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
    transport: Transport,
}

impl Fetcher {
    pub(super) fn new(config: &config::Marathon) -> anyhow::Result<Self> {
        Ok(Self {
            transport: Transport::new(config)?,
        })
    }

    /// Makes what `https:` needs.
    ///
    /// # Errors
    /// When the bundle of certificates cannot be read, or the host has none.
    pub(super) fn prepare_tls(&self) -> anyhow::Result<()> {
        self.transport.tls().map(drop)
    }

    /// For one whole answer.
    pub(super) fn fetch_timeout(&self) -> Duration {
        self.transport.config.fetch_timeout
    }

    /// Bytes of one answer.
    pub(super) fn max_body(&self) -> u64 {
        self.transport.config.max_body
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
        let client = self.transport.client(&url)?;
        let request = client.get(url).header(ACCEPT, form.accept());
        self.transport.send(request).await
    }

    async fn body(
        &self,
        response: Response,
        form: Form,
        authorized: bool,
    ) -> Result<String, Fault> {
        let status = response.status();
        if status != StatusCode::OK {
            return Err(Fault::Status { status, authorized });
        }
        check_type(&response, form)?;
        text(self.transport.body(response, self.max_body()).await?)
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
