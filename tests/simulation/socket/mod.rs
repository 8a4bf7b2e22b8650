//! One HAProxy that is told of servers, backends and maps on its socket, with all the races of that.
//!
//! The transaction, the conversation and what is remembered are the real ones; the processes answer as
//! real ones were heard to. Each seed stands for a host on which answers are lost, processes end,
//! others reload and meddle, and the program is killed between two commands. `judge` says after every
//! turn whether the process has what the file says, and `process` what nobody may ever be told.

mod asked;
mod haproxy;
mod judge;
mod process;
mod trouble;

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use haproxy_marathon_bridge::apply::{FileSet, Host, Installation, Outcome};
use haproxy_marathon_bridge::diff::with_servers_of;
use haproxy_marathon_bridge::disk::{Fault, FaultyDisk, MemoryDisk};
use haproxy_marathon_bridge::state::{State, Time};
use tokio::runtime::Runtime;
use tokio::time::{sleep, timeout};

use self::asked::Asked;
use self::haproxy::{Haproxy, Seen};
use self::trouble::{ReloadTrouble, Trouble};
use crate::random::Random;
use crate::seeds::{Attempt, Seeds, Tally, caught};

const CFG: &str = "/simulated/haproxy/haproxy.cfg";
const STATE: &str = "/simulated/state";

/// What has to come about in every thousand seeds, or the simulation has gone blind.
const MUST_BE_SEEN: [(&str, usize); 13] = [
    ("told", 1_200),
    ("reloaded", 1_500),
    ("unchanged", 3_000),
    ("postponed", 400),
    ("waiting", 150),
    ("reload failed", 200),
    ("rejected", 200),
    ("killed", 400),
    ("not running", 500),
    ("troubled while told", 700),
    ("spaced", 150),
    ("stands in", 200),
    ("brought back by an audit", 500),
];

#[test]
fn a_haproxy_that_is_told_has_what_its_file_says() {
    let seeds = Seeds {
        variable: "SOCKET_SEED",
        count: 1_000,
        must_be_seen: &MUST_BE_SEEN,
        steps: |_, _| STEPS,
        attempt,
    };
    seeds.run();
}

fn attempt(seed: u64, without: &[usize], is_traced: bool, runtime: &Runtime) -> Attempt {
    let mut world = World::new(seed, is_traced);
    let kept = caught(|| runtime.block_on(world.run(without)));
    Attempt {
        kept,
        trace: world.haproxy.trace.take().unwrap_or_default(),
        seen: world.seen,
    }
}

const STEPS: usize = 18;

/// So many turns may pass after the last trouble.
const TURNS_TO_CONVERGE: usize = 8;

struct World {
    seed: u64,
    now: u64,
    disk: Arc<MemoryDisk>,
    haproxy: Haproxy,
    asked: Asked,
    memory: State,
    /// The last turn ended well, and nobody meddled since.
    is_known: bool,
    /// Nobody has compared all of it since somebody meddled, or something went wrong.
    is_doubtful: bool,
    seen: Tally,
}

impl World {
    fn new(seed: u64, is_traced: bool) -> Self {
        let random = &mut Random::new(seed);
        let disk = Arc::new(MemoryDisk::new());
        disk.put_folder(Path::new(CFG).parent().expect("it lies in a folder"));
        disk.put_folder(Path::new(STATE));
        Self {
            seed,
            now: 1_800_000_000,
            haproxy: Haproxy::new(Arc::clone(&disk), Path::new(CFG), random, seed, is_traced),
            disk,
            asked: Asked::new(random),
            memory: State::default(),
            is_known: false,
            is_doubtful: false,
            seen: Tally::new(),
        }
    }

    async fn run(&mut self, without: &[usize]) -> Result<(), String> {
        for step in (0..STEPS).filter(|step| !without.contains(step)) {
            self.haproxy.note(|| format!("step {step}"));
            self.step(&mut Random::of_part(self.seed, step)).await?;
        }
        self.peace().await
    }

    async fn step(&mut self, random: &mut Random) -> Result<(), String> {
        let seconds = random.pick(&[0, 1, 1, 5, 40, 700]);
        self.pass(seconds).await;
        for _ in 0..random.below(3) {
            let said = self.asked.change(random);
            self.haproxy.note(|| said);
        }
        if random.percent(15) {
            self.others_act(random);
        }
        let haproxy = &self.haproxy;
        let trouble = random.percent(30);
        let trouble = trouble.then(|| (1 + random.below(14), random.pick(&Trouble::ALL)));
        haproxy.trouble.set(trouble);
        let reload = random.percent(15);
        let reload = reload.then(|| random.pick(&ReloadTrouble::ALL));
        haproxy.reload_trouble.set(reload);
        haproxy.rejects.set(random.percent(4));
        let by_old = random.percent(4) && !haproxy.old.borrow().is_empty();
        haproxy.is_answered_by_old.set(by_old);
        let disk = if random.percent(6) {
            Fault::KilledAfter(random.below(40))
        } else {
            Fault::None
        };
        self.turn(disk).await
    }

    fn time(&self) -> Time {
        Time::at(SystemTime::UNIX_EPOCH + Duration::from_secs(self.now))
    }

    async fn pass(&mut self, seconds: u64) {
        self.now += seconds;
        sleep(Duration::from_secs(seconds)).await;
    }

    /// Whoever else can do something to HAProxy.
    fn others_act(&mut self, random: &mut Random) {
        self.is_known = false;
        self.is_doubtful = true;
        let haproxy = &self.haproxy;
        match random.below(5) {
            0 => {
                haproxy.note(|| "somebody restarts HAProxy".to_owned());
                haproxy.old.borrow_mut().clear();
                haproxy.ends();
                *haproxy.running.borrow_mut() = haproxy.reads();
            }
            1 => {
                haproxy.old.borrow_mut().clear();
                haproxy.ends();
            }
            2 => {
                haproxy.note(|| "somebody meddles".to_owned());
                if let Some(process) = haproxy.running.borrow_mut().as_mut() {
                    process.is_meddled_with(random);
                }
            }
            3 => {
                haproxy.note(|| "somebody begins to reload".to_owned());
                let reads = haproxy.running.borrow().as_ref().and(haproxy.reads());
                *haproxy.coming.borrow_mut() = reads;
            }
            _ => {
                haproxy.note(|| "old processes end".to_owned());
                haproxy.old.borrow_mut().clear();
            }
        }
    }

    /// Takes a turn as `cycle` does, and holds it to what was promised.
    async fn turn(&mut self, fault: Fault) -> Result<(), String> {
        let haproxy = &self.haproxy;
        haproxy.begins();
        let was_coming = haproxy.coming.borrow().is_some();
        let before = haproxy.installed();
        let wanted = self
            .asked
            .files(before.as_ref().map(|files| files.cfg.as_str()));
        let reloaded_at = self.memory.reloaded_at;
        let was_known = self.is_known
            && self.memory.pending.is_none()
            && !was_coming
            && haproxy.running.borrow().is_some();
        let disk = FaultyDisk::new(Arc::clone(&self.disk), fault);
        let is_killed = || matches!(fault, Fault::KilledAfter(after) if disk.steps() > after);
        let at = Installation::new(Path::new(CFG), Some(Path::new(STATE)));
        let seen = Seen {
            haproxy,
            is_killed: &is_killed,
        };
        let host = Host {
            disk: &disk,
            balancer: &seen,
            at: &at,
        };
        let now = self.time();
        let saved = RefCell::new(self.memory.clone());
        let mut memory = self.memory.clone();
        let taken = taken(&host, &wanted, &mut memory, now, &saved);
        // The clock moves only when everybody waits, and only the dead wait for ever.
        let ended = timeout(Duration::from_secs(3_600), taken).await;
        let was_killed = ended.is_err() || haproxy.is_dead.get() || is_killed();
        let is_troubled = haproxy.was_troubled.get();
        haproxy.comes();
        self.memory = if was_killed { saved.take() } else { memory };
        let name = match &ended {
            _ if was_killed => "killed",
            Err(_) => "killed",
            Ok(Err(error)) => {
                haproxy.note(|| format!("{error:#}"));
                "failed"
            }
            Ok(Ok(outcome)) => named(outcome),
        };
        haproxy.note(|| format!("{name}, {} reloads", haproxy.reloads.get()));
        let audited = name == "unchanged" && haproxy.conversations.get() > 0 && !was_known;
        let stands_in = self.memory.applied.as_ref();
        let stands_in = stands_in.is_some_and(|applied| !applied.stand_ins.is_empty());
        let (reloads, told) = (haproxy.reloads.get(), haproxy.conversations.get() > 0);
        if let Some(broken) = haproxy.broken.borrow_mut().pop() {
            return Err(broken);
        }
        let outcome = match ended {
            Ok(Ok(outcome)) if !was_killed => Some(outcome),
            _ => None,
        };
        let is_quiet = !is_troubled && !was_coming && !haproxy.is_answered_by_old.get();
        let is_spaced = was_known
            && is_quiet
            && before.is_some_and(|before| self.may_wait(&before, &wanted, reloaded_at));
        if is_spaced && reloads > 0 {
            return Err(format!("{reloads} reloads came too soon after the last"));
        }
        let is_held = outcome.as_ref().is_some_and(Outcome::has_to_wait);
        for (what, came_about) in [
            (name, true),
            ("troubled while told", is_troubled && told),
            ("spaced", is_spaced && is_held),
            ("stands in", stands_in),
            ("brought back by an audit", audited),
        ] {
            if came_about {
                *self.seen.entry(what).or_default() += 1;
            }
        }
        self.is_known = false;
        if is_quiet {
            let is_compared = self.haproxy.is_compared.get() || name == "reloaded";
            self.is_doubtful &= !is_compared;
        } else {
            self.is_doubtful = true;
        }
        if let Some(outcome) = outcome.filter(|_| !self.is_doubtful) {
            self.judge(&outcome, &wanted)?;
            self.is_known = outcome.is_settled() || matches!(outcome, Outcome::Postponed { .. });
        }
        Ok(())
    }

    /// After the last trouble HAProxy comes to what is wanted, and then nothing is touched any more.
    async fn peace(&mut self) -> Result<(), String> {
        let haproxy = &self.haproxy;
        haproxy.note(|| "peace".to_owned());
        haproxy.trouble.set(None);
        haproxy.reload_trouble.set(None);
        haproxy.rejects.set(false);
        haproxy.is_answered_by_old.set(false);
        haproxy.old.borrow_mut().clear();
        for turn in 0..=TURNS_TO_CONVERGE {
            self.pass(700).await;
            let haproxy = &self.haproxy;
            haproxy.old.borrow_mut().clear();
            if haproxy.running.borrow().is_none() && !haproxy.starts {
                *haproxy.running.borrow_mut() = haproxy.reads();
            }
            self.turn(Fault::None).await?;
            let haproxy = &self.haproxy;
            let is_quiet = haproxy.reloads.get() == 0 && self.memory.pending.is_none();
            if turn > 2 && is_quiet && self.is_known {
                return self.is_at_rest();
            }
        }
        Err(format!(
            "{TURNS_TO_CONVERGE} turns after the last trouble it still goes on"
        ))
    }
}

/// What a whole turn does once it has planned.
async fn taken(
    host: &Host<'_, Seen<'_>>,
    wanted: &FileSet,
    memory: &mut State,
    now: Time,
    saved: &RefCell<State>,
) -> Result<Outcome> {
    let remember = &mut |state: &State| *saved.borrow_mut() = state.clone();
    host.put_back(memory);
    let mut outcome = host.bring_to(wanted, memory, now, remember).await;
    if outcome.as_ref().is_ok_and(Outcome::has_to_wait)
        && let Some(before) = host.told_alone(memory, now)?
    {
        let files = FileSet {
            cfg: with_servers_of(&before.cfg, &wanted.cfg).text,
            maps: before.maps.clone(),
        };
        let brought = host.bring_alone(&before, &files, memory, now, remember);
        if brought.await? && files == *wanted {
            memory.pending = None;
            outcome = host.bring_to(wanted, memory, now, remember).await;
        }
    }
    host.start_again(memory, now, remember).await;
    outcome
}

fn named(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Unchanged => "unchanged",
        Outcome::Applied { reloaded: true, .. } => "reloaded",
        Outcome::Applied { .. } => "told",
        Outcome::NotRunning { .. } => "not running",
        Outcome::Rejected { .. } => "rejected",
        Outcome::ReloadFailed { .. } => "reload failed",
        Outcome::Waiting { .. } => "waiting",
        Outcome::Postponed { .. } => "postponed",
        Outcome::Checking | Outcome::Paused => "another",
    }
}
