//! What is owed once nothing is broken any more.

use std::path::Path;

use haproxy_marathon_bridge::apply::Outcome;
use haproxy_marathon_bridge::disk::{Disk as _, Fault, MemoryDisk};

use crate::promises::{Broken, check_converged};
use crate::world::{CFG, Ended, World};

/// So many turns may pass after the last fault before all is well: three fetches that agree on a
/// removal, and others for what was left undone.
const TURNS_TO_CONVERGE: usize = 6;

/// Until then, what looks settled may be a removal that is held back.
const TURNS_TO_AGREE: usize = 3;

/// A program that goes on running saves its `state.json` in so many steps.
const STEPS_OF_A_SAVE: usize = 5;

impl World<'_> {
    /// After the last fault, all that the cluster asks for comes true within a few turns, and then
    /// nothing is touched any more.
    pub(crate) fn peace(&mut self) -> Result<(), Broken> {
        self.heal();
        self.check_host()?;
        if self.forgot {
            // Whoever remembers nothing takes what is installed for what runs; the next change
            // makes up for it.
            self.outside.cluster.borrow_mut().deploy_alone();
            self.count("peace without memory");
        }
        let mut turns = 0;
        loop {
            self.now += 700;
            turns += 1;
            let ended = self.turn(Fault::None, false)?;
            self.start_haproxy_if_down();
            if matches!(ended, Ended::Done(Outcome::Unchanged)) && turns > TURNS_TO_AGREE {
                break;
            }
            if turns > TURNS_TO_CONVERGE {
                return Err(Broken(format!(
                    "{turns} turns after the last fault it still goes on"
                )));
            }
        }
        check_converged(&self.outside.asked(), &self.haproxy)?;
        self.check_quiet_turn()
    }

    fn check_quiet_turn(&mut self) -> Result<(), Broken> {
        self.check_untouched(|world| {
            world.now += 60;
            world.turn(Fault::None, false).map(drop)
        })
    }

    /// Nothing is touched in a time in which there is no reason to.
    pub(crate) fn check_untouched(
        &mut self,
        time: impl FnOnce(&mut Self) -> Result<(), Broken>,
    ) -> Result<(), Broken> {
        let look = |disk: &MemoryDisk| {
            let mut names = disk.names();
            // Room for what could not be saved, which a start takes where a full disk left none.
            names.retain(|name| !name.ends_with("/unsaved"));
            let cfg = disk.look(Path::new(CFG));
            (names, cfg.expect("it can be looked at"))
        };
        let before = look(&self.disk);
        time(self)?;
        let after = look(&self.disk);
        if self.last_ended != "unchanged" || before != after {
            return Err(Broken(format!(
                "a turn without a reason changed something: {}, {before:?} became {after:?}",
                self.last_ended
            )));
        }
        if self.last_steps > STEPS_OF_A_SAVE {
            let steps = self.last_steps;
            return Err(Broken(format!(
                "a turn without a reason took {steps} steps on the disk"
            )));
        }
        // What is left of a pause that failed, the next one replaces.
        let mut names = before
            .0
            .iter()
            .filter(|name| !name.ends_with("/.paused.json.new"));
        if names.any(|name| name.contains("/.") || name.ends_with("journal")) {
            return Err(Broken(format!("traces are left: {:?}", before.0)));
        }
        Ok(())
    }
}
