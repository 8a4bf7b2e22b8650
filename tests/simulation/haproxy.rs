//! The simulated HAProxy: judges files, is brought to them, fails, dies, and is restarted behind
//! our back. It reads what lies on the disk and nothing else.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use haproxy_marathon_bridge::apply::reload::{Method, ReloadError, Reloaded, Verified};
use haproxy_marathon_bridge::apply::validate::{CheckError, CheckMessage, Verdict};
use haproxy_marathon_bridge::apply::{Balancer, FileSet, Installation, Try};
use haproxy_marathon_bridge::disk::{Digest, Disk as _, MemoryDisk};
use haproxy_marathon_bridge::haproxy::child::RunError;
use haproxy_marathon_bridge::haproxy::files::NamedFile;
use haproxy_marathon_bridge::haproxy::listen::Listener;

use crate::judge::{alert, binds_of, fault_of_map, faults_of_sections, maps_of, without_servers};
use crate::outside::Outside;

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
    /// It takes longer than anybody waits.
    GoesOn,
    /// It is killed, and we with it.
    Killed,
}

impl CheckFault {
    pub(crate) const ALL: [Self; 4] = [
        Self::CannotRun,
        Self::RefusesAll,
        Self::GoesOn,
        Self::Killed,
    ];
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
    pub(crate) starts: bool,
    /// Whether anybody tells it of new files; else it lives elsewhere, and nobody sees it run.
    pub(crate) is_told: bool,
    pub(crate) running: RefCell<Option<Process>>,
    /// Every configuration that the check accepted, with its maps each time. Where it is not told of
    /// files, without servers: those may be new in a file that nobody has it read.
    accepted: RefCell<BTreeMap<String, Vec<BTreeMap<String, String>>>>,
    /// Every set of files that some process has read, or would have, by digest.
    pub(crate) served: RefCell<BTreeSet<Digest>>,
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
        is_told: bool,
    ) -> Self {
        let haproxy = Self {
            disk,
            outside,
            cfg: cfg.to_owned(),
            starts,
            is_told,
            running: RefCell::default(),
            accepted: RefCell::default(),
            served: RefCell::default(),
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
            let mut accepted = self.accepted.borrow_mut();
            accepted.insert(self.checked_as(&cfg), vec![BTreeMap::new()]);
        }
    }

    /// By which a configuration is known to be good.
    fn checked_as(&self, cfg: &str) -> String {
        if self.is_told {
            cfg.to_owned()
        } else {
            without_servers(cfg)
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
        let Some(accepted) = accepted.get(&self.checked_as(&files.cfg)) else {
            return Some(format!("nobody accepted what is installed:\n{}", files.cfg));
        };
        // While the maps of one configuration change, each is an old or a new one.
        maps_of(&files.cfg).iter().find_map(|name| {
            let Some(found) = files.maps.get(name) else {
                return Some(format!("map {name} is missing"));
            };
            let wanted = accepted.iter().filter_map(|maps| maps.get(name));
            let mut faults = wanted.map(|wanted| fault_of_map(&files.cfg, name, wanted, found));
            let first = faults.next()??;
            faults.all(|fault| fault.is_some()).then_some(first)
        })
    }

    /// Whether the maps that lie there were accepted together with the configuration.
    pub(crate) fn has_fitting_maps(&self) -> bool {
        let Some(files) = self.installed() else {
            return true;
        };
        let accepted = self.accepted.borrow();
        let accepted = accepted.get(&self.checked_as(&files.cfg));
        let mut sets = accepted.into_iter().flatten();
        sets.any(|maps| {
            let mut named = files.maps.iter();
            named.all(|(name, text)| maps.get(name) == Some(text))
        })
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
        let started = self.take_over();
        if !self.is_told {
            self.stop();
        }
        started
    }

    /// What lies there is from now on what a process would have read.
    pub(crate) fn becomes_good(&self) {
        let files = self.installed();
        let mut served = self.served.borrow_mut();
        served.extend(files.as_ref().map(digest_of));
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
        self.served.borrow_mut().insert(digest_of(&files));
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

    fn judge(&self, files: &FileSet) -> Result<(), Vec<CheckMessage>> {
        let of_all = |text: String| vec![alert(text, None, None)];
        if self.check_fault.get() == CheckFault::RefusesAll {
            return Err(of_all("this is not my day".to_owned()));
        }
        if !files.cfg.starts_with("global\n") || !files.cfg.ends_with('\n') {
            return Err(of_all("missing LF on last line".to_owned()));
        }
        let faults = faults_of_sections(&files.cfg);
        if !faults.is_empty() {
            return Err(faults);
        }
        if let Some(missing) = maps_of(&files.cfg)
            .iter()
            .find(|name| !files.maps.contains_key(*name))
        {
            return Err(of_all(format!("failed to open pattern file <{missing}>")));
        }
        self.resolve(&files.cfg).map_err(of_all)
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
    async fn check(
        &self,
        files: &FileSet,
        _: &Installation,
        _: Option<Try>,
    ) -> Result<Verdict, CheckError> {
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
            CheckFault::GoesOn => return Err(CheckError::GoesOn),
            CheckFault::Killed => future::pending().await,
            CheckFault::None | CheckFault::RefusesAll => (),
        }
        Ok(match haproxy.judge(files) {
            Ok(()) => {
                let mut accepted = haproxy.accepted.borrow_mut();
                let maps = accepted.entry(haproxy.checked_as(&files.cfg)).or_default();
                if !maps.contains(&files.maps) {
                    maps.push(files.maps.clone());
                }
                Verdict::Accepted {
                    warnings: Vec::new(),
                }
            }
            Err(messages) => Verdict::Rejected {
                output: String::new(),
                messages,
            },
        })
    }

    fn serves(&self, pid: u32, at: &Installation) -> bool {
        self.running(at) == Some(pid)
    }

    fn running(&self, _: &Installation) -> Option<u32> {
        let running = self.haproxy.running.borrow();
        running.as_ref().map(|process| process.pid)
    }

    fn still_serves(&self, pid: u32, _: &FileSet, _: &Installation) -> bool {
        let running = self.haproxy.running.borrow();
        running.as_ref().is_some_and(|process| process.pid == pid)
    }

    fn foreign(&self, _: &BTreeSet<Listener>, _: &Installation) -> BTreeSet<Listener> {
        BTreeSet::new()
    }

    fn holder(&self, _: u16) -> Option<String> {
        None
    }

    fn unfit(&self, _: &BTreeSet<&NamedFile>, _: &[PathBuf]) -> BTreeMap<NamedFile, String> {
        BTreeMap::new()
    }

    fn is_asked(&self) -> bool {
        self.haproxy.is_told
    }

    fn is_in_sight(&self) -> bool {
        self.haproxy.is_told
    }

    fn taken(&self, wanted: &BTreeSet<Listener>, _: &Installation) -> BTreeSet<u16> {
        let taken = self.haproxy.taken.get().filter(|_| self.haproxy.is_told);
        let ports = wanted.iter().map(|listener| listener.at.port());
        let held: BTreeSet<u16> = ports.filter(|port| Some(*port) == taken).collect();
        self.haproxy.told_taken.set(!held.is_empty());
        held
    }

    fn starts(&self, _: bool) -> bool {
        self.haproxy.starts && self.haproxy.is_told
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
            ReloadFault::Refused if haproxy.is_told => return Err(refused("no")),
            _ => (),
        }
        if !haproxy.is_told {
            haproxy.becomes_good();
            return Ok(Reloaded::NotAsked);
        }
        let ran = haproxy.running.borrow().is_some();
        if !ran && !haproxy.starts {
            haproxy.becomes_good();
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
        said: said.to_owned(),
    }
}

/// Stands for all of a set.
pub(crate) fn digest_of(files: &FileSet) -> Digest {
    Digest::of_value(&(&files.cfg, &files.maps))
}
