//! Where the state of the cluster comes from.

use std::collections::BTreeSet;

use anyhow::Result;
use tracing::debug;

use crate::cluster::{AppId, Snapshot, Warning};
use crate::disk::Digest;
use crate::marathon::{Answer, Client, Cluster};

/// More apps than this are not asked for one by one: it would cost more than to ask for all.
const MOST_APPS: usize = 16;

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
    text_first: bool,
    keeps: bool,
    kept: Option<Kept>,
    touched: Option<BTreeSet<AppId>>,
}

/// All apps as they were told last.
struct Kept {
    /// Of the answer that told of them; of none where several did.
    essence: Digest,
    snapshot: Snapshot,
    warnings: Vec<Warning>,
}

impl Marathon {
    /// Asks for everything.
    #[must_use]
    pub fn new(client: Client, text_first: bool) -> Self {
        Self {
            client,
            text_first,
            keeps: false,
            kept: None,
            touched: None,
        }
    }

    /// From now on apps are kept between fetches, so that [`Self::only`] can be heeded.
    pub fn keep(&mut self) {
        self.keeps = true;
    }

    /// No other apps than these have changed since the last fetch: the next one asks for them alone,
    /// if the others are known. An answer that comes of that has no body. With `None` it asks for
    /// everything.
    pub fn only(&mut self, apps: Option<BTreeSet<AppId>>) {
        self.touched = apps;
    }

    /// `None` where everything has to be asked: what is kept is gone then.
    async fn fetch_apps(&mut self, touched: &BTreeSet<AppId>) -> Option<Answer> {
        let mut kept = self.kept.take()?;
        if MOST_APPS < touched.len() {
            return None;
        }
        let mut from = None;
        for id in touched {
            // One that is new has a place among the others, of which only the whole answer tells.
            let before = kept.snapshot.get(id)?.clone();
            let answer = match self.client.app(id).await {
                Ok(answer) => answer,
                Err(error) => {
                    debug!("everything is asked, since app `{id}` could not be: {error}");
                    return None;
                }
            };
            kept.warnings
                .retain(|warning| warning.app.as_ref() != Some(id));
            kept.warnings.extend(answer.warnings);
            match answer.app {
                None => drop(kept.snapshot.remove(id)),
                Some(app) if app == *before => (),
                Some(app) => kept.snapshot.replace(app),
            }
            from = Some(answer.from);
        }
        kept.essence = Digest::of(b"");
        let answer = Answer {
            cluster: Cluster::Apps(kept.snapshot.clone()),
            warnings: kept.warnings.clone(),
            from: from?,
            essence: kept.essence,
            body: String::new(),
        };
        self.kept = Some(kept);
        Some(answer)
    }

    /// What is kept of a whole answer.
    fn learn(&mut self, answer: &Answer) {
        match &answer.cluster {
            Cluster::Apps(snapshot) if self.keeps => {
                self.kept = Some(Kept {
                    essence: answer.essence,
                    snapshot: snapshot.clone(),
                    warnings: answer.warnings.clone(),
                });
            }
            // It was recognised, but perhaps not as the one that is kept.
            Cluster::AsBefore => {
                let kept = self.kept.take();
                self.kept = kept.filter(|kept| kept.essence == answer.essence);
            }
            Cluster::Apps(_) | Cluster::Endpoints(_) => self.kept = None,
        }
    }
}

impl Source for Marathon {
    fn recognise(&mut self, known: Option<Digest>) {
        self.client.recognise(known);
    }

    async fn fetch(&mut self) -> Result<Answer> {
        if let Some(touched) = self.touched.take()
            && let Some(answer) = self.fetch_apps(&touched).await
        {
            return Ok(answer);
        }
        let asked = if self.text_first {
            self.client.tasks_as_text().await
        } else {
            self.client.apps().await
        };
        let answer = asked.inspect_err(|_| self.kept = None)?;
        self.learn(&answer);
        Ok(answer)
    }
}
