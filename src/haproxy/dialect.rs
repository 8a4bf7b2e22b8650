//! What a HAProxy understands: its version, and what it was built with.

use std::path::Path;
use std::time::Duration;

use super::Version;
use super::child::Child;
use super::program::VersionError;

/// What decides which directives a file may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// Its version.
    pub version: Version,
    /// Whether it can answer `/metrics`.
    pub prometheus_exporter: bool,
    /// Whether its regular expressions are those of Perl.
    pub pcre: bool,
}

impl Dialect {
    /// A HAProxy of this version as distributions build it.
    #[must_use]
    pub const fn of(version: Version) -> Self {
        Self {
            version,
            prometheus_exporter: true,
            pcre: true,
        }
    }

    /// Reads what `haproxy -vv` prints.
    #[must_use]
    pub fn from_build(output: &str) -> Option<Self> {
        Some(Self {
            version: Version::from_banner(output)?,
            prometheus_exporter: output.contains("Prometheus exporter"),
            pcre: output.contains("Built with PCRE"),
        })
    }

    /// Asks `program -vv`.
    ///
    /// # Errors
    ///
    /// When it cannot be run within `limit`, or prints no version.
    pub async fn ask(program: &Path, limit: Duration) -> Result<Self, VersionError> {
        let finished = Child::new(program, limit)
            .arg("-vv")
            .run()
            .await
            .map_err(VersionError::Run)?;
        Self::from_build(&finished.stdout).ok_or_else(|| VersionError::of(program, &finished))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_built_in_is_read() {
        let banner = "HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\n";
        let read = |rest: &str| Dialect::from_build(&format!("{banner}{rest}")).unwrap();
        let bare = read("Built without PCRE or PCRE2 support (using libc's regex instead)\n");
        assert!(!bare.pcre && !bare.prometheus_exporter);
        let full = read(
            "Built with the Prometheus exporter as a service\nBuilt with PCRE2 version : 10.42\n",
        );
        assert_eq!(full, Dialect::of(Version::new(2, 6)));
        assert_eq!(Dialect::from_build("no banner"), None);
    }
}
