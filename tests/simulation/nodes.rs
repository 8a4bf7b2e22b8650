//! The simulated Marathon, as it answers questions.

use std::future;
use std::rc::Rc;
use std::time::Duration;

use haproxy_marathon_bridge::cluster::{AppId, Snapshot};
use haproxy_marathon_bridge::cycle::Nodes;
use haproxy_marathon_bridge::disk::Digest;
use haproxy_marathon_bridge::marathon::{
    self, Answer, AppAnswer, Failure, Fault, FetchError, Sent, WrongBody,
};
use reqwest::StatusCode;
use tokio::time::sleep;

use crate::cluster::{App, Cluster};
use crate::outside::{Form, Outside, SourceFault};

const ADDRESS: &str = "http://marathon:8080";

/// So long whoever asks waits for a word.
const PATIENCE: Duration = Duration::from_secs(30);

/// An answer that comes slowly is there after this.
const TRICKLE: Duration = Duration::from_secs(12);

pub(crate) struct SimulatedNodes {
    pub(crate) outside: Rc<Outside>,
    known: Option<Digest>,
    /// Whether the last answer was recognised without being read.
    pub(crate) recognised: bool,
}

impl SimulatedNodes {
    pub(crate) fn new(outside: &Rc<Outside>) -> Self {
        Self {
            outside: Rc::clone(outside),
            known: None,
            recognised: false,
        }
    }

    /// The cluster as it is told; the names of apps alone with `id`.
    async fn told(&self) -> Result<Cluster, Fault> {
        let outside = &self.outside;
        let status = |status, sent| Err(Fault::Status { status, sent });
        let mut told = outside.cluster.borrow().clone();
        match outside.source_fault.get() {
            SourceFault::None | SourceFault::Html | SourceFault::Cut => (),
            SourceFault::Down => return Err(Fault::Unreachable("refused".to_owned())),
            SourceFault::Hangs => future::pending().await,
            SourceFault::Silent => {
                sleep(PATIENCE).await;
                return Err(Fault::Silent(PATIENCE));
            }
            SourceFault::Trickles => sleep(TRICKLE).await,
            SourceFault::Unauthorized => {
                return status(StatusCode::UNAUTHORIZED, Sent::Credentials);
            }
            SourceFault::Loops => return Err(Fault::Redirect("it leads in a circle".to_owned())),
            SourceFault::Error500 => {
                return status(StatusCode::INTERNAL_SERVER_ERROR, Sent::Nothing);
            }
            SourceFault::Error503 => return status(StatusCode::SERVICE_UNAVAILABLE, Sent::Nothing),
            SourceFault::Garbage => return Err(Fault::NotUtf8),
            SourceFault::Empty => told.apps.clear(),
            SourceFault::Half => {
                let mut odd = false;
                told.apps.retain(|_| {
                    odd = !odd;
                    odd
                });
            }
            SourceFault::NoTasks => told.apps.iter_mut().for_each(App::lose_tasks),
            SourceFault::Lags => {
                if let Some(known) = &*outside.known.borrow() {
                    told = known.clone();
                }
            }
        }
        Ok(told)
    }

    /// What becomes of a text on its way.
    fn received(&self, mut body: String) -> String {
        match self.outside.source_fault.get() {
            SourceFault::Html => "<html><body>Bad Gateway</body></html>".clone_into(&mut body),
            SourceFault::Cut => body.truncate(body.len() / 2),
            _ => (),
        }
        body
    }

    async fn whole(&mut self, form: Form) -> Result<Answer, Fault> {
        let outside = Rc::clone(&self.outside);
        outside.whole_fetches.set(outside.whole_fetches.get() + 1);
        let told = self.told().await?;
        let fault = outside.source_fault.get();
        let form = if told.apps.is_empty() {
            Form::Json
        } else {
            form
        };
        let body = self.received(match form {
            Form::Json => told.json(outside.ticks.get()),
            Form::Text => told.text(),
        });
        self.recognised = self.known == Some(Digest::of(body.as_bytes()));
        let (cluster, warnings) = match form {
            _ if self.recognised => (marathon::Cluster::AsBefore, Vec::new()),
            Form::Text if matches!(fault, SourceFault::Html | SourceFault::Cut) => {
                return Err(wrong("no text of tasks"));
            }
            Form::Text => {
                let (ports, warnings) = marathon::tasks(&body);
                (marathon::Cluster::Endpoints(ports), warnings)
            }
            Form::Json => {
                let (apps, warnings) = marathon::apps(&body).map_err(Fault::WrongBody)?;
                (marathon::Cluster::Apps(Snapshot::new(apps)), warnings)
            }
        };
        let essence = Digest::of(body.as_bytes());
        *outside.known.borrow_mut() = Some(told.clone());
        outside.was_answered();
        if told.labelled {
            outside.told.borrow_mut().insert(essence, told);
        }
        Ok(Answer {
            cluster,
            warnings,
            from: ADDRESS.to_owned(),
            essence,
            body,
        })
    }

    async fn single(&mut self, id: &AppId) -> Result<AppAnswer, Fault> {
        let outside = Rc::clone(&self.outside);
        outside.single_fetches.set(outside.single_fetches.get() + 1);
        let told = self.told().await?;
        let app = told.apps.iter().find(|app| app.id == id.as_str());
        let answer = match app {
            None => (None, Vec::new()),
            Some(app) => {
                let app = app.json(outside.ticks.get());
                let body = self.received(format!("{{\"app\":{app}}}"));
                match marathon::app(&body).map_err(Fault::WrongBody)? {
                    (Some(found), _) if found.id != *id => return Err(wrong("another app")),
                    answer => answer,
                }
            }
        };
        if let Some(known) = &mut *outside.known.borrow_mut() {
            known.learn(id.as_str(), app);
        }
        outside.was_answered();
        let (app, warnings) = answer;
        Ok(AppAnswer {
            app,
            warnings,
            from: ADDRESS.to_owned(),
        })
    }

    /// Whoever gets no answer knows nothing of the answers before, as far as they belong to it.
    fn failed(&self, fault: Fault) -> FetchError {
        *self.outside.answered.borrow_mut() = None;
        FetchError {
            failures: vec![Failure {
                address: ADDRESS.to_owned(),
                fault,
            }],
        }
    }
}

fn wrong(found: &str) -> Fault {
    Fault::WrongBody(WrongBody::WrongForm {
        found: found.to_owned(),
        expected: "what was asked for",
    })
}

impl Nodes for SimulatedNodes {
    async fn apps(&mut self) -> Result<Answer, FetchError> {
        let answer = self.whole(Form::Json).await;
        answer.map_err(|fault| self.failed(fault))
    }

    async fn tasks_as_text(&mut self) -> Result<Answer, FetchError> {
        let answer = self.whole(Form::Text).await;
        answer.map_err(|fault| self.failed(fault))
    }

    async fn app(&mut self, id: &AppId) -> Result<AppAnswer, FetchError> {
        let answer = self.single(id).await;
        answer.map_err(|fault| self.failed(fault))
    }

    fn recognise(&mut self, known: Option<Digest>) {
        self.known = known;
    }
}
