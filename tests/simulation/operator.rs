//! What operators do, as `pause`, `resume` and `rollback` do it.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Result, anyhow};
use haproxy_marathon_bridge::apply::{Host, Installation, Outcome, WayBack, recover};
use haproxy_marathon_bridge::disk::{Disk as _, Fault, FaultyDisk, MemoryDisk, PowerCut};
use haproxy_marathon_bridge::state::{Paused, State, Time, Writable};
use tokio::time::timeout;

use crate::haproxy::{Seen, digest_of};
use crate::promises::{Broken, broken};
use crate::random::Random;
use crate::world::{CFG, World};

/// What an outsider knows of a pause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) lasts: bool,
    /// Whoever began or ended it was told that it is so; else the next power cut may change it.
    is_sure: bool,
}

/// What is done by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Pause,
    Resume,
    Rollback { pauses: bool },
}

type Disk = FaultyDisk<Arc<MemoryDisk>>;

impl World<'_> {
    /// An operator does something, which may break as a turn may.
    pub(crate) fn operate(&mut self, random: &mut Random) -> Result<(), Broken> {
        let command = match random.below(10) {
            0..=2 => Command::Pause,
            3..=5 => Command::Resume,
            _ => Command::Rollback {
                pauses: random.percent(70),
            },
        };
        let fault = self.next_fault(random);
        let power_fails = random.percent(30);
        let cut = random.pick(&[PowerCut::LosesNames, PowerCut::KeepsNames]);
        let is_killed = match command {
            Command::Pause => self.pause(fault),
            Command::Resume => self.resume(fault),
            Command::Rollback { pauses } => self.roll_back(pauses, fault)?,
        };
        if is_killed && power_fails {
            self.power_cut(cut)?;
        }
        self.after_turn();
        self.check_memory()
    }

    fn pause(&mut self, fault: Fault) -> bool {
        self.set_pause(fault, "pause", |store, disk, now| {
            Ok(store.pause(disk, &paused(now))?)
        })
    }

    pub(crate) fn resume(&mut self, fault: Fault) -> bool {
        self.set_pause(fault, "resume", |store, disk, _| Ok(store.resume(disk)?))
    }

    /// One that goes on running is kept out for as long as this takes.
    fn make_room(&mut self) {
        if !self.setting.watches() {
            self.end_program();
        }
    }

    /// Whether it was killed.
    fn set_pause(
        &mut self,
        fault: Fault,
        what: &'static str,
        set: impl FnOnce(&mut Writable, &Disk, Time) -> Result<()>,
    ) -> bool {
        self.make_room();
        let disk = FaultyDisk::new(Arc::clone(&self.disk), fault);
        let (mut store, memory, _) = Writable::open(&disk, Self::folder());
        let is_to_do = memory.paused.is_some() == (what == "resume") && store.path().is_some();
        let is_killed = || matches!(fault, Fault::KilledAfter(after) if disk.steps() > after);
        let result = if is_to_do {
            set(&mut store, &disk, self.time())
        } else {
            Err(anyhow!("there is nothing to do"))
        };
        self.look_at_pause(result.is_ok() && !is_killed());
        self.note(&format!("{what} with {fault:?}: {result:?}"));
        is_killed()
    }

    /// Whether it was killed.
    fn roll_back(&mut self, pauses: bool, fault: Fault) -> Result<bool, Broken> {
        self.make_room();
        let disk = FaultyDisk::new(Arc::clone(&self.disk), fault);
        let dead = || matches!(fault, Fault::KilledAfter(after) if disk.steps() > after);
        let (mut store, mut memory, _) = Writable::open(&disk, Self::folder());
        if store.path().is_none() {
            return Ok(dead());
        }
        let at = Installation::new(Path::new(CFG), store.path());
        let was_paused = self.pause.lasts;
        let seen = Seen {
            haproxy: &self.haproxy,
            dead: &dead,
        };
        let host = Host {
            disk: &disk,
            balancer: &seen,
            at: &at,
        };
        let work = rolled_back(&host, &mut store, &mut memory, self.time(), pauses);
        let limit = Duration::from_secs(3_600);
        let ended = self.runtime.block_on(async { timeout(limit, work).await });
        let is_killed = dead() || ended.is_err();
        let is_done = |outcome: &Outcome| {
            matches!(
                outcome,
                Outcome::Applied { .. } | Outcome::NotRunning { .. }
            )
        };
        let outcome = ended.ok().and_then(Result::ok).filter(|_| !is_killed);
        let is_done = outcome.as_ref().is_some_and(is_done);
        let steps = disk.steps();
        self.note(&format!(
            "rollback{} with {fault:?}: {outcome:?}, after {steps} steps{}",
            if pauses { "" } else { " --no-pause" },
            if is_killed { ", killed" } else { "" },
        ));
        self.forgot |= if is_killed {
            matches!(fault, Fault::Once(..) | Fault::From(..))
        } else {
            let saved = store.folder().load(&self.disk).0;
            State {
                paused: None,
                ..saved
            } != State {
                paused: None,
                ..memory
            }
        };
        // A failure in between may have put the pause there.
        let is_sure = is_done && (pauses || was_paused);
        self.look_at_pause(is_sure);
        self.check_host()?;
        if is_killed {
            self.count("killed in a rollback");
        }
        if is_done {
            self.count("rolled back");
            let after = self.haproxy.installed();
            self.watch.settled.clone_from(&after);
            let digest = after.as_ref().map(digest_of);
            if !digest.is_some_and(|digest| self.haproxy.served.borrow().contains(&digest)) {
                return broken("a rollback led to files that were never good");
            }
            if is_sure && !self.pause.lasts {
                return broken("a rollback was done, and the next turn may undo it");
            }
            let runs = self.haproxy.running.borrow();
            if runs
                .as_ref()
                .is_some_and(|process| Some(&process.files) != after.as_ref())
            {
                return broken("a rollback was done, and HAProxy runs other files");
            }
        }
        Ok(is_killed)
    }

    /// What became of the pause lies on the disk.
    fn look_at_pause(&mut self, is_sure: bool) {
        let lasts = Self::folder().load(&self.disk).0.paused.is_some();
        self.pause = Pause { lasts, is_sure };
    }

    /// After a power cut.
    pub(crate) fn check_pause(&mut self) -> Result<(), Broken> {
        let Pause { lasts, is_sure } = self.pause;
        self.look_at_pause(is_sure);
        // A folder whose name never reached the disk, for a fault when it was made, takes all with it.
        let folder = self.disk.look(Self::folder().path());
        let has_folder = folder.is_ok_and(|found| found.is_some());
        if is_sure && has_folder && self.pause.lasts != lasts {
            let was = if lasts { "begun" } else { "ended" };
            return broken(format!("a power cut undid that a pause was {was}"));
        }
        Ok(())
    }

    pub(crate) fn time(&self) -> Time {
        Time::at(SystemTime::UNIX_EPOCH + Duration::from_secs(self.now))
    }
}

fn paused(since: Time) -> Paused {
    Paused {
        since,
        by: "ann".to_owned(),
        reason: None,
    }
}

/// What `rollback` does.
async fn rolled_back(
    host: &Host<'_, Seen<'_>>,
    store: &mut Writable,
    memory: &mut State,
    now: Time,
    pauses: bool,
) -> Result<Outcome> {
    recover(host.disk, host.at)?;
    let way = WayBack::find(host.disk, host.at, memory)?;
    let pauses = pauses && memory.paused.is_none();
    if pauses {
        let pause = paused(now);
        store.pause(host.disk, &pause)?;
        memory.paused = Some(pause);
    }
    let mut remember = |memory: &State| drop(store.save(host.disk, memory));
    let result = host.go_back(&way, memory, now, &mut remember).await;
    remember(memory);
    let is_done = matches!(
        result,
        Ok(Outcome::Applied { .. } | Outcome::NotRunning { .. })
    );
    if pauses && !is_done {
        memory.paused = None;
        store.resume(host.disk)?;
    }
    result
}
