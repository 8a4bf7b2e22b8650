//! Which deployment touches which apps: what its first events say serves its last.
//!
//! In come the meanings of events, out go changes. A light plan names its apps only step by step;
//! and Marathon begins a deployment before the new definitions can be fetched, so that the apps
//! have to be looked at again when a group has changed and when the deployment is over.

use std::collections::{BTreeSet, VecDeque};

use super::event::{Deployment, Doubt, Meaning};
use crate::cluster::AppId;

/// Deployments remembered; Marathon runs few at a time, and what is forgotten is only a doubt.
const MOST: usize = 256;

/// What has to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// These apps, of which there is at least one.
    Apps(BTreeSet<AppId>),
    /// Everything.
    Doubt(Doubt),
}

/// The deployments of which one stream has told.
#[derive(Debug, Default)]
pub(super) struct Plans(VecDeque<Plan>);

#[derive(Debug)]
struct Plan {
    id: Box<str>,
    version: Option<Box<str>>,
    apps: BTreeSet<AppId>,
    /// No step can name others.
    is_whole: bool,
}

impl Plans {
    /// What follows from an event.
    pub(super) fn change(&mut self, meaning: Meaning) -> Option<Change> {
        match meaning {
            Meaning::Nothing | Meaning::Attached => None,
            Meaning::Apps(apps) => some(apps),
            Meaning::Step(deployment) => some(self.step(deployment)),
            Meaning::End(deployment) => match self.end(deployment) {
                Some(apps) => some(apps),
                None => Some(Change::Doubt(Doubt::UnknownDeployment)),
            },
            // A plan without steps may have changed what needs none.
            Meaning::GroupChanged { version } => self
                .of_version(version.as_deref())
                .and_then(some)
                .or(Some(Change::Doubt(Doubt::GroupChanged))),
            Meaning::Doubt(doubt) => Some(Change::Doubt(doubt)),
        }
    }

    fn step(&mut self, deployment: Deployment) -> BTreeSet<AppId> {
        let Deployment {
            id,
            version,
            step,
            all,
        } = deployment;
        let is_whole = all.is_some();
        let all = all.unwrap_or_default();
        let touched = step.unwrap_or_else(|| all.clone());
        let Some(id) = id else {
            return touched;
        };
        let known = self.0.iter().position(|plan| plan.id == id);
        let known = known.and_then(|position| self.0.remove(position));
        let mut plan = known.unwrap_or_else(|| Plan {
            id,
            version: None,
            apps: BTreeSet::new(),
            is_whole: false,
        });
        plan.version = version.or(plan.version);
        plan.is_whole |= is_whole;
        plan.apps.extend(all);
        plan.apps.extend(touched.iter().cloned());
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back(plan);
        touched
    }

    /// Steps that were told before this reader was attached are part of what it fetched then.
    fn end(&mut self, deployment: Deployment) -> Option<BTreeSet<AppId>> {
        let position = self
            .0
            .iter()
            .position(|plan| Some(&plan.id) == deployment.id.as_ref());
        let known = position.and_then(|position| self.0.remove(position));
        let Some(mut plan) = known else {
            return deployment.all;
        };
        plan.apps.extend(deployment.all.into_iter().flatten());
        Some(plan.apps)
    }

    fn of_version(&self, version: Option<&str>) -> Option<BTreeSet<AppId>> {
        let version = version?;
        let is_it = |plan: &&Plan| plan.is_whole && plan.version.as_deref() == Some(version);
        self.0.iter().find(is_it).map(|plan| plan.apps.clone())
    }
}

fn some(apps: BTreeSet<AppId>) -> Option<Change> {
    (!apps.is_empty()).then_some(Change::Apps(apps))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(apps: &[&str]) -> BTreeSet<AppId> {
        apps.iter().map(|id| AppId::new(id)).collect()
    }

    fn deployment(id: &str, step: Option<&[&str]>, all: Option<&[&str]>) -> Deployment {
        Deployment {
            id: Some(id.into()),
            version: Some(format!("v-{id}").into()),
            step: step.map(ids),
            all: all.map(ids),
        }
    }

    fn group(version: &str) -> Meaning {
        let version = Some(version.into());
        Meaning::GroupChanged { version }
    }

    #[test]
    fn the_end_of_a_light_plan_touches_the_apps_of_its_steps() {
        let mut plans = Plans::default();
        for apps in [&["/a"][..], &["/b", "/c"]] {
            let step = Meaning::Step(deployment("1", Some(apps), None));
            assert_eq!(plans.change(step), Some(Change::Apps(ids(apps))));
        }
        // Not all of its steps may have been told.
        let doubt = Change::Doubt(Doubt::GroupChanged);
        assert_eq!(plans.change(group("v-1")), Some(doubt));
        let end = Meaning::End(deployment("1", None, None));
        let all = Change::Apps(ids(&["/a", "/b", "/c"]));
        assert_eq!(plans.change(end.clone()), Some(all));
        // It is forgotten then.
        let doubt = Change::Doubt(Doubt::UnknownDeployment);
        assert_eq!(plans.change(end), Some(doubt));
    }

    #[test]
    fn a_heavy_plan_tells_all_its_apps_at_once() {
        let mut plans = Plans::default();
        let step = deployment("1", Some(&["/a"]), Some(&["/a", "/b"]));
        let now = Change::Apps(ids(&["/a"]));
        let all = Change::Apps(ids(&["/a", "/b"]));
        assert_eq!(plans.change(Meaning::Step(step)), Some(now));
        assert_eq!(plans.change(group("v-1")), Some(all.clone()));
        let other = plans.change(group("v-2"));
        assert_eq!(other, Some(Change::Doubt(Doubt::GroupChanged)));
        let end = deployment("2", None, Some(&["/a", "/b"]));
        assert_eq!(plans.change(Meaning::End(end)), Some(all));
        let none = deployment("3", Some(&[]), Some(&[]));
        assert_eq!(plans.change(Meaning::Step(none)), None);
        let doubt = Change::Doubt(Doubt::GroupChanged);
        assert_eq!(plans.change(group("v-3")), Some(doubt));
    }

    #[test]
    fn what_touches_no_app_is_no_change() {
        let mut plans = Plans::default();
        for meaning in [
            Meaning::Nothing,
            Meaning::Attached,
            Meaning::Step(deployment("1", Some(&[]), None)),
            Meaning::End(deployment("1", None, None)),
            Meaning::End(deployment("2", None, Some(&[]))),
        ] {
            assert_eq!(plans.change(meaning.clone()), None, "{meaning:?}");
        }
    }

    #[test]
    fn of_many_deployments_the_latest_are_remembered() {
        let mut plans = Plans::default();
        for number in 0..=MOST {
            let step = deployment(&number.to_string(), Some(&["/a"]), None);
            plans.change(Meaning::Step(step));
        }
        assert_eq!(plans.0.len(), MOST);
        let end = |id: usize| Meaning::End(deployment(&id.to_string(), None, None));
        let doubt = Change::Doubt(Doubt::UnknownDeployment);
        assert_eq!(plans.change(end(0)), Some(doubt));
        assert_eq!(plans.change(end(MOST)), Some(Change::Apps(ids(&["/a"]))));
    }
}
