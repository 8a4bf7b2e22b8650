//! Who waits where HAProxy may not open as many files as all would need, each socket being one.
//!
//! A limit of the host is nobody's fault, and `haproxy -c` does not know of it: HAProxy finds out when it
//! starts, or when it serves and has no file left for a connection. So it is counted before. Whoever is
//! served goes on to be; who is new is let in by age, each app whole, as far as there is room. Nothing is
//! remembered, so that a limit that was raised counts in the next turn.

mod asking;

use std::collections::BTreeSet;

use anyhow::{Result, bail};

use self::asking::{Asking, without_room};
use super::Stages;
use super::held_ports::NoPlace;
use super::plan::Plan;
use super::source::Source;
use crate::apply::validate::Shortage;
use crate::apply::{Balancer, Host};
use crate::cluster::Warning;
use crate::haproxy::listen::{self, Listener};
use crate::haproxy::open_files::{Allowance, Bound, Reading, Whose, taking_over};
use crate::proxy::Owner;
use crate::resolve::Lookup;

/// How every warning of this ends.
const UNTIL_MORE_FILES: &str = "until HAProxy may open more files";

/// How many files HAProxy may have open, and why no more.
#[derive(Clone, Copy)]
struct Limit<'a> {
    most: usize,
    bound: Bound,
    of: Whose,
    /// HAProxy's own words, where it found out.
    words: Option<&'a str>,
}

impl Plan {
    /// So many warnings tell of who waits for it.
    #[must_use]
    pub fn wait_for_files(&self) -> usize {
        let waits = |warning: &&Warning| warning.effect.ends_with(UNTIL_MORE_FILES);
        self.warnings.iter().filter(waits).count()
    }
}

impl<S: Source, L: Lookup> Stages<S, L> {
    /// The plan without those for whom HAProxy may not open enough files.
    pub(super) fn without_short_of_files<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        plan: Plan,
        installed: Option<&str>,
    ) -> Result<Plan> {
        if installed == Some(&*plan.files.cfg) {
            return Ok(plan);
        }
        match host.balancer.open_files(host.at) {
            Some(allowance) => self.within(plan, &allowance, None, installed),
            None => Ok(plan),
        }
    }

    /// The same by HAProxy's own words, where it could not be counted before.
    pub(super) fn without_added_last<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        plan: Plan,
        shortage: &Shortage,
        installed: Option<&str>,
    ) -> Result<Plan> {
        let (reading, files) = plan.opened();
        let allowance = host.balancer.open_files(host.at);
        let allowance = Allowance {
            limit: shortage.limit_of(files),
            raised: None,
            ..allowance.unwrap_or_else(|| Allowance::unknown(!shortage.is_of_sockets))
        };
        // What the file says of the limit is in the words already.
        let limit = Limit {
            most: allowance.limit,
            bound: reading.most(&allowance).1,
            of: allowance.of,
            words: Some(&shortage.words),
        };
        self.within(plan, &allowance, Some(limit), installed)
    }

    fn within(
        &mut self,
        mut plan: Plan,
        allowance: &Allowance,
        known: Option<Limit<'_>>,
        installed: Option<&str>,
    ) -> Result<Plan> {
        // Each round leaves out somebody: who lost a port to them may come in their place.
        loop {
            let (reading, files) = plan.opened();
            let (most, bound) = reading.most(allowance);
            let limit = known.unwrap_or(Limit {
                most,
                bound,
                of: allowance.of,
                words: None,
            });
            if reading.needed(files, allowance) <= limit.most {
                return Ok(plan);
            }
            let asking = plan.asking(installed, &self.served_by(installed)?);
            let new = of_all(&asking);
            let served = reading.needed(files.saturating_sub(new), allowance);
            let is_first = listen::ports(installed.unwrap_or_default()).is_empty();
            if limit.most < served && is_first {
                // Nobody would be served for it, and HAProxy has words of its own.
                return Ok(plan);
            }
            if limit.most < served
                && self.is_on_trial
                && known.is_none()
                && has_room(installed.unwrap_or_default(), allowance)
            {
                bail!(NoPlace(limit.after_an_edit()));
            }
            let sizes = asking.iter().map(|app| app.files);
            let waiting = without_room(sizes, limit.most.saturating_sub(served));
            let waiting: Vec<&Asking<'_>> = waiting.into_iter().map(|at| &asking[at]).collect();
            let mut warnings: Vec<Warning> =
                waiting.iter().map(|app| limit.too_low_for(app)).collect();
            if limit.most < served {
                let told = limit.too_low_for_all(served);
                // What is served can have other numbers in each round.
                let is_told =
                    |own: &Warning| (&own.app, &own.subject) == (&told.app, &told.subject);
                if !plan.warnings.iter().any(is_told) {
                    warnings.push(told);
                }
            }
            let owners: Vec<Owner> = owners(&waiting);
            if owners.is_empty() {
                // Whoever draws it again knows only of the draft.
                plan.draft.warnings.extend(warnings.iter().cloned());
                plan.warnings.extend(warnings);
                return Ok(plan);
            }
            plan = self.draw_leaving_out(plan, owners, warnings, installed)?;
        }
    }

    /// What of the plan HAProxy is brought to first, where it may not have all listeners open that go and
    /// all that come: a process that takes over is handed the former before it closes them. `None` where
    /// it may.
    pub(super) fn first_step<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        plan: &Plan,
        installed: Option<&str>,
    ) -> Result<Option<Plan>> {
        let Some(installed) = installed.filter(|cfg| *cfg != &*plan.files.cfg) else {
            return Ok(None);
        };
        let old: BTreeSet<Listener> = listen::listeners(installed).collect();
        let new = listen::listeners(&plan.files.cfg);
        let coming: BTreeSet<Listener> = new.filter(|own| !old.contains(own)).collect();
        let (reading, files) = plan.opened();
        // The limit is looked at where it could be too low: there is room for connections.
        let at_once = taking_over(old.len() + coming.len());
        if coming.is_empty() || at_once <= files + reading.of_connections() {
            return Ok(None);
        }
        let allowance = host.balancer.open_files(host.at);
        let Some(allowance) = allowance.filter(|allowance| allowance.is_running) else {
            return Ok(None);
        };
        let (most, _) = reading.most(&allowance);
        if at_once <= most {
            return Ok(None);
        }
        let asking = plan.asking_beside(&old);
        let of_apps = of_all(&asking);
        let rest = taking_over(old.len() + coming.len().saturating_sub(of_apps));
        let sizes = asking.iter().map(|app| app.files);
        let waiting = without_room(sizes, most.saturating_sub(rest));
        let waiting: Vec<&Asking<'_>> = waiting.into_iter().map(|at| &asking[at]).collect();
        let warnings = waiting.iter().map(|app| app.is_next(most)).collect();
        let owners = owners(&waiting);
        if owners.is_empty() {
            return Ok(None);
        }
        let step = self.draw_leaving_out(plan.clone(), owners, warnings, Some(installed))?;
        Ok((installed != &*step.files.cfg).then_some(step))
    }
}

/// Whether HAProxy may open as many files as it needs for this configuration.
fn has_room(cfg: &str, allowance: &Allowance) -> bool {
    let mut reading = Reading::default();
    let files = reading.read(cfg).files();
    reading.needed(files, allowance) <= reading.most(allowance).0
}

fn of_all(asking: &[Asking<'_>]) -> usize {
    let files = asking.iter().map(|app| app.files);
    files.fold(0, usize::saturating_add)
}

fn owners(waiting: &[&Asking<'_>]) -> Vec<Owner> {
    let owners = waiting.iter().flat_map(|app| &app.owners);
    owners.map(|owner| (*owner).clone()).collect()
}

impl Plan {
    /// The file as it is read for this, and how many files it has HAProxy open before anybody connects.
    fn opened(&self) -> (Reading, usize) {
        let mut reading = Reading::default();
        let opened = reading.read(&self.files.cfg);
        (reading, opened.files())
    }
}

impl Limit<'_> {
    fn too_low_for(&self, app: &Asking<'_>) -> Warning {
        let files = app.files;
        Warning {
            app: Some(app.app.clone()),
            subject: app.subject(),
            found: match self.words {
                Some(words) => format!(
                    "what HAProxy does not start with: {words}; {files} of the files that it would \
                     open are of this app, one of the last to come"
                ),
                None => format!(
                    "HAProxy may open {} files, too few for the {files} of this app beside those of \
                     others and of connections",
                    self.most
                ),
            },
            expected: self.expected(),
            effect: format!("{} left out {UNTIL_MORE_FILES}", app.extent()),
        }
    }

    /// Of an edit by which it is so. How many are needed changes with each task, and would be news.
    fn after_an_edit(&self) -> String {
        format!(
            "HAProxy may open {} files, too few for what is served already, expected {}",
            self.most,
            self.expected()
        )
    }

    fn too_low_for_all(&self, served: usize) -> Warning {
        Warning {
            app: None,
            subject: "open files".to_owned(),
            found: format!(
                "HAProxy may open {} files, and needs {served} for what is served already",
                self.most
            ),
            expected: self.expected(),
            effect: format!("what is served stays, and nothing new comes {UNTIL_MORE_FILES}"),
        }
    }

    /// A limit is inherited: whoever has it has to be started again.
    fn expected(&self) -> String {
        const HIGHER: &str =
            "a higher limit, `LimitNOFILE=` of the unit or `ulimit -n` of what starts";
        match (self.bound, self.of) {
            (Bound::Global, _) => "a higher `ulimit-n` or `fd-hard-limit` of `global`".to_owned(),
            (Bound::Limit, Whose::Ours) => {
                format!(
                    "{HIGHER} this program, which starts HAProxy and has to be restarted for it"
                )
            }
            (Bound::Limit, Whose::Process(pid)) => {
                format!("{HIGHER} HAProxy, whose process {pid} has to be restarted for it")
            }
            (Bound::Limit, Whose::Unknown) => {
                format!("{HIGHER} HAProxy, which has to be restarted for it")
            }
        }
    }
}
