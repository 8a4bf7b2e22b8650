//! What has to hold after every turn, told from the outside: by what the cluster asked for, what
//! lies on the disk and what HAProxy runs. Nothing here knows how the program decides.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use haproxy_marathon_bridge::apply::{FileSet, Outcome};

use crate::cluster::Sections;
use crate::haproxy::{CheckFault, Haproxy, Process, digest_of};
use crate::labelled::{as_of_old, check_bad_labels, check_lost_apps};
use crate::outside::Told;
use crate::program::Facts;
use crate::sections::{Counts, counts_of, is_most, sections_of};
use crate::world::Ended;

/// A promise that was not kept.
#[derive(Clone, Debug)]
pub(crate) struct Broken(pub(crate) String);

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(crate) fn broken<T>(what: impl Into<String>) -> Result<T, Broken> {
    Err(Broken(what.into()))
}

/// What was there before a turn, what is there after it, and what was asked for in between.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each can come about with each"
)]
pub(crate) struct Turn<'a> {
    pub(crate) now: u64,
    pub(crate) before: Option<&'a FileSet>,
    pub(crate) after: Option<&'a FileSet>,
    pub(crate) ran_before: Option<&'a Process>,
    /// `None` where Marathon gave no answer.
    pub(crate) answered: Option<&'a Told>,
    pub(crate) allow_removal: bool,
    pub(crate) ended: &'a Ended,
    /// The program may know nothing of this turn: it was killed, or the disk kept it from saving.
    pub(crate) is_forgotten: bool,
    pub(crate) haproxy: &'a Haproxy,
    /// A port that somebody else holds and that the turn is to leave out where it is new.
    pub(crate) held_port: Option<u16>,
    /// HAProxy was started again, or told more than it confirmed, while the turn went on.
    pub(crate) meddled: bool,
    /// The last good files, as far as the program could read them.
    pub(crate) kept: Option<FileSet>,
    pub(crate) is_labelled: bool,
    /// An operator wants nothing to be changed.
    pub(crate) is_paused: bool,
    /// An installation had been broken off before, and is to be finished whatever else happens.
    pub(crate) was_broken_off: bool,
    /// The program knew that HAProxy ran what was installed, and of which answer that was made.
    pub(crate) knew_answer: bool,
    /// The program knew that HAProxy ran what was installed: a full disk can make it forget.
    pub(crate) knew_installed: bool,
    pub(crate) facts: Facts,
}

impl Turn<'_> {
    /// Whether the files are as they were, or again those that HAProxy runs or ran: others, to
    /// which it could not be brought, may be left from a reload that failed on a full disk.
    fn leaves_files(&self) -> bool {
        let is_back = match &*self.haproxy.running.borrow() {
            Some(process) => self.after == Some(&process.files),
            None => {
                let served = self.haproxy.served.borrow();
                let after = self.after.map(digest_of);
                after.is_some_and(|after| served.contains(&after))
            }
        };
        self.before == self.after || is_back
    }
}

/// What an outsider remembers from turn to turn.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Answers of Marathon, the latest last, and whether the program may have forgotten them.
    answers: Vec<(u64, Sections, bool)>,
    /// What a turn last installed with success.
    pub(crate) settled: Option<FileSet>,
}

impl Watch {
    pub(crate) fn turn(&mut self, turn: &Turn<'_>) -> Result<(), Broken> {
        let haproxy = turn.haproxy;
        let told = haproxy.checks.get() + haproxy.reloads.get();
        let runs = haproxy.running.borrow();
        if turn.is_paused {
            let is_same = turn.leaves_files() || turn.was_broken_off;
            if !is_same || runs.as_ref() != turn.ran_before || told > 0 {
                return broken("a turn changed something although it is paused");
            }
        }
        let Some(answered) = turn.answered else {
            return check_unanswered(turn);
        };
        self.answers
            .push((turn.now, answered.sections.clone(), turn.is_forgotten));
        self.check_removal(turn)?;
        if self.is_unjustified(turn) {
            check_lost_apps(turn, answered)?;
        }
        if let Ended::Done(
            Outcome::Unchanged | Outcome::Applied { .. } | Outcome::NotRunning { .. },
        ) = turn.ended
        {
            self.settled = turn.after.cloned();
        }
        Self::check_held_port(turn)?;
        let refuses_all = haproxy.check_fault.get() == CheckFault::RefusesAll;
        if let Ended::Done(Outcome::Rejected { .. }) = turn.ended
            && turn.is_labelled
            && !refuses_all
        {
            return broken("what one owner says kept all others from being served");
        }
        // One that had ended is started with what is installed, whatever else waits, or this is tried.
        let is_paused = matches!(turn.ended, Ended::Done(Outcome::Paused));
        let is_back = haproxy.starts
            && !is_paused
            && turn.ran_before.is_none()
            && runs
                .as_ref()
                .is_none_or(|process| Some(&process.files) == turn.after);
        match turn.ended {
            Ended::Done(Outcome::Unchanged) => {
                // HAProxy is asked from time to time whether it still refuses what it refused.
                // And where nobody tells it of files, a good one may be yet to be proved.
                let told = if !haproxy.is_told {
                    0
                } else if turn.facts.served_as_before || turn.facts.left_out {
                    haproxy.reloads.get()
                } else {
                    told
                };
                let is_told = told > 0 || runs.as_ref() != turn.ran_before;
                if is_told && !is_back || !turn.leaves_files() {
                    return broken("a turn that says Unchanged changed something");
                }
                check_served(turn, &answered.sections)
            }
            Ended::Done(Outcome::Applied { .. }) => {
                let runs = runs.as_ref().map(|process| &process.files);
                if haproxy.is_told && runs != turn.after {
                    return broken("a turn that says Applied left HAProxy with other files");
                }
                check_served(turn, &answered.sections)
            }
            Ended::Done(Outcome::NotRunning { .. }) => {
                if runs.is_some() {
                    return broken("a turn says NotRunning of a HAProxy that runs");
                }
                check_served(turn, &answered.sections)
            }
            Ended::Done(
                Outcome::Rejected { .. }
                | Outcome::Paused
                | Outcome::ReloadFailed { .. }
                | Outcome::Postponed { .. }
                | Outcome::Checking
                | Outcome::Waiting { .. },
            )
            | Ended::Failed(_) => {
                if !turn.meddled && runs.as_ref() != turn.ran_before && !is_back {
                    return broken("a turn that came to nothing changed what HAProxy runs");
                }
                Ok(())
            }
            Ended::Killed => Ok(()),
        }
    }

    /// A port that somebody else holds is not tried by a reload where it is new: the listeners that
    /// are there would suffer.
    fn check_held_port(turn: &Turn<'_>) -> Result<(), Broken> {
        let Some(taken) = turn.held_port else {
            return Ok(());
        };
        let failed = |error: &String| error.contains(&format!("0.0.0.0:{taken}]"));
        let is_new = |files: Option<&FileSet>| {
            let mut sections = sections_of(files).into_values();
            !sections.any(|section| section.port == taken)
        };
        match turn.ended {
            Ended::Done(Outcome::ReloadFailed { error, .. })
                if failed(error) && is_new(turn.before) && is_new(turn.kept.as_ref()) =>
            {
                broken(format!("a reload tried port {taken}, which is held"))
            }
            _ => Ok(()),
        }
    }

    /// Most of what is served never goes at once, unless several answers agree that it should.
    fn check_removal(&self, turn: &Turn<'_>) -> Result<(), Broken> {
        let in_service = turn.ran_before.map(|process| &process.files);
        let in_service = in_service.or(self.settled.as_ref());
        // What somebody else had HAProxy read in between, the program cannot know.
        let is_known = in_service == turn.before
            || in_service == self.settled.as_ref() && in_service == turn.kept.as_ref();
        // To go back to what was last proved is to remove nothing.
        let cfg = |files: &FileSet| files.cfg.clone();
        let after = turn.after.map(cfg);
        let is_back = [&self.settled, &turn.kept]
            .map(|files| files.as_ref().map(cfg))
            .contains(&after);
        // A rollback that was broken off is finished.
        let served = turn.haproxy.served.borrow();
        let is_finished = turn.was_broken_off
            && turn
                .after
                .is_some_and(|files| served.contains(&digest_of(files)));
        if turn.before == turn.after || is_back || is_finished || !is_known {
            return Ok(());
        }
        let before = counts_of(in_service);
        let mut after = counts_of(turn.after);
        if let Some(answered) = turn.answered.filter(|_| turn.is_labelled) {
            // What an owner says is done at once, and what becomes of bad labels is told below.
            let is_bad = |title: &str| {
                let asked = answered.sections.get(title);
                asked.is_some_and(|asked| asked.is_bad)
            };
            let own = before.iter();
            let own = own.filter(|(title, _)| answered.moves(title) || is_bad(title));
            after.extend(own.map(|(title, servers)| (title.clone(), *servers)));
        }
        // A file of ours that HAProxy was not yet brought to counts as one that it was.
        let is_ours = turn
            .before
            .is_some_and(|files| !files.cfg.contains("by-hand"));
        if turn.allow_removal
            || !is_most(&before, &after)
            || is_ours && !is_most(&counts_of(turn.before), &after)
        {
            return Ok(());
        }
        let agreeing = self.agreeing(&before);
        if agreeing < 3 {
            return broken(format!(
                "most of what was served went, and {agreeing} answers agree: {before:?} → {after:?}"
            ));
        }
        Ok(())
    }

    /// Whether an answer lacks most of what is served, and too few agree. How many servers there
    /// will be of names without address is not known here.
    fn is_unjustified(&self, turn: &Turn<'_>) -> bool {
        let Some(answered) = turn.answered.filter(|_| !turn.allow_removal) else {
            return false;
        };
        let runs = turn.ran_before.map(|process| &process.files);
        let cfg = |files: Option<&FileSet>| files.map(|files| files.cfg.clone());
        let is_behind = turn.kept.is_some() && cfg(turn.kept.as_ref()) != cfg(turn.before);
        if runs.is_some() && runs != turn.before || is_behind {
            return false;
        }
        let counts = answered
            .sections
            .iter()
            .map(|(title, asked)| (title.clone(), asked.must.len() + asked.may.len()));
        let before = counts_of(turn.before);
        is_most(&before, &counts.collect()) && self.agreeing(&before) < 3
    }

    /// How many of the latest answers lack most of this.
    fn agreeing(&self, before: &Counts) -> usize {
        let mut agreeing = 0;
        let mut last_at: Option<u64> = None;
        for (at, answer, is_forgotten) in self.answers.iter().rev() {
            // Who says what is bad may be out for that.
            let counts = answer
                .iter()
                .filter(|(_, asked)| !asked.is_bad)
                .map(|(title, asked)| (title.clone(), asked.must.len()));
            if !is_most(before, &counts.collect()) {
                if *is_forgotten {
                    continue;
                }
                break;
            }
            if last_at.is_none_or(|last| last.abs_diff(*at) >= 10) {
                agreeing += 1;
                last_at = Some(*at);
            }
        }
        agreeing
    }
}

/// A turn without an answer leaves what is in place as it is. Where it is not, the good files come
/// back, and HAProxy runs them or what it ran.
fn check_unanswered(turn: &Turn<'_>) -> Result<(), Broken> {
    let haproxy = turn.haproxy;
    let told = haproxy.checks.get() + haproxy.reloads.get();
    let runs = haproxy.running.borrow();
    // What somebody else wrote and had HAProxy read is none of the good files.
    let is_in_service = turn.knew_installed
        && turn.before.is_some()
        && turn.before == turn.kept.as_ref()
        && turn.ran_before.map(|process| &process.files) == turn.before;
    // What a kill broke off is brought to its end.
    let leaves_files = turn.leaves_files() || turn.was_broken_off;
    let is_same = leaves_files && runs.as_ref() == turn.ran_before;
    if is_in_service && (!is_same || told > 0) {
        return broken("a turn without an answer of Marathon changed what was in service");
    }
    let cfg = |files: Option<&FileSet>| files.map(|files| files.cfg.clone());
    let is_good = turn.after == turn.kept.as_ref()
        // Without any copy they are made anew of the answer that is kept.
        || turn.kept.is_none() && turn.is_labelled
        // A turn that was broken off, or the disk, can leave maps that hold rows of both.
        || matches!(turn.ended, Ended::Killed | Ended::Failed(_))
            && [turn.kept.as_ref(), turn.before].map(cfg).contains(&cfg(turn.after));
    if !leaves_files && !is_good {
        return broken("a turn without an answer of Marathon left files that were never good");
    }
    let is_brought = runs.as_ref().map(|process| &process.files) == turn.after;
    if runs.as_ref() != turn.ran_before && !is_brought && !turn.meddled {
        return broken("a turn without an answer of Marathon brought HAProxy to other files");
    }
    Ok(())
}

/// Everything that was asked for is served, one bad app or not.
fn check_served(turn: &Turn<'_>, answered: &Sections) -> Result<(), Broken> {
    if turn.facts.keeps_all || turn.facts.leaves_rest {
        return Ok(());
    }
    let before = sections_of(turn.before);
    let after = sections_of(turn.after);
    let holders: BTreeMap<u16, &String> = after.iter().map(|(title, s)| (s.port, title)).collect();
    if holders.len() < after.len() {
        return broken("two sections listen on one port");
    }
    if !turn.haproxy.has_fitting_maps() {
        return broken("a turn that was done left maps of another configuration");
    }
    check_bad_labels(turn, answered, &before, &after)?;
    let app_of = |title: &str| title.rsplit_once('-').map(|(app, _)| app.to_owned());
    for (title, asked) in answered.iter().filter(|(_, asked)| asked.is_due()) {
        // Where something of it is held, all of it is as it was.
        let is_held = turn.is_labelled && turn.facts.held;
        if is_held && after.keys().any(|own| app_of(own) == app_of(title)) {
            continue;
        }
        let Some(section) = after.get(title) else {
            if turn.haproxy.taken.get() == Some(asked.service_port) && !before.contains_key(title) {
                continue;
            }
            let Some(holder) = holders.get(&asked.service_port) else {
                if may_be_kept(asked.service_port, answered) {
                    continue;
                }
                return broken(format!("{title} is asked for and not served"));
            };
            // In a file that a reload failed for, and that a full disk kept, nobody has a port yet.
            let is_back = turn.kept.as_ref() == turn.after;
            if before.contains_key(title) && !is_back {
                return broken(format!("{title} had its port and lost it to {holder}"));
            }
            continue;
        };
        // An agent has another address only where all names are asked for.
        let names = |servers: &BTreeSet<String>| -> BTreeSet<String> {
            servers.iter().map(|server| as_of_old(server)).collect()
        };
        let is_light = turn.facts.is_light;
        let has_all = section.servers.is_superset(&asked.must)
            || is_light && names(&section.servers).is_superset(&names(&asked.must));
        if !has_all {
            return broken(format!("{title} lacks servers: {section:?} of {asked:?}"));
        }
        if asked.balance.is_some() && section.balance.as_deref() != asked.balance {
            return broken(format!("{title} says {section:?}, asked for is {asked:?}"));
        }
    }
    Ok(())
}

/// Whether another may have had the port who cannot be served for the moment, and keeps it then.
fn may_be_kept(service_port: u16, asked: &Sections) -> bool {
    let mut claims = asked
        .values()
        .filter(|own| own.service_port == service_port);
    claims.any(|own| !own.is_due())
}

/// In the end the files are just what the cluster asks for, and HAProxy runs them.
pub(crate) fn check_converged(asked: &Sections, haproxy: &Haproxy) -> Result<(), Broken> {
    let installed = haproxy.installed();
    let sections = sections_of(installed.as_ref());
    for (title, section) in &sections {
        let Some(asked) = asked.get(title) else {
            return broken(format!("{title} is served, and nobody asks for it"));
        };
        let all: BTreeSet<_> = asked.must.union(&asked.may).cloned().collect();
        if !section.servers.is_superset(&asked.must) || !section.servers.is_subset(&all) {
            return broken(format!("{title} has {section:?}, asked for is {asked:?}"));
        }
    }
    let served: BTreeSet<u16> = sections.values().map(|section| section.port).collect();
    if let Some((title, _)) = asked
        .iter()
        .filter(|(_, own)| !may_be_kept(own.service_port, asked))
        .find(|(_, asked)| asked.is_due() && !served.contains(&asked.service_port))
    {
        return broken(format!("{title} is asked for, and its port is not served"));
    }
    let runs = haproxy.running.borrow();
    if haproxy.is_told && runs.as_ref().map(|process| &process.files) != installed.as_ref() {
        return broken(format!(
            "HAProxy runs other files than those installed: {runs:?}"
        ));
    }
    Ok(())
}
