//! What is to be known of a host before anything is planned for it.

use std::path::{Path, PathBuf};

use super::host::Look;
use super::service::{Init, program, unit};
use super::texts::is_as_installed;
use super::{PROGRAM, SERVICE, list};
use crate::haproxy::package::{OsRelease, PackageManager};

/// One of these brings what stands in `/etc/cron.d` to run. The crond of busybox does not read it.
const CRON_DAEMONS: [&str; 2] = ["cron", "crond"];

/// Facts about a host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Facts {
    /// Whether it is a tree, in which no command is run.
    pub is_tree: bool,
    /// As people call the system.
    pub system: String,
    /// What brings packages, where that is known.
    pub packages: Option<PackageManager>,
    /// Whether it knows of no package yet, as in a fresh image.
    pub packages_unknown: bool,
    /// What starts services.
    pub init: Init,
    /// Whether init scripts are enabled by `chkconfig`.
    pub has_chkconfig: bool,
    /// Whether HAProxy is installed.
    pub haproxy: bool,
    /// HAProxy's unit of systemd.
    pub haproxy_unit: Option<PathBuf>,
    /// Whether there is a group `haproxy`.
    pub haproxy_group: bool,
    /// Whether somebody reads `/etc/cron.d`.
    pub cron: bool,
    /// Whether the list names a Marathon.
    pub has_list: bool,
    /// Whether somebody wrote the file of options, or changed it.
    pub has_own_options: bool,
    /// Where a package put this program; its units came with it.
    pub packaged: Option<PathBuf>,
}

impl Facts {
    /// Looks. `started_as` is the program that runs.
    #[must_use]
    pub fn of(look: &dyn Look, is_tree: bool, started_as: &Path) -> Self {
        let text = |path: &str| {
            let found = look.file(Path::new(path)).ok().flatten();
            found.map(|found| String::from_utf8_lossy(&found.content).into_owned())
        };
        let os_release = text("/etc/os-release").or_else(|| text("/usr/lib/os-release"));
        let os_release = os_release.unwrap_or_default();
        let os_release = OsRelease(&os_release);
        let packages = PackageManager::of(os_release)
            .or_else(|| by_old_files(look, &text))
            .or_else(|| by_programs(look))
            .map(|manager| as_installed(look, manager));
        let init = Init::of(look, is_tree);
        let has_name = |text: &str| text.lines().any(|line| !without_comment(line).is_empty());
        let is_packaged = started_as.starts_with("/usr/bin") && !is_tree;
        Self {
            is_tree,
            system: os_release.name().unwrap_or("an unknown system").to_owned(),
            packages,
            packages_unknown: packages == Some(PackageManager::AptGet)
                && !look
                    .list(Path::new("/var/lib/apt/lists"))
                    .iter()
                    .any(|name| name.ends_with("_Packages") || name.contains("_Packages.")),
            init,
            has_chkconfig: program(look, "chkconfig").is_some(),
            haproxy: program(look, "haproxy").is_some(),
            haproxy_unit: unit(look, "haproxy.service"),
            haproxy_group: text("/etc/group")
                .is_some_and(|groups| groups.lines().any(|line| line.starts_with("haproxy:"))),
            cron: CRON_DAEMONS.iter().any(|name| reads_cron_d(look, name)),
            has_list: text(&list().display().to_string()).is_some_and(|text| has_name(&text)),
            has_own_options: text(&super::options().display().to_string())
                .is_some_and(|text| !is_as_installed(&text)),
            packaged: (is_packaged && unit(look, SERVICE).is_some()).then(|| started_as.to_owned()),
        }
    }

    /// Whether there is a group `haproxy`, or HAProxy's package is yet to bring it.
    pub(super) fn may_have_group(&self) -> bool {
        self.haproxy_group || !self.haproxy
    }

    /// Where the program lies that cron or systemd runs.
    #[must_use]
    pub fn program(&self) -> &Path {
        self.packaged.as_deref().unwrap_or(Path::new(PROGRAM))
    }
}

/// As `config` reads the list.
fn without_comment(line: &str) -> &str {
    line.split('#').next().unwrap_or_default().trim()
}

fn reads_cron_d(look: &dyn Look, name: &str) -> bool {
    let Some(path) = program(look, name) else {
        return false;
    };
    let is_busybox = look.link(&path).is_some_and(|to| to.ends_with("busybox"));
    !is_busybox
}

/// Systems older than `os-release` told themselves by files of their own. What `lsb_release` says stands
/// in one of them too.
fn by_old_files(look: &dyn Look, text: &dyn Fn(&str) -> Option<String>) -> Option<PackageManager> {
    let says = |path: &str, word: &str| text(path).is_some_and(|text| text.contains(word));
    let has = |path: &str| look.is_there(Path::new(path));
    if says("/etc/system-release", "Amazon Linux") {
        Some(PackageManager::Yum)
    } else if has("/etc/SuSE-release") {
        Some(PackageManager::Zypper)
    } else if has("/etc/fedora-release") {
        Some(PackageManager::Dnf)
    } else if has("/etc/redhat-release") {
        Some(PackageManager::Yum)
    } else if says("/etc/lsb-release", "Ubuntu") || has("/etc/debian_version") {
        Some(PackageManager::AptGet)
    } else if has("/etc/alpine-release") {
        Some(PackageManager::Apk)
    } else if has("/etc/arch-release") {
        Some(PackageManager::Pacman)
    } else {
        None
    }
}

fn by_programs(look: &dyn Look) -> Option<PackageManager> {
    let mut all = PackageManager::ALL.into_iter();
    all.find(|manager| program(look, manager.program()).is_some())
}

/// dnf came in the place of yum, and was there before that.
fn as_installed(look: &dyn Look, manager: PackageManager) -> PackageManager {
    let has = |manager: PackageManager| program(look, manager.program()).is_some();
    match manager {
        PackageManager::Yum if !has(manager) && has(PackageManager::Dnf) => PackageManager::Dnf,
        PackageManager::Dnf if !has(manager) && has(PackageManager::Yum) => PackageManager::Yum,
        other => other,
    }
}
