//! Where the state of the cluster comes from.

use anyhow::Result;

use crate::disk::Digest;
use crate::marathon::{Answer, Client};

/// Where the state of the cluster comes from.
pub trait Source {
    /// The whole cluster as it is now.
    fn fetch(&mut self) -> impl Future<Output = Result<Answer>>;

    /// From now on an answer with this digest, and no other, may be [`Cluster::AsBefore`].
    fn recognise(&mut self, known: Option<Digest>);
}

/// Marathon, asked in the form that the command line prefers.
pub struct Marathon {
    /// Its nodes.
    pub client: Client,
    /// Whether the text form of the tasks will do, which holds neither labels nor dates.
    pub text_first: bool,
}

impl Source for Marathon {
    fn recognise(&mut self, known: Option<Digest>) {
        self.client.recognise(known);
    }

    async fn fetch(&mut self) -> Result<Answer> {
        let answer = if self.text_first {
            self.client.tasks_as_text().await
        } else {
            self.client.apps().await
        };
        Ok(answer?)
    }
}
