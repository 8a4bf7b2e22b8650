//! What happens around a watcher, besides what happens on every host.

use crate::outside::SourceFault;
use crate::promises::{Broken, broken};
use crate::random::Random;
use crate::world::World;

/// Between two turns, also where they fail. Milliseconds.
const ASKED_WITHOUT_EVENTS: u64 = 30_001;

impl World<'_> {
    /// Things happen, and the watcher lives on.
    pub(crate) fn stretch(&mut self, random: &mut Random) -> Result<(), Broken> {
        if random.percent(12) {
            let jump = random.pick(&[-3_000, -20, 45, 700, 90_000]);
            self.now = self.now.saturating_add_signed(jump);
            self.note(&format!("the clock is set by {jump} s"));
        }
        for _ in 0..random.below(4) {
            if random.percent(40) {
                self.event_around_watcher(random)?;
            } else {
                self.event(random);
            }
            self.tell(random);
            self.check_host()?;
            let pause = random.pick(&[0, 0, 30, 150, 900, 2_500]);
            self.live(pause, random)?;
        }
        if random.percent(9) {
            self.operate(random)?;
            self.check_host()?;
            // It sees that the file of the pause is another one.
            self.ask_for_turn();
        }
        let pause = random.pick(&[500, 2_000, 4_000, 12_000, 30_000, 70_000, 320_000]);
        self.live(pause, random)?;
        self.check_memory()
    }

    /// A turn that ended well knows all that was told before it began, and all that came before a stream
    /// did.
    pub(crate) fn check_heard(&mut self, is_whole: bool) -> Result<(), Broken> {
        let is_right = matches!(
            self.outside.source_fault.get(),
            SourceFault::None | SourceFault::Trickles
        );
        if !is_right {
            // Whoever was told wrong things hears the right ones with the next whole answer.
            self.stream.has_missed = true;
        } else if is_whole {
            self.stream.has_missed = false;
        }
        let Some(untold) = self.stream.untold().filter(|_| !self.stream.has_missed) else {
            return Ok(());
        };
        let known = self.outside.known.borrow();
        let cluster = self.outside.cluster.borrow();
        let missing = known
            .as_ref()
            .and_then(|known| cluster.differs(known, &untold));
        match missing {
            Some(id) => broken(format!("a turn does not know of {id} what was told before")),
            None => Ok(()),
        }
    }

    /// While nothing is told, everything is asked for often enough.
    pub(crate) fn check_asks(&self) -> Result<(), Broken> {
        let Some(watcher) = &self.watcher else {
            return Ok(());
        };
        let waits = watcher.turn_at().saturating_sub(self.clock);
        if !watcher.hears && waits > ASKED_WITHOUT_EVENTS {
            return broken(format!(
                "no events come, and the next turn is due in {waits} ms"
            ));
        }
        Ok(())
    }

    fn event_around_watcher(&mut self, random: &mut Random) -> Result<(), Broken> {
        let said = match random.below(14) {
            0 | 1 => {
                self.stream.break_off(self.clock);
                "the stream is reset, as when there is another leader"
            }
            2 => {
                self.stream.fall_silent(self.clock);
                "the stream is half open"
            }
            3 => {
                self.ask_for_turn();
                "somebody asks for a turn"
            }
            4 | 5 => {
                self.edit_templates();
                "somebody edits the templates"
            }
            // Whatever fails does so before anything is put to use.
            6 => "somebody breaks the templates",
            7 => {
                self.begin_anew();
                "somebody edits the options"
            }
            8 => {
                self.has_haproxy = !self.has_haproxy;
                "the program haproxy is away, or there again"
            }
            9 => {
                self.note("somebody asks for a reload");
                return self.reload_again(random);
            }
            10 => {
                self.end_program();
                "the watcher is killed"
            }
            _ => {
                for _ in 0..3 + random.below(20) {
                    self.outside.cluster.borrow_mut().churn(random);
                    self.tell(random);
                    let pause = random.below(60) as u64;
                    self.live(pause, random)?;
                }
                "many tasks come and go"
            }
        };
        self.note(said);
        Ok(())
    }

    /// As a watcher puts them to use.
    fn edit_templates(&mut self) {
        self.is_edited = !self.is_edited;
        let decisions = self.decisions();
        if self.program.is_none() {
            return;
        }
        let renderer = self.take_renderer();
        let program = self.program.as_mut().expect("it runs");
        let before = std::mem::replace(&mut program.stages.renderer, renderer);
        program.stages.in_service = None;
        program.stages.decisions = decisions;
        let was_edited = !self.is_edited;
        self.give_renderer_back(before, was_edited);
        self.count("templates edited");
        self.ask_for_turn();
    }
}
