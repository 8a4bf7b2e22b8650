//! What is left of files that HAProxy refuses: who is to blame is served as before, or is out.
//!
//! A turn installs what is left, and whoever only looks is told of it.

use anyhow::{Context as _, Result};
use tracing::warn;

use super::Stages;
use super::plan::Plan;
use super::source::Source;
use super::unnamed::{self, Blamed};
use crate::apply::validate::Verdict;
use crate::apply::{Accepted, Balancer, CheckMessage, Host};
use crate::cluster::ServicePort;
use crate::resolve::Lookup;

/// So often HAProxy is asked about what is left of a file before all of it is refused. Each time it
/// names everybody whom it gets to see; of the certificates of one line it sees the first that is broken,
/// and one app may bring 50.
const MOST_ROUNDS: u32 = 64;

/// What may be tried after a refusal.
pub(super) enum Left {
    /// All of it, which HAProxy has accepted by now.
    AsItWas(Accepted),
    /// What nobody is to blame for, and whether HAProxy accepted that already.
    Of(Box<Plan>, Option<Accepted>),
    /// It would cost too many their service, or nobody can be found who is to blame.
    Nothing,
}

/// Those of one plan, one after the other.
#[derive(Default)]
pub(super) struct Refusals {
    number: u32,
    /// What the installed file serves and the plan would have gone on to serve.
    served: Vec<ServicePort>,
}

impl<S: Source, L: Lookup> Stages<S, L> {
    /// Has HAProxy judge a plan and, where that is refused, what is left of it, as a turn does; but
    /// nothing is installed. Gives the plan that a turn would come to.
    ///
    /// # Errors
    /// When there is no verdict.
    pub async fn judge<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        mut plan: Plan,
    ) -> Result<(Plan, Verdict)> {
        let installed = host.installed_cfg()?;
        let mut refusals = Refusals::default();
        let mut accepted: Option<Accepted> = None;
        loop {
            let verdict = match accepted.filter(|(files, _)| *files == plan.files) {
                Some((_, warnings)) => Verdict::Accepted { warnings },
                None => {
                    let verdict = host.balancer.check(&plan.files, host.at, None).await;
                    verdict.context("the new files cannot be checked")?
                }
            };
            let left = match &verdict {
                Verdict::Rejected { messages, .. } if !plan.keeps_all => {
                    let installed = installed.as_deref();
                    self.left_of(host, &plan, messages, installed, &mut refusals)
                        .await?
                }
                _ => Left::Nothing,
            };
            match left {
                Left::AsItWas(files) => accepted = Some(files),
                Left::Of(left, files) => (plan, accepted) = (*left, files),
                Left::Nothing => return Ok((plan, verdict)),
            }
        }
    }

    /// What is left of a plan that HAProxy refused with these words.
    pub(super) async fn left_of<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        plan: &Plan,
        messages: &[CheckMessage],
        installed: Option<&str>,
        refusals: &mut Refusals,
    ) -> Result<Left> {
        if refusals.number == 0 {
            refusals.served = self.served_and_wanted(plan, installed)?;
        }
        refusals.number += 1;
        let is_last = refusals.number == MOST_ROUNDS;
        // Who gets a port back that others were to have is no loss, whatever it is served with now; nor
        // is it in later rounds, which find it with that port.
        refusals.served.retain(|port| !plan.draft.gave_way(port));
        let served = &refusals.served;
        let culprits = plan.culprits(messages);
        let is_unnamed = culprits.is_empty();
        // What took a minute is not asked again to no purpose: nothing is followed meanwhile.
        let is_wait = messages.iter().any(CheckMessage::is_of_a_wait);
        let words = unnamed::words(messages).filter(|_| !is_wait && !is_last);
        if let Some(words) = words
            && let Some(accepted) = self.was_passing(host, plan).await?
        {
            let file = host.at.cfg.display();
            warn!(
                "`haproxy -c` refused `{file}` and accepted the same when it was asked again, so that \
                 nobody is blamed: {words}"
            );
            return Ok(Left::AsItWas(accepted));
        }
        if self.blames_the_edit(&culprits, served) {
            return Ok(Left::Nothing);
        }
        let blamed = if !self.takes_out_what_is_refused || is_last {
            Blamed::default()
        } else if is_unnamed && self.recipe.is_labelled() {
            // Without labels nobody wrote what could be refused: that is DNS, or the frame.
            self.search(host, plan, messages, installed).await?
        } else {
            Blamed::named(culprits)
        };
        if blamed.is_nobody() {
            return Ok(Left::Nothing);
        }
        let (left, accepted) = self.draw_left(plan.clone(), blamed, installed)?;
        // With the labels of before a certificate, a file or a port can come back.
        let left = self.as_the_host_allows(host, left, installed)?;
        // Who was only found by trial is not taken out of service. And where most of several apps
        // went bad at once, the installed file is better than what is left.
        let is_loss = if is_unnamed {
            left.serves(served).len() < served.len()
        } else {
            left.is_loss(served)
        };
        if is_loss && !self.allow_removal {
            return Ok(Left::Nothing);
        }
        Ok(Left::Of(Box::new(left), accepted))
    }

    /// What the installed file serves and the plan goes on to serve.
    pub(super) fn served_and_wanted(
        &self,
        plan: &Plan,
        installed: Option<&str>,
    ) -> Result<Vec<ServicePort>> {
        Ok(plan.serves(&self.served_by(installed)?))
    }
}
