//! What one event says for routing: which apps to look at again, or that everything is in doubt.
//!
//! Order and delivery of events are not guaranteed, so that nothing but names is taken from them.
//! An event that matters and cannot be read is a doubt, never nothing.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::frames::{Data, Frame};
use crate::cluster::AppId;
use crate::marathon::is_askable;

/// Why it is not known which apps have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// An event of this type, or of none, did not say what its kind says.
    Unreadable(Cow<'static, str>),
    /// An event of this type, or of none, was larger than the limit, and was passed over.
    TooLarge(Cow<'static, str>),
    /// Bytes came that are no event.
    Garbled,
    /// Apps of a group were changed, and no deployment told which.
    GroupChanged,
    /// A deployment came to its end whose apps had not been told.
    UnknownDeployment,
    /// Marathon found its Mesos master again, and may have missed the end of tasks.
    Registered,
    /// More apps changed than are kept by name.
    ManyApps,
    /// A stream began, and broke off before anybody was told of its beginning.
    MissedAttachment,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(kind) => write!(f, "the event `{kind}` could not be read"),
            Self::TooLarge(kind) => write!(f, "the event `{kind}` was too large to be read"),
            Self::Garbled => f.write_str("something that is no event was found between the events"),
            Self::GroupChanged => f.write_str("a group changed"),
            Self::UnknownDeployment => f.write_str("a deployment ended whose apps were not told"),
            Self::Registered => f.write_str("Marathon registered at Mesos anew"),
            Self::ManyApps => f.write_str("too many apps changed to fetch them one by one"),
            Self::MissedAttachment => f.write_str("the stream of events broke off and began anew"),
        }
    }
}

/// What an event says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Nothing,
    /// A reader was attached, this one or another.
    Attached,
    Apps(BTreeSet<AppId>),
    /// A deployment is at work.
    Step(Deployment),
    /// A deployment is over.
    End(Deployment),
    /// The definitions of this version can be fetched from now on.
    GroupChanged {
        version: Option<Box<str>>,
    },
    Doubt(Doubt),
}

/// What an event tells of a deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Deployment {
    pub(super) id: Option<Box<str>>,
    /// Of the group that it brings about.
    pub(super) version: Option<Box<str>>,
    /// Apps of the step at hand.
    pub(super) step: Option<BTreeSet<AppId>>,
    /// Apps of all its steps; light plans do not tell them.
    pub(super) all: Option<BTreeSet<AppId>>,
}

/// How the data of an event is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// `appId`, or `runSpecId` in events about instances.
    App,
    Post,
    Step,
    End,
    Group,
    Registered,
    Attached,
}

/// All types that can change routing, from Marathon 0.8 to 1.11.
///
/// Not among them: failures of single checks, which the change of a health state sums up; kills of
/// unhealthy tasks, which the states of their tasks follow; and pods, which are not served.
const KINDS: &[(&str, Kind)] = &[
    ("status_update_event", Kind::App),
    ("health_status_changed_event", Kind::App),
    ("instance_changed_event", Kind::App),
    ("instance_health_changed_event", Kind::App),
    ("unknown_instance_terminated_event", Kind::App),
    ("unknown_task_terminated_event", Kind::App),
    ("app_terminated_event", Kind::App),
    ("add_health_check_event", Kind::App),
    ("remove_health_check_event", Kind::App),
    ("api_post_event", Kind::Post),
    ("deployment_info", Kind::Step),
    ("deployment_step_success", Kind::Step),
    ("deployment_step_failure", Kind::Step),
    ("deployment_success", Kind::End),
    ("deployment_failed", Kind::End),
    ("group_change_success", Kind::Group),
    ("group_change_failed", Kind::Group),
    ("scheduler_registered_event", Kind::Registered),
    ("scheduler_reregistered_event", Kind::Registered),
    ("event_stream_attached", Kind::Attached),
];

/// The question for these events. Marathon 1.3.7 and later heed the types, 1.6 and later the form
/// of plans; older ones ignore what they do not know.
pub(in crate::marathon) fn query() -> String {
    let mut query = "plan-format=light".to_owned();
    for (kind, _) in KINDS {
        query.push_str("&event_type=");
        query.push_str(kind);
    }
    query
}

const UNTYPED: &str = "event without a type";

/// Reads one event.
pub(super) fn read(frame: Frame<'_>) -> Meaning {
    let data = match frame.data {
        Data::Whole(data) => Some(data),
        Data::TooLarge => None,
        Data::Garbled => return Meaning::Doubt(Doubt::Garbled),
    };
    let (name, kind) = if frame.kind.is_empty() {
        match untyped(data) {
            Ok(Some(found)) => found,
            Ok(None) => return Meaning::Nothing,
            Err(doubt) => return Meaning::Doubt(doubt),
        }
    } else {
        match find(frame.kind) {
            Some(found) => found,
            None => return Meaning::Nothing,
        }
    };
    // These say all by their type.
    match kind {
        Kind::Attached => return Meaning::Attached,
        Kind::Registered => return Meaning::Doubt(Doubt::Registered),
        _ => (),
    }
    let Some(data) = data else {
        return Meaning::Doubt(Doubt::TooLarge(name.into()));
    };
    let meaning = match kind {
        Kind::App => app(data),
        Kind::Post => post(data),
        Kind::Step => deployment(data).and_then(step),
        Kind::End => deployment(data).map(Meaning::End),
        Kind::Group => group(data),
        Kind::Registered | Kind::Attached => None,
    };
    meaning.unwrap_or(Meaning::Doubt(Doubt::Unreadable(name.into())))
}

fn find(name: &[u8]) -> Option<(&'static str, Kind)> {
    let found = KINDS.iter().find(|(known, _)| known.as_bytes() == name);
    found.copied()
}

/// The type that the data names. Without one the event may be any.
fn untyped(data: Option<&[u8]>) -> Result<Option<(&'static str, Kind)>, Doubt> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Typed {
        event_type: Box<str>,
    }
    let data = data.ok_or(Doubt::TooLarge(UNTYPED.into()))?;
    serde_json::from_slice::<Typed>(data)
        .map(|typed| find(typed.event_type.as_bytes()))
        .map_err(|_| Doubt::Unreadable(UNTYPED.into()))
}

fn app(data: &[u8]) -> Option<Meaning> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Named {
        app_id: Option<Box<str>>,
        run_spec_id: Option<Box<str>>,
    }
    let named: Named = serde_json::from_slice(data).ok()?;
    let id = app_id(&named.app_id.or(named.run_spec_id)?)?;
    Some(Meaning::Apps(BTreeSet::from([id])))
}

fn post(data: &[u8]) -> Option<Meaning> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Post {
        app_definition: Definition,
    }
    #[derive(Deserialize)]
    struct Definition {
        id: Box<str>,
    }
    let post: Post = serde_json::from_slice(data).ok()?;
    let id = app_id(&post.app_definition.id)?;
    Some(Meaning::Apps(BTreeSet::from([id])))
}

fn group(data: &[u8]) -> Option<Meaning> {
    #[derive(Deserialize)]
    struct Group {
        version: Option<Box<str>>,
    }
    let Group { version } = serde_json::from_slice(data).ok()?;
    Some(Meaning::GroupChanged { version })
}

fn deployment(data: &[u8]) -> Option<Deployment> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Told {
        id: Option<Box<str>>,
        plan: Option<Plan>,
        current_step: Option<Value>,
    }
    #[derive(Default, Deserialize)]
    struct Plan {
        id: Option<Box<str>>,
        version: Option<Box<str>>,
        steps: Option<Value>,
    }
    let told: Told = serde_json::from_slice(data).ok()?;
    let plan = told.plan.unwrap_or_default();
    Some(Deployment {
        id: plan.id.or(told.id),
        version: plan.version,
        step: told.current_step.as_ref().and_then(apps_of),
        all: plan.steps.as_ref().and_then(apps_of),
    })
}

/// A step that names no apps at all is no step.
fn step(deployment: Deployment) -> Option<Meaning> {
    let is_told = deployment.step.is_some() || deployment.all.is_some();
    is_told.then_some(Meaning::Step(deployment))
}

/// The apps of one step or of many. Versions wrote steps as objects with `actions`, as lists of
/// actions, and as an action alone. `None` where anything is not understood.
fn apps_of(steps: &Value) -> Option<BTreeSet<AppId>> {
    let mut apps = BTreeSet::new();
    add_apps(steps, &mut apps)?;
    Some(apps)
}

fn add_apps(steps: &Value, apps: &mut BTreeSet<AppId>) -> Option<()> {
    match steps {
        Value::Array(steps) => steps.iter().try_for_each(|step| add_apps(step, apps)),
        Value::Object(step) => match (step.get("actions"), step.get("app"), step.get("pod")) {
            (Some(actions), _, _) => add_apps(actions, apps),
            (None, Some(Value::String(id)), _) => {
                apps.insert(app_id(id)?);
                Some(())
            }
            (None, None | Some(Value::Null), Some(Value::String(_))) => Some(()),
            _ => None,
        },
        _ => None,
    }
}

fn app_id(text: &str) -> Option<AppId> {
    is_askable(text).then(|| AppId::new(text))
}

#[cfg(test)]
mod tests;
