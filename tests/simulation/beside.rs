//! What the watcher does beside its turns: it has new servers proved, looks after HAProxy, and reloads
//! it where somebody asks for that.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use haproxy_marathon_bridge::apply::validate::Verdict;
use haproxy_marathon_bridge::apply::{Balancer as _, Host, Installation, Looked};
use haproxy_marathon_bridge::disk::{Fault, FaultyDisk};
use haproxy_marathon_bridge::watch::pulse;
use tokio::time::timeout;

use crate::haproxy::{Seen, digest_of};
use crate::program::Program;
use crate::promises::{Broken, broken};
use crate::random::Random;
use crate::world::{CFG, World};

impl World<'_> {
    /// Does something of the watcher beside its turns; `None` where it is killed in it.
    fn beside_turns<T>(
        &mut self,
        random: &mut Random,
        work: impl AsyncFnOnce(&mut Program, &Host<'_, Seen<'_>>) -> T,
    ) -> Result<Option<T>, Broken> {
        let Some(mut program) = self.program.take() else {
            return Ok(None);
        };
        let fault = self.fault_of_now(random);
        let disk = FaultyDisk::new(Arc::clone(&self.disk), fault);
        let dead = || matches!(fault, Fault::KilledAfter(after) if disk.steps() > after);
        let at = Installation::new(Path::new(CFG), program.store.path());
        let seen = Seen {
            haproxy: &self.haproxy,
            dead: &dead,
        };
        let host = Host {
            disk: &disk,
            balancer: &seen,
            at: &at,
        };
        let limit = Duration::from_secs(3_600);
        let work = work(&mut program, &host);
        let done = self.runtime.block_on(async { timeout(limit, work).await });
        let is_killed = dead() || done.is_err();
        let is_sure = matches!(fault, Fault::None) && program.store.path().is_some();
        if is_killed {
            self.unsaved |= matches!(fault, Fault::Once(..) | Fault::From(..));
        } else if !is_sure {
            self.unsaved |= program.store.folder().load(&self.disk).0 != program.memory;
        }
        self.program = Some(program);
        self.after_turn();
        if is_killed {
            self.note(&format!("killed beside a turn, with {fault:?}"));
            self.count("watcher killed beside a turn");
            self.after_kill(random)?;
            return Ok(None);
        }
        Ok(done.ok())
    }

    /// Has `haproxy -c` look at files in which servers alone were new.
    pub(crate) fn prove(&mut self, random: &mut Random) -> Result<(), Broken> {
        let now = self.clock;
        let (Some(watcher), Some(program)) = (&mut self.watcher, &self.program) else {
            return Ok(());
        };
        let Some((files, _)) = watcher.proof.ended() else {
            let files = program.stages.unproved().cloned();
            let ends_at = now + 50 + random.below(2_000) as u64;
            if !watcher.proof.begin(files.map(|files| (files, ends_at))) {
                watcher.schedule.changed(watcher.moment(now));
            }
            return Ok(());
        };
        let time = self.time();
        let proved = self.beside_turns(random, async |program, host| {
            let verdict = host.balancer.check(&files, host.at, None).await;
            let Ok(Verdict::Accepted { .. }) = verdict else {
                return None;
            };
            let Program {
                stages,
                memory,
                store,
                ..
            } = program;
            let is_still = stages.proved(host, &files, memory, time);
            if is_still {
                drop(store.save(host.disk, memory));
            }
            Some(is_still)
        })?;
        self.note(&format!("the check of new servers: {proved:?}"));
        let Some(watcher) = &mut self.watcher else {
            return Ok(());
        };
        match proved {
            None => (),
            Some(None) => watcher.schedule.changed(watcher.moment(now)),
            Some(Some(true)) => {
                self.haproxy.served.borrow_mut().insert(digest_of(&files));
                self.count("new servers proved");
            }
            Some(Some(false)) => watcher.proof.is_wanted(watcher.moment(now)),
        }
        Ok(())
    }

    /// HAProxy may have ended, or come up.
    pub(crate) fn look_at_haproxy(&mut self, random: &mut Random) -> Result<(), Broken> {
        let time = self.time();
        let has_haproxy = self.has_haproxy;
        let pid = |world: &Self| world.haproxy.running.borrow().as_ref().map(|p| p.pid);
        let ran = pid(self);
        let looked = self.beside_turns(random, async |program, host| {
            if !has_haproxy || !host.is_missed(&program.memory, time) {
                return Looked::Done;
            }
            program.heed_operator(host.disk);
            let Program { store, memory, .. } = program;
            let mut remember = |memory: &_| drop(store.save(host.disk, memory));
            let looked = host.look_after(memory, time, &mut remember).await;
            remember(memory);
            looked
        })?;
        let runs = pid(self);
        if runs != ran {
            self.note(&format!(
                "the watcher has HAProxy run as {runs:?}, {ran:?} before"
            ));
            self.count("brought up between turns");
            if self.pause.lasts && !self.haproxy.restarted_meanwhile.get() {
                return broken("HAProxy was started although turns are paused");
            }
        }
        let is_awaited = self.haproxy.starts && self.haproxy.is_told && has_haproxy;
        if is_awaited && runs.is_none() && looked == Some(Looked::Done) && !self.pause.lasts {
            let memory = self.program.as_ref().map(|program| &program.memory);
            let waits = memory.is_none_or(|memory| {
                let of = memory.applied.as_ref().map(|applied| applied.cfg_hash);
                let pending = memory.pending.as_ref();
                let is_start = pending.is_some_and(|p| p.none_ran && Some(p.cfg_hash) == of);
                of.is_none() || is_start || memory.paused.is_some()
            });
            if !waits {
                return broken("HAProxy has ended, is ours to start, and a look left it so");
            }
        }
        let Some(watcher) = &mut self.watcher else {
            return Ok(());
        };
        let is_left = looked == Some(Looked::Left);
        let is_down = looked == Some(Looked::Down);
        watcher.looked_at = (runs, is_left || is_down);
        let pause = pulse(runs.is_none() || is_left || is_down);
        watcher.look_at = self.clock + u64::try_from(pause.as_millis()).expect("it is short");
        if is_left {
            self.ask_for_turn();
        }
        Ok(())
    }

    /// Has HAProxy read the installed files once more, as somebody asked for.
    pub(crate) fn reload_again(&mut self, random: &mut Random) -> Result<(), Broken> {
        let time = self.time();
        let outcome = self.beside_turns(random, async |program, host| {
            program.heed_operator(host.disk);
            let Program { store, memory, .. } = program;
            let mut remember = |memory: &_| drop(store.save(host.disk, memory));
            let result = host.bring_again(&[], memory, time, &mut remember).await;
            remember(memory);
            result.map_err(|error| format!("{error:#}"))
        })?;
        self.note(&format!("a reload was asked for: {outcome:?}"));
        Ok(())
    }
}
