//! The version of HAProxy and what follows from it for the files and commands we write.
//!
//! In comes what `haproxy -v` prints or a person typed; out goes an ordered `Version`.

use std::fmt;
use std::str::FromStr;

/// A branch of HAProxy: the two numbers that decide what it understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Version {
    pub major: u16,
    pub minor: u16,
}

impl Version {
    /// The newest branch known here; assumed where no HAProxy is installed.
    pub const NEWEST: Self = Self::new(3, 4);

    /// `major.minor`.
    #[must_use]
    pub const fn new(major: u16, minor: u16) -> Self {
        Self { major, minor }
    }

    /// Reads what `haproxy -v` prints: `HA-Proxy version 1.8.30-1 …` up to 2.3, `HAProxy version
    /// 2.4.0-…` since. Other lines, such as a packager's notice, are skipped.
    #[must_use]
    pub fn from_banner(output: &str) -> Option<Self> {
        output.lines().find_map(|line| {
            let (name, rest) = line.split_once(" version ")?;
            name.to_ascii_lowercase()
                .ends_with("proxy")
                .then(|| rest.parse().ok())?
        })
    }

    /// Whether `rspadd`, `reqirep` and `rspirep` exist; 2.1 took them away.
    #[must_use]
    pub fn has_rspadd(self) -> bool {
        self < Self::new(2, 1)
    }

    /// Whether an old process can hand its listening sockets over (`expose-fd listeners`, `-x`).
    #[must_use]
    pub fn has_expose_fd(self) -> bool {
        self >= Self::new(1, 8)
    }

    /// Whether limits that are too low keep HAProxy from starting unless `no strict-limits` says
    /// otherwise.
    #[must_use]
    pub fn has_strict_limits(self) -> bool {
        self >= Self::new(2, 3)
    }

    /// Whether `http-error` gives answers of one's own without a file.
    #[must_use]
    pub fn has_http_error(self) -> bool {
        self >= Self::new(2, 2)
    }

    /// Whether `option idle-close-on-response` exists in every release: a reload then closes no idle
    /// connection over which a client may just send a request. Late releases of 2.4 and 2.5 have it too.
    #[must_use]
    pub fn has_idle_close(self) -> bool {
        self >= Self::new(2, 6)
    }

    /// Whether servers can be added and taken away at runtime, without a mode for experiments.
    #[must_use]
    pub fn adds_servers(self) -> bool {
        self >= Self::new(2, 6)
    }

    /// Whether a server that is added at runtime can have a `cookie`, and gets a `dynamic` one by
    /// itself.
    #[must_use]
    pub fn adds_servers_with_cookies(self) -> bool {
        self >= Self::new(3, 0)
    }

    /// Whether servers can be added, but get no cookies by themselves.
    #[must_use]
    pub fn adds_servers_without_cookies(self) -> bool {
        self.adds_servers() && !self.adds_servers_with_cookies()
    }

    /// Whether `init-state` says what a server counts as until its checks have spoken.
    #[must_use]
    pub fn has_init_state(self) -> bool {
        self >= Self::new(3, 1)
    }

    /// Whether backends can be added and taken away at runtime.
    #[must_use]
    pub fn adds_backends(self) -> bool {
        self >= Self::new(3, 4)
    }

    /// Whether a frontend and a backend need names of their own: 3.2 warns where they share one, 3.3
    /// refuses it.
    #[must_use]
    pub fn parts_names(self) -> bool {
        self >= Self::new(3, 2)
    }

    /// Whether `reload` on the master socket answers only when the reload is over, and says how.
    #[must_use]
    pub fn has_sync_reload(self) -> bool {
        self >= Self::new(2, 7)
    }
}

impl From<(u16, u16)> for Version {
    fn from((major, minor): (u16, u16)) -> Self {
        Self::new(major, minor)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A text that does not begin with `X.Y`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotAVersion(String);

impl fmt::Display for NotAVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not a version of HAProxy, expected X.Y such as 2.6",
            self.0
        )
    }
}

impl std::error::Error for NotAVersion {}

impl FromStr for Version {
    type Err = NotAVersion;

    /// Reads `2.6`, `2.6.12-1+deb12u4 …`, `3.0-dev7-…`: what comes after the two numbers is not
    /// looked at, but must not be more digits.
    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let numbers = || {
            let (major, rest) = text.trim().split_once('.')?;
            let digits = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            Some(Self::new(major.parse().ok()?, rest[..digits].parse().ok()?))
        };
        numbers().ok_or_else(|| NotAVersion(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banners_of_all_branches_are_read() {
        for (banner, want) in [
            (
                "HA-Proxy version 1.5.18 2016/05/10\nCopyright 2000-2016 Willy Tarreau\n",
                (1, 5),
            ),
            ("HA-Proxy version 1.8.30-1~bpo9+1 2021/04/13\n", (1, 8)),
            (
                "HA-Proxy version 2.0.33 2023/11/09 - https://haproxy.org/\n",
                (2, 0),
            ),
            (
                "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\n",
                (2, 6),
            ),
            ("HAProxy version 3.0-dev7-a088d3-4 2024/04/06\n", (3, 0)),
            (
                "warning: no CPU affinity\nHAProxy version 3.4.0-1 2026/06/01\n",
                (3, 4),
            ),
            ("HAProxy version 2.10.1 2030/01/01\n", (2, 10)),
        ] {
            assert_eq!(Version::from_banner(banner), Some(want.into()), "{banner}");
        }
    }

    #[test]
    fn what_is_not_a_banner_gives_no_version() {
        for text in [
            "",
            "nginx version: nginx/1.22.1",
            "HAProxy version unknown",
            "Python 3.11",
        ] {
            assert_eq!(Version::from_banner(text), None, "{text}");
        }
    }

    #[test]
    fn versions_are_ordered_by_number_and_not_by_text() {
        assert!(Version::new(2, 10) > Version::new(2, 9));
        assert!(Version::new(1, 9) < Version::new(2, 0));
    }

    #[test]
    fn the_dialect_changes_at_the_documented_versions() {
        let facts = |text: &str| {
            let version: Version = text.parse().unwrap();
            (
                version.has_expose_fd(),
                version.has_rspadd(),
                version.has_sync_reload(),
            )
        };
        assert_eq!(facts("1.7"), (false, true, false));
        assert_eq!(facts("1.8"), (true, true, false));
        assert_eq!(facts("2.0"), (true, true, false));
        assert_eq!(facts("2.1"), (true, false, false));
        assert_eq!(facts("2.6"), (true, false, false));
        assert_eq!(facts("2.7"), (true, false, true));
        let facts = |text: &str| {
            let version: Version = text.parse().unwrap();
            (
                version.has_idle_close(),
                version.adds_servers_without_cookies(),
                version.adds_servers_with_cookies(),
                version.has_init_state(),
                version.parts_names(),
                version.adds_backends(),
            )
        };
        assert_eq!(facts("2.5"), (false, false, false, false, false, false));
        assert_eq!(facts("2.6"), (true, true, false, false, false, false));
        assert_eq!(facts("2.9"), (true, true, false, false, false, false));
        assert_eq!(facts("3.0"), (true, false, true, false, false, false));
        assert_eq!(facts("3.1"), (true, false, true, true, false, false));
        assert_eq!(facts("3.2"), (true, false, true, true, true, false));
        assert_eq!(facts("3.3"), (true, false, true, true, true, false));
        assert_eq!(facts("3.4"), (true, false, true, true, true, true));
        assert!(!Version::new(2, 5).adds_servers() && Version::new(2, 6).adds_servers());
    }

    #[test]
    fn a_wrong_version_is_quoted_with_what_was_expected() {
        let error = "two".parse::<Version>().unwrap_err().to_string();
        assert_eq!(
            error,
            "`two` is not a version of HAProxy, expected X.Y such as 2.6"
        );
        assert!("2".parse::<Version>().is_err());
        assert!("2.".parse::<Version>().is_err());
    }
}
