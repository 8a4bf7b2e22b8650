//! HAProxy with its socket: who answers there, who takes over, and what goes wrong with either.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use haproxy_marathon_bridge::apply::reload::{Method, ReloadError, Reloaded, Verified};
use haproxy_marathon_bridge::apply::runtime::{
    Fallback, Limits, Serving, Text, Told, mark_of, tell_over,
};
use haproxy_marathon_bridge::apply::validate::{CheckError, Verdict};
use haproxy_marathon_bridge::apply::{Balancer, FileSet, Installation, Try};
use haproxy_marathon_bridge::disk::MemoryDisk;
use haproxy_marathon_bridge::haproxy::Session;
use haproxy_marathon_bridge::haproxy::files::NamedFile;
use haproxy_marathon_bridge::haproxy::listen::Listener;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, duplex};
use tokio::time::sleep;

use super::asked::MAP;
use super::process::{Answer, Process};
use super::trouble::{ReloadTrouble, Trouble};
use crate::random::Random;

/// HAProxy on a host.
pub(super) struct Haproxy {
    disk: Arc<MemoryDisk>,
    cfg: PathBuf,
    version: &'static str,
    pub(super) starts: bool,
    pub(super) apart: Duration,
    pub(super) running: RefCell<Option<Process>>,
    /// They end what they have.
    pub(super) old: RefCell<Vec<Process>>,
    /// It has read its files, and is to take over: somebody else reloads.
    pub(super) coming: RefCell<Option<Process>>,
    random: RefCell<Random>,
    /// At the command of this number since the turn began.
    pub(super) trouble: Cell<Option<(usize, Trouble)>>,
    pub(super) reload_trouble: Cell<Option<ReloadTrouble>>,
    pub(super) rejects: Cell<bool>,
    /// Whoever connects is answered by an old process.
    pub(super) is_answered_by_old: Cell<bool>,
    heard: Cell<usize>,
    /// What went wrong did so.
    pub(super) was_troubled: Cell<bool>,
    pub(super) is_dead: Cell<bool>,
    reloads_in_flight: Cell<usize>,
    pub(super) reloads: Cell<usize>,
    pub(super) conversations: Cell<usize>,
    /// All that it has was compared with the file.
    pub(super) is_compared: Cell<bool>,
    pub(super) broken: RefCell<Vec<String>>,
    pub(super) trace: RefCell<Option<Vec<String>>>,
    next_pid: Cell<u32>,
}

impl Haproxy {
    pub(super) fn new(
        disk: Arc<MemoryDisk>,
        cfg: &Path,
        random: &mut Random,
        seed: u64,
        is_traced: bool,
    ) -> Self {
        let versions = [
            "2.6.12-1+deb12u4",
            "2.6.12-1+deb12u4",
            "3.0.11",
            "3.2.5",
            "3.4.0",
        ];
        Self {
            disk,
            cfg: cfg.to_owned(),
            version: random.pick(&versions),
            starts: random.percent(60),
            apart: Duration::from_secs(random.pick(&[0, 2, 600])),
            running: RefCell::default(),
            old: RefCell::default(),
            coming: RefCell::default(),
            random: RefCell::new(Random::of_part(seed, usize::MAX / 3)),
            trouble: Cell::default(),
            reload_trouble: Cell::default(),
            rejects: Cell::default(),
            is_answered_by_old: Cell::default(),
            heard: Cell::default(),
            was_troubled: Cell::default(),
            is_dead: Cell::default(),
            reloads_in_flight: Cell::default(),
            reloads: Cell::default(),
            conversations: Cell::default(),
            is_compared: Cell::default(),
            broken: RefCell::default(),
            trace: RefCell::new(is_traced.then(Vec::new)),
            next_pid: Cell::new(100),
        }
    }

    pub(super) fn note(&self, what: impl FnOnce() -> String) {
        if let Some(trace) = self.trace.borrow_mut().as_mut() {
            trace.push(what());
        }
    }

    fn breaks(&self, what: String) {
        self.note(|| format!("broken: {what}"));
        self.broken.borrow_mut().push(what);
    }

    /// Of a new turn.
    pub(super) fn begins(&self) {
        self.heard.set(0);
        self.reloads.set(0);
        self.conversations.set(0);
        self.is_compared.set(false);
        self.was_troubled.set(false);
        self.is_dead.set(false);
        self.reloads_in_flight.set(0);
    }

    /// What lies there.
    pub(super) fn installed(&self) -> Option<FileSet> {
        let cfg = self.disk.text(&self.cfg)?;
        let map = self.disk.text(&self.cfg.with_file_name(MAP));
        let maps = map.into_iter().map(|rows| (MAP.to_owned(), rows));
        Some(FileSet {
            cfg,
            maps: maps.collect(),
        })
    }

    /// One that reads what lies there now.
    pub(super) fn reads(&self) -> Option<Process> {
        let pid = self.next_pid.get();
        self.next_pid.set(pid + 1);
        Some(Process::read(&self.installed()?, pid, self.version))
    }

    pub(super) fn takes_over(&self, new: Option<Process>) -> Option<u32> {
        let pid = new.as_ref().map(|process| process.pid);
        if let Some(mut old) = std::mem::replace(&mut *self.running.borrow_mut(), new) {
            old.is_stopping = true;
            self.old.borrow_mut().push(old);
        }
        self.note(|| format!("process {pid:?} serves"));
        pid
    }

    /// Who reloads as somebody else does comes to an end of it.
    pub(super) fn comes(&self) {
        if let Some(coming) = self.coming.take() {
            self.takes_over(Some(coming));
        }
    }

    pub(super) fn ends(&self) {
        self.note(|| "HAProxy ends".to_owned());
        *self.running.borrow_mut() = None;
        *self.coming.borrow_mut() = None;
    }

    /// Answers until the other side hangs up, or what goes wrong does; `true` where we are killed.
    async fn answer(&self, wire: DuplexStream, pid: u32) -> bool {
        let mut wire = BufReader::new(wire);
        loop {
            let mut command = String::new();
            if wire.read_line(&mut command).await.unwrap_or(0) == 0 {
                return false;
            }
            let command = command.trim_end();
            let (command, mut payload, mut echo) = match command.strip_suffix(" <<") {
                None => (command, String::new(), String::new()),
                Some(command) => (command, String::new(), "+ ".to_owned()),
            };
            while !echo.is_empty() {
                let mut line = String::new();
                if wire.read_line(&mut line).await.unwrap_or(0) == 0 {
                    return false;
                }
                if line == "\n" {
                    break;
                }
                payload.push_str(&line);
                echo.push_str("+ ");
            }
            let heard = self.heard.get() + 1;
            self.heard.set(heard);
            let trouble = self.trouble.get().filter(|(at, _)| *at == heard);
            let trouble = trouble.map(|(_, trouble)| trouble);
            if let Some(trouble) = trouble {
                self.note(|| format!("{trouble:?} at `{command}`"));
                self.was_troubled.set(true);
            }
            match trouble {
                Some(Trouble::Killed) => return true,
                Some(Trouble::Restarted) => {
                    *self.running.borrow_mut() = self.reads();
                    *self.coming.borrow_mut() = None;
                    return false;
                }
                Some(Trouble::Ends) => {
                    self.ends();
                    return false;
                }
                Some(Trouble::Hangs) => pending().await,
                Some(Trouble::TakenOver) => {
                    let coming = self.coming.take().or_else(|| self.reads());
                    self.takes_over(coming);
                }
                Some(Trouble::LosesAnswer | Trouble::Refuses) | None => (),
            }
            let Some(said) = self.obeys(pid, command, &payload, trouble) else {
                return false;
            };
            if trouble == Some(Trouble::LosesAnswer) {
                return false;
            }
            let blank = if said.is_empty() { "" } else { "\n" };
            let text = format!("{echo}{said}{blank}\n> ");
            if wire.get_mut().write_all(text.as_bytes()).await.is_err() {
                return false;
            }
        }
    }

    /// `None` where it hangs up.
    fn obeys(
        &self,
        pid: u32,
        command: &str,
        payload: &str,
        trouble: Option<Trouble>,
    ) -> Option<String> {
        if self.reloads_in_flight.get() > 0 {
            self.breaks(format!("`{command}` while a reload was in flight"));
        }
        let (mut running, mut old) = (self.running.borrow_mut(), self.old.borrow_mut());
        let mut all = running.iter_mut().chain(old.iter_mut());
        let process = all.find(|process| process.pid == pid)?;
        let mut random = self.random.borrow_mut();
        process.time_goes_on(&mut random);
        if trouble == Some(Trouble::Refuses) {
            return Some("Permission denied\n".to_owned());
        }
        let said = match process.hear(command, payload, &mut random) {
            Ok(Answer::Says(said)) => said,
            Ok(Answer::HangsUp) => {
                self.note(|| format!("`{command}` is too much"));
                return None;
            }
            Err(what) => {
                self.breaks(what);
                return None;
            }
        };
        let is_long = command.starts_with("show");
        self.note(|| {
            let said = if is_long { "…" } else { said.trim_end() };
            format!("  {pid}: `{command}` → {said}")
        });
        Some(said)
    }
}

/// As the program sees it, which may be killed at a step on its disk.
pub(super) struct Seen<'h> {
    pub(super) haproxy: &'h Haproxy,
    pub(super) is_killed: &'h dyn Fn() -> bool,
}

impl Seen<'_> {
    async fn unless_killed(&self) {
        if (self.is_killed)() {
            self.dies().await;
        }
    }

    async fn dies(&self) {
        self.haproxy.is_dead.set(true);
        pending::<()>().await;
    }
}

impl Balancer for Seen<'_> {
    async fn check(
        &self,
        files: &FileSet,
        _: &Installation,
        _: Option<Try>,
    ) -> Result<Verdict, CheckError> {
        self.unless_killed().await;
        if mark_of(&files.cfg).is_none() {
            let what = "a file is checked that does not carry its hash".to_owned();
            self.haproxy.breaks(what);
        }
        if self.haproxy.rejects.get() {
            return Ok(Verdict::Rejected {
                messages: Vec::new(),
                output: String::new(),
            });
        }
        Ok(Verdict::Accepted {
            warnings: Vec::new(),
        })
    }

    async fn reload(
        &self,
        files: &FileSet,
        _: &Installation,
        may_start: bool,
    ) -> Result<Reloaded, ReloadError> {
        self.unless_killed().await;
        let haproxy = self.haproxy;
        if haproxy.installed().as_ref() != Some(files) {
            haproxy.breaks("a reload to files that are not installed".to_owned());
        }
        haproxy.reloads.set(haproxy.reloads.get() + 1);
        let ran = haproxy.running.borrow().is_some();
        if !(ran || haproxy.starts || may_start) {
            return Ok(Reloaded::NotRunning);
        }
        let trouble = haproxy.reload_trouble.get();
        haproxy.note(|| format!("a reload; {trouble:?}"));
        haproxy
            .was_troubled
            .set(haproxy.was_troubled.get() || trouble.is_some());
        let refused = || ReloadError::Refused {
            how: Method::Sf,
            output: "no".to_owned(),
            said: String::new(),
        };
        match trouble {
            Some(ReloadTrouble::KilledBefore) => self.dies().await,
            Some(ReloadTrouble::Silenced) if ran => {
                let mut running = haproxy.running.borrow_mut();
                let process = running.as_mut().expect("it runs");
                process.listens = false;
                return Err(ReloadError::Silenced {
                    cause: Box::new(refused()),
                    pid: process.pid,
                    ports: BTreeSet::from([80]),
                });
            }
            Some(ReloadTrouble::Refused | ReloadTrouble::Silenced) => return Err(refused()),
            _ => (),
        }
        haproxy.reloads_in_flight.set(1);
        let new = haproxy.reads();
        sleep(Duration::from_millis(90)).await;
        haproxy.reloads_in_flight.set(0);
        // Somebody else's comes to nothing then.
        *haproxy.coming.borrow_mut() = None;
        let pid = haproxy.takes_over(new).expect("there are files");
        match trouble {
            Some(ReloadTrouble::KilledAfter) => {
                self.dies().await;
                unreachable!("nobody goes on")
            }
            Some(ReloadTrouble::Unproven) => Err(ReloadError::NotProven {
                how: Method::Sf,
                waited: Duration::from_secs(30),
                seen: "nothing".to_owned(),
            }),
            _ if ran => Ok(Reloaded::Done(Verified::NewProcess { pid })),
            _ => Ok(Reloaded::Started { pid }),
        }
    }

    async fn tell(&self, pid: u32, text: Text<'_>, _: &Installation) -> Result<Told, Fallback> {
        self.unless_killed().await;
        let haproxy = self.haproxy;
        haproxy.conversations.set(haproxy.conversations.get() + 1);
        let installed = haproxy.installed().unwrap_or_default();
        let answers = {
            let (mut running, mut old) = (haproxy.running.borrow_mut(), haproxy.old.borrow_mut());
            let old = old.last_mut().filter(|_| haproxy.is_answered_by_old.get());
            let answers = old.or(running.as_mut()).filter(|process| process.listens);
            answers.map(|process| {
                process.is_called(&installed.cfg);
                process.pid
            })
        };
        // The structure stays the same whoever stands in for whom.
        let is_installed = mark_of(text.cfg) == mark_of(&installed.cfg);
        if !is_installed || text.cfg.lines().any(|line| lacks(&installed.cfg, line)) {
            haproxy.breaks("HAProxy is told of what is not installed".to_owned());
        }
        let Some(answers) = answers else {
            return Err(Fallback::NoSocket);
        };
        let serving = Serving {
            socket: Path::new("/simulated/haproxy.sock"),
            pid,
            master: None,
            limits: Limits::default(),
        };
        let (ours, theirs) = duplex(1 << 20);
        let opened = Session::over(Box::new(ours), serving.socket, serving.limits.command);
        let killed = async {
            if !haproxy.answer(theirs, answers).await {
                pending::<()>().await;
            }
        };
        let told = tokio::select! {
            told = tell_over(opened, serving, text) => told,
            () = killed => {
                self.dies().await;
                unreachable!("nobody goes on")
            }
        };
        haproxy.note(|| match &told {
            Ok(told) => format!("  {told}"),
            Err(why) => format!("  a reload is needed: {why}"),
        });
        if told.is_ok() && text.sections.is_none() {
            haproxy.is_compared.set(true);
        }
        let serves = haproxy.running.borrow().as_ref().map(|own| own.pid);
        if told.is_ok() && serves != Some(answers) {
            haproxy.breaks(format!("{answers} was told, and {serves:?} serves"));
        }
        told
    }

    fn serves(&self, pid: u32, _: &Installation) -> bool {
        let (running, old) = (self.haproxy.running.borrow(), self.haproxy.old.borrow());
        running.iter().chain(old.iter()).any(|own| own.pid == pid)
    }

    fn running(&self, _: &Installation) -> Option<u32> {
        let (running, old) = (self.haproxy.running.borrow(), self.haproxy.old.borrow());
        running.iter().chain(old.iter()).map(|own| own.pid).max()
    }

    fn is_told_of_servers(&self) -> bool {
        true
    }

    fn reloads_apart(&self) -> Duration {
        self.haproxy.apart
    }

    fn is_asked(&self) -> bool {
        true
    }

    fn is_in_sight(&self) -> bool {
        true
    }

    fn still_serves(&self, pid: u32, _: &FileSet, _: &Installation) -> bool {
        let running = self.haproxy.running.borrow();
        running.iter().any(|own| own.pid == pid && own.listens)
    }

    fn taken(&self, _: &BTreeSet<Listener>, _: &Installation) -> BTreeSet<u16> {
        BTreeSet::new()
    }

    fn holder(&self, _: u16) -> Option<String> {
        None
    }

    fn foreign(&self, _: &BTreeSet<Listener>, _: &Installation) -> BTreeSet<Listener> {
        BTreeSet::new()
    }

    fn unfit(&self, _: &BTreeSet<&NamedFile>, _: &[PathBuf]) -> BTreeMap<NamedFile, String> {
        BTreeMap::new()
    }

    fn starts(&self, _: bool) -> bool {
        self.haproxy.starts
    }
}

/// Whether a line of a server is not there.
fn lacks(cfg: &str, line: &str) -> bool {
    line.starts_with("  server ") && !cfg.contains(line)
}
