//! A draft as files, and the same again without what cannot be served.

use anyhow::Result;

use super::Stages;
use super::held_ports::{HTTPS, closed, opener_of_https};
use super::plan::{Draft, Plan};
use super::source::Source;
use super::wanted::{Built, Cause, effect};
use crate::cluster::Warning;
use crate::diff;
use crate::proxy::Owner;
use crate::resolve::Lookup;

impl<S: Source, L: Lookup> Stages<S, L> {
    /// A draft as files; where they differ from those installed, without names that no longer resolve.
    pub(super) fn draw_numeric(&mut self, draft: Draft, installed: Option<&str>) -> Result<Plan> {
        let mut plan = self.draw(draft, installed, Vec::new())?;
        if installed != Some(&*plan.files.cfg)
            && let Some((resolver, _)) = &self.resolver
            && resolver.replace_stale(&mut plan.draft.wanted.ports)
        {
            plan = self.draw(plan.draft, installed, Vec::new())?;
        }
        Ok(plan)
    }

    /// The files of a draft, but for those who are `refused`. A service whose text cannot be written
    /// takes its rules with it, on which those of others may depend: so all is built anew.
    fn draw(
        &mut self,
        mut draft: Draft,
        installed: Option<&str>,
        mut refused: Vec<Owner>,
    ) -> Result<Plan> {
        loop {
            let Built {
                failed,
                left_out,
                displaced,
                https_holder,
                files,
                rendered,
                proxies,
                warnings: faults,
            } = self.recipe.build(
                &draft.wanted,
                &refused,
                &draft.incumbents,
                &mut self.renderer,
            )?;
            if let Some(holder) = https_holder
                && let Some((app, label)) = opener_of_https(&proxies)
                && !draft.wanted.closes_https
            {
                let Owner {
                    app: own,
                    service_port,
                } = holder;
                let holder = format!("app `{own}`");
                let warning = closed(app, label, service_port, &holder, HTTPS[0]);
                draft.wanted.closes_https = true;
                draft.warnings.push(warning);
                continue;
            }
            self.heed_the_edit(failed.iter().chain(&left_out), installed)?;
            if !failed.is_empty() || !displaced.is_empty() {
                self.fall_back(&mut draft, &mut refused, failed, Cause::Own);
                let before = draft.before_displacing(&displaced);
                draft.displaced.extend(before);
                self.fall_back(&mut draft, &mut refused, displaced, Cause::Others);
                continue;
            }
            let mut warnings = draft.warnings.clone();
            warnings.extend(faults);
            warnings.extend(left_out.into_iter().map(|(_, warning)| warning));
            return Ok(Plan {
                change: diff::compare(installed, &files.cfg),
                files,
                rendered,
                proxies,
                warnings,
                held: None,
                keeps_all: false,
                from: String::new(),
                refused,
                draft,
            });
        }
    }

    /// Gives those who cannot be served as they want what they were served with, else takes them
    /// out.
    fn fall_back(
        &self,
        draft: &mut Draft,
        refused: &mut Vec<Owner>,
        culprits: Vec<(Owner, Warning)>,
        cause: Cause,
    ) {
        for (owner, why) in culprits {
            let Draft {
                wanted, fallback, ..
            } = draft;
            let fell = self
                .recipe
                .fall_back(wanted, &owner, (&why, cause), fallback);
            if !fell {
                no_longer_kept(&mut draft.warnings, &owner, &why);
            }
            draft.warnings.push(Warning {
                effect: effect(owner.service_port, fell),
                ..why
            });
            if !fell {
                refused.push(owner);
            }
        }
    }

    /// The same where HAProxy refuses what these say.
    pub(super) fn draw_instead(
        &mut self,
        plan: Plan,
        culprits: Vec<(Owner, Warning)>,
        cause: Cause,
        installed: Option<&str>,
    ) -> Result<Plan> {
        let owners = owners_of(&culprits);
        self.redraw(plan, &owners, installed, |stages, draft, refused| {
            stages.fall_back(draft, refused, culprits, cause);
        })
    }

    /// The same without these service ports.
    pub(super) fn draw_without(
        &mut self,
        plan: Plan,
        culprits: Vec<(Owner, Warning)>,
        installed: Option<&str>,
    ) -> Result<Plan> {
        let (owners, warnings) = culprits.into_iter().unzip();
        self.draw_leaving_out(plan, owners, warnings, installed)
    }

    /// The same, of which is told by app.
    pub(super) fn draw_leaving_out(
        &mut self,
        plan: Plan,
        owners: Vec<Owner>,
        warnings: Vec<Warning>,
        installed: Option<&str>,
    ) -> Result<Plan> {
        let leaving = owners.clone();
        self.redraw(plan, &leaving, installed, |_, draft, refused| {
            refused.extend(owners);
            draft.warnings.extend(warnings);
        })
    }

    /// The same with port 443 closed.
    pub(super) fn draw_without_https(
        &mut self,
        plan: Plan,
        why: Warning,
        installed: Option<&str>,
    ) -> Result<Plan> {
        self.redraw(plan, &[], installed, |_, draft, _| {
            draft.wanted.closes_https = true;
            draft.warnings.push(why);
        })
    }

    /// The same with these certificates of labels not shown on port 443.
    pub(super) fn draw_without_certificates(
        &mut self,
        plan: Plan,
        hidden: Vec<(Box<str>, Warning)>,
        installed: Option<&str>,
    ) -> Result<Plan> {
        self.redraw(plan, &[], installed, |_, draft, _| {
            for (path, warning) in hidden {
                draft.wanted.hidden_certificates.insert(path);
                draft.warnings.push(warning);
            }
        })
    }

    /// The same once more, for what is known only now.
    pub(super) fn draw_anew(&mut self, plan: Plan, installed: Option<&str>) -> Result<Plan> {
        self.redraw(plan, &[], installed, |_, _, _| ())
    }

    /// The same after a `change`; `culprits` fall out by it.
    fn redraw(
        &mut self,
        plan: Plan,
        culprits: &[Owner],
        installed: Option<&str>,
        change: impl FnOnce(&Self, &mut Draft, &mut Vec<Owner>),
    ) -> Result<Plan> {
        let Plan {
            mut draft,
            mut refused,
            held,
            from,
            ..
        } = plan;
        draft.give_back(culprits, &mut refused);
        change(self, &mut draft, &mut refused);
        let plan = self.draw(draft, installed, refused)?;
        Ok(Plan { held, from, ..plan })
    }
}

fn owners_of(culprits: &[(Owner, Warning)]) -> Vec<Owner> {
    culprits.iter().map(|(owner, _)| owner.clone()).collect()
}

/// What was to serve this service port in the place of what its owner says is refused too. So what
/// was told of that has another end, and is not told twice.
fn no_longer_kept(warnings: &mut Vec<Warning>, owner: &Owner, why: &Warning) {
    let (kept, out) = (
        effect(owner.service_port, true),
        effect(owner.service_port, false),
    );
    let is_kept =
        |warning: &Warning| warning.app.as_ref() == Some(&owner.app) && warning.effect == kept;
    warnings.retain(|warning| {
        !is_kept(warning) || (&warning.subject, &warning.found) != (&why.subject, &why.found)
    });
    for warning in warnings.iter_mut().filter(|warning| is_kept(warning)) {
        warning.effect.clone_from(&out);
    }
}
