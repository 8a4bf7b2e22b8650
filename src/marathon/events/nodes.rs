//! The nodes of a cluster as `follow` sees them, over HTTP.

use std::time::Duration;

use anyhow::bail;
use reqwest::Response;

use super::Pace;
use super::follow::{Nodes, Stream};
use crate::config;
use crate::marathon::fetch::Fetcher;
use crate::marathon::transport::broken;
use crate::marathon::{Address, Clock, Fault, Node, client};

/// All nodes, and how they are asked.
pub(super) struct Cluster {
    nodes: Vec<Node>,
    fetcher: Fetcher,
    /// Never reached where `follow` counts as well.
    read_timeout: Duration,
}

/// The nodes that were given, for those who `tell` events, or do otherwise with them. Saved answers
/// that stand in for Marathon are passed over: nothing happens in them.
pub(super) fn nodes(config: &config::Marathon, tell: &str) -> anyhow::Result<Vec<Node>> {
    let addresses: Result<Vec<Address>, _> = config.urls.iter().map(|url| url.parse()).collect();
    let nodes: Vec<Node> = client::nodes(&addresses?).cloned().collect();
    if nodes.is_empty() {
        bail!("no address of a node of Marathon was given that could {tell} events");
    }
    Ok(nodes)
}

impl Cluster {
    /// As [`nodes`].
    pub(super) fn new(
        config: &config::Marathon,
        pace: &Pace,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let nodes = nodes(config, "tell")?;
        let read_timeout = pace.silence.max(pace.opening) + Duration::from_secs(5);
        let config = config::Marathon {
            read_timeout,
            ..config.clone()
        };
        let fetcher = Fetcher::new(&config, clock)?;
        fetcher.prepare_tls(nodes.iter())?;
        Ok(Self {
            nodes,
            fetcher,
            read_timeout,
        })
    }
}

impl Nodes for Cluster {
    type Stream = Body;

    fn count(&self) -> usize {
        self.nodes.len()
    }

    fn shown(&self, index: usize) -> String {
        self.nodes[index].to_string()
    }

    async fn open(&self, index: usize) -> Result<Body, Fault> {
        let node = &self.nodes[index];
        let response = self.fetcher.events(node, self.nodes.iter()).await?;
        Ok(Body {
            response,
            read_timeout: self.read_timeout,
        })
    }
}

/// The body of an answer.
pub(super) struct Body {
    response: Response,
    read_timeout: Duration,
}

impl Stream for Body {
    async fn chunk(&mut self) -> Result<Option<impl AsRef<[u8]> + Send>, Fault> {
        let chunk = self.response.chunk().await;
        chunk.map_err(|error| broken(&error, self.read_timeout))
    }
}
