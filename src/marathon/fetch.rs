//! One question to one node: the whole body of the answer as text, a stream of events, or the fault.
//!
//! Redirects are followed here and not by reqwest, because credentials go only to hosts that were
//! configured with them. Nothing of an answer is used before all of it has come.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, LOCATION};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;

use super::address::{Node, without_credentials};
use super::auth::{Auth, Clock};
use super::transport::Transport;
use super::{Fault, Sent, events};
use crate::cluster::AppId;
use crate::config;

/// The questions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form<'a> {
    /// All apps with their tasks, as JSON.
    Apps,
    /// One app with its tasks, as JSON.
    App(&'a AppId),
    /// Addresses by service port, as text.
    Text,
    /// What happens from now on.
    Events,
    /// To whom events are sent.
    Subscriptions,
    /// That they be sent to this address, which only Marathon may know.
    Subscribe(&'a str),
    /// That they no longer be.
    Unsubscribe(&'a str),
}

const SUBSCRIPTIONS: &str = "/v2/eventSubscriptions";

impl Form<'_> {
    /// Marathon 0.7 to 0.10 heed only the first `embed`, and need it in exactly this spelling; one
    /// app has its tasks with it in any case.
    fn url(self, node: &Node, with_readiness: bool) -> Url {
        match self {
            Self::Apps => {
                let query = if with_readiness {
                    "embed=apps.tasks&embed=apps.deployments&embed=apps.readiness"
                } else {
                    "embed=apps.tasks"
                };
                node.url("/v2/apps", Some(query))
            }
            Self::App(id) => {
                let query = if with_readiness {
                    "embed=app.tasks&embed=app.deployments&embed=app.readiness"
                } else {
                    "embed=app.tasks"
                };
                node.url(&format!("/v2/apps{id}"), Some(query))
            }
            Self::Text => node.url("/v2/tasks", None),
            Self::Events => node.url("/v2/events", Some(&events::query())),
            Self::Subscriptions => node.url(SUBSCRIPTIONS, None),
            Self::Subscribe(callback) | Self::Unsubscribe(callback) => {
                let mut url = node.url(SUBSCRIPTIONS, None);
                url.query_pairs_mut().append_pair("callbackUrl", callback);
                url
            }
        }
    }

    const fn method(self) -> Method {
        match self {
            Self::Apps | Self::App(_) | Self::Text | Self::Events | Self::Subscriptions => {
                Method::GET
            }
            Self::Subscribe(_) => Method::POST,
            Self::Unsubscribe(_) => Method::DELETE,
        }
    }

    /// Whether a host that nobody named must not even hear the question.
    const fn is_confidential(self) -> bool {
        matches!(self, Self::Subscribe(_) | Self::Unsubscribe(_))
    }

    /// Marathon compares this header as a whole.
    const fn accept(self) -> &'static str {
        match self {
            Self::Apps
            | Self::App(_)
            | Self::Subscriptions
            | Self::Subscribe(_)
            | Self::Unsubscribe(_) => "application/json",
            Self::Text => "text/plain",
            Self::Events => "text/event-stream",
        }
    }

    /// What is compressed comes in blocks, and an event must not wait for the next.
    fn add_to(self, request: RequestBuilder) -> RequestBuilder {
        let request = request.header(ACCEPT, self.accept());
        match self {
            Self::Apps | Self::App(_) | Self::Text | Self::Subscriptions => request,
            // Some versions refuse a question without a type, though there is no body.
            Self::Subscribe(_) | Self::Unsubscribe(_) => {
                request.header(CONTENT_TYPE, "application/json")
            }
            Self::Events => request.header(ACCEPT_ENCODING, "identity"),
        }
    }
}

/// Asks nodes within the limits of the configuration.
pub(super) struct Fetcher {
    transport: Transport,
    /// Nothing where there are no credentials but those in addresses.
    auth: Option<Auth>,
    /// Whether apps are asked for with the results of their readiness checks.
    pub(super) with_readiness: bool,
}

impl Fetcher {
    pub(super) fn new(config: &config::Marathon, clock: Clock) -> anyhow::Result<Self> {
        Ok(Self {
            transport: Transport::new(config)?,
            auth: Auth::new(&config.credentials, clock)?,
            with_readiness: false,
        })
    }

    /// Makes what `https:` needs, if any of `nodes` or the login does.
    ///
    /// # Errors
    /// When the bundle of certificates cannot be read, or the host has none.
    pub(super) fn prepare_tls<'a>(
        &self,
        mut nodes: impl Iterator<Item = &'a Node>,
    ) -> anyhow::Result<()> {
        if nodes.any(Node::is_https) {
            self.transport.tls().context("Marathon by https")?;
        }
        if self.auth.as_ref().is_some_and(Auth::is_https) {
            self.transport.tls().context("login by https")?;
        }
        Ok(())
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
        node: &'a Node,
        nodes: impl Iterator<Item = &'a Node> + Clone,
        form: Form<'_>,
    ) -> Result<String, Fault> {
        let (response, sent) = self.open(node, nodes, form).await?;
        let response = good(response, sent, form)?;
        text(self.transport.body(response, self.max_body()).await?)
    }

    /// Asks `node` for one app. `None` when Marathon itself says that there is none: a proxy that
    /// knows no such path says 404 too.
    pub(super) async fn app<'a>(
        &self,
        node: &'a Node,
        nodes: impl Iterator<Item = &'a Node> + Clone,
        id: &AppId,
    ) -> Result<Option<String>, Fault> {
        const MOST_BYTES: u64 = 64 * 1024;
        let form = Form::App(id);
        let (response, sent) = self.open(node, nodes, form).await?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND {
            let body = self.transport.body(response, MOST_BYTES).await?;
            if says_absent(&body, id) {
                return Ok(None);
            }
            return Err(Fault::Status { status, sent });
        }
        let response = good(response, sent, form)?;
        let body = text(self.transport.body(response, self.max_body()).await?)?;
        Ok(Some(body))
    }

    /// Asks `node` for its events, of which the answer's body will be made.
    pub(super) async fn events<'a>(
        &self,
        node: &'a Node,
        nodes: impl Iterator<Item = &'a Node> + Clone,
    ) -> Result<Response, Fault> {
        let (response, sent) = self.open(node, nodes, Form::Events).await?;
        good(response, sent, Form::Events)
    }

    /// Asks `node` something about its subscriptions: the text of its answer.
    pub(super) async fn subscriptions<'a>(
        &self,
        node: &'a Node,
        nodes: impl Iterator<Item = &'a Node> + Clone,
        form: Form<'_>,
    ) -> Result<String, Fault> {
        const MOST_BYTES: u64 = 4 * 1024 * 1024;
        let (response, sent) = self.open(node, nodes, form).await?;
        let status = response.status();
        if matches!(status, StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND) {
            return Err(Fault::NoCallbacks(status));
        }
        let response = good(response, sent, form)?;
        let body = self.transport.body(response, MOST_BYTES).await?;
        String::from_utf8(body).map_err(|_| Fault::NotUtf8)
    }

    /// Asks `node` and follows redirects; the answer may have any other status.
    async fn open<'a>(
        &self,
        node: &'a Node,
        nodes: impl Iterator<Item = &'a Node> + Clone,
        form: Form<'_>,
    ) -> Result<(Response, Sent), Fault> {
        const MOST_REDIRECTS: usize = 5;
        let mut url = form.url(node, self.with_readiness);
        let mut may_renew = true;
        let mut left_tls = false;
        for hops in 0..=MOST_REDIRECTS {
            let owner = std::iter::once(node).chain(nodes.clone());
            let way = Way::to(&url, owner, left_tls);
            if form.is_confidential() && way == Way::Stranger {
                return Err(Fault::Redirect(format!(
                    "found a redirect to `{}`, which no --marathon names, or away from TLS; the \
                     address for callbacks was not told there",
                    shown(&url)
                )));
            }
            let asked = self.ask(&url, way, form, &mut may_renew).await;
            let (response, sent) = asked.map_err(|fault| sent_on(hops, &url, fault))?;
            if !response.status().is_redirection() {
                return Ok((response, sent));
            }
            let next = target(&url, &response, sent)?;
            left_tls |= url.scheme() == "https" && next.scheme() == "http";
            url = next;
        }
        Err(Fault::Redirect(format!(
            "found more than {MOST_REDIRECTS} redirects, the last to `{}`",
            shown(&url)
        )))
    }

    /// Sends one request, and once more with another token where the first is refused.
    async fn ask(
        &self,
        url: &Url,
        way: Way,
        form: Form<'_>,
        may_renew: &mut bool,
    ) -> Result<(Response, Sent), Fault> {
        let transport = &self.transport;
        let request = |url: &Url| {
            let client = transport.client(url)?;
            Ok(form.add_to(client.request(form.method(), url.clone())))
        };
        let auth = match (&self.auth, way) {
            (_, Way::Own(url)) => {
                return Ok((transport.send(request(&url)?).await?, Sent::Credentials));
            }
            (None, _) => return Ok((transport.send(request(url)?).await?, Sent::Nothing)),
            (Some(_), Way::Stranger) => {
                return Ok((transport.send(request(url)?).await?, Sent::Withheld));
            }
            (Some(auth), Way::Known) => auth,
        };
        loop {
            let proof = auth.proof(transport).await?;
            let response = transport.send(proof.add_to(request(url)?)).await?;
            let is_refused = response.status() == StatusCode::UNAUTHORIZED;
            if response.status().is_success() {
                auth.accepted().await;
            }
            if !is_refused || !*may_renew || !auth.refused(&proof).await {
                return Ok((response, Sent::Credentials));
            }
            *may_renew = false;
        }
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

/// Whether credentials may be sent to an address, and which.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    /// Those that were written into the address of this host: this is where they stand.
    Own(Url),
    /// Those of the configuration.
    Known,
    /// None: nobody named this host, or the way led from TLS to none.
    Stranger,
}

impl Way {
    fn to<'a>(
        url: &Url,
        mut nodes: impl Iterator<Item = &'a Node> + Clone,
        left_tls: bool,
    ) -> Self {
        let mut own = url.clone();
        if nodes.clone().any(|node| node.authorize(&mut own)) {
            return Self::Own(own);
        }
        if !left_tls && nodes.any(|node| node.is_at(url)) {
            return Self::Known;
        }
        Self::Stranger
    }
}

/// Where a redirect leads. Only those that say so by `Location` can be followed.
fn target(from: &Url, response: &Response, sent: Sent) -> Result<Url, Fault> {
    let status = response.status();
    let Some(location) = response.headers().get(LOCATION) else {
        return Err(Fault::Status { status, sent });
    };
    let to = location
        .to_str()
        .ok()
        .and_then(|location| from.join(location).ok())
        .filter(|to| matches!(to.scheme(), "http" | "https"))
        .ok_or_else(|| Fault::Redirect("found a redirect to no HTTP address".to_owned()))?;
    Ok(without_credentials(&to))
}

/// After a redirect it is another one that failed.
fn sent_on(hops: usize, to: &Url, fault: Fault) -> Fault {
    if hops == 0 {
        return fault;
    }
    let mut to = shown(to);
    to.set_path("");
    Fault::SentOn {
        to: to.as_str().trim_end_matches('/').to_owned(),
        fault: Box::new(fault),
    }
}

/// For messages: a query may hold a secret.
fn shown(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_query(None);
    url
}

/// An answer to what was asked.
fn good(response: Response, sent: Sent, form: Form<'_>) -> Result<Response, Fault> {
    let status = response.status();
    if status != StatusCode::OK {
        return Err(Fault::Status { status, sent });
    }
    check_type(&response, form)?;
    Ok(response)
}

/// JSON is judged by its parser, whatever a proxy calls it, but a page of HTML is an error message,
/// and neither text nor events have a parser that could refuse it.
fn check_type(response: &Response, form: Form<'_>) -> Result<(), Fault> {
    let expected = form.accept();
    let Some(found) = response.headers().get(CONTENT_TYPE) else {
        // Whatever has no type and never ends may be anything.
        return match form {
            Form::Apps
            | Form::App(_)
            | Form::Text
            | Form::Subscriptions
            | Form::Subscribe(_)
            | Form::Unsubscribe(_) => Ok(()),
            Form::Events => Err(Fault::WrongType {
                found: "no type".to_owned(),
                expected,
            }),
        };
    };
    let found = String::from_utf8_lossy(found.as_bytes()).to_ascii_lowercase();
    let right = match form {
        Form::Apps
        | Form::App(_)
        | Form::Subscriptions
        | Form::Subscribe(_)
        | Form::Unsubscribe(_) => !found.contains("html"),
        Form::Text | Form::Events => found.starts_with(expected),
    };
    if right {
        return Ok(());
    }
    Err(Fault::WrongType { found, expected })
}

/// Whether this is Marathon's own `{"message":"App '/a' does not exist"}`.
fn says_absent(body: &[u8], id: &AppId) -> bool {
    #[derive(Deserialize)]
    struct Said {
        message: Box<str>,
    }
    let said = serde_json::from_slice::<Said>(body);
    said.is_ok_and(|Said { message }| {
        message.contains(&id.as_str()[1..]) && message.contains("does not exist")
    })
}
