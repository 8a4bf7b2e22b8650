//! The simulated HAProxy: judges files, is brought to them, fails, dies, and is restarted behind
//! our back. It reads what lies on the disk and nothing else.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use haproxy_marathon_bridge::apply::reload::{Method, ReloadError, Reloaded, Verified};
use haproxy_marathon_bridge::apply::validate::{CheckError, CheckMessage, Severity, Verdict};
use haproxy_marathon_bridge::apply::{Balancer, FileSet, Installation};
use haproxy_marathon_bridge::disk::{Disk as _, MemoryDisk};
use haproxy_marathon_bridge::haproxy::child::RunError;

use crate::cluster::Outside;

/// What becomes of a reload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ReloadFault {
    #[default]
    None,
    /// HAProxy says no, and the old process serves on.
    Refused,
    /// The new process serves, but nobody can prove it.
    Unproven,
    /// The new process takes over and ends.
    Dies,
    /// We are killed before HAProxy hears of it.
    KilledBefore,
    /// We are killed after the new process has taken over.
    KilledAfter,
}

impl ReloadFault {
    pub(crate) const ALL: [Self; 5] = [
        Self::Refused,
        Self::Unproven,
        Self::Dies,
        Self::KilledBefore,
        Self::KilledAfter,
    ];
}

/// What becomes of `haproxy -c`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum CheckFault {
    #[default]
    None,
    /// It cannot be started.
    CannotRun,
    /// It refuses every file.
    RefusesAll,
    /// It is killed, and we with it.
    Killed,
}

impl CheckFault {
    pub(crate) const ALL: [Self; 3] = [Self::CannotRun, Self::RefusesAll, Self::Killed];
}

/// A process: the files that it has read when it started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) files: FileSet,
    pub(crate) pid: u32,
}

/// HAProxy, and all that it knows.
#[derive(Debug)]
pub(crate) struct Haproxy {
    disk: std::sync::Arc<MemoryDisk>,
    outside: Rc<Outside>,
    cfg: PathBuf,
    /// Whether a reload starts a HAProxy that does not run, as `sf` does.
    starts: bool,
    pub(crate) running: RefCell<Option<Process>>,
    /// Every configuration that the check accepted, with its maps.
    accepted: RefCell<BTreeMap<String, BTreeMap<String, String>>>,
    pub(crate) check_fault: Cell<CheckFault>,
    pub(crate) reload_fault: Cell<ReloadFault>,
    /// Somebody else listens on this port.
    pub(crate) taken: Cell<Option<u16>>,
    /// The program was told that.
    pub(crate) told_taken: Cell<bool>,
    /// It is restarted in the moment in which it is to be told of new files.
    pub(crate) restarted_meanwhile: Cell<bool>,
    pub(crate) checks: Cell<usize>,
    pub(crate) reloads: Cell<usize>,
    /// Promises broken where nobody could give back an error.
    pub(crate) broken: RefCell<Vec<String>>,
    next_pid: Cell<u32>,
}

impl Haproxy {
    /// Runs the file of its package.
    pub(crate) fn new(
        disk: std::sync::Arc<MemoryDisk>,
        outside: Rc<Outside>,
        cfg: &Path,
        starts: bool,
    ) -> Self {
        let haproxy = Self {
            disk,
            outside,
            cfg: cfg.to_owned(),
            starts,
            running: RefCell::default(),
            accepted: RefCell::default(),
            check_fault: Cell::default(),
            reload_fault: Cell::default(),
            taken: Cell::default(),
            told_taken: Cell::default(),
            restarted_meanwhile: Cell::default(),
            checks: Cell::default(),
            reloads: Cell::default(),
            broken: RefCell::default(),
            next_pid: Cell::new(100),
        };
        haproxy.trust_installed();
        let _ = haproxy.start();
        haproxy
    }

    /// What lies there was put there by somebody who knows what he does.
    pub(crate) fn trust_installed(&self) {
        if let Some(cfg) = self.disk.text(&self.cfg) {
            self.accepted.borrow_mut().insert(cfg, BTreeMap::new());
        }
    }

    /// What lies there; `None` without a configuration.
    pub(crate) fn installed(&self) -> Option<FileSet> {
        let cfg = self.disk.text(&self.cfg)?;
        let maps = maps_of(&cfg)
            .into_iter()
            .filter_map(|name| {
                let text = self.disk.text(&self.cfg.with_file_name(&name))?;
                Some((name, text))
            })
            .collect();
        Some(FileSet { cfg, maps })
    }

    /// What is wrong with what lies there: a configuration that nobody accepted, or maps that do
    /// not lead each key of that configuration to one of its backends.
    pub(crate) fn fault_of_installed(&self) -> Option<String> {
        let files = self.installed()?;
        let accepted = self.accepted.borrow();
        let Some(maps) = accepted.get(&files.cfg) else {
            return Some(format!("nobody accepted what is installed:\n{}", files.cfg));
        };
        for (name, wanted) in maps {
            let Some(found) = files.maps.get(name) else {
                return Some(format!("map {name} is missing"));
            };
            for row in wanted.lines() {
                let key = row.split(' ').next().unwrap_or_default();
                let backend = found
                    .lines()
                    .find_map(|row| row.strip_prefix(&format!("{key} ")));
                if !backend
                    .is_some_and(|backend| files.cfg.contains(&format!("listen {backend}\n")))
                {
                    return Some(format!("map {name} leads {key} to {backend:?}"));
                }
            }
        }
        None
    }

    /// Whether it listens on this port, so that nobody else can.
    pub(crate) fn listens(&self, port: u16) -> bool {
        let running = self.running.borrow();
        running
            .iter()
            .any(|process| binds_of(&process.files.cfg).any(|own| own == port))
    }

    /// Somebody stops it.
    pub(crate) fn stop(&self) {
        *self.running.borrow_mut() = None;
    }

    /// Somebody starts it, or starts it again: it reads what lies there.
    ///
    /// # Errors
    /// In its own words, for reasons that are not ours. If it refuses the files as such, a promise
    /// is broken.
    pub(crate) fn start(&self) -> Result<u32, String> {
        *self.running.borrow_mut() = None;
        self.take_over()
    }

    /// A new process in the place of the old one, which goes on if the new one does not start.
    fn take_over(&self) -> Result<u32, String> {
        let Some(files) = self.installed() else {
            return Err("cannot open the configuration".to_owned());
        };
        if let Some(fault) = self.fault_of_installed() {
            self.broken
                .borrow_mut()
                .push(format!("HAProxy reads bad files: {fault}"));
        }
        let mut binds = BTreeSet::from_iter(self.taken.get());
        for port in binds_of(&files.cfg) {
            if !binds.insert(port) {
                return Err(format!(
                    "cannot bind socket (Address already in use) [0.0.0.0:{port}]"
                ));
            }
        }
        self.resolve(&files.cfg)?;
        let pid = self.next_pid.get() + 1;
        self.next_pid.set(pid);
        *self.running.borrow_mut() = Some(Process { files, pid });
        Ok(pid)
    }

    /// HAProxy asks for every name when it reads a file.
    fn resolve(&self, cfg: &str) -> Result<(), String> {
        let names = self.outside.names.borrow();
        for line in cfg.lines() {
            let mut words = line.split_ascii_whitespace();
            if words.next() == Some("server")
                && let Some((host, _)) = words.nth(1).and_then(|address| address.rsplit_once(':'))
                && !names.resolves(host)
            {
                return Err(format!("could not resolve address '{host}'"));
            }
        }
        Ok(())
    }

    fn judge(&self, files: &FileSet) -> Result<(), String> {
        if self.check_fault.get() == CheckFault::RefusesAll {
            return Err("this is not my day".to_owned());
        }
        if !files.cfg.starts_with("global\n") || !files.cfg.ends_with('\n') {
            return Err("missing LF on last line".to_owned());
        }
        if let Some(missing) = maps_of(&files.cfg)
            .iter()
            .find(|name| !files.maps.contains_key(*name))
        {
            return Err(format!("failed to open pattern file <{missing}>"));
        }
        self.resolve(&files.cfg)
    }
}

/// HAProxy as one run of the program sees it.
pub(crate) struct Seen<'a> {
    pub(crate) haproxy: &'a Haproxy,
    /// Whether the run was killed, as far as its disk knows: it does nothing more then.
    pub(crate) dead: &'a dyn Fn() -> bool,
}

impl Seen<'_> {
    async fn unless_dead(&self) {
        if (self.dead)() {
            future::pending::<()>().await;
        }
    }
}

impl Balancer for Seen<'_> {
    async fn check(&self, files: &FileSet, _: &Installation) -> Result<Verdict, CheckError> {
        self.unless_dead().await;
        let haproxy = self.haproxy;
        haproxy.checks.set(haproxy.checks.get() + 1);
        match haproxy.check_fault.get() {
            CheckFault::CannotRun => {
                return Err(CheckError::Run(RunError::Start {
                    program: "haproxy".into(),
                    source: std::io::Error::other("no more processes"),
                }));
            }
            CheckFault::Killed => future::pending().await,
            CheckFault::None | CheckFault::RefusesAll => (),
        }
        Ok(match haproxy.judge(files) {
            Ok(()) => {
                let mut accepted = haproxy.accepted.borrow_mut();
                accepted.insert(files.cfg.clone(), files.maps.clone());
                Verdict::Accepted {
                    warnings: Vec::new(),
                }
            }
            Err(text) => Verdict::Rejected {
                output: text.clone(),
                messages: vec![CheckMessage {
                    severity: Severity::Alert,
                    file: None,
                    line: None,
                    proxies: Vec::new(),
                    text,
                }],
            },
        })
    }

    fn is_gone(&self, _: u32, _: &Installation) -> bool {
        self.haproxy.running.borrow().is_none()
    }

    fn running(&self, _: &Installation) -> Option<u32> {
        let running = self.haproxy.running.borrow();
        running.as_ref().map(|process| process.pid)
    }

    fn taken(&self, addresses: &BTreeSet<SocketAddr>, _: &Installation) -> Vec<SocketAddr> {
        let taken = self.haproxy.taken.get();
        let held = addresses.iter().filter(|a| Some(a.port()) == taken);
        let held: Vec<SocketAddr> = held.copied().collect();
        self.haproxy.told_taken.set(!held.is_empty());
        held
    }

    fn starts(&self, _: bool) -> bool {
        self.haproxy.starts
    }

    async fn reload(
        &self,
        files: &FileSet,
        at: &Installation,
        _: bool,
    ) -> Result<Reloaded, ReloadError> {
        self.unless_dead().await;
        let haproxy = self.haproxy;
        haproxy.reloads.set(haproxy.reloads.get() + 1);
        if haproxy.disk.read(&at.cfg).ok().flatten().as_deref() != Some(files.cfg.as_bytes()) {
            haproxy
                .broken
                .borrow_mut()
                .push("a reload to files that are not installed".to_owned());
        }
        if haproxy.restarted_meanwhile.get() {
            let _ = haproxy.start();
        }
        let fault = haproxy.reload_fault.get();
        match fault {
            ReloadFault::KilledBefore => future::pending().await,
            ReloadFault::Refused => return Err(refused("no")),
            _ => (),
        }
        let ran = haproxy.running.borrow().is_some();
        if !ran && !haproxy.starts {
            return Ok(Reloaded::NotRunning);
        }
        let pid = haproxy.take_over().map_err(|said| refused(&said))?;
        match fault {
            ReloadFault::KilledAfter => future::pending().await,
            ReloadFault::Unproven => Err(ReloadError::NotProven {
                how: Method::Sf,
                waited: std::time::Duration::from_secs(30),
                seen: "nothing".to_owned(),
            }),
            ReloadFault::Dies => {
                haproxy.stop();
                Err(ReloadError::Died { pids: vec![pid] })
            }
            _ if ran => Ok(Reloaded::Done(Verified::NewProcess { pid })),
            _ => Ok(Reloaded::Started { pid }),
        }
    }
}

fn refused(said: &str) -> ReloadError {
    ReloadError::Refused {
        how: Method::Sf,
        output: said.to_owned(),
    }
}

/// The maps that a configuration names.
fn maps_of(cfg: &str) -> BTreeSet<String> {
    cfg.split(",map(")
        .skip(1)
        .filter_map(|rest| Path::new(rest.split(')').next()?).file_name()?.to_str())
        .map(str::to_owned)
        .collect()
}

fn binds_of(cfg: &str) -> impl Iterator<Item = u16> {
    cfg.lines().filter_map(|line| {
        line.trim()
            .strip_prefix("bind ")?
            .rsplit_once(':')?
            .1
            .parse()
            .ok()
    })
}
