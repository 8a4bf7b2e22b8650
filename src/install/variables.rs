//! The variables that a job of cron's is given: by the host, by its crontab, and by its own words.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use super::called::{is_name, without_quotes};
use super::host::Look;
use super::service::hands_on_its_path;
use crate::haproxy::program::FOLDERS;

const PATH: &str = "PATH";
/// What cron(8) has as PATH, of Debian and of others, unless the crontab says another one.
const PATH_OF_CRON: &str = "/usr/bin:/bin";
/// Read by the PAM of most crons; a PATH in it does not count for them.
const OF_HOST: &str = "/etc/environment";

/// Those that are known to be set.
#[derive(Clone)]
pub(super) struct Variables {
    own: BTreeMap<String, String>,
    /// Those of the host and of cron count where none of them is of that name.
    inherits: bool,
    /// The shell may make anything of it.
    has_unknown_path: bool,
}

impl Variables {
    /// Those of a crontab that says none.
    pub(super) const fn of_cron() -> Self {
        Self {
            own: BTreeMap::new(),
            inherits: true,
            has_unknown_path: false,
        }
    }

    /// What `env -i` leaves.
    pub(super) fn none() -> Self {
        Self {
            inherits: false,
            ..Self::of_cron()
        }
    }

    /// What sudo leaves, unless it is told or configured otherwise.
    pub(super) fn of_sudo() -> Self {
        let mut variables = Self::none();
        variables.set_path_of_sudo();
        variables
    }

    /// It has one of its own (`secure_path`), about which nothing is known here.
    pub(super) fn set_path_of_sudo(&mut self) {
        self.own.insert(PATH.to_owned(), FOLDERS.join(":"));
        self.has_unknown_path = false;
    }

    /// By a line of a crontab, in which nothing is expanded; `false` where it is no such line.
    pub(super) fn read(&mut self, line: &str) -> bool {
        let Some((name, value)) = line.split_once('=') else {
            return false;
        };
        let name = without_quotes(name.trim());
        if is_name(name) {
            let value = without_quotes(value.trim());
            self.own.insert(name.to_owned(), value.to_owned());
        }
        is_name(name)
    }

    /// By a word of the shell.
    pub(super) fn assign(&mut self, name: &str, value: &str) {
        let mut value = value.to_owned();
        if name == PATH {
            let before = self.own.get(PATH).map_or(PATH_OF_CRON, String::as_str);
            value = value.replace("${PATH}", before).replace("$PATH", before);
            self.has_unknown_path |= value.contains(['$', '~']);
        }
        self.own.insert(name.to_owned(), value);
    }

    /// Where a program is looked for; `None` where that is not known.
    pub(super) fn path(&self, look: &dyn Look) -> Option<&str> {
        if self.has_unknown_path {
            return None;
        }
        match self.own.get(PATH) {
            Some(path) => Some(path),
            None if self.inherits && hands_on_its_path(look) => None,
            None => Some(PATH_OF_CRON),
        }
    }

    /// All of them, but for PATH.
    pub(super) fn all(&self, look: &dyn Look) -> BTreeMap<OsString, OsString> {
        let of_host = self.inherits.then(|| look.file(Path::new(OF_HOST)).ok()?);
        let of_host = of_host.flatten().map(|found| found.content);
        let of_host = String::from_utf8_lossy(of_host.as_deref().unwrap_or_default()).into_owned();
        let mut all = Self::none();
        for line in of_host.lines().map(str::trim_start) {
            all.read(line.strip_prefix("export ").unwrap_or(line));
        }
        all.own.extend(self.own.clone());
        let all = all.own.into_iter().filter(|(name, _)| name != PATH);
        all.map(|(name, value)| (name.into(), value.into()))
            .collect()
    }
}
