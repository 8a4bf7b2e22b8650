//! What is outside of the host: the cluster as it is told, DNS, and what is wrong with both.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;

use haproxy_marathon_bridge::disk::Digest;
use haproxy_marathon_bridge::resolve::Lookup;

use crate::cluster::{Cluster, Sections};
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
    /// Nothing comes for as long as anybody waits.
    Silent,
    /// It comes, but slowly.
    Trickles,
    /// It wants credentials.
    Unauthorized,
    /// Each master sends to another one.
    Loops,
    /// It has an error of its own.
    Error500,
    /// It is about to start.
    Error503,
    /// Bytes that are no text.
    Garbage,
    /// A standby answers, and knows nothing new.
    Lags,
}

impl SourceFault {
    pub(crate) const ALL: [Self; 15] = [
        Self::Down,
        Self::Html,
        Self::Cut,
        Self::Empty,
        Self::Half,
        Self::NoTasks,
        Self::Hangs,
        Self::Silent,
        Self::Trickles,
        Self::Unauthorized,
        Self::Loops,
        Self::Error500,
        Self::Error503,
        Self::Garbage,
        Self::Lags,
    ];

    /// Whether somebody is there who could tell of events.
    pub(crate) fn tells_events(self) -> bool {
        !matches!(
            self,
            Self::Down | Self::Unauthorized | Self::Loops | Self::Error503 | Self::Silent
        )
    }
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
    /// What the last answers asked for, until somebody takes it.
    pub(crate) answered: RefCell<Option<Told>>,
    /// Whoever told of the cluster in these words meant this one.
    pub(crate) told: RefCell<BTreeMap<Digest, Cluster>>,
    /// What whoever asks has to know by now: the last whole answer, and of the apps that were asked
    /// for alone since, what was said then.
    pub(crate) known: RefCell<Option<Cluster>>,
    /// How often all of it was asked for.
    pub(crate) whole_fetches: Cell<usize>,
    /// How often one app was.
    pub(crate) single_fetches: Cell<usize>,
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
            known: RefCell::default(),
            whole_fetches: Cell::default(),
            single_fetches: Cell::default(),
        }
    }

    /// What was said is what is known.
    pub(crate) fn was_answered(&self) {
        let known = self.known.borrow();
        *self.answered.borrow_mut() = known.as_ref().map(|known| Told {
            sections: self.asked_by(known),
            titles: known.titles(),
            apps: known.names(),
        });
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
