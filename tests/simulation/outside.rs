//! Whom the program asks: the simulated Marathon and DNS, and what is wrong with them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;

use anyhow::{Result, anyhow};
use haproxy_marathon_bridge::cluster::Snapshot;
use haproxy_marathon_bridge::cycle::Source;
use haproxy_marathon_bridge::disk::Digest;
use haproxy_marathon_bridge::marathon::{self, Answer};
use haproxy_marathon_bridge::resolve::Lookup;

use crate::cluster::{App, Cluster, Sections};
use crate::sections::app_of;

/// In which form Marathon tells of its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Text,
}

/// What becomes of a question to Marathon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum SourceFault {
    #[default]
    None,
    /// No connection.
    Down,
    /// An HTML page.
    Html,
    /// The answer breaks off.
    Cut,
    /// A Marathon that has lost its memory.
    Empty,
    /// Every second app is missing.
    Half,
    /// Apps without tasks.
    NoTasks,
    /// It never ends, and whoever waits is killed.
    Hangs,
}

impl SourceFault {
    pub(crate) const ALL: [Self; 7] = [
        Self::Down,
        Self::Html,
        Self::Cut,
        Self::Empty,
        Self::Half,
        Self::NoTasks,
        Self::Hangs,
    ];
}

/// Host names. Some go and come back, one at most goes for good.
#[derive(Debug, Default)]
pub(crate) struct Names {
    pub(crate) all_down: bool,
    pub(crate) gone: Option<usize>,
    /// Agents get other addresses.
    pub(crate) moved: u8,
}

impl Names {
    pub(crate) fn resolves(&self, host: &str) -> bool {
        match host.strip_prefix("agent-") {
            Some(number) => {
                !self.all_down && self.gone.map(|gone| gone.to_string()).as_deref() != Some(number)
            }
            None => host.parse::<IpAddr>().is_ok(),
        }
    }

    /// All that it ever had, the present one last.
    pub(crate) fn addresses<'a>(&self, host: &'a str) -> impl Iterator<Item = String> + use<'a> {
        let number = host.strip_prefix("agent-");
        let times = if number.is_some() { self.moved } else { 0 };
        (0..=times).map(move |moved| match number {
            Some(number) => format!("10.1.{moved}.{number}"),
            None => host.to_owned(),
        })
    }
}

/// Marathon and DNS, shared by all who ask them.
#[derive(Debug)]
pub(crate) struct Outside {
    pub(crate) cluster: RefCell<Cluster>,
    pub(crate) names: RefCell<Names>,
    pub(crate) source_fault: Cell<SourceFault>,
    pub(crate) ticks: Cell<u64>,
    pub(crate) form: Form,
    pub(crate) numeric: bool,
    /// What the last answer asked for, until somebody takes it.
    pub(crate) answered: RefCell<Option<Told>>,
    /// Whoever told of the cluster in these words meant this one.
    told: RefCell<BTreeMap<Digest, Cluster>>,
}

/// What an answer asks for, and of which apps it tells.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) sections: Sections,
    titles: BTreeSet<String>,
    apps: BTreeSet<String>,
}

impl Told {
    /// Whether it says something else of the app of a section: to move it, to serve it elsewhere,
    /// or what nobody can read.
    pub(crate) fn moves(&self, title: &str) -> bool {
        self.tells_of(title) && !self.titles.contains(title)
    }

    /// Whether it says anything of the app of a section.
    pub(crate) fn tells_of(&self, title: &str) -> bool {
        self.apps.contains(app_of(title))
    }
}

impl Outside {
    pub(crate) fn new(cluster: Cluster, form: Form, numeric: bool) -> Self {
        Self {
            cluster: RefCell::new(cluster),
            names: RefCell::default(),
            source_fault: Cell::default(),
            ticks: Cell::default(),
            form,
            numeric,
            answered: RefCell::default(),
            told: RefCell::default(),
        }
    }

    /// What the cluster asks for as it really is.
    pub(crate) fn asked(&self) -> Sections {
        self.asked_by(&self.cluster.borrow())
    }

    /// What an earlier answer asks for, with the host names of today.
    pub(crate) fn asked_then(&self, answer: Digest) -> Option<Sections> {
        let told = self.told.borrow();
        told.get(&answer).map(|cluster| self.asked_by(cluster))
    }

    fn asked_by(&self, cluster: &Cluster) -> Sections {
        cluster.asked(self.form, self.numeric, &self.names.borrow())
    }
}

pub(crate) struct SimulatedMarathon {
    pub(crate) outside: Rc<Outside>,
    known: Option<Digest>,
    /// Whether the last answer was recognised without being read.
    pub(crate) recognised: bool,
}

impl SimulatedMarathon {
    pub(crate) fn new(outside: &Rc<Outside>) -> Self {
        Self {
            outside: Rc::clone(outside),
            known: None,
            recognised: false,
        }
    }
}

impl Source for SimulatedMarathon {
    fn recognise(&mut self, known: Option<Digest>) {
        self.known = known;
    }

    async fn fetch(&mut self) -> Result<Answer> {
        let outside = &self.outside;
        let mut told = outside.cluster.borrow().clone();
        let fault = outside.source_fault.get();
        match fault {
            SourceFault::None | SourceFault::Html | SourceFault::Cut => (),
            SourceFault::Down => return Err(anyhow!("no connection")),
            SourceFault::Hangs => future::pending().await,
            SourceFault::Empty => told.apps.clear(),
            SourceFault::Half => {
                let mut odd = false;
                told.apps.retain(|_| {
                    odd = !odd;
                    odd
                });
            }
            SourceFault::NoTasks => told.apps.iter_mut().for_each(App::lose_tasks),
        }
        let form = if told.apps.is_empty() {
            Form::Json
        } else {
            outside.form
        };
        let mut body = match form {
            Form::Json => told.json(outside.ticks.get()),
            Form::Text => told.text(),
        };
        match fault {
            SourceFault::Html => "<html><body>Bad Gateway</body></html>".clone_into(&mut body),
            SourceFault::Cut => body.truncate(body.len() / 2),
            _ => (),
        }
        self.recognised = self.known == Some(Digest::of(body.as_bytes()));
        let (cluster, warnings) = match form {
            _ if self.recognised => (marathon::Cluster::AsBefore, Vec::new()),
            Form::Text if matches!(fault, SourceFault::Html | SourceFault::Cut) => {
                return Err(anyhow!("no text of tasks"));
            }
            Form::Text => {
                let (ports, warnings) = marathon::tasks(&body);
                (marathon::Cluster::Endpoints(ports), warnings)
            }
            Form::Json => {
                let (apps, warnings) = marathon::apps(&body)?;
                (marathon::Cluster::Apps(Snapshot::new(apps)), warnings)
            }
        };
        *outside.answered.borrow_mut() = Some(Told {
            sections: outside.asked_by(&told),
            titles: told.titles(),
            apps: told.names(),
        });
        let essence = Digest::of(body.as_bytes());
        if told.labelled {
            outside.told.borrow_mut().insert(essence, told);
        }
        Ok(Answer {
            cluster,
            warnings,
            from: "http://marathon:8080".to_owned(),
            essence,
            body,
        })
    }
}

pub(crate) struct SimulatedDns(pub(crate) Rc<Outside>);

impl Lookup for SimulatedDns {
    fn lookup(&self, name: &str) -> impl Future<Output = io::Result<Vec<IpAddr>>> + Send + 'static {
        let names = self.0.names.borrow();
        future::ready(if names.resolves(name) {
            let address = names.addresses(name).last();
            let address = address.expect("every host has one").parse();
            Ok(vec![address.expect("it is numeric")])
        } else {
            Err(io::Error::other("no such name"))
        })
    }
}
