//! One simulated host: its disk, its HAProxy, its clock, and the program on it, taken through what
//! a seed decides.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use haproxy_marathon_bridge::apply::{FileSet, Host, Installation, Outcome, load_last_good};
use haproxy_marathon_bridge::cluster::AppId;
use haproxy_marathon_bridge::disk::{Digest, Fault, FaultyDisk, MemoryDisk, PowerCut};
use haproxy_marathon_bridge::render::Renderer;
use haproxy_marathon_bridge::state::{Folder, State, Time};
use tokio::runtime::Runtime;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};

use crate::cluster::Cluster;
use crate::haproxy::{Haproxy, Process, ReloadFault, Seen};
use crate::labelled::{check_kept_answer, counts_on_answer};
use crate::operator::Pause;
use crate::outside::Outside;
use crate::program::{Facts, Program};
use crate::promises::{Broken, Turn, Watch};
use crate::random::Random;
use crate::sections::sections_of;
use crate::setting::{Kind, Life, Setting};
use crate::stream::Stream;
use crate::watcher::Watcher;

pub(crate) const CFG: &str = "/simulated/haproxy/haproxy.cfg";
const STATE: &str = "/simulated/state";

/// How a turn ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Killed,
    Failed(String),
    Done(Outcome),
}

impl Ended {
    fn name(&self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Failed(_) => "failed",
            Self::Done(Outcome::Unchanged) => "unchanged",
            Self::Done(Outcome::Applied { .. }) => "applied",
            Self::Done(Outcome::NotRunning { .. }) => "not running",
            Self::Done(Outcome::Rejected { .. }) => "rejected",
            Self::Done(Outcome::ReloadFailed { .. }) => "reload failed",
            Self::Done(Outcome::Waiting { .. }) => "waiting",
            Self::Done(Outcome::Postponed { .. }) => "postponed",
            Self::Done(Outcome::Checking) => "checking",
            Self::Done(Outcome::Paused) => "paused",
        }
    }
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each can come about with each"
)]
pub(crate) struct World<'a> {
    seed: u64,
    pub(crate) setting: Setting,
    pub(crate) runtime: &'a Runtime,
    /// Seconds since 1970.
    pub(crate) now: u64,
    pub(crate) disk: Arc<MemoryDisk>,
    pub(crate) outside: Rc<Outside>,
    pub(crate) haproxy: Haproxy,
    pub(crate) program: Option<Program>,
    /// What of a program that goes on running is not its turns.
    pub(crate) watcher: Option<Watcher>,
    pub(crate) stream: Stream,
    /// Milliseconds of a clock that nobody sets.
    pub(crate) clock: u64,
    /// Milliseconds since `now` became what it is.
    pub(crate) fraction: u64,
    /// How many turns a watcher took.
    pub(crate) turns: usize,
    /// Nothing breaks any more.
    pub(crate) is_calm: bool,
    /// Which apps the next turn asks for, if not for all.
    pub(crate) only: Option<BTreeSet<AppId>>,
    /// Templates cost more to compile than a turn takes, and remember nothing that matters: those
    /// that are compiled in, and those that somebody edited.
    pub(crate) renderers: [Option<Renderer>; 2],
    /// For a program that is not there, to compare with.
    pub(crate) shadow: [Option<Renderer>; 2],
    /// Somebody edited the templates.
    pub(crate) is_edited: bool,
    /// The program `haproxy` is where it was.
    pub(crate) has_haproxy: bool,
    /// What is wrong with the disk until somebody mends it.
    pub(crate) lasting: Option<Fault>,
    pub(crate) watch: Watch,
    pub(crate) pause: Pause,
    /// The last turn held a removal back.
    pub(crate) held: bool,
    /// What the program knows is not what was saved.
    pub(crate) unsaved: bool,
    /// What was remembered is lost, so that nobody knows whether HAProxy runs what is installed.
    pub(crate) forgot: bool,
    /// How many steps the last turn took on the disk.
    pub(crate) last_steps: usize,
    /// How it ended.
    pub(crate) last_ended: &'static str,
    /// How long it took, as far as somebody had to wait.
    pub(crate) last_took: Duration,
    /// One line for everything that happened.
    trace: Option<Vec<String>>,
    /// How often what came about.
    pub(crate) seen: BTreeMap<&'static str, usize>,
}

impl<'a> World<'a> {
    /// `traced`: what happens is written down, which costs more than what happens.
    pub(crate) fn new(seed: u64, traced: bool, runtime: &'a Runtime) -> Self {
        let random = &mut Random::new(seed);
        let setting = Setting::of(random);
        let disk = Arc::new(MemoryDisk::new());
        disk.put(Path::new(CFG), b"global\n  daemon\n");
        disk.put_folder(Path::new("/simulated"));
        let cluster = Cluster::of_size(setting.apps, setting.is_labelled(), random);
        let outside = Rc::new(Outside::new(cluster, setting.form, setting.numeric));
        let haproxy = Haproxy::new(
            Arc::clone(&disk),
            Rc::clone(&outside),
            Path::new(CFG),
            setting.starts_haproxy,
            setting.tells(),
        );
        Self {
            seed,
            runtime,
            now: 1_800_000_000,
            disk,
            outside,
            haproxy,
            program: None,
            watcher: None,
            stream: Stream::new(0),
            clock: 0,
            fraction: 0,
            turns: 0,
            is_calm: false,
            only: None,
            renderers: [None, None],
            shadow: [None, None],
            is_edited: false,
            has_haproxy: true,
            lasting: None,
            watch: Watch::default(),
            pause: Pause::default(),
            held: false,
            unsaved: false,
            forgot: false,
            last_steps: 0,
            last_ended: "",
            last_took: Duration::ZERO,
            trace: traced.then(|| vec![format!("seed {seed}: {setting:?}")]),
            seen: BTreeMap::new(),
            setting,
        }
    }

    /// Everything that the seed decides, steps in `without` left out, and then peace.
    pub(crate) fn run(&mut self, without: &[usize]) -> Result<(), Broken> {
        for step in 0..self.setting.steps {
            if !without.contains(&step) {
                self.note(&format!("step {step}"));
                let random = &mut Random::of_part(self.seed, step);
                match self.setting.life {
                    Life::Refresh => self.step(random)?,
                    Life::Watch { .. } => self.stretch(random)?,
                }
            }
        }
        self.note("peace");
        match self.setting.life {
            Life::Refresh => self.peace(),
            Life::Watch { .. } => self.calm(&mut Random::of_part(self.seed, usize::MAX / 2)),
        }
    }

    /// Something happens, and a turn is taken.
    fn step(&mut self, random: &mut Random) -> Result<(), Broken> {
        self.pass_time(random);
        for _ in 0..random.below(3) {
            self.event(random);
            self.check_host()?;
        }
        if random.percent(9) {
            self.operate(random)?;
            self.check_host()?;
        }
        let fault = self.next_fault(random);
        let allow_removal = random.percent(3);
        let power_fails = random.percent(30);
        let cut = random.pick(&[PowerCut::LosesNames, PowerCut::KeepsNames]);
        let ended = self.turn(fault, allow_removal)?;
        if matches!(ended, Ended::Killed) && power_fails {
            self.power_cut(cut)?;
            self.check_host()?;
        }
        self.after_turn();
        self.check_memory()
    }

    /// Takes a turn, and holds it to what was promised.
    pub(crate) fn turn(&mut self, fault: Fault, allow_removal: bool) -> Result<Ended, Broken> {
        let before = self.haproxy.installed();
        let ran_before = self.haproxy.running.borrow().clone();
        self.haproxy.checks.set(0);
        self.haproxy.reloads.set(0);
        *self.outside.answered.borrow_mut() = None;
        self.outside.ticks.set(self.now / 100);

        let disk = FaultyDisk::new(Arc::clone(&self.disk), fault);
        let dead = || matches!(fault, Fault::KilledAfter(after) if disk.steps() > after);
        let mut program = match self.program.take() {
            Some(program) => program,
            None => self.start_program(&disk),
        };
        program.stages.allow_removal = allow_removal;
        let now = self.time();
        let knew_answer = counts_on_answer(&program.memory, before.as_ref());
        let knew_installed = knows(&program.memory, before.as_ref());
        let names = self.disk.names();
        let was_broken_off = names.iter().any(|name| name.ends_with("journal"));
        let at = Installation::new(Path::new(CFG), program.store.path());
        let kept = load_last_good(&self.disk, &at).unwrap_or_default();
        let seen = Seen {
            haproxy: &self.haproxy,
            dead: &dead,
        };
        let host = Host {
            disk: &disk,
            balancer: &seen,
            at: &at,
        };
        let watches = self.setting.watches();
        let memory_before = (!self.setting.tells()).then(|| program.memory.clone());
        if watches {
            program.stages.ask_for(self.only.take(), &program.memory);
        }
        let turn = self.taken(&mut program, &host, now);
        let (ended, took) = self.runtime.block_on(turn);
        self.last_took = took;
        let ended = match ended {
            _ if dead() => Ended::Killed,
            Err(_) => Ended::Killed,
            Ok(Err(error)) => Ended::Failed(format!("{error:#}")),
            Ok(Ok(outcome)) => Ended::Done(outcome),
        };
        let steps = disk.steps();
        self.note_turn(fault, allow_removal, &ended, steps);
        self.last_ended = ended.name();
        self.count(self.last_ended);
        let facts = program.facts;
        self.count_facts(facts, &ended, allow_removal);
        let is_killed = matches!(ended, Ended::Killed);
        // What was not saved because of the disk, nobody will remember.
        self.unsaved = self.is_unsaved(&program, fault, is_killed);
        if matches!(ended, Ended::Done(Outcome::Applied { .. })) && !self.unsaved {
            self.forgot = false;
        }
        self.program = Some(program);
        if is_killed {
            self.end_program();
        }

        self.check_host()?;
        let answered = self.outside.answered.borrow_mut().take();
        let after = self.haproxy.installed();
        let meddled = self.haproxy.restarted_meanwhile.get()
            || !matches!(
                self.haproxy.reload_fault.get(),
                ReloadFault::None | ReloadFault::Refused
            );
        if self.haproxy.told_taken.take() {
            self.count("port held");
        }
        self.watch.turn(&Turn {
            now: self.now,
            before: before.as_ref(),
            after: after.as_ref(),
            ran_before: ran_before.as_ref(),
            answered: answered.as_ref(),
            allow_removal,
            ended: &ended,
            is_forgotten: is_killed || self.unsaved,
            haproxy: &self.haproxy,
            held_port: self
                .haproxy
                .taken
                .get()
                .filter(|_| self.setting.kind != Kind::BridgeWithMaps),
            meddled,
            kept,
            is_labelled: self.setting.is_labelled(),
            is_paused: self.pause.lasts,
            was_broken_off,
            knew_answer,
            knew_installed,
            facts,
        })?;
        self.last_steps = steps;
        if let Some(memory) = memory_before.filter(|_| facts.is_light && !is_killed) {
            self.check_light_turn(before.as_ref(), memory, now)?;
        }
        Ok(ended)
    }

    /// A turn, unless it takes for ever, and how long it took.
    async fn taken(
        &self,
        program: &mut Program,
        host: &Host<'_, Seen<'_>>,
        now: Time,
    ) -> (Result<anyhow::Result<Outcome>, Elapsed>, Duration) {
        let began = Instant::now();
        // The clock of the runtime moves only when everybody waits, and only the dead wait for ever.
        let limit = Duration::from_secs(3_600);
        let ended = match self.setting.life {
            Life::Watch { .. } => {
                let turn = program.watched_turn(host, now, self.has_haproxy);
                timeout(limit, turn).await
            }
            Life::Refresh => timeout(limit, program.turn(host, now, self.setting.kind)).await,
        };
        (ended, began.elapsed())
    }

    /// Whether the program knows more than was saved.
    fn is_unsaved(&self, program: &Program, fault: Fault, is_killed: bool) -> bool {
        if program.facts.is_light {
            // What it changed is saved once it is proved.
            self.unsaved
        } else if is_killed {
            self.unsaved || matches!(fault, Fault::Once(..) | Fault::From(..))
        } else {
            let is_sure = matches!(fault, Fault::None) && program.store.path().is_some();
            !is_sure && program.store.folder().load(&self.disk).0 != program.memory
        }
    }

    pub(crate) fn folder() -> Folder {
        Folder::of(Path::new(STATE), Path::new(CFG))
    }

    pub(crate) fn check_host(&self) -> Result<(), Broken> {
        let broken = self.haproxy.broken.borrow_mut().pop();
        match broken.or_else(|| self.haproxy.fault_of_installed()) {
            Some(what) => Err(Broken(what)),
            None => Ok(()),
        }
    }

    /// What is remembered of Marathon's answers fits what lies there.
    pub(crate) fn check_memory(&self) -> Result<(), Broken> {
        if !self.setting.is_labelled() {
            return Ok(());
        }
        let installed = self.haproxy.installed();
        check_kept_answer(
            &self.disk,
            &Self::folder(),
            installed.as_ref(),
            &self.outside,
        )
    }

    fn count_facts(&mut self, facts: Facts, ended: &Ended, allow_removal: bool) {
        let is_applied = matches!(ended, Ended::Done(Outcome::Applied { .. }));
        let is_let_go = self.held && !facts.held && facts.let_go && !allow_removal;
        let is_labelled = self.setting.is_labelled();
        for (what, came_about) in [
            ("asked for the same", facts.asked_for_the_same),
            ("held", facts.held),
            ("held where labels count", facts.held && is_labelled),
            ("held, then let go", is_applied && is_let_go),
            ("kept for want of an answer", facts.keeps_all),
            ("served as before", facts.served_as_before),
            ("left out", facts.left_out),
        ] {
            if came_about {
                self.count(what);
            }
        }
        if matches!(ended, Ended::Done(_)) {
            self.held = facts.held;
        }
    }

    pub(crate) fn count(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }

    /// All that was written down.
    pub(crate) fn into_trace(self) -> Vec<String> {
        self.trace.unwrap_or_default()
    }

    pub(crate) fn note(&mut self, what: &str) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{} {what}", self.now));
        }
    }

    fn note_turn(&mut self, fault: Fault, allow_removal: bool, ended: &Ended, steps: usize) {
        if self.trace.is_none() {
            return;
        }
        let said = match ended {
            Ended::Failed(error) => format!("failed: {error}"),
            Ended::Killed => "killed".to_owned(),
            Ended::Done(outcome) => format!("{outcome:?}"),
        };
        let fault = match fault {
            Fault::None => String::new(),
            fault => format!(" with {fault:?}"),
        };
        let removal = if allow_removal {
            " --allow-removal"
        } else {
            ""
        };
        let describe = |process: &Process| format!("pid {} {}", process.pid, short(&process.files));
        let runs = self.haproxy.running.borrow().as_ref().map(describe);
        let line = format!(
            "turn{removal}{fault}: {said}, after {steps} steps; installed {}, HAProxy runs {}; state {}",
            self.haproxy
                .installed()
                .as_ref()
                .map_or_else(|| "nothing".to_owned(), short),
            runs.unwrap_or_else(|| "nothing".to_owned()),
            self.disk
                .text(&Self::folder().path().join("state.json"))
                .map_or_else(
                    || "none".to_owned(),
                    |text| Digest::of(text.as_bytes()).short(6)
                ),
        );
        self.note(&line);
    }
}

/// Whether HAProxy ran what is installed, as far as is remembered.
fn knows(memory: &State, installed: Option<&FileSet>) -> bool {
    let hash = installed.map(|files| Digest::of(files.cfg.as_bytes()));
    memory.applied.as_ref().map(|applied| applied.cfg_hash) == hash
}

fn short(files: &FileSet) -> String {
    let maps: String = files.maps.values().map(String::as_str).collect();
    let sections = sections_of(Some(files)).len();
    let digest = Digest::of(format!("{}{maps}", files.cfg).as_bytes()).short(6);
    format!("{digest} ({sections} sections)")
}
