//! Two apps of one deployment become one: the older is drained while the newer takes over
//! (marathon-lb 1.15, "Blue/green merge").

mod labels;

use std::collections::BTreeMap;
use std::sync::Arc;

use labels::{misread, started_at, target, unreadable};

use super::{App, AppId, Task, Warning};

const GROUP: &str = "HAPROXY_DEPLOYMENT_GROUP";
const STARTED_AT: &str = "HAPROXY_DEPLOYMENT_STARTED_AT";
const NEW_INSTANCES: &str = "HAPROXY_DEPLOYMENT_NEW_INSTANCES";
const TARGET_INSTANCES: &str = "HAPROXY_DEPLOYMENT_TARGET_INSTANCES";

/// Whose apps may be one deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Members {
    /// Of all who name it, as with marathon-lb.
    OfAll,
    /// Of one folder: whoever may change one of them in Marathon may change all. Their deployment
    /// bears a name in that folder, so that nobody else's can be taken.
    OfFolder,
}

/// Apps, where each deployment is one.
#[derive(Clone, Debug, Default)]
pub struct Merged {
    /// Apps that are none of a deployment first, then the deployments in the order in which they
    /// appear.
    pub apps: Vec<Arc<App>>,
    /// Deployments, and of which apps of Marathon each was made.
    pub origins: BTreeMap<AppId, Vec<AppId>>,
    /// What could not be done as it was said.
    pub warnings: Vec<Warning>,
}

/// The apps of a deployment.
struct Group {
    id: AppId,
    apps: Vec<Arc<App>>,
    /// An app that is none of them bears the id.
    is_taken: bool,
}

/// Makes one app of those of each deployment.
///
/// Where a label of a pair cannot be read, nobody is drained: both serve, under the definition of
/// the one that is listed first. A group that bears the id of an app is none: their sections would
/// have one name. Its apps are left out, or of a folder served on their own.
#[must_use]
pub fn merge(apps: &[Arc<App>], members: Members) -> Merged {
    let mut merged = Merged::default();
    if members == Members::OfFolder {
        merged.warnings = strangers(apps);
    }
    let mut groups = grouped(apps, members, &mut merged);
    for group in &mut groups {
        let warnings = &mut merged.warnings;
        if group.is_taken {
            warnings.push(taken(group, members));
            if members == Members::OfFolder {
                merged.apps.append(&mut group.apps);
            }
        }
    }
    for Group { id, apps, .. } in groups.into_iter().filter(|group| !group.is_taken) {
        let mut apps_of = apps.iter();
        let Some(first) = apps_of.next() else {
            continue;
        };
        // What bears the id of the group in the end keeps its own until then, for warnings.
        let whole = apps_of.fold(App::clone(first), |first, app| {
            pair(&first, app, &mut merged.warnings)
        });
        let ids = apps.iter().map(|app| app.id.clone());
        merged.origins.insert(id.clone(), ids.collect());
        merged.apps.push(Arc::new(App { id, ..whole }));
    }
    if members == Members::OfFolder {
        for warning in apps.iter().flat_map(|app| misread(app)) {
            let is_same =
                |told: &Warning| told.app == warning.app && told.subject == warning.subject;
            if !merged.warnings.iter().any(is_same) {
                merged.warnings.push(warning);
            }
        }
    }
    merged
}

/// The deployments; all other apps are in `merged` then.
fn grouped(apps: &[Arc<App>], members: Members, merged: &mut Merged) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut positions: BTreeMap<AppId, usize> = BTreeMap::new();
    for app in apps {
        let named = app.labels.get(GROUP);
        let id = named.and_then(|group| id_of(app, group, members));
        let Some(id) = id else {
            if named.is_some_and(|group| group.is_empty()) {
                merged.warnings.push(nameless(app));
            }
            merged.apps.push(Arc::clone(app));
            continue;
        };
        let at = *positions.entry(id.clone()).or_insert_with(|| {
            groups.push(Group {
                id,
                apps: Vec::new(),
                is_taken: false,
            });
            groups.len() - 1
        });
        groups[at].apps.push(Arc::clone(app));
    }
    // An app that is served on its own after all may bear the id of another group.
    let mut alone: Vec<AppId> = merged.apps.iter().map(|app| app.id.clone()).collect();
    while let Some(id) = alone.pop() {
        if let Some(at) = positions.remove(&id) {
            groups[at].is_taken = true;
            if members == Members::OfFolder {
                alone.extend(groups[at].apps.iter().map(|app| app.id.clone()));
            }
        }
    }
    groups
}

/// The id of the deployment that an app names, if it may.
fn id_of(app: &App, group: &str, members: Members) -> Option<AppId> {
    if group.is_empty() {
        return None;
    }
    let id = AppId::new(group);
    let folder = app.id.folder();
    if members == Members::OfAll {
        return Some(id);
    }
    if !is_name(group) {
        return None;
    }
    if id.folder() == folder {
        return Some(id);
    }
    let is_alone = !group.contains('/');
    is_alone.then(|| AppId::new(&format!("{}/{group}", folder.trim_end_matches('/'))))
}

/// As Marathon writes ids, but for capitals. `_` is none of it, since sections are named with that
/// for `/`: such a name could be that of an app in another folder.
fn is_name(group: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b".-".contains(&byte);
    let mut parts = group.strip_prefix('/').unwrap_or(group).split('/');
    parts.all(|part| !part.is_empty() && part.bytes().all(is_part))
}

/// An app, and the name of its deployment as it says it.
type Member<'a> = (&'a Arc<App>, &'a str);

/// An app, the name of its deployment as it says it, and the id in its folder where it may be one.
type Named<'a> = (&'a Arc<App>, &'a str, Option<AppId>);

fn named(apps: &[Arc<App>]) -> Vec<Named<'_>> {
    let named = apps.iter().filter_map(|app| {
        let group = app.labels.get(GROUP).filter(|group| !group.is_empty())?;
        Some((app, &**group, id_of(app, group, Members::OfFolder)))
    });
    named.collect()
}

/// Members by the last part of the name and by folder: a path has to lie in the folder of the app.
fn by_folder<'n>(named: &'n [Named<'n>]) -> BTreeMap<&'n str, BTreeMap<&'n str, Vec<Member<'n>>>> {
    let mut folders: BTreeMap<&str, BTreeMap<&str, Vec<Member<'_>>>> = BTreeMap::new();
    for (app, group, id) in named {
        let Some(id) = id else { continue };
        let name = id.as_str().rsplit('/').next().unwrap_or_default();
        let folders = folders.entry(name).or_default();
        folders
            .entry(app.id.folder())
            .or_default()
            .push((app, group));
    }
    folders
}

/// Names that deployments of several folders have, of which each has its own, and the first app of
/// each: as it may be, but somebody could mean one deployment. Who is alone with such a name in his
/// folder is warned by [`merge`].
#[must_use]
pub fn shared_names(apps: &[Arc<App>]) -> Vec<(String, Vec<AppId>)> {
    let named = named(apps);
    let of_names = by_folder(&named).into_iter().filter_map(|(name, folders)| {
        let first = |members: &Vec<Member<'_>>| {
            let apps = members.iter().map(|(app, _)| &app.id);
            apps.min().filter(|_| members.len() > 1).cloned()
        };
        let firsts: Vec<AppId> = folders.values().filter_map(first).collect();
        (firsts.len() > 1).then(|| (name.to_owned(), firsts))
    });
    of_names.collect()
}

/// Who names a deployment of another folder; and who is alone with a name that others have there, as
/// if that were to be one deployment.
fn strangers(apps: &[Arc<App>]) -> Vec<Warning> {
    let named = named(apps);
    let mut firsts: BTreeMap<&AppId, &Arc<App>> = BTreeMap::new();
    for (app, _, id) in &named {
        let Some(id) = id else { continue };
        let first = firsts.entry(id).or_insert(app);
        if app.id < first.id {
            *first = app;
        }
    }
    let folders = by_folder(&named);
    let mut warnings = Vec::new();
    for (app, group, id) in &named {
        if id.is_none() {
            let home = AppId::new(group);
            warnings.push(if is_name(group) {
                elsewhere(app, &home, firsts.get(&home).copied())
            } else {
                misnamed(app, group)
            });
        }
    }
    for of_name in folders.values() {
        // Where all are alone, the first one has a right to the name.
        let are_all_alone = of_name.values().all(|members| members.len() == 1);
        for (folder, members) in of_name.iter().skip(usize::from(are_all_alone)) {
            let [(app, group)] = &members[..] else {
                continue;
            };
            let mut others = of_name.iter().filter(|(other, _)| *other != folder);
            let other = others.find_map(|(_, members)| {
                let apps = members.iter().map(|(app, _)| app);
                apps.min_by_key(|app| &app.id)
            });
            warnings.extend(other.map(|other| namesake(app, group, other)));
        }
    }
    warnings
}

/// `first` is listed before `second`, or is what came of earlier ones, with the id of whose
/// definition it has.
fn pair(first: &App, second: &App, warnings: &mut Vec<Warning>) -> App {
    match roles(first, second) {
        Ok(roles) => drained(&roles, !second.health_checks.is_empty()),
        Err(warning) => {
            warnings.push(warning);
            joined(first, sorted(&first.tasks), second)
        }
    }
}

/// Who goes and who comes, and how many tasks there shall be in the end.
struct Roles<'a> {
    old: &'a App,
    new: &'a App,
    target: i64,
}

fn roles<'a>(first: &'a App, second: &'a App) -> Result<Roles<'a>, Warning> {
    let (mut old, mut new) = if started_at(first)? < started_at(second)? {
        (first, second)
    } else {
        (second, first)
    };
    if !new.labels.contains_key(NEW_INSTANCES) {
        return Ok(Roles {
            old,
            new,
            target: 1,
        });
    }
    if old.last_scaling_at > new.last_scaling_at {
        (old, new) = (new, old);
    }
    Ok(Roles {
        old,
        new,
        target: target(new)?,
    })
}

fn drained(roles: &Roles<'_>, checked: bool) -> App {
    let Roles { old, new, target } = roles;
    let ready = if checked {
        new.tasks.iter().filter(|task| is_alive(task)).count() as u64
    } else {
        new.instances
    };
    let instances = i64::try_from(ready.saturating_add(old.instances)).unwrap_or(i64::MAX);
    let spare = u64::try_from(instances.saturating_sub(*target)).unwrap_or(0);
    let count = usize::try_from(ready.min(spare)).unwrap_or(usize::MAX);
    let mut tasks = sorted(&old.tasks);
    for task in tasks.iter_mut().take(count) {
        task.draining = true;
    }
    joined(old, tasks, new)
}

fn joined(definition: &App, mut tasks: Vec<Task>, other: &App) -> App {
    tasks.extend(other.tasks.iter().cloned());
    App {
        tasks,
        ..definition.clone()
    }
}

fn sorted(tasks: &[Task]) -> Vec<Task> {
    let mut tasks = tasks.to_vec();
    tasks.sort_by(|one, other| one.id.cmp(&other.id));
    tasks
}

fn is_alive(task: &Task) -> bool {
    let results = task.health.iter().flatten();
    results.into_iter().any(|result| result.alive)
}

fn nameless(app: &App) -> Warning {
    Warning {
        effect: "served as an app of its own".to_owned(),
        ..unreadable(
            app,
            GROUP,
            "no text",
            "the name that the apps of a deployment share",
        )
    }
}

fn label(app: &AppId, found: String, expected: String, effect: String) -> Warning {
    Warning {
        app: Some(app.clone()),
        subject: format!("label `{GROUP}`"),
        found,
        expected,
        effect,
    }
}

fn taken(group: &Group, members: Members) -> Warning {
    let Group { id, apps, .. } = group;
    let found = format!("`{id}`, which is also the id of an app without that label");
    let expected = "a name that no other app bears".to_owned();
    match (members, &apps[..]) {
        (Members::OfFolder, [first, rest @ ..]) => {
            let found = format!("`{id}`, which is the id of an app that is none of the deployment");
            let effect = match rest.len() {
                0 => "served as an app of its own".to_owned(),
                more => {
                    format!("this app and {more} more of the deployment are served on their own")
                }
            };
            label(&first.id, found, expected, effect)
        }
        _ => label(
            id,
            found,
            expected,
            "the apps of the deployment are not served".to_owned(),
        ),
    }
}

fn misnamed(app: &App, group: &str) -> Warning {
    let found = format!("`{}`", group.escape_debug());
    let expected = "a name of letters, digits, `.` and `-`, or with that the id of an app in the \
                    same folder";
    let effect = "served as an app of its own".to_owned();
    label(&app.id, found, expected.to_owned(), effect)
}

/// For an app that names what lies in another folder, perhaps a deployment there.
fn elsewhere(app: &App, id: &AppId, first: Option<&Arc<App>>) -> Warning {
    let (own, folder) = (app.id.folder(), id.folder());
    let id = id.as_str().escape_debug();
    let found = match first {
        Some(first) => format!(
            "`{id}`, a deployment of folder `{folder}`, to which app `{}` belongs",
            first.id
        ),
        None => format!("`{id}`, which lies in folder `{folder}`"),
    };
    let expected = format!("a name in folder `{own}`");
    let effect = "served as an app of its own".to_owned();
    label(&app.id, found, expected, effect)
}

/// For an app that names a deployment as an app in another folder does.
fn namesake(app: &App, group: &str, other: &App) -> Warning {
    let found = format!(
        "`{}` in folder `{}`, which app `{}` in folder `{}` names too",
        group.escape_debug(),
        app.id.folder(),
        other.id,
        other.id.folder()
    );
    let expected = "apps of one folder: only those are one deployment".to_owned();
    let effect = "each folder is served on its own".to_owned();
    label(&app.id, found, expected, effect)
}

#[cfg(test)]
mod tests;
