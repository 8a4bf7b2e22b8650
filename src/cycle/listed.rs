//! Which certificates may stand in a list beside the file, where the line of port 443 has no room for all.
//!
//! HAProxy never ends to read a folder that a list names, so that only what is none may stand in one; who
//! cannot look leaves all of them in the line.

use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Result;

use super::Stages;
use super::plan::Plan;
use super::recipe::Recipe;
use super::source::Source;
use crate::haproxy::files::bases;
use crate::resolve::Lookup;

/// So often it is looked at what a plan asks for; the next turn looks again.
const MOST_ROUNDS: usize = 3;

impl<S: Source, L: Lookup> Stages<S, L> {
    /// The plan in which port 443 has room for all certificates. `listable` gives those that may stand in a
    /// list, of paths that may lie below these folders.
    ///
    /// # Errors
    /// When the templates fail for all.
    pub fn with_crt_lists(
        &mut self,
        mut plan: Plan,
        installed: Option<&str>,
        listable: impl Fn(&[Box<str>], &[PathBuf]) -> BTreeSet<Box<str>>,
    ) -> Result<Plan> {
        for _ in 0..MOST_ROUNDS {
            let Recipe::Labelled(labelled) = &mut self.recipe else {
                break;
            };
            let Some(asked) = plan.certificates_beyond_line(labelled.given_certificates()) else {
                break;
            };
            let listable = listable(&asked, &bases(&plan.files.cfg));
            let known = &mut labelled.shape.listable_certificates;
            if let Some(known) = known {
                let mut asked = asked.iter();
                if asked.all(|path| known.contains(path) == listable.contains(path)) {
                    break;
                }
            }
            *known = Some(listable);
            plan = self.draw_anew(plan, installed)?;
        }
        Ok(plan)
    }
}

impl Plan {
    /// Those of the operator and of labels, where the line of port 443 is too short for them.
    fn certificates_beyond_line(&self, given: &[Box<str>]) -> Option<Vec<Box<str>>> {
        let native = self.proxies.native.as_ref()?;
        let all = given.iter().chain(&native.certificates_in_order);
        let all: Vec<Box<str>> = all.cloned().collect();
        native.are_beyond_line(all.len()).then_some(all)
    }
}
