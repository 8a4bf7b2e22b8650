//! Callbacks of a Marathon up to 1.4: it is told an address, and sends each event there.
//!
//! In come the nodes and an address; out goes the same as from a stream. Everybody can send
//! something to an open port, so that the address ends in a secret that only Marathon is told.

mod take;

use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::Url;
use serde::Deserialize;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, info};

pub(super) use take::take_in;

use super::backoff::Backoff;
use super::nodes::nodes;
use super::pending::Pending;
use super::{Lost, Pace};
use crate::config;
use crate::marathon::fetch::{Fetcher, Form};
use crate::marathon::{Clock, Failure, Fault, Node, WrongBody};

/// What the part of the path begins with that is added to the address.
const MARK: &str = "hmb-";

/// Bytes of the secret, of which each is written as two digits.
const SECRET_BYTES: usize = 16;

/// Where Marathon sends its events, and where they are taken in.
pub(super) struct Callback {
    /// The address with the secret.
    url: String,
    /// What addresses of ours begin with, also of a run before.
    begins: String,
    secret: String,
    /// Where it listens.
    pub(super) listen: SocketAddr,
}

impl Callback {
    /// # Errors
    /// When `url` is no address that Marathon could call, or the system has no randomness.
    pub(super) fn new(url: &str, listen: Option<SocketAddr>) -> Result<Self> {
        let wrong = || {
            format!("the address for Marathon's events: found `{url}`, expected http://HOST:PORT")
        };
        let parsed: Url = url.parse().with_context(wrong)?;
        let port = parsed.port_or_known_default();
        let (Some(port), "http" | "https", Some(_)) = (port, parsed.scheme(), parsed.host()) else {
            bail!(wrong());
        };
        let secret = secret()?;
        let begins = format!("{}/{MARK}", parsed.as_str().trim_end_matches('/'));
        Ok(Self {
            url: format!("{begins}{secret}"),
            begins,
            secret,
            listen: listen.unwrap_or((Ipv4Addr::UNSPECIFIED, port).into()),
        })
    }

    /// Whether a run before this one left `url`, which nobody answers any more.
    fn was_ours(&self, url: &str) -> bool {
        let is_secret = |rest: &str| {
            rest.len() == 2 * SECRET_BYTES && rest.bytes().all(|b| b.is_ascii_hexdigit())
        };
        *url != self.url && url.strip_prefix(&self.begins).is_some_and(is_secret)
    }
}

fn secret() -> Result<String> {
    let mut bytes = [0; SECRET_BYTES];
    aws_lc_rs::rand::fill(&mut bytes)
        .ok()
        .context("the system gave no random bytes for the address of callbacks")?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// Tells Marathon the address, and keeps it told.
pub(super) struct Subscriber {
    nodes: Vec<Node>,
    fetcher: Fetcher,
    callback: Callback,
    /// For one answer.
    patience: Duration,
    /// Between two looks whether Marathon still knows the address.
    check: Duration,
    /// The node that answered last.
    first: AtomicUsize,
}

impl Subscriber {
    /// # Errors
    /// When no address is that of a node, one is wrong, or what TLS or credentials need cannot be
    /// loaded.
    pub(super) fn new(
        config: &config::Marathon,
        callback: Callback,
        pace: &Pace,
        check: Duration,
    ) -> Result<Self> {
        let nodes = nodes(config, "send")?;
        let fetcher = Fetcher::new(config, Clock::host())?;
        fetcher.prepare_tls(nodes.iter())?;
        Ok(Self {
            nodes,
            fetcher,
            callback,
            patience: pace.opening,
            check,
            first: AtomicUsize::new(0),
        })
    }

    pub(super) fn secret(&self) -> &str {
        &self.callback.secret
    }

    /// The first answer that one of the nodes gives, and which that is.
    async fn ask(&self, form: Form<'_>) -> Result<(usize, String), Vec<Failure>> {
        let mut failures = Vec::new();
        let first = self.first.load(Relaxed);
        for index in (first..self.nodes.len()).chain(0..first) {
            let node = &self.nodes[index];
            let answer = self.fetcher.subscriptions(node, self.nodes.iter(), form);
            match timeout(self.patience, answer).await {
                Ok(Ok(text)) => {
                    self.first.store(index, Relaxed);
                    return Ok((index, text));
                }
                Ok(Err(fault)) => failures.push(self.failure(index, fault)),
                Err(_) => failures.push(self.failure(index, Fault::Silent(self.patience))),
            }
        }
        Err(failures)
    }

    fn failure(&self, index: usize, fault: Fault) -> Failure {
        Failure {
            address: self.nodes[index].to_string(),
            fault,
        }
    }

    /// Tells the address, and takes back those that runs before left: the node that took it.
    async fn subscribe(&self) -> Result<String, Vec<Failure>> {
        let (index, _) = self.ask(Form::Subscribe(&self.callback.url)).await?;
        if let Ok(known) = self.known().await {
            for left in known.iter().filter(|url| self.callback.was_ours(url)) {
                if self.ask(Form::Unsubscribe(left)).await.is_ok() {
                    info!("Marathon no longer sends events to an address that a run before left");
                }
            }
        }
        Ok(self.nodes[index].to_string())
    }

    /// All addresses that Marathon sends events to.
    async fn known(&self) -> Result<Vec<String>, Vec<Failure>> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Listed {
            callback_urls: Vec<String>,
        }
        let (index, text) = self.ask(Form::Subscriptions).await?;
        let listed: Result<Listed, _> = serde_json::from_str(&text);
        listed.map(|listed| listed.callback_urls).map_err(|_| {
            let fault = Fault::WrongBody(WrongBody::WrongForm {
                found: "something else".to_owned(),
                expected: "a list `callbackUrls`",
            });
            vec![self.failure(index, fault)]
        })
    }

    /// Looks now and then: why events can no longer be expected.
    async fn is_lost(&self) -> Vec<Failure> {
        loop {
            sleep(self.check).await;
            match self.known().await {
                Err(failures) => return failures,
                Ok(known) if known.contains(&self.callback.url) => (),
                Ok(_) => return vec![self.failure(self.first.load(Relaxed), Fault::Forgotten)],
            }
        }
    }

    /// Wants no more events, for `limit` at most.
    pub(super) async fn unsubscribe(&self, limit: Duration) {
        match timeout(limit, self.ask(Form::Unsubscribe(&self.callback.url))).await {
            Ok(Ok(_)) => debug!("Marathon sends no more events"),
            Ok(Err(_)) | Err(_) => info!(
                "Marathon could not be told to send no more events; it gives up by itself, and the \
                 next run takes the address back"
            ),
        }
    }
}

/// Subscribes for ever.
pub(super) async fn run(
    subscriber: Arc<Subscriber>,
    pending: Arc<Pending>,
    mut backoff: Backoff,
    pace: Pace,
) -> Infallible {
    loop {
        let failures = match subscriber.subscribe().await {
            Err(failures) => failures,
            Ok(from) => {
                let began = Instant::now();
                pending.attached(from);
                let failures = subscriber.is_lost().await;
                if began.elapsed() >= pace.healthy {
                    backoff.reset();
                }
                failures
            }
        };
        let retry_in = backoff.pause();
        pending.lost(Lost { failures, retry_in });
        sleep(retry_in).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_ends_in_a_secret_and_its_port_is_listened_on() {
        for (url, listen, begins, bound) in [
            (
                "http://10.0.0.5:8000",
                None,
                "http://10.0.0.5:8000/hmb-",
                "0.0.0.0:8000",
            ),
            (
                "https://lb.example/hooks/",
                None,
                "https://lb.example/hooks/hmb-",
                "0.0.0.0:443",
            ),
            (
                "http://lb.example",
                Some("127.0.0.1:99".parse().unwrap()),
                "http://lb.example/hmb-",
                "127.0.0.1:99",
            ),
        ] {
            let one = Callback::new(url, listen).unwrap();
            assert_eq!(one.url, format!("{begins}{}", one.secret));
            assert_eq!(one.secret.len(), 32);
            assert_eq!(one.listen.to_string(), bound);
            // Each run has another, and knows those of before.
            let other = Callback::new(url, listen).unwrap();
            assert!(one.was_ours(&other.url) && !one.was_ours(&one.url));
        }
        for wrong in ["here:8000", "ftp://here", "8000", ""] {
            let told = Callback::new(wrong, None).err().unwrap();
            assert!(
                format!("{told:#}").contains("expected http://HOST:PORT"),
                "{told:#}"
            );
        }
    }

    #[test]
    fn the_addresses_of_others_are_left_alone() {
        let ours = Callback::new("http://10.0.0.5:8000", None).unwrap();
        for other in [
            "http://10.0.0.5:8000",
            "http://10.0.0.5:8000/hmb-",
            "http://10.0.0.5:8000/hmb-00112233445566778899aabbccddeef",
            "http://10.0.0.5:8000/hmb-00112233445566778899aabbccddeeff/",
            "http://10.0.0.6:8000/hmb-00112233445566778899aabbccddeeff",
            "http://10.0.0.5:8000/other-00112233445566778899aabbccddeeff",
        ] {
            assert!(!ours.was_ours(other), "{other}");
        }
        assert!(ours.was_ours("http://10.0.0.5:8000/hmb-00112233445566778899aabbccddeeff"));
    }
}
