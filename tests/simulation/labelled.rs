//! What was promised of removals that are held, of labels that nobody can serve, and of the answer
//! that is kept for both.

use std::collections::{BTreeMap, BTreeSet};

use haproxy_marathon_bridge::apply::{FileSet, Outcome};
use haproxy_marathon_bridge::cluster::App;
use haproxy_marathon_bridge::disk::Digest;
use haproxy_marathon_bridge::marathon::apps;
use haproxy_marathon_bridge::state::{Folder, State};

use crate::cluster::Sections;
use crate::outside::{Outside, Told};
use crate::promises::{Broken, Turn, broken};
use crate::sections::{Section, sections_of};
use crate::world::Ended;

type BySection = BTreeMap<String, Section>;

/// Apps of which an answer says nothing, or that they have no tasks, stay as they are, where it says nothing of most and too few
/// answers agree: neither gone, nor as they were at another time.
pub(crate) fn check_lost_apps(turn: &Turn<'_>, answered: &Told) -> Result<(), Broken> {
    let is_in_place = matches!(
        turn.ended,
        Ended::Done(Outcome::Unchanged | Outcome::Applied { .. } | Outcome::NotRunning { .. })
    );
    if !is_in_place || turn.before == turn.after {
        return Ok(());
    }
    let after = sections_of(turn.after);
    // A place that another task has by now is not given back.
    let asked = answered.sections.values();
    let taken: BTreeSet<_> = asked
        .flat_map(|asked| asked.must.union(&asked.may).map(|server| as_of_old(server)))
        .collect();
    let before = sections_of(turn.before);
    let lost = before
        .iter()
        .filter(|(title, _)| !answered.sections.contains_key(*title) && !answered.moves(title));
    for (title, section) in lost {
        let servers: BTreeSet<_> = section
            .servers
            .iter()
            .map(|server| as_of_old(server))
            .collect();
        let servers: BTreeSet<_> = servers.difference(&taken).collect();
        let Some(found) = after.get(title) else {
            if turn.is_labelled && servers.is_empty() {
                continue;
            }
            return broken(format!("an answer lacks most, and {title} is gone"));
        };
        let still: BTreeSet<_> = found
            .servers
            .iter()
            .map(|server| as_of_old(server))
            .collect();
        // An agent whose name did not resolve may be back.
        let mut news = still.iter().filter(|server| !servers.contains(server));
        let is_same = servers.iter().all(|server| still.contains(*server))
            && news.all(|server| server.starts_with("10.1."))
            && (answered.tells_of(title) || found.balance == section.balance);
        if !is_same {
            return broken(format!(
                "an answer lacks most, and {title} became {found:?} of {section:?}"
            ));
        }
    }
    Ok(())
}

/// A service port whose labels are bad is served as it was, with the tasks of today.
pub(crate) fn check_bad_labels(
    turn: &Turn<'_>,
    answered: &Sections,
    before: &BySection,
    after: &BySection,
) -> Result<(), Broken> {
    let bad = answered.iter().filter(|(_, asked)| asked.is_bad);
    for (title, asked) in bad.filter(|_| turn.knew_answer) {
        let Some(section) = before.get(title).filter(|_| !asked.must.is_empty()) else {
            continue;
        };
        let Some(kept) = after.get(title) else {
            return broken(format!(
                "{title} says what is bad, and is not served as it was"
            ));
        };
        if kept.balance != section.balance || !kept.servers.is_superset(&asked.must) {
            return broken(format!(
                "{title} says what is bad, and is served as {kept:?}, where it was {section:?} and \
                 asks for {asked:?}"
            ));
        }
    }
    Ok(())
}

/// Whether HAProxy is known to run what is installed, and the answer that is kept to be the one of
/// which that was made.
pub(crate) fn counts_on_answer(memory: &State, installed: Option<&FileSet>) -> bool {
    let hash = installed.map(|files| Digest::of(files.cfg.as_bytes()));
    let applied = memory.applied.as_ref().map(|applied| applied.cfg_hash);
    let made = memory.answer.map(|answer| answer.cfg_hash);
    memory.pending.is_none() && made.is_some() && hash == applied && made == applied
}

/// A state counts on the answer that lies beside it and of which the installed files were made, or on
/// none.
pub(crate) fn check_kept_answer(
    disk: &dyn haproxy_marathon_bridge::disk::Disk,
    folder: &Folder,
    installed: Option<&FileSet>,
    outside: &Outside,
) -> Result<(), Broken> {
    let (memory, _) = folder.load(disk);
    let Some(essence) = memory.answer.map(|answer| answer.essence) else {
        return Ok(());
    };
    let lies_there = folder.load_snapshot(disk).map(|kept| kept.bytes);
    if lies_there.as_deref().map(Digest::of) != Some(essence) {
        return broken("the state counts on another answer than the one that is kept");
    }
    if !counts_on_answer(&memory, installed) {
        return Ok(());
    }
    let Some(asked) = outside.asked_then(essence) else {
        // Made of two, while a removal is held.
        return check_made_answer(&lies_there.unwrap_or_default(), installed);
    };
    for (title, section) in sections_of(installed) {
        let Some(asked) = asked.get(&title) else {
            return broken(format!("the answer that is kept does not tell of {title}"));
        };
        let all: BTreeSet<_> = asked
            .must
            .union(&asked.may)
            .map(|server| as_of_old(server))
            .collect();
        let is_its = section.servers.iter().all(|s| all.contains(&as_of_old(s)));
        if !is_its || !asked.is_bad && section.balance.as_deref() != asked.balance {
            return broken(format!(
                "the answer that is kept tells of {asked:?}, {title} is {section:?}"
            ));
        }
    }
    Ok(())
}

/// An answer that nobody gave tells of all that is served.
fn check_made_answer(answer: &[u8], installed: Option<&FileSet>) -> Result<(), Broken> {
    let text = String::from_utf8_lossy(answer);
    let Ok((apps, _)) = apps(&text) else {
        return broken("what is kept is no answer");
    };
    for (title, section) in sections_of(installed) {
        let is_its = |app: &&App| title.starts_with(&format!("{}-", app.id.safe_path()));
        let Some(app) = apps.iter().find(is_its) else {
            return broken(format!("the answer that was made does not tell of {title}"));
        };
        let places = app.tasks.iter().flat_map(|task| {
            let host = task.host.as_deref().unwrap_or_default();
            let servers = task.ports.iter().map(move |port| format!("{host}:{port}"));
            servers.map(|server| as_of_old(&server))
        });
        let places: BTreeSet<_> = places.collect();
        if !section
            .servers
            .iter()
            .all(|s| places.contains(&as_of_old(s)))
        {
            return broken(format!(
                "the answer that was made tells of {places:?}, {title} is {section:?}"
            ));
        }
    }
    Ok(())
}

/// A server by the first address of its agent.
pub(crate) fn as_of_old(server: &str) -> String {
    let agent = server.strip_prefix("agent-");
    let later = server
        .strip_prefix("10.1.")
        .and_then(|rest| Some(rest.split_once('.')?.1));
    match agent.or(later) {
        Some(agent) => format!("10.1.0.{agent}"),
        None => server.to_owned(),
    }
}
