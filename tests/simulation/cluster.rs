//! The simulated Marathon and DNS: apps that come, go, grow, break and quarrel about ports, told
//! in Marathon's own words, and the truth about them to compare with.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
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

use crate::random::Random;

/// What is wrong with an app of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AppFault {
    /// A field has a type that Marathon does not know.
    WrongType,
    /// Its id could not name a section.
    BadId,
    /// Its service port is 0.
    PortZero,
    /// A task runs on a host whose name never resolved.
    UnknownHost,
    /// A task says that it runs on something that would add a line to the file.
    EvilHost,
}

impl AppFault {
    const ALL: [Self; 5] = [
        Self::WrongType,
        Self::BadId,
        Self::PortZero,
        Self::UnknownHost,
        Self::EvilHost,
    ];

    /// Whether it costs the whole app, as opposed to one server of it.
    fn is_fatal(self) -> bool {
        !matches!(self, Self::UnknownHost | Self::EvilHost)
    }
}

#[derive(Clone, Debug)]
pub(crate) struct App {
    id: String,
    service_port: u16,
    tasks: Vec<(String, u16)>,
    changed: usize,
    fault: Option<AppFault>,
}

/// A section that the cluster asks for: which servers it has to have, and which it may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) service_port: u16,
    pub(crate) must: BTreeSet<String>,
    pub(crate) may: BTreeSet<String>,
}

/// What an answer asks for, by section title (`web-10001`).
pub(crate) type Sections = BTreeMap<String, Asked>;

/// The apps as they really are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cluster {
    apps: Vec<App>,
    deployed: usize,
}

const IDS: [&str; 12] = [
    "/web",
    "/api",
    "/shop/cart",
    "/shop/pay",
    "/db",
    "/old_app/x",
    "/a/b",
    "/a-b",
    "/cache",
    "/queue",
    "/mail",
    "/auth",
];

impl Cluster {
    pub(crate) fn of_size(apps: usize, random: &mut Random) -> Self {
        let mut cluster = Self::default();
        for _ in 0..apps {
            cluster.deploy(random);
        }
        cluster
    }

    /// Changes something; says what.
    pub(crate) fn change(&mut self, random: &mut Random) -> String {
        if self.apps.is_empty() {
            return self.deploy(random);
        }
        let at = random.below(self.apps.len());
        self.deployed += 1;
        let deployed = self.deployed;
        let app = &mut self.apps[at];
        match random.below(10) {
            0..=2 => self.deploy(random),
            3 => {
                let gone = self.apps.remove(at);
                format!("remove {}", gone.id)
            }
            4 => {
                app.tasks = tasks(random, deployed);
                format!("replace {} by {} tasks", app.id, app.tasks.len())
            }
            5 => {
                app.tasks.push(task(random, deployed));
                format!("scale {} up to {}", app.id, app.tasks.len())
            }
            6 => {
                app.tasks.pop();
                format!("scale {} down to {}", app.id, app.tasks.len())
            }
            7 => {
                app.service_port = service_port(random);
                app.changed = deployed;
                format!("move {} to port {}", app.id, app.service_port)
            }
            8 => {
                app.fault = Some(random.pick(&AppFault::ALL));
                format!("break {} by {:?}", app.id, app.fault)
            }
            _ => {
                app.fault = None;
                format!("repair {}", app.id)
            }
        }
    }

    /// Takes most of it away, and means it.
    pub(crate) fn shrink(&mut self, random: &mut Random) -> String {
        let left = random.below(self.apps.len() / 2 + 1);
        self.apps.truncate(left);
        format!("only {left} apps are left")
    }

    /// An app that nobody can be in the way of.
    pub(crate) fn deploy_alone(&mut self) {
        self.apps.push(App {
            id: "/alone".to_owned(),
            service_port: 20_000,
            tasks: Vec::new(),
            changed: 0,
            fault: None,
        });
    }

    fn deploy(&mut self, random: &mut Random) -> String {
        self.deployed += 1;
        let id = random.pick(&IDS);
        let app = App {
            id: id.to_owned(),
            service_port: service_port(random),
            tasks: tasks(random, self.deployed),
            changed: self.deployed,
            fault: None,
        };
        let said = format!(
            "deploy {id} on port {} with {} tasks",
            app.service_port,
            app.tasks.len()
        );
        match self.apps.iter_mut().find(|known| known.id == id) {
            Some(known) => *known = app,
            None => {
                let at = random.below(self.apps.len() + 1);
                self.apps.insert(at, app);
            }
        }
        said
    }

    fn asked(&self, form: Form, numeric: bool, names: &Names) -> Sections {
        let mut sections = Sections::new();
        for app in &self.apps {
            if app.fault.is_some_and(AppFault::is_fatal) && form == Form::Json {
                continue;
            }
            let mut asked = Asked {
                service_port: app.service_port,
                ..Asked::default()
            };
            for (host, port) in &app.tasks {
                let mut written = vec![format!("{host}:{port}")];
                written.extend(names.addresses(host).map(|a| format!("{a}:{port}")));
                if names.resolves(host) {
                    let latest = written.len() - 1;
                    asked
                        .must
                        .insert(written.swap_remove(if numeric { latest } else { 0 }));
                } else {
                    asked.may.extend(written);
                }
            }
            sections.insert(
                format!("{}-{}", app.id[1..].replace('/', "_"), app.service_port),
                asked,
            );
        }
        sections
    }

    /// `ticks` stand for all that changes in an answer by itself.
    fn json(&self, ticks: u64) -> String {
        let mut text = "{\"apps\":[".to_owned();
        for (position, app) in self.apps.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            let id = match app.fault {
                Some(AppFault::BadId) => format!("{} \\n{}", app.id, app.id),
                _ => app.id.clone(),
            };
            let port = match app.fault {
                Some(AppFault::PortZero) => "0".to_owned(),
                Some(AppFault::WrongType) => "{\"is\":\"none\"}".to_owned(),
                _ => app.service_port.to_string(),
            };
            write!(
                text,
                r#"{comma}{{"id":"{id}","ports":[{port}],"tasksHealthy":{ticks},"versionInfo":{{"lastConfigChangeAt":"2020-01-01T00:00:{:05}Z"}},"tasks":["#,
                app.changed
            )
            .expect("a String takes all text");
            let bad = match app.fault {
                Some(AppFault::UnknownHost) => Some(("nowhere".to_owned(), 31_000)),
                Some(AppFault::EvilHost) => Some(("h:1\\n  server evil h".to_owned(), 31_000)),
                _ => None,
            };
            for (position, (host, port)) in app.tasks.iter().chain(&bad).enumerate() {
                let comma = if position > 0 { "," } else { "" };
                write!(
                    text,
                    r#"{comma}{{"id":"t{position}","host":"{host}","ports":[{port}],"state":"TASK_RUNNING"}}"#
                )
                .expect("a String takes all text");
            }
            text.push_str("]}");
        }
        text.push_str("]}");
        text
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for app in &self.apps {
            let name = app.id[1..].replace('/', "_");
            write!(text, "{name}\t{}\t", app.service_port).expect("a String takes all text");
            for (host, port) in &app.tasks {
                write!(text, "{host}:{port}\t").expect("a String takes all text");
            }
            text.push('\n');
        }
        text
    }
}

/// Few enough that apps meet on one.
fn service_port(random: &mut Random) -> u16 {
    10_000 + u16::try_from(random.below(14)).expect("it is below 14")
}

fn tasks(random: &mut Random, deployed: usize) -> Vec<(String, u16)> {
    let count = random.below(5);
    (0..count)
        .map(|number| task(random, deployed * 5 + number))
        .collect()
}

fn task(random: &mut Random, number: usize) -> (String, u16) {
    let host = match random.below(8) {
        named @ 0..3 => format!("agent-{named}"),
        numbered => format!("10.0.0.{numbered}"),
    };
    let port = 31_000 + u16::try_from(number % 1_000).expect("it is below 1,000");
    (host, port)
}

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
    fn addresses<'a>(&self, host: &'a str) -> impl Iterator<Item = String> + use<'a> {
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
    pub(crate) answered: RefCell<Option<Sections>>,
}

impl Outside {
    /// What the cluster asks for as it really is.
    pub(crate) fn asked(&self) -> Sections {
        self.asked_by(&self.cluster.borrow())
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
            SourceFault::NoTasks => told.apps.iter_mut().for_each(|app| app.tasks.clear()),
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
        *outside.answered.borrow_mut() = Some(outside.asked_by(&told));
        Ok(Answer {
            cluster,
            warnings,
            from: "http://marathon:8080".to_owned(),
            essence: Digest::of(body.as_bytes()),
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
