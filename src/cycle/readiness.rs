//! Tasks that wait for their readiness checks get no clients yet.
//!
//! Marathon asks a task that a deployment starts until it is ready, and what it heard is gone with
//! the step of the deployment, with the deployment, and with the leader. So nothing said is a "no"
//! only for as long as the first word may take, and a word once heard outlives its leader.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use crate::cluster::{App, AppId, Readiness, ServingTasks, Task};
use crate::state::{ReadinessMemory, Time};

/// Beside the time that a check may take: for Marathon to notice that the task runs, and to tell.
const MARGIN: Duration = Duration::from_secs(5);

/// Who has no clients because of readiness checks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// So many tasks of these apps.
    pub tasks: BTreeMap<AppId, usize>,
    /// When the first of them is let in although Marathon says nothing of it.
    pub until: Option<Time>,
}

/// The apps without the tasks that wait.
pub(super) fn without_waiting(
    apps: &[Arc<App>],
    memory: &mut ReadinessMemory,
    now: Time,
) -> (Vec<Arc<App>>, Waiting) {
    let mut waiting = Waiting::default();
    let mut in_question: BTreeSet<&str> = BTreeSet::new();
    let mut admitted = Vec::with_capacity(apps.len());
    for app in apps {
        let Some(readiness) = &app.readiness else {
            admitted.push(Arc::clone(app));
            continue;
        };
        let deployed = Deployed::new(app, readiness);
        let mut waits = Vec::new();
        for (position, task) in app.tasks.iter().enumerate().filter(|(_, task)| runs(task)) {
            if deployed.is_open() {
                in_question.insert(&task.id);
            }
            match deployed.waits(task, memory, now) {
                None => drop(memory.waiting.remove(&task.id)),
                Some(until) => {
                    waits.push(position);
                    if let Until::Time(until) = until {
                        waiting.until = Some(waiting.until.map_or(until, |is| is.min(until)));
                    }
                }
            }
        }
        if waits.is_empty() {
            admitted.push(Arc::clone(app));
            continue;
        }
        let mut app = App::clone(app);
        waiting.tasks.insert(app.id.clone(), waits.len());
        // Those that wait take nothing over from the other app of a deployment group.
        app.instances = app.instances.saturating_sub(waits.len() as u64);
        for position in waits.into_iter().rev() {
            app.tasks.remove(position);
        }
        admitted.push(Arc::new(app));
    }
    memory.ready.retain(|task| in_question.contains(&**task));
    memory
        .waiting
        .retain(|task, _| in_question.contains(&**task));
    (admitted, waiting)
}

/// Whether a deployment of the app runs, or seems to, so that its tasks may have to wait.
pub(super) fn may_wait(app: &App) -> bool {
    let readiness = app.readiness.as_ref();
    readiness.is_some_and(|readiness| Deployed::new(app, readiness).is_open())
}

fn runs(task: &Task) -> bool {
    ServingTasks::RunningOrOutOfSight.counts(task)
}

/// What a task waits for.
#[derive(Debug, PartialEq, Eq)]
enum Until {
    /// For Marathon's word.
    Told,
    /// The same, but not for longer.
    Time(Time),
}

/// An app, and what Marathon says of the readiness of its tasks.
struct Deployed<'a> {
    app: &'a App,
    readiness: &'a Readiness,
    results: BTreeMap<&'a str, bool>,
    /// Whether tasks of an older definition still run.
    replaces: bool,
}

impl<'a> Deployed<'a> {
    fn new(app: &'a App, readiness: &'a Readiness) -> Self {
        let mut results = BTreeMap::new();
        for result in readiness.results.iter().flatten() {
            *results.entry(&*result.task).or_insert(true) &= result.ready;
        }
        let replaces = app
            .tasks
            .iter()
            .any(|task| runs(task) && app.has_outgrown(task));
        Self {
            app,
            readiness,
            results,
            replaces,
        }
    }

    /// Whether a deployment runs, or seems to: a leader that has just been elected knows of none yet.
    fn is_open(&self) -> bool {
        self.readiness.deploying || self.replaces
    }

    /// `None` where the task may have clients.
    fn waits(&self, task: &Task, memory: &mut ReadinessMemory, now: Time) -> Option<Until> {
        match self.results.get(&*task.id) {
            Some(true) => {
                memory.ready.insert(task.id.clone());
                return None;
            }
            // Marathon itself asks nobody again who was ready, only a new leader does.
            _ if memory.ready.contains(&task.id) => return None,
            Some(false) => {
                memory.waiting.insert(task.id.clone(), now);
                return Some(Until::Told);
            }
            None => (),
        }
        let told_at = memory.waiting.get(&task.id).copied();
        // It never was ready, and is to be replaced already.
        if told_at.is_some() && self.app.has_outgrown(task) {
            return Some(Until::Told);
        }
        if !self.is_open() || self.readiness.results.is_none() {
            return None;
        }
        let since = told_at.or_else(|| self.started_with_this_version(task))?;
        let patience = Duration::from_secs(self.readiness.timeout_seconds).saturating_add(MARGIN);
        // What lies far ahead was written by a clock that tells nothing here.
        let is_near = since.since(now) <= patience;
        let until = since.after(patience);
        (is_near && now < until).then_some(Until::Time(until))
    }

    /// A deployment asks those of its own version only.
    fn started_with_this_version(&self, task: &Task) -> Option<Time> {
        let version = task.version.as_deref()?;
        if self.app.version.as_deref() != Some(version) {
            return None;
        }
        let at: Timestamp = task.started_at.as_deref()?.parse().ok()?;
        SystemTime::try_from(at).ok().map(Time::at)
    }
}

#[cfg(test)]
mod tests;
