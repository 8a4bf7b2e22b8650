//! Where the state of the cluster comes from.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Result;
use tracing::debug;

use crate::cluster::{App, AppId, Snapshot, Warning};
use crate::disk::Digest;
use crate::marathon::{Answer, AppAnswer, Client, Cluster, FetchError};

/// More apps than this are not asked for one by one: it would cost more than to ask for all.
const MOST_APPS: usize = 16;

/// Where the state of the cluster comes from.
pub trait Source {
    /// The whole cluster as it is now.
    fn fetch(&mut self) -> impl Future<Output = Result<Answer>>;

    /// What of the cluster changed since the last answer, where that can be told without asking for
    /// all of it; the next [`Self::fetch`] then gives the whole without asking again.
    fn changes(&mut self) -> impl Future<Output = Option<Changes>> {
        std::future::ready(None)
    }

    /// The next [`Self::fetch`] asks for everything, whatever was told before.
    fn ask_for_all(&mut self) {}

    /// The cluster as it was told last, however long ago that is and whatever failed since; nothing
    /// where nobody has kept it.
    fn last(&self) -> Option<Answer> {
        None
    }

    /// From now on an answer with this digest, and no other, may be [`Cluster::AsBefore`].
    fn recognise(&mut self, known: Option<Digest>);
}

/// What is new of a cluster that was told of before.
pub struct Changes {
    /// Apps as they were and as they are, only those that differ.
    pub apps: Vec<(Arc<App>, Option<Arc<App>>)>,
    /// What could not be read of them.
    pub warnings: Vec<Warning>,
    /// The address that answered, as shown to people.
    pub from: String,
}

/// Who is asked for the cluster: Marathon's nodes, or what stands in for them in a test.
pub trait Nodes {
    /// All apps.
    fn apps(&mut self) -> impl Future<Output = Result<Answer, FetchError>>;

    /// All tasks, as [`Client::tasks_as_text`].
    fn tasks_as_text(&mut self) -> impl Future<Output = Result<Answer, FetchError>>;

    /// One app.
    fn app(&mut self, id: &AppId) -> impl Future<Output = Result<AppAnswer, FetchError>>;

    /// As [`Source::recognise`].
    fn recognise(&mut self, known: Option<Digest>);
}

impl Nodes for Client {
    fn apps(&mut self) -> impl Future<Output = Result<Answer, FetchError>> {
        Self::apps(self)
    }

    fn tasks_as_text(&mut self) -> impl Future<Output = Result<Answer, FetchError>> {
        Self::tasks_as_text(self)
    }

    fn app(&mut self, id: &AppId) -> impl Future<Output = Result<AppAnswer, FetchError>> {
        Self::app(self, id)
    }

    fn recognise(&mut self, known: Option<Digest>) {
        Self::recognise(self, known);
    }
}

/// Marathon, asked in the form that the command line prefers.
pub struct Marathon<N = Client> {
    /// Its nodes.
    pub client: N,
    /// Whether the text form of the tasks will do, which holds neither labels nor dates.
    text_first: bool,
    keeps: bool,
    kept: Option<Kept>,
    touched: Option<BTreeSet<AppId>>,
    /// Whether the latest changes were told, until all of it is given as an answer.
    is_told: bool,
}

/// All apps as they were told last.
#[derive(Clone)]
struct Kept {
    /// Of the answer that told of them; of none where several did.
    essence: Digest,
    snapshot: Snapshot,
    warnings: Vec<Warning>,
    /// Who told of them last, as shown to people.
    from: String,
    /// Whether every question since was answered: else something else may be true by now.
    is_current: bool,
}

impl<N: Nodes> Marathon<N> {
    /// Asks for everything.
    #[must_use]
    pub fn new(client: N, text_first: bool) -> Self {
        Self {
            client,
            text_first,
            keeps: false,
            kept: None,
            touched: None,
            is_told: false,
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
        self.is_told = false;
    }

    /// Takes over what another one kept of the same cluster, for [`Source::last`].
    pub fn remember(&mut self, other: &Self) {
        self.kept.clone_from(&other.kept);
        self.is_behind();
    }

    /// A question was not answered.
    fn is_behind(&mut self) {
        if let Some(kept) = &mut self.kept {
            kept.is_current = false;
        }
    }

    /// `None` where everything has to be asked.
    async fn fetch_apps(&mut self, touched: &BTreeSet<AppId>) -> Option<Changes> {
        // One that is new has a place among the others, of which only the whole answer tells. That may
        // be the one that is kept.
        let is_known = |id| {
            let kept = self.kept.as_ref().filter(|kept| kept.is_current);
            kept.is_some_and(|kept| kept.snapshot.get(id).is_some())
        };
        if MOST_APPS < touched.len() || !touched.iter().all(is_known) {
            return None;
        }
        let kept = self.kept.as_mut()?;
        // Until all of it is told.
        kept.is_current = false;
        kept.essence = Digest::of(b"");
        let mut from = None;
        let mut apps = Vec::new();
        let mut warnings = Vec::new();
        for id in touched {
            let before = Arc::clone(kept.snapshot.get(id)?);
            let answer = match self.client.app(id).await {
                Ok(answer) => answer,
                Err(error) => {
                    debug!("everything is asked, since app `{id}` could not be: {error}");
                    return None;
                }
            };
            kept.warnings
                .retain(|warning| warning.app.as_ref() != Some(id));
            kept.warnings.extend(answer.warnings.iter().cloned());
            warnings.extend(answer.warnings);
            match answer.app {
                None => {
                    kept.snapshot.remove(id);
                    apps.push((before, None));
                }
                Some(app) if app == *before => (),
                Some(app) => {
                    kept.snapshot.replace(app);
                    apps.push((before, kept.snapshot.get(id).map(Arc::clone)));
                }
            }
            from = Some(answer.from);
        }
        kept.is_current = true;
        kept.from = from?;
        Some(Changes {
            apps,
            warnings,
            from: kept.from.clone(),
        })
    }

    /// All that is kept, as if it came in one answer.
    fn whole(&self) -> Option<Answer> {
        let kept = self.kept.as_ref()?;
        Some(Answer {
            cluster: Cluster::Apps(kept.snapshot.clone()),
            warnings: kept.warnings.clone(),
            from: kept.from.clone(),
            essence: kept.essence,
            body: String::new(),
        })
    }

    /// What is kept of a whole answer.
    fn learn(&mut self, answer: &Answer) {
        match &answer.cluster {
            Cluster::Apps(snapshot) if self.keeps => {
                self.kept = Some(Kept {
                    essence: answer.essence,
                    snapshot: snapshot.clone(),
                    warnings: answer.warnings.clone(),
                    from: answer.from.clone(),
                    is_current: true,
                });
            }
            // It was recognised, but perhaps not as the one that is kept.
            Cluster::AsBefore => {
                let kept = self.kept.take();
                let kept = kept.filter(|kept| kept.essence == answer.essence);
                self.kept = kept.map(|kept| Kept {
                    is_current: true,
                    ..kept
                });
            }
            Cluster::Apps(_) | Cluster::Endpoints(_) => self.kept = None,
        }
    }
}

impl<N: Nodes> Source for Marathon<N> {
    fn recognise(&mut self, known: Option<Digest>) {
        self.client.recognise(known);
    }

    fn ask_for_all(&mut self) {
        self.only(None);
    }

    async fn changes(&mut self) -> Option<Changes> {
        let touched = self.touched.take()?;
        let changes = self.fetch_apps(&touched).await?;
        self.is_told = true;
        Some(changes)
    }

    fn last(&self) -> Option<Answer> {
        self.whole()
    }

    async fn fetch(&mut self) -> Result<Answer> {
        if self.touched.is_some() {
            self.changes().await;
        }
        if std::mem::take(&mut self.is_told)
            && let Some(answer) = self.whole()
        {
            return Ok(answer);
        }
        let asked = if self.text_first {
            self.client.tasks_as_text().await
        } else {
            self.client.apps().await
        };
        let answer = asked.inspect_err(|_| self.is_behind())?;
        self.learn(&answer);
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::cluster::{Network, fixtures};

    fn app(id: &str) -> App {
        fixtures::app(id, Network::Host)
    }

    /// Tells of `/a`, and of nothing else; counts what it is asked.
    #[derive(Default)]
    struct OneApp {
        known: Option<Digest>,
        whole: usize,
        single: usize,
    }

    impl OneApp {
        fn answer(&self) -> Answer {
            let essence = Digest::of(b"one app");
            let cluster = if self.known == Some(essence) {
                Cluster::AsBefore
            } else {
                Cluster::Apps(Snapshot::new(vec![app("/a")]))
            };
            Answer {
                cluster,
                warnings: Vec::new(),
                from: "fake".to_owned(),
                essence,
                body: "one app".to_owned(),
            }
        }
    }

    impl Nodes for OneApp {
        async fn apps(&mut self) -> Result<Answer, FetchError> {
            self.whole += 1;
            Ok(self.answer())
        }

        async fn tasks_as_text(&mut self) -> Result<Answer, FetchError> {
            self.apps().await
        }

        async fn app(&mut self, id: &AppId) -> Result<AppAnswer, FetchError> {
            self.single += 1;
            Ok(AppAnswer {
                app: Some(app(id.as_str())),
                warnings: Vec::new(),
                from: "fake".to_owned(),
            })
        }

        fn recognise(&mut self, known: Option<Digest>) {
            self.known = known;
        }
    }

    #[tokio::test]
    async fn an_app_that_nobody_knows_costs_one_whole_answer_and_no_more() {
        let mut marathon = Marathon::new(OneApp::default(), false);
        marathon.keep();
        marathon.fetch().await.unwrap();
        marathon.recognise(Some(Digest::of(b"one app")));
        for (id, whole, single) in [("/b", 2, 0), ("/a", 2, 1), ("/a", 2, 2)] {
            marathon.only(Some(BTreeSet::from([AppId::new(id)])));
            marathon.fetch().await.unwrap();
            let OneApp {
                whole: found_whole,
                single: found_single,
                ..
            } = marathon.client;
            assert_eq!((found_whole, found_single), (whole, single), "{id}");
        }
    }
}
