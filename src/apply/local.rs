//! The HAProxy of this host, as it is found and as the options have it brought to files.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::beside::{LONGEST_CHECK, begun, judged};
use super::reload::{
    Choice, Context, Health, Method, Probe, ReloadError, Reloaded, SERVICE, Tries, choose,
    old_processes, reload, runtime_file,
};
use super::runtime::{Fallback, Limits, Serving, Text, Told, tell};
use super::validate::{CheckError, Verdict};
use super::{Balancer, Beside, FileSet, Installation, Retry, Try};
use crate::config::{self, Config, ReloadMethod};
use crate::disk::{self, Disk};
use crate::haproxy::certificates::{listable, names};
use crate::haproxy::files::{NamedFile, unfit};
use crate::haproxy::listen::{Listener, is_forbidden, is_foreign, is_taken, ports};
use crate::haproxy::open_files::Allowance;
use crate::haproxy::program::brings_no_rights;
use crate::haproxy::{OldProcess, Proc, Process, Role, Version, global::Global, structure_hash};
use crate::logging::lasting;
use crate::proxy::native::CertificateNames;

/// The kind of trouble that it cannot be written.
const RUNTIME_FILE: &str = "the file that gives HAProxy a socket";

/// No number of tries makes a turn longer than this: it holds the lock.
const LONGEST_RELOAD: Duration = Duration::from_secs(60 * 60);

/// Where systemd runs.
const SYSTEMD: &str = "/run/systemd/system";

/// Whose limits the next process of HAProxy has.
enum Starter {
    Ourselves,
    Process(u32),
    /// Whichever has more: who has less than is thought is told so by HAProxy.
    Either(u32),
}

/// The HAProxy of this host.
#[derive(Debug)]
pub struct LocalHaproxy<'a> {
    /// The program, as `haproxy::program::find` found it.
    pub program: PathBuf,
    /// What it says of itself.
    pub version: Version,
    /// Its files and sockets.
    pub haproxy: &'a config::Haproxy,
    /// How it is told.
    pub reload: &'a config::Reload,
    /// Whether every file counts as good, unseen.
    pub skips_check: bool,
    /// Where checks go on that take long; else whoever asks waits.
    pub beside: Option<&'a Beside>,
    /// Whether the copies that it judges may lie in the state folder, which is for who holds the lock.
    pub holds_lock: bool,
    /// For the file that gives it a stats socket.
    pub disk: &'a dyn Disk,
    /// The least time between two reloads.
    pub apart: Duration,
}

impl<'a> LocalHaproxy<'a> {
    /// With what `config` says of it.
    #[must_use]
    pub fn new(program: PathBuf, version: Version, config: &'a Config, disk: &'a dyn Disk) -> Self {
        Self {
            program,
            version,
            haproxy: &config.haproxy,
            reload: &config.reload,
            skips_check: config.validation.skip,
            beside: None,
            holds_lock: true,
            disk,
            apart: Duration::ZERO,
        }
    }

    /// The folder for copies that are judged.
    fn scratch<'s>(&self, at: &'s Installation) -> Option<&'s Path> {
        at.state.as_deref().filter(|_| self.holds_lock)
    }

    fn context(&self, at: &Installation) -> Context {
        let pid_file = &self.haproxy.pid_file;
        Context::new(&self.program, &at.cfg, pid_file, self.reload.timeout)
    }

    /// Whether HAProxy will try to listen where we did: it may run in another network.
    fn listens_here(&self, ours: &[u32], context: &Context) -> bool {
        let share = ours.iter().all(|pid| context.proc.shares_network(*pid));
        let starts_elsewhere = match self.reload.method {
            ReloadMethod::Command | ReloadMethod::Master => true,
            ReloadMethod::Auto => self.reload.command.is_some(),
            ReloadMethod::Sf | ReloadMethod::Systemd | ReloadMethod::None => false,
        };
        share && !(ours.is_empty() && starts_elsewhere)
    }

    /// Our processes, where HAProxy listens in our network.
    fn listeners_here(&self, at: &Installation) -> Option<(Context, Vec<u32>)> {
        let context = self.context(at);
        let ours = context.our_processes();
        let ours: Vec<u32> = ours.iter().map(|process| process.pid).collect();
        self.listens_here(&ours, &context)
            .then_some((context, ours))
    }

    /// From whom the next process of HAProxy has its limits, beside the one that serves; `None` where
    /// that cannot be told.
    fn starter(&self, context: &Context, serving: Option<&Process>) -> Option<Starter> {
        let method = match self.reload.method {
            ReloadMethod::Auto if self.reload.command.is_some() => ReloadMethod::Command,
            method => method,
        };
        let role = serving.map(|process| (process.pid, context.proc.role(process)));
        match (method, role) {
            (ReloadMethod::None, _) => None,
            (_, Some((pid, Role::Master) | (_, Role::Worker { master: pid }))) => {
                Some(Starter::Process(pid))
            }
            // A unit may be in charge, which would have to be asked.
            (ReloadMethod::Auto, Some((pid, _))) if Path::new(SYSTEMD).is_dir() => {
                Some(Starter::Either(pid))
            }
            (ReloadMethod::Sf, _) | (ReloadMethod::Auto, Some(_)) => Some(Starter::Ourselves),
            (_, Some((pid, _))) => Some(Starter::Process(pid)),
            (_, None) => None,
        }
    }

    /// Nothing is configured that would be in charge of a HAProxy that we started ourselves.
    fn starts_again(&self) -> bool {
        self.reload.method == ReloadMethod::Auto && self.reload.command.is_none()
    }

    /// Where the process answers that runs `cfg`.
    fn own_socket(&self, cfg: &str) -> Option<PathBuf> {
        Global::socket_of(cfg, self.haproxy.stats_socket.as_deref())
    }

    async fn old_processes(&self, context: &Context) -> Vec<OldProcess> {
        old_processes(context.clone(), self.haproxy.master_socket.clone()).await
    }

    async fn choose(&self, context: &Context, may_start: bool) -> Option<Choice> {
        let facts = Probe::of(context, self.haproxy).observe().await;
        debug!(?facts, "observed");
        if may_start && self.starts_again() && facts.is_nobody_there() {
            return Some(Choice {
                method: Method::Sf,
                because: "HAProxy does not run, and was last started by us",
            });
        }
        choose(
            self.reload.method,
            self.reload.command.as_ref(),
            SERVICE,
            &facts,
        )
    }

    /// The bridge's files have no stats socket, over which a new process gets the listening
    /// sockets; a second file of ours gives them one.
    fn add_runtime_file(&self, context: &mut Context, files: &FileSet, state: &Path) {
        let hash = structure_hash(&files.cfg);
        let file = match runtime_file(&files.cfg, state, self.version, Some(&hash)) {
            Ok(Some(file)) => file,
            Ok(None) => {
                let own = Global::read(&files.cfg);
                context.description.clone_from(&own.description);
                if let Some(socket) = own.exposing_socket() {
                    context.stats_socket = Some(socket.clone());
                }
                return;
            }
            Err(error) => {
                warn!("{error}; the takeover may refuse connections for a moment");
                return;
            }
        };
        match disk::replace(self.disk, &file.path, file.text.as_bytes(), 0o600) {
            Ok(()) => {
                lasting(RUNTIME_FILE, None);
                context.stats_socket = Some(file.socket);
                context.extra.push(file.path);
                context.description = Global::read(&files.cfg).description.or(Some(hash));
            }
            Err(error) => {
                let sentence = format!("{error}; the takeover may refuse connections for a moment");
                lasting(RUNTIME_FILE, Some(&sentence));
            }
        }
    }
}

/// Whoever else reloads may bring HAProxy to another file than ours. Its process says which, where ours
/// has both a description and a socket to ask at.
fn expect_own(context: &mut Context, files: &FileSet) {
    let own = Global::read(&files.cfg);
    let socket = own.stats_sockets.into_iter().next();
    let socket = context.stats_socket.take().or(socket.map(|own| own.path));
    if socket.is_some() {
        context.description = own.description;
    }
    context.stats_socket = socket;
}

impl Balancer for LocalHaproxy<'_> {
    async fn check(
        &self,
        files: &FileSet,
        at: &Installation,
        tries: Option<Try>,
    ) -> Result<Verdict, CheckError> {
        if self.skips_check {
            return Ok(Verdict::Accepted {
                warnings: Vec::new(),
            });
        }
        let scratch = self.scratch(at);
        let limit = tries.map(|tries| tries.limit);
        let Some(beside) = self.beside else {
            return judged(&self.program, files, at, scratch, limit).await;
        };
        let begin = |files| {
            let scratch = scratch.map(Path::to_owned);
            begun(self.program.clone(), files, at.clone(), scratch, limit)
        };
        let tries = tries.map(|tries| tries.of);
        beside.check(files, tries, begin).await
    }

    fn can_retry(&self) -> bool {
        self.beside.is_some() && !self.skips_check
    }

    fn retry(&self, retry: Retry, at: &Installation) {
        let Some(beside) = self.beside else { return };
        let Retry { app, index, files } = retry;
        let scratch = self.scratch(at).map(Path::to_owned);
        let program = self.program.clone();
        let limit = Some(LONGEST_CHECK);
        let check = begun(program, Rc::new(files), at.clone(), scratch, limit);
        beside.retry((app, index), check);
    }

    fn has_put_off(&self) -> bool {
        self.beside.is_some_and(Beside::has_put_off)
    }

    fn serves(&self, pid: u32, at: &Installation) -> bool {
        self.context(at).serves(pid)
    }

    fn running(&self, at: &Installation) -> Option<u32> {
        self.context(at).serving()
    }

    fn is_asked(&self) -> bool {
        self.reload.method != ReloadMethod::None
    }

    fn is_told_of_servers(&self) -> bool {
        self.reload.runtime_api && self.is_asked()
    }

    fn reloads_apart(&self) -> Duration {
        // Another part on each host.
        static CHANCE: OnceLock<f64> = OnceLock::new();
        let chance =
            CHANCE.get_or_init(|| RandomState::new().hash_one(()) as f64 / u64::MAX as f64);
        self.apart.mul_f64(1.0 + chance / 2.0)
    }

    async fn tell(&self, pid: u32, text: Text<'_>, at: &Installation) -> Result<Told, Fallback> {
        // Somebody else may be about to bring another process to the files.
        let ours = self.context(at).our_processes();
        let since = ours
            .iter()
            .find(|own| own.pid == pid)
            .map(|own| own.started);
        let younger = ours.iter().find(|own| Some(own.started) > since);
        if let Some(younger) = younger.filter(|_| since.is_some()) {
            return Err(Fallback::OtherProcess {
                found: younger.pid,
                expected: pid,
            });
        }
        let serving = Serving {
            socket: &self.own_socket(text.cfg).ok_or(Fallback::NoSocket)?,
            pid,
            master: self.haproxy.master_socket.as_deref(),
            limits: Limits::default(),
        };
        tell(serving, text).await
    }

    fn is_in_sight(&self) -> bool {
        match self.reload.method {
            ReloadMethod::Auto => self.reload.command.is_none(),
            ReloadMethod::Sf | ReloadMethod::Master | ReloadMethod::Systemd => true,
            ReloadMethod::Command | ReloadMethod::None => false,
        }
    }

    fn still_serves(&self, pid: u32, files: &FileSet, at: &Installation) -> bool {
        let context = self.context(at);
        let ours = context.our_processes();
        let Some(own) = ours.iter().find(|process| process.pid == pid) else {
            return false;
        };
        // One that was told to end closes its listeners first.
        let port = ports(&files.cfg).into_iter().next();
        ours.iter().all(|process| process.started <= own.started)
            && port.is_some_and(|port| context.proc.listens(&[pid], port))
    }

    fn foreign(&self, wanted: &BTreeSet<Listener>, at: &Installation) -> BTreeSet<Listener> {
        if self.skips_check || self.reload.method == ReloadMethod::None {
            return BTreeSet::new();
        }
        let foreign = wanted.iter().filter(|listener| is_foreign(listener));
        let foreign: BTreeSet<Listener> = foreign.cloned().collect();
        // Where none runs yet, only what we start ourselves is known to listen here.
        let is_known = |ours: &[u32]| !ours.is_empty() || self.reload.method == ReloadMethod::Sf;
        if !foreign.is_empty()
            && !self
                .listeners_here(at)
                .is_some_and(|(_, ours)| is_known(&ours))
        {
            return BTreeSet::new();
        }
        foreign
    }

    fn taken(&self, wanted: &BTreeSet<Listener>, at: &Installation) -> BTreeSet<u16> {
        if self.skips_check || self.reload.method == ReloadMethod::None {
            return BTreeSet::new();
        }
        let taken = wanted.iter().filter(|listener| is_taken(listener));
        let mut taken: BTreeSet<u16> = taken.map(|listener| listener.at.port()).collect();
        // All processes are looked at only where it matters.
        if !taken.is_empty() {
            let Some((context, ours)) = self.listeners_here(at) else {
                return BTreeSet::new();
            };
            taken.retain(|port| !context.proc.listens(&ours, *port));
        }
        taken
    }

    fn forbidden(&self, wanted: &BTreeSet<Listener>, at: &Installation) -> BTreeSet<u16> {
        // Whoever else starts it may have other rights than we.
        if self.skips_check || self.reload.method != ReloadMethod::Sf {
            return BTreeSet::new();
        }
        let forbidden = wanted.iter().filter(|listener| is_forbidden(listener));
        let mut forbidden: BTreeSet<u16> = forbidden.map(|own| own.at.port()).collect();
        if !forbidden.is_empty() {
            let here = self.listeners_here(at);
            let here = here.filter(|_| brings_no_rights(&self.program));
            let Some((context, ours)) = here else {
                return BTreeSet::new();
            };
            // What the one before has it hands over.
            forbidden.retain(|port| !context.proc.listens(&ours, *port));
        }
        forbidden
    }

    fn open_files(&self, at: &Installation) -> Option<Allowance> {
        if self.skips_check {
            return None;
        }
        let context = self.context(at);
        let serving = context.serving().and_then(|pid| context.proc.process(pid));
        let starter = self.starter(&context, serving.as_ref())?;
        let of = |pid| context.proc.allowance(pid);
        let found = match starter {
            Starter::Ourselves => of(None),
            Starter::Process(pid) => of(Some(pid)),
            Starter::Either(pid) => {
                let both = [of(None), of(Some(pid))].into_iter().flatten();
                both.max_by_key(|one| one.raised.unwrap_or(one.limit))
            }
        };
        found.map(|allowance| Allowance {
            is_strict: self.version.has_strict_limits(),
            is_running: serving.is_some(),
            ..allowance
        })
    }

    fn holder(&self, port: u16) -> Option<String> {
        Proc::default().holder(port)
    }

    fn unfit(
        &self,
        files: &BTreeSet<&NamedFile>,
        bases: &[PathBuf],
    ) -> BTreeMap<NamedFile, String> {
        if self.skips_check {
            return BTreeMap::new();
        }
        let fault = |file: &NamedFile| Some((file.clone(), unfit(file, bases)?));
        files.iter().filter_map(|file| fault(file)).collect()
    }

    fn certificate_names(&self, certificates: &[Box<str>], bases: &[PathBuf]) -> CertificateNames {
        let mut all = CertificateNames::new();
        for path in certificates {
            all.insert(path.clone(), names(path, bases));
        }
        all
    }

    fn listable(&self, certificates: &[Box<str>], bases: &[PathBuf]) -> BTreeSet<Box<str>> {
        listable(certificates, bases)
    }

    fn starts(&self, started_before: bool) -> bool {
        self.reload.method == ReloadMethod::Sf || started_before && self.starts_again()
    }

    async fn reload(
        &self,
        files: &FileSet,
        at: &Installation,
        may_start: bool,
    ) -> Result<Reloaded, ReloadError> {
        let mut context = self.context(at);
        context.stats_socket.clone_from(&self.haproxy.stats_socket);
        let Some(choice) = self.choose(&context, may_start).await else {
            return Ok(Reloaded::NotRunning);
        };
        debug!("reload by {}: {}", choice.method, choice.because);
        match (&choice.method, &at.state) {
            (Method::Sf, Some(state)) => self.add_runtime_file(&mut context, files, state),
            (Method::Sf, None) => (),
            _ => expect_own(&mut context, files),
        }
        let health = match choice.method {
            Method::None => None,
            _ => {
                let socket = self.own_socket(&files.cfg);
                Health::hand_over(self.disk, &files.cfg, socket.as_deref()).await
            }
        };
        let old = self.old_processes(&context).await;
        let began = Instant::now();
        let mut tries = Tries::of(self.reload);
        let result = loop {
            context.limit = tries.limit;
            match reload(&choice.method, &context).await {
                Err(error) if began.elapsed() < LONGEST_RELOAD && tries.again_after(&error) => {
                    warn!("the reload failed and is tried again: {error}");
                }
                result => break result,
            }
        };
        drop(health);
        if result.is_ok() && !old.is_empty() {
            let now = self.old_processes(&context).await;
            tell_of_old(&old, now);
        }
        result
    }
}

/// Those that are old since an earlier reload: the one that was just relieved is so for a moment, as
/// always.
fn tell_of_old(before: &[OldProcess], now: Vec<OldProcess>) {
    let mut old = now;
    old.retain(|old| before.iter().any(|before| before.pid == old.pid));
    let named: Vec<String> = old.iter().map(OldProcess::to_string).collect();
    let named = named.join("; ");
    match old.len() {
        0 => (),
        1 => info!("an older HAProxy still finishes its connections: {named}"),
        many => info!("{many} older HAProxies still finish their connections: {named}"),
    }
}
