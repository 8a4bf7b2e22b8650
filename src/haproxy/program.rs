//! Where the program `haproxy` lies and which version it is.
//!
//! In comes a name or path; out goes a path that can be run under cron, whose `PATH` lacks the
//! `sbin` folders.

use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::io::Errno;

use super::Version;
use super::child::{Child, Finished, RunError, printed};
use super::package::{OsRelease, PackageManager};

/// Where programs lie; searched after `PATH`.
pub const FOLDERS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// `PATH` of this process, and the `sbin` folders that cron leaves out.
#[must_use]
pub fn search_path() -> OsString {
    let own = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = env::split_paths(&own)
        .filter(|folder| !folder.as_os_str().is_empty())
        .collect();
    for folder in FOLDERS.map(PathBuf::from) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    // Folders that were split at the separator have none inside, so joining cannot fail.
    env::join_paths(folders).unwrap_or(own)
}

/// Finds `name` in `path`; a name with a slash is a path already.
#[must_use]
pub fn find_in(name: &Path, path: &OsStr) -> Option<PathBuf> {
    if name.components().count() > 1 {
        return can_run(name).then(|| name.to_owned());
    }
    env::split_paths(path)
        .map(|folder| folder.join(name))
        .find(|candidate| can_run(candidate))
}

/// Where [`find`] looks, the first that counts first.
#[must_use]
pub fn places(name: &Path) -> Vec<PathBuf> {
    if name.components().count() > 1 {
        return vec![name.to_owned()];
    }
    let folders: Vec<PathBuf> = env::split_paths(&search_path()).collect();
    folders.iter().map(|folder| folder.join(name)).collect()
}

fn can_run(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// Whether the program at `path` has no other rights than who starts it, as far as can be told: a script
/// may ask others to start it, and a file can bring rights of its own.
#[must_use]
pub fn brings_no_rights(path: &Path) -> bool {
    const OF_OTHERS: u32 = 0o6000;
    let has_capabilities = || {
        let found = rustix::fs::getxattr(path, "security.capability", &mut [0_u8; 64][..]);
        !matches!(found, Err(Errno::NODATA | Errno::OPNOTSUPP))
    };
    let is_setuid =
        || fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & OF_OTHERS != 0);
    is_native(path).unwrap_or(false) && !is_setuid() && !has_capabilities()
}

/// Whether the kernel runs it itself.
fn is_native(path: &Path) -> io::Result<bool> {
    let mut begin = [0; 4];
    File::open(path)?.read_exact(&mut begin)?;
    Ok(begin == *b"\x7fELF")
}

/// Finds HAProxy.
///
/// # Errors
///
/// When it is not installed; the message says how it would be.
pub fn find(name: &Path) -> Result<PathBuf, NotInstalled> {
    find_in(name, &search_path()).ok_or_else(|| {
        let os_release = fs::read_to_string("/etc/os-release")
            .or_else(|_| fs::read_to_string("/usr/lib/os-release"))
            .unwrap_or_default();
        NotInstalled {
            name: name.to_owned(),
            fault: fault_of(name),
            package_command: PackageManager::of(OsRelease(&os_release))
                .map(PackageManager::command),
        }
    })
}

/// What is wrong with a path at which something lies.
fn fault_of(name: &Path) -> Option<&'static str> {
    let meta = fs::metadata(name).ok();
    let meta = meta.filter(|_| name.components().count() > 1)?;
    Some(if meta.is_file() {
        "may not be executed"
    } else {
        "is no file"
    })
}

/// There is no such program on this host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotInstalled {
    /// What was looked for.
    pub name: PathBuf,
    /// Something lies there, and cannot be run for this reason.
    pub fault: Option<&'static str>,
    /// What installs it here; `None` on a system that we do not know.
    pub package_command: Option<&'static str>,
}

impl fmt::Display for NotInstalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(fault) = self.fault {
            let name = self.name.display();
            return write!(
                f,
                "HAProxy cannot be run: `{name}`, as named by --haproxy, {fault}; expected the \
                 program, with the right to execute it"
            );
        }
        write!(
            f,
            "HAProxy is not installed: found no program `{}`; ",
            self.name.display()
        )?;
        match self.package_command {
            Some(command) => write!(f, "install it with `{command}`, or name it with --haproxy"),
            None => f.write_str("install the package `haproxy`, or name it with --haproxy"),
        }
    }
}

impl std::error::Error for NotInstalled {}

/// Why the version is not known.
#[derive(Debug)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum VersionError {
    Run(RunError),
    NoVersion {
        program: PathBuf,
        /// How it ended, where it did not end well.
        failure: Option<String>,
        output: String,
    },
}

impl VersionError {
    pub(super) fn of(program: &Path, finished: &Finished) -> Self {
        Self::NoVersion {
            program: program.to_owned(),
            failure: finished.failure(),
            output: finished.output(),
        }
    }
}

impl fmt::Display for VersionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(error) => error.fmt(f),
            Self::NoVersion {
                program,
                failure,
                output,
            } => {
                let program = program.display();
                write!(f, "`{program} -v` told no version of HAProxy")?;
                if let Some(failure) = failure {
                    write!(f, " ({failure})")?;
                }
                write!(f, "; {}", printed(output))
            }
        }
    }
}

/// Without a source: the message says it already.
impl std::error::Error for VersionError {}

/// Asks `program -v`.
///
/// # Errors
///
/// When it cannot be run within `limit`, or prints no version.
pub async fn version(program: &Path, limit: Duration) -> Result<Version, VersionError> {
    let finished = Child::new(program, limit)
        .arg("-v")
        .run()
        .await
        .map_err(VersionError::Run)?;
    Version::from_banner(&finished.stdout).ok_or_else(|| VersionError::of(program, &finished))
}

/// What it was built with, as `program -vv` tells: `OPENSSL`, `LUA` …
///
/// # Errors
///
/// When it cannot be run within `limit`.
pub async fn features(program: &Path, limit: Duration) -> Result<BTreeSet<String>, VersionError> {
    let finished = Child::new(program, limit)
        .arg("-vv")
        .run()
        .await
        .map_err(VersionError::Run)?;
    Ok(features_in(&finished.stdout))
}

/// Before 2.2 there was no such list, but the lines of it were there.
fn features_in(output: &str) -> BTreeSet<String> {
    let lines = output.lines();
    let list = lines.filter_map(|line| line.trim_start().strip_prefix("Feature list :"));
    let words = list.flat_map(str::split_ascii_whitespace);
    let listed = words.filter_map(|word| word.strip_prefix('+'));
    let older = [
        ("OPENSSL", "Built with OpenSSL version"),
        ("LUA", "Built with Lua version"),
    ];
    let older = older.into_iter().filter(|(_, line)| output.contains(line));
    let all = listed.chain(older.map(|(name, _)| name));
    all.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sbin_is_searched_though_path_lacks_it() {
        let folders: Vec<PathBuf> = env::split_paths(&search_path()).collect();
        assert!(folders.contains(&PathBuf::from("/usr/sbin")), "{folders:?}");
        assert!(
            folders.contains(&PathBuf::from("/usr/local/sbin")),
            "{folders:?}"
        );
    }

    #[test]
    fn a_missing_program_is_named_with_the_way_out() {
        let error = find(Path::new("/nowhere/haproxy")).unwrap_err().to_string();
        assert!(error.starts_with("HAProxy is not installed: found no program `/nowhere/haproxy`"));
        assert!(error.contains("install"), "{error}");
    }

    #[test]
    fn what_cannot_be_run_is_not_found() {
        let folder = tempfile::tempdir().unwrap();
        let named = |path: &Path| find(path).unwrap_err().to_string();
        assert!(named(folder.path()).contains("is no file"));
        fs::write(folder.path().join("haproxy"), "text").unwrap();
        assert_eq!(
            find_in(Path::new("haproxy"), folder.path().as_os_str()),
            None
        );
        let error = named(&folder.path().join("haproxy"));
        assert!(error.contains("may not be executed"), "{error}");
        assert!(!error.contains("not installed"), "{error}");
    }

    #[test]
    fn features_are_read_from_lists_and_from_lines_of_old() {
        let new = "HAProxy version 2.6.12\nFeature list : +EPOLL -KQUEUE +OPENSSL +LUA\n";
        let has = |text: &str, name: &str| features_in(text).contains(name);
        assert!(has(new, "OPENSSL") && has(new, "LUA") && !has(new, "KQUEUE"));
        let old = "HA-Proxy version 1.8.19\nBuilt with OpenSSL version : OpenSSL 1.1.1a\n";
        assert!(has(old, "OPENSSL") && !has(old, "LUA"));
    }

    #[tokio::test]
    async fn the_installed_haproxy_tells_its_version() {
        let program = find(Path::new("haproxy")).unwrap();
        let version = version(&program, Duration::from_secs(20)).await.unwrap();
        assert!(version >= Version::new(1, 5), "{version}");
    }

    #[tokio::test]
    async fn a_program_that_is_not_haproxy_is_quoted() {
        let error = version(Path::new("/bin/echo"), Duration::from_secs(20))
            .await
            .unwrap_err();
        let text = error.to_string();
        assert_eq!(
            text,
            "`/bin/echo -v` told no version of HAProxy; it printed: -v"
        );
    }

    #[test]
    fn scripts_and_files_with_rights_of_their_own_are_told_from_programs() {
        let folder = tempfile::tempdir().unwrap();
        let made = |name: &str, begin: &[u8], mode| {
            let path = folder.path().join(name);
            fs::write(&path, begin).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        assert!(brings_no_rights(&made("plain", b"\x7fELF", 0o755)));
        assert!(!brings_no_rights(&made("script", b"#!/bin/sh\n", 0o755)));
        assert!(!brings_no_rights(&made("setuid", b"\x7fELF", 0o4755)));
        assert!(!brings_no_rights(&folder.path().join("missing")));
    }
}
