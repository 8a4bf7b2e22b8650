//! The nodes of one cluster, asked one after the other until one gives a usable answer.
//!
//! In comes the configuration; out goes an [`Answer`], or the reasons of every node. The node that
//! answered last is asked first; nothing else is remembered between questions.

mod app;

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use tokio::time::timeout;

use super::away::Away;
use super::essence::essence;
use super::fetch::{Fetcher, Form};
use super::{
    Address, Clock, Failure, Fault, FetchError, Fetched, Node, WrongBody, body, fetch, text,
};
use crate::cluster::{ServicePort, Snapshot, Warning};
use crate::config;
use crate::disk::{Digest, read_head};

pub use app::AppAnswer;

/// What Marathon knows of its cluster.
#[derive(Clone, Debug)]
pub enum Cluster {
    /// All apps with labels, ports and tasks.
    Apps(Snapshot),
    /// Only who serves which service port: all that the text form tells.
    Endpoints(Vec<ServicePort>),
    /// What an earlier answer said; see [`Client::recognise`].
    AsBefore,
}

/// A complete answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// What it says.
    pub cluster: Cluster,
    /// What of it was left out, and why.
    pub warnings: Vec<Warning>,
    /// The address that gave it, as shown to people; [`Client::prefer`] takes it back.
    pub from: String,
    /// Equal for answers that differ in nothing that is read; [`Client::recognise`] takes it back.
    pub essence: Digest,
    /// The whole body, uncompressed: a file of it can stand in for Marathon.
    pub body: String,
}

/// Asks the nodes of one cluster.
pub struct Client {
    addresses: Vec<Address>,
    fetcher: Fetcher,
    /// Position of the node that answered last.
    last_good: Option<usize>,
    away: Away,
    /// Whether the nodes have shown that they no longer speak the text form (Marathon 1.10).
    json_only: bool,
    /// An answer that needs no reading.
    known: Option<Digest>,
    fetched: Arc<Fetched>,
}

impl Client {
    /// Checks all that can be checked before a question is asked.
    ///
    /// # Errors
    /// When there is no address, one is wrong, an `https:` address is among them and the
    /// certificates cannot be loaded, or the credentials cannot be used.
    pub fn new(config: &config::Marathon) -> anyhow::Result<Self> {
        Self::with_clock(config, Clock::host())
    }

    /// The same, with a clock that says how old the token of a login is.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_clock(config: &config::Marathon, clock: Clock) -> anyhow::Result<Self> {
        if config.urls.is_empty() {
            bail!("no address of Marathon was given, expected at least one");
        }
        let addresses: Vec<Address> = config
            .urls
            .iter()
            .map(|url| url.parse())
            .collect::<Result<_, _>>()?;
        let fetcher = Fetcher::new(config, clock)?;
        fetcher.prepare_tls(nodes(&addresses))?;
        Ok(Self {
            addresses,
            fetcher,
            last_good: None,
            away: Away::default(),
            json_only: false,
            known: None,
            fetched: Arc::default(),
        })
    }

    /// What was asked so far.
    #[must_use]
    pub fn fetched(&self) -> Arc<Fetched> {
        Arc::clone(&self.fetched)
    }

    /// Goes on counting where another client, whose place it takes, does.
    pub fn count_in(&mut self, fetched: Arc<Fetched>) {
        self.fetched = fetched;
    }

    /// From now on an answer with this [`Answer::essence`], and no other, is [`Cluster::AsBefore`]:
    /// to read a large answer costs several times what it costs to recognise it.
    pub fn recognise(&mut self, known: Option<Digest>) {
        self.known = known;
    }

    /// From now on apps are asked for with the results of their readiness checks, which Marathon
    /// before 1.1 does not know and leaves out.
    pub fn ask_for_readiness(&mut self) {
        self.fetcher.with_readiness = true;
    }

    /// Asks this address first from now on, as shown in [`Answer::from`]. One that is not
    /// configured any more is ignored.
    pub fn prefer(&mut self, address: &str) {
        let known = |known: &Address| known.to_string() == address;
        self.last_good = self.addresses.iter().position(known).or(self.last_good);
    }

    /// Asks for all apps and their tasks.
    ///
    /// # Errors
    /// When no address gave a usable answer.
    pub async fn apps(&mut self) -> Result<Answer, FetchError> {
        self.ask(Form::Apps).await
    }

    /// Asks for the text form of the tasks, and for all apps where that is not spoken or says
    /// nothing.
    ///
    /// # Errors
    /// When no address gave a usable answer.
    pub async fn tasks_as_text(&mut self) -> Result<Answer, FetchError> {
        self.ask(Form::Text).await
    }

    async fn ask(&mut self, form: Form<'_>) -> Result<Answer, FetchError> {
        let mut failures = Vec::new();
        for index in self.order() {
            match self.ask_one(index, form).await {
                Ok(answer) => {
                    self.answered(index, &failures);
                    self.fetched.got_whole(answer.body.len());
                    return Ok(answer);
                }
                Err(fault) => failures.push(Failure {
                    address: self.addresses[index].to_string(),
                    fault,
                }),
            }
        }
        self.fetched.got_nothing();
        Err(FetchError { failures })
    }

    /// Positions of the addresses in the order in which they are asked.
    fn order(&self) -> impl Iterator<Item = usize> + use<> {
        let first = self.last_good;
        let others = (0..self.addresses.len()).filter(move |&index| Some(index) != first);
        first.into_iter().chain(others)
    }

    /// This address answered, after those had failed.
    fn answered(&mut self, index: usize, failures: &[Failure]) {
        let from = &self.addresses[index];
        self.away
            .is_replaced(&from.to_string(), "answered", failures);
        self.last_good = Some(index);
    }

    async fn ask_one(&mut self, index: usize, form: Form<'_>) -> Result<Answer, Fault> {
        let address = &self.addresses[index];
        let known = self.known;
        let said = match address {
            Address::File(path) => saved(path, self.fetcher.max_body(), known)?,
            Address::Node(node) => {
                let limit = self.fetcher.fetch_timeout();
                let nodes = nodes(&self.addresses);
                let question =
                    question(&self.fetcher, node, nodes, form, &mut self.json_only, known);
                timeout(limit, question)
                    .await
                    .unwrap_or(Err(Fault::TooSlow(limit)))?
            }
        };
        Ok(Answer {
            cluster: said.cluster,
            warnings: said.warnings,
            from: address.to_string(),
            essence: said.essence,
            body: said.body,
        })
    }
}

/// An answer without the address that gave it.
struct Said {
    cluster: Cluster,
    warnings: Vec<Warning>,
    essence: Digest,
    body: String,
}

/// Those that are asked. Saved answers stand in for none.
pub(super) fn nodes(addresses: &[Address]) -> impl Iterator<Item = &Node> + Clone {
    addresses.iter().filter_map(|address| match address {
        Address::Node(node) => Some(node),
        Address::File(_) => None,
    })
}

/// Asks one node, in the other form where this one does not help.
async fn question<'a>(
    fetcher: &Fetcher,
    node: &'a Node,
    nodes: impl Iterator<Item = &'a Node> + Clone,
    form: Form<'_>,
    json_only: &mut bool,
    known: Option<Digest>,
) -> Result<Said, Fault> {
    let apps = |body| apps(body, known);
    if form == Form::Apps || *json_only {
        return apps(fetcher.get(node, nodes, Form::Apps).await?);
    }
    match fetcher.get(node, nodes.clone(), Form::Text).await {
        Ok(body) if is_text_form(&body) => {
            // Without a port in the text, JSON can tell whether the cluster is empty.
            match tasks(body, known) {
                Some(said) => Ok(said),
                None => apps(fetcher.get(node, nodes, Form::Apps).await?),
            }
        }
        Err(Fault::Empty) => apps(fetcher.get(node, nodes, Form::Apps).await?),
        Err(fault) if !means_no_text(&fault) => Err(fault),
        _ => {
            let said = apps(fetcher.get(node, nodes, Form::Apps).await?)?;
            tracing::debug!("Marathon does not list its tasks as text, JSON is asked from now on");
            *json_only = true;
            Ok(said)
        }
    }
}

fn means_no_text(fault: &Fault) -> bool {
    match fault {
        Fault::Status { status, .. } => matches!(status.as_u16(), 404 | 406),
        Fault::WrongType { found, .. } => found.contains("json"),
        _ => false,
    }
}

fn saved(path: &Path, most: u64, known: Option<Digest>) -> Result<Said, Fault> {
    let body = saved_text(path, most)?;
    if !is_text_form(&body) {
        return apps(body, known);
    }
    tasks(body, known).ok_or_else(|| {
        Fault::WrongBody(WrongBody::WrongForm {
            found: "a text that names no service port".to_owned(),
            expected: "the JSON of /v2/apps, or lines of app, service port and host:port",
        })
    })
}

fn saved_text(path: &Path, most: u64) -> Result<String, Fault> {
    // A pipe that is ours to read to its end, unlike any other.
    let bytes = if path == Path::new("/dev/stdin") {
        let mut bytes = Vec::new();
        let read = io::stdin().take(most + 1).read_to_end(&mut bytes);
        read.map(|_| bytes)
    } else {
        read_head(path, most + 1)
    };
    let bytes = bytes.map_err(|error| Fault::File(error.to_string()))?;
    if bytes.len() as u64 > most {
        return Err(Fault::TooLarge(most));
    }
    fetch::text(bytes)
}

/// No line of the text form begins like JSON or HTML.
fn is_text_form(body: &str) -> bool {
    !body.trim_ascii_start().starts_with(['{', '[', '"', '<'])
}

fn apps(body: String, known: Option<Digest>) -> Result<Said, Fault> {
    let essence = essence(&body);
    let (cluster, warnings) = if known == Some(essence) {
        (Cluster::AsBefore, Vec::new())
    } else {
        let (apps, warnings) = body::apps(&body).map_err(Fault::WrongBody)?;
        (Cluster::Apps(Snapshot::new(apps)), warnings)
    };
    Ok(Said {
        cluster,
        warnings,
        essence,
        body,
    })
}

/// A text in which no port is named may be any message, and is no proof that the cluster is empty.
fn tasks(body: String, known: Option<Digest>) -> Option<Said> {
    let essence = Digest::of(body.as_bytes());
    let (cluster, warnings) = if known == Some(essence) {
        (Cluster::AsBefore, Vec::new())
    } else {
        let (ports, warnings) = text::tasks(&body);
        if ports.is_empty() {
            return None;
        }
        (Cluster::Endpoints(ports), warnings)
    };
    Some(Said {
        cluster,
        warnings,
        essence,
        body,
    })
}

#[cfg(test)]
mod tests;
