//! Apps that an answer lacks, put back whole: where labels count, a section alone does not tell what
//! it was made of.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::cluster::{App, AppId};

/// An agent's name and a port on it.
type Place<'a> = (&'a str, u16);

/// `fresh`, with the apps and tasks of an `earlier` answer that it lacks. A task whose place another has by now
/// does not come back: it would send the clients of one app to the other.
#[must_use]
pub fn with_lost_apps(fresh: &[Arc<App>], earlier: &[Arc<App>]) -> Vec<Arc<App>> {
    let taken: HashSet<Place<'_>> = fresh.iter().flat_map(|app| places(app)).collect();
    let known: HashMap<&AppId, usize> = fresh.iter().map(|app| &app.id).zip(0..).collect();
    let mut all = fresh.to_vec();
    for app in earlier {
        let at = known.get(&app.id).copied();
        let has = |id: &str| at.is_some_and(|at| fresh[at].tasks.iter().any(|own| *own.id == *id));
        let is_free = |place: &Place<'_>| !taken.contains(place);
        let lost = app.tasks.iter().filter(|task| {
            let host = task.host.as_deref().unwrap_or_default();
            !has(&task.id)
                && task
                    .ports
                    .iter()
                    .map(|&port| (host, port))
                    .all(|p| is_free(&p))
        });
        let lost: Vec<_> = lost.cloned().collect();
        match at {
            None => all.push(Arc::new(App {
                tasks: lost,
                ..App::clone(app)
            })),
            Some(_) if lost.is_empty() => (),
            Some(at) => {
                let mut whole = App::clone(&fresh[at]);
                whole.tasks.extend(lost);
                all[at] = Arc::new(whole);
            }
        }
    }
    all
}

fn places(app: &App) -> impl Iterator<Item = Place<'_>> {
    app.tasks.iter().flat_map(|task| {
        let host = task.host.as_deref().unwrap_or_default();
        task.ports.iter().map(move |&port| (host, port))
    })
}
