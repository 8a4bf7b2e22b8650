//! Carries out a plan, or tells what it would do.

use super::action::{Action, Before, Standing};
use super::host::{Host, Look};
use super::plan::Plan;

/// What came of an action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// It begins, and may take long.
    Begins,
    /// Nothing was left to do.
    WasSo,
    /// It was not to be done, for this reason.
    Kept(String),
    /// It would be done, and this is what people should know of it beforehand.
    ToDo(String),
    /// It was done, and this is what people should see of it.
    Done(String),
    /// It failed, for this reason.
    Failed(String),
    /// Something before it failed.
    Left,
}

/// What came of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Actions that were carried out.
    pub done: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that are left because of it.
    pub left: usize,
}

impl Plan {
    /// What it would do as things are now; nothing is changed.
    pub fn rehearse(&self, look: &dyn Look) -> Vec<(&Action, Step)> {
        let mut before = Before::default();
        let actions = self.actions.iter();
        let steps = actions.map(|action| {
            let step = match action.standing(look, before) {
                Standing::IsSo => Step::WasSo,
                Standing::Kept(why) => Step::Kept(why),
                Standing::ToDo => {
                    before.changes(action);
                    Step::ToDo(action.foretold(look))
                }
            };
            (action, step)
        });
        steps.collect()
    }
}

/// Does what is left to do of `plan`, in its order, and tells of each action as it comes. After a
/// failure nothing more is done, but for what can do without: a second call goes on from there.
pub fn carry_out(plan: &Plan, host: &mut dyn Host, tell: &mut dyn FnMut(&Action, Step)) -> Done {
    let mut sum = Done::default();
    let mut before = Before::default();
    let mut is_stopped = false;
    for action in &plan.actions {
        let step = match action.standing(host, before) {
            Standing::IsSo => Step::WasSo,
            Standing::Kept(why) => Step::Kept(why),
            Standing::ToDo if is_stopped => {
                sum.left += 1;
                Step::Left
            }
            Standing::ToDo => {
                if action.takes_long() {
                    tell(action, Step::Begins);
                }
                before.changes(action);
                match action.carry_out(host) {
                    Ok(told) => {
                        sum.done += 1;
                        Step::Done(told)
                    }
                    Err(why) => {
                        sum.failed += 1;
                        is_stopped |= !action.may_fail();
                        Step::Failed(why)
                    }
                }
            }
        };
        tell(action, step);
    }
    sum
}
