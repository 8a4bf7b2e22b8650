//! Apps that an answer lacks, put back whole: where labels count, a section alone does not tell what
//! it was made of.

use std::collections::HashMap;
use std::sync::Arc;

use crate::cluster::{App, AppId, Task};

/// An agent's name and a port on it.
type Place<'a> = (&'a str, u16);

/// `fresh`, where `earlier` apps, of which something is held, are as they were, with the tasks that
/// are new to them: what they lost can be a task, its state, a port or a label. A task whose place
/// another has by now does not come back: it would send the clients of one app to the other.
#[must_use]
pub fn with_lost_apps(fresh: &[Arc<App>], earlier: &[Arc<App>]) -> Vec<Arc<App>> {
    let mut holders: HashMap<Place<'_>, &str> = HashMap::new();
    for (place, task) in fresh.iter().flat_map(|app| places(app)) {
        holders.insert(place, task);
    }
    let known: HashMap<&AppId, usize> = fresh.iter().map(|app| &app.id).zip(0..).collect();
    let mut all = fresh.to_vec();
    for app in earlier {
        let is_free = |task: &&Task| {
            let holds = |place| {
                let holder = holders.get(&place);
                holder.is_none_or(|holder| **holder == *task.id)
            };
            let host = task.host.as_deref().unwrap_or_default();
            task.ports.iter().all(|&port| holds((host, port)))
        };
        let mut tasks: Vec<Task> = app.tasks.iter().filter(is_free).cloned().collect();
        let at = known.get(&app.id).copied();
        let now = at.map_or(&[][..], |at| &fresh[at].tasks);
        let was = |task: &&Task| app.tasks.iter().any(|was| was.id == task.id);
        tasks.extend(now.iter().filter(|task| !was(task)).cloned());
        let whole = Arc::new(App {
            tasks,
            ..App::clone(app)
        });
        match at {
            None => all.push(whole),
            Some(at) => all[at] = whole,
        }
    }
    all
}

/// Those of an app, with the tasks that have them.
fn places(app: &App) -> impl Iterator<Item = (Place<'_>, &str)> {
    app.tasks.iter().flat_map(|task| {
        let host = task.host.as_deref().unwrap_or_default();
        let ports = task.ports.iter();
        ports.map(move |&port| ((host, port), &*task.id))
    })
}
