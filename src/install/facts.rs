//! What is to be known of a host before anything is planned for it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::host::Look;
use super::service::{CRONS, Init, PACKAGED_UNITS, program, unit};
use super::texts::{is_own, is_written_here};
use super::{HAPROXY, ONCE, PROGRAM, SERVICE, TIMER, UNITS, list, selinux};
use crate::haproxy::package::{OsRelease, PackageManager};

/// A package of this program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packaged {
    /// Where it put the program.
    pub program: PathBuf,
    /// The units that came with it, by their names.
    pub units: BTreeMap<&'static str, String>,
}

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
    /// HAProxy's program, where the options name another one than the package brings.
    pub own_haproxy: Option<PathBuf>,
    /// HAProxy's unit of systemd.
    pub haproxy_unit: Option<PathBuf>,
    /// Whether there is a group `haproxy`.
    pub haproxy_group: bool,
    /// Whether there is a user `haproxy`.
    pub haproxy_user: bool,
    /// Whether SELinux keeps it from most ports.
    pub haproxy_is_confined: bool,
    /// Whether somebody reads `/etc/cron.d`.
    pub cron: bool,
    /// Whether the list names a Marathon.
    pub has_list: bool,
    /// Whether somebody wrote the file of options, or changed it.
    pub has_own_options: bool,
    /// The package that brought this program.
    pub packaged: Option<Packaged>,
    /// Units of our names that stand before those of a package, and whether `install` wrote them.
    pub units_before: BTreeMap<&'static str, bool>,
}

impl Facts {
    /// Looks. `started_as` is the program that runs, `haproxy` the name or path of HAProxy's.
    #[must_use]
    pub fn of(look: &dyn Look, is_tree: bool, started_as: &Path, haproxy: &Path) -> Self {
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
        Self {
            is_tree,
            system: os_release.name().unwrap_or("an unknown system").to_owned(),
            packages,
            packages_unknown: packages.is_some_and(|manager| knows_no_package(look, manager)),
            init,
            has_chkconfig: program(look, "chkconfig").is_some(),
            haproxy: if haproxy.components().count() > 1 {
                look.is_there(haproxy)
            } else {
                haproxy
                    .to_str()
                    .is_some_and(|name| program(look, name).is_some())
            },
            own_haproxy: (haproxy != Path::new(HAPROXY)).then(|| haproxy.to_owned()),
            haproxy_unit: unit(look, "haproxy.service"),
            haproxy_group: text("/etc/group")
                .is_some_and(|groups| groups.lines().any(|line| line.starts_with("haproxy:"))),
            haproxy_user: text("/etc/passwd")
                .is_some_and(|users| users.lines().any(|line| line.starts_with("haproxy:"))),
            haproxy_is_confined: !is_tree && selinux::confines_haproxy(look),
            cron: CRONS.iter().any(|name| reads_cron_d(look, name)),
            has_list: text(&list().display().to_string()).is_some_and(|text| has_name(&text)),
            has_own_options: text(&super::options().display().to_string())
                .is_some_and(|text| is_own(&text)),
            packaged: packaged(&text, is_tree, started_as),
            units_before: OURS
                .into_iter()
                .filter_map(|name| {
                    Some((name, is_written_here(&text(&format!("{UNITS}/{name}"))?)))
                })
                .collect(),
        }
    }

    /// Whether there is a group `haproxy`, or HAProxy's package is yet to bring it.
    pub(super) fn may_have_group(&self) -> bool {
        self.haproxy_group || !self.haproxy
    }

    /// Whether HAProxy can serve as a user of its own, which its package brings.
    pub(super) const fn may_have_user(&self) -> bool {
        self.haproxy_user && self.haproxy_group || !self.haproxy && !self.is_tree
    }

    /// Where the program lies that cron or systemd runs.
    #[must_use]
    pub fn program(&self) -> &Path {
        let packaged = self.packaged.as_ref();
        packaged.map_or(Path::new(PROGRAM), |packaged| &packaged.program)
    }
}

/// All units that a package brings.
const OURS: [&str; 3] = [SERVICE, ONCE, TIMER];

/// A unit in another folder tells of no package: an earlier installation may have left it there.
fn packaged(
    text: &dyn Fn(&str) -> Option<String>,
    is_tree: bool,
    started_as: &Path,
) -> Option<Packaged> {
    if is_tree || !started_as.starts_with("/usr/bin") {
        return None;
    }
    let packaged = |name: &str| {
        let mut folders = PACKAGED_UNITS.iter();
        folders.find_map(|folder| text(&format!("{folder}/{name}")))
    };
    let units: BTreeMap<&str, String> = OURS
        .into_iter()
        .filter_map(|name| Some((name, packaged(name)?)))
        .collect();
    (!units.is_empty()).then(|| Packaged {
        program: started_as.to_owned(),
        units,
    })
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

/// As in a fresh image. The others fetch their lists by themselves.
fn knows_no_package(look: &dyn Look, manager: PackageManager) -> bool {
    let has_one = |folder: &str, is_list: fn(&str) -> bool| {
        let names = look.list(Path::new(folder));
        names.iter().any(|name| is_list(name))
    };
    match manager {
        PackageManager::AptGet => !has_one("/var/lib/apt/lists", |name| {
            name.ends_with("_Packages") || name.contains("_Packages.")
        }),
        PackageManager::Apk => !has_one("/var/cache/apk", |name| name.starts_with("APKINDEX.")),
        PackageManager::Pacman => !has_one("/var/lib/pacman/sync", |name| {
            Path::new(name).extension().is_some_and(|end| end == "db")
        }),
        PackageManager::Dnf | PackageManager::Yum | PackageManager::Zypper => false,
    }
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
