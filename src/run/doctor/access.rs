//! What is written by us, and what our units and cron may write.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;

use nix::unistd::{AccessFlags, Uid, User, access, getgrouplist};

use super::Finding;
use super::look::owner;
use crate::config::{Config, Schedule};
use crate::disk::{folder_of, user_name};
use crate::install::{InUse, ONCE, Real, SERVICE, also_written, has_user, kept_out};

const ABOUT: &str = "access";

/// What we may write, and what our units may.
pub(super) fn permissions(config: &Config, host: &Real, in_use: &[InUse]) -> Vec<Finding> {
    let folder = folder_of(&config.haproxy.config);
    let mut found = Vec::new();
    for path in [folder, &config.state.dir] {
        // What is missing is made.
        let there = path.ancestors().find(|path| path.exists()).unwrap_or(path);
        let shown = path.display();
        let may = access(there, AccessFlags::W_OK | AccessFlags::X_OK);
        found.push(match may {
            Ok(()) => Finding::ok(ABOUT, format!("`{shown}` can be written")),
            Err(error) => Finding::bad(
                ABOUT,
                format!(
                    "{} may not write to `{shown}`: {error}",
                    user_name(Uid::effective().as_raw())
                ),
                format!("call this as {}", owner(there)),
            ),
        });
    }
    let unit = in_use.iter().find_map(|one| match one.schedule {
        Schedule::Service => Some(SERVICE),
        Schedule::Timer => Some(ONCE),
        Schedule::Cron => None,
    });
    if let Some(unit) = unit
        && let Ok(facts) = fs::metadata(folder)
        && (facts.uid() != 0 || facts.mode() & 0o200 == 0)
        // Whose the folder then is.
        && !has_user(host, unit)
    {
        found.push(Finding::bad(
            ABOUT,
            format!(
                "`{}` belongs to {}: the unit `{unit}` may write to what is root's alone",
                folder.display(),
                user_name(facts.uid())
            ),
            format!("chown root {}", folder.display()),
        ));
    }
    if let Some(unit) = unit {
        found.extend(sandbox(config, host, unit));
    }
    found.extend(in_use.iter().filter_map(|one| line_of_cron(config, one)));
    found
}

/// A link leads the file out of its folder, or an option names another one.
fn sandbox(config: &Config, host: &Real, unit: &str) -> Option<Finding> {
    let mut folders = also_written(host, config);
    folders.push(folder_of(&config.haproxy.config).to_owned());
    folders.push(config.state.dir.clone());
    let kept_out: Vec<String> = kept_out(host, unit, &folders)
        .iter()
        .map(|folder| format!("`{}`", folder.display()))
        .collect();
    (!kept_out.is_empty()).then(|| {
        Finding::bad(
            ABOUT,
            format!(
                "the unit `{unit}` may not write to {}, where turns write",
                kept_out.join(" and ")
            ),
            if unit == SERVICE {
                "haproxy-marathon-bridge install --service, or ReadWritePaths= in a drop-in"
            } else {
                "haproxy-marathon-bridge install --timer, or ReadWritePaths= in a drop-in"
            },
        )
    })
}

/// Whether the user of the line for cron may do what it does.
fn line_of_cron(config: &Config, one: &InUse) -> Option<Finding> {
    let name = one.user.as_deref()?;
    let folder = folder_of(&config.haproxy.config);
    (!may_write(config, name)?).then(|| {
        let place = one.place.display();
        Finding::bad(
            ABOUT,
            format!(
                "`{place}` has turns taken by the user `{name}`, who may not write to `{}`",
                folder.display()
            ),
            format!("root in the place of {name} in {place}, or a folder of its own"),
        )
    })
}

/// Whether this user may put files beside `haproxy.cfg`, by the modes of its folder.
pub(super) fn may_write(config: &Config, name: &str) -> Option<bool> {
    let user = User::from_name(name).ok()??;
    let folder = folder_of(&config.haproxy.config);
    let facts = fs::metadata(folder).ok()?;
    let groups = getgrouplist(&CString::new(name).ok()?, user.gid).unwrap_or_default();
    let bit = if facts.uid() == user.uid.as_raw() {
        0o200
    } else if groups.iter().any(|group| group.as_raw() == facts.gid()) {
        0o020
    } else {
        0o002
    };
    Some(user.uid.is_root() || facts.mode() & bit != 0)
}
