//! The simulated cluster: apps that come, go, grow, break and quarrel about ports, told in
//! Marathon's own words, and the truth about them to compare with.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::labels::{GROUP, Labels};
use crate::outside::{Form, Names};
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
    /// Where they count.
    labels: Option<Labels>,
}

impl App {
    /// As sections carry it.
    fn name(&self) -> String {
        self.id[1..].replace('/', "_")
    }

    fn title(&self) -> String {
        format!("{}-{}", self.name(), self.service_port)
    }

    pub(crate) fn lose_tasks(&mut self) {
        self.tasks.clear();
    }
}

/// A section that the cluster asks for: which servers it has to have, and which it may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) service_port: u16,
    pub(crate) must: BTreeSet<String>,
    pub(crate) may: BTreeSet<String>,
    /// How a server is chosen, where a label says it.
    pub(crate) balance: Option<&'static str>,
    /// A label says what cannot be served.
    pub(crate) is_bad: bool,
}

impl Asked {
    /// Whether it has to be there. Where labels count, sections go with their last server.
    pub(crate) fn is_due(&self) -> bool {
        self.balance.is_none() || !self.is_bad && !self.must.is_empty()
    }
}

/// What an answer asks for, by section title (`web-10001`).
pub(crate) type Sections = BTreeMap<String, Asked>;

/// The apps as they really are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) apps: Vec<App>,
    deployed: usize,
    pub(crate) labelled: bool,
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
    pub(crate) fn of_size(apps: usize, labelled: bool, random: &mut Random) -> Self {
        let mut cluster = Self {
            labelled,
            ..Self::default()
        };
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
        let kinds = if self.labelled { 14 } else { 10 };
        match random.below(kinds) {
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
            9 => {
                app.fault = None;
                format!("repair {}", app.id)
            }
            _ => {
                let labels = app.labels.as_mut().expect("labels count");
                labels.change(random);
                format!("{} says {labels:?}", app.id)
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
        let labels = self.labelled.then(Labels::good);
        // Where labels count, what has no server has no section.
        let task = labels.is_some().then(|| ("10.0.0.9".to_owned(), 30_000));
        self.apps.push(App {
            id: "/alone".to_owned(),
            service_port: 20_000,
            tasks: task.into_iter().collect(),
            changed: 0,
            fault: None,
            labels,
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
            labels: self.labelled.then(|| Labels::new(random)),
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

    pub(crate) fn asked(&self, form: Form, numeric: bool, names: &Names) -> Sections {
        let mut sections = Sections::new();
        for app in &self.apps {
            if app.fault.is_some_and(AppFault::is_fatal) && form == Form::Json {
                continue;
            }
            let labels = app.labels.as_ref();
            let is_idle = labels.is_some() && app.tasks.is_empty();
            if is_idle || labels.is_some_and(|labels| labels.group != GROUP) {
                continue;
            }
            let mut asked = Asked {
                service_port: app.service_port,
                balance: labels.map(|labels| labels.balance),
                is_bad: labels.is_some_and(|labels| labels.bad.is_some()),
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
            sections.insert(app.title(), asked);
        }
        sections
    }

    /// The sections of all apps that can be served, had they tasks.
    pub(crate) fn titles(&self) -> BTreeSet<String> {
        let apps = self.apps.iter().filter(|app| {
            let is_ours = app.labels.as_ref().is_none_or(|l| l.group == GROUP);
            is_ours && !app.fault.is_some_and(AppFault::is_fatal)
        });
        apps.map(App::title).collect()
    }

    /// All apps that are told of, as sections carry their names.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        self.apps.iter().map(App::name).collect()
    }

    /// `ticks` stand for all that changes in an answer by itself.
    pub(crate) fn json(&self, ticks: u64) -> String {
        let mut text = "{\"apps\":[".to_owned();
        for (position, app) in self.apps.iter().enumerate() {
            let comma = if position > 0 { "," } else { "" };
            let id = match app.fault {
                Some(AppFault::BadId) => format!("{} \\n{}", app.id, app.id),
                _ => app.id.clone(),
            };
            let labels = app.labels.as_ref().map(Labels::json).unwrap_or_default();
            let port = match app.fault {
                Some(AppFault::PortZero) => "0".to_owned(),
                Some(AppFault::WrongType) => "{\"is\":\"none\"}".to_owned(),
                _ => app.service_port.to_string(),
            };
            write!(
                text,
                r#"{comma}{{"id":"{id}","ports":[{port}],"instances":{},{labels}"tasksHealthy":{ticks},"versionInfo":{{"lastConfigChangeAt":"2020-01-01T00:00:{:05}Z"}},"tasks":["#,
                app.tasks.len(),
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
                // Another task has another id, wherever it stands in the list.
                let name = if position < app.tasks.len() {
                    host
                } else {
                    "bad"
                };
                write!(
                    text,
                    r#"{comma}{{"id":"{name}.{port}","host":"{host}","ports":[{port}],"state":"TASK_RUNNING"}}"#
                )
                .expect("a String takes all text");
            }
            text.push_str("]}");
        }
        text.push_str("]}");
        text
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for app in &self.apps {
            let name = app.name();
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
