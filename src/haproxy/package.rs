//! Which package manager a system has, told by its `os-release`, and how it brings a package.

/// The text of `/etc/os-release`.
#[derive(Clone, Copy, Debug)]
pub struct OsRelease<'a>(pub &'a str);

impl<'a> OsRelease<'a> {
    /// What stands behind `key=`, without quotes.
    #[must_use]
    pub fn value(self, key: &str) -> Option<&'a str> {
        self.0.lines().find_map(|line| {
            let value = line.strip_prefix(key)?.strip_prefix('=')?;
            Some(value.trim().trim_matches(['"', '\'']))
        })
    }

    /// As people call the system.
    #[must_use]
    pub fn name(self) -> Option<&'a str> {
        self.value("PRETTY_NAME").or_else(|| self.value("ID"))
    }
}

/// What brings packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum PackageManager {
    AptGet,
    Dnf,
    Yum,
    Zypper,
    Apk,
    Pacman,
}

impl PackageManager {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::AptGet,
        Self::Dnf,
        Self::Yum,
        Self::Zypper,
        Self::Apk,
        Self::Pacman,
    ];

    /// That of the system which names itself by `ID` or, as one of a family, by `ID_LIKE`.
    #[must_use]
    pub fn of(os_release: OsRelease<'_>) -> Option<Self> {
        let like = os_release.value("ID_LIKE").unwrap_or_default();
        let names = os_release.value("ID").into_iter().chain(like.split(' '));
        names.into_iter().find_map(|name| match name {
            "debian" | "ubuntu" => Some(Self::AptGet),
            "fedora" => Some(Self::Dnf),
            "rhel" | "centos" | "amzn" | "ol" => Some(Self::Yum),
            "suse" | "sles" | "opensuse" => Some(Self::Zypper),
            "alpine" => Some(Self::Apk),
            "arch" => Some(Self::Pacman),
            _ => None,
        })
    }

    /// Its program.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::AptGet => "apt-get",
            Self::Dnf => "dnf",
            Self::Yum => "yum",
            Self::Zypper => "zypper",
            Self::Apk => "apk",
            Self::Pacman => "pacman",
        }
    }

    /// What a person types to install HAProxy.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Self::AptGet => "apt-get install haproxy",
            Self::Dnf => "dnf install haproxy",
            Self::Yum => "yum install haproxy",
            Self::Zypper => "zypper install haproxy",
            Self::Apk => "apk add haproxy",
            Self::Pacman => "pacman -S haproxy",
        }
    }

    /// What has it learn which packages there are.
    #[must_use]
    pub fn update(self) -> Vec<&'static str> {
        match self {
            Self::Pacman => vec!["pacman", "-Sy", "--noconfirm"],
            Self::Zypper => vec!["zypper", "--non-interactive", "refresh"],
            Self::Dnf | Self::Yum => vec![self.program(), "makecache"],
            Self::AptGet | Self::Apk => vec![self.program(), "update"],
        }
    }

    /// What installs `package` while nobody is there to answer. Signatures are checked as always.
    #[must_use]
    pub fn install(self, package: &str) -> Vec<&str> {
        let mut words = match self {
            Self::AptGet => vec!["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"],
            other => vec![other.program()],
        };
        words.extend(match self {
            // A mail server is recommended beside cron.
            Self::AptGet => ["install", "-y", "--no-install-recommends"].as_slice(),
            Self::Dnf | Self::Yum => &["install", "-y"],
            Self::Zypper => &["--non-interactive", "install", "--auto-agree-with-licenses"],
            Self::Apk => &["add"],
            Self::Pacman => &["-S", "--needed", "--noconfirm"],
        });
        words.push(package);
        words
    }

    /// The package with a cron daemon that reads `/etc/cron.d`, and the name of its service.
    #[must_use]
    pub const fn cron(self) -> (&'static str, &'static str) {
        match self {
            Self::AptGet => ("cron", "cron"),
            Self::Dnf | Self::Yum => ("cronie", "crond"),
            Self::Zypper => ("cronie", "cron"),
            Self::Apk | Self::Pacman => ("cronie", "cronie"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_distribution_has_its_package_manager() {
        for (os_release, want) in [
            (
                "NAME=\"Debian GNU/Linux\"\nID=debian\n",
                Some("apt-get install haproxy"),
            ),
            (
                "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n",
                Some("apt-get install haproxy"),
            ),
            (
                "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n",
                Some("yum install haproxy"),
            ),
            ("ID=fedora\n", Some("dnf install haproxy")),
            (
                "ID=\"amzn\"\nID_LIKE=\"fedora\"\n",
                Some("yum install haproxy"),
            ),
            (
                "ID=\"opensuse-leap\"\nID_LIKE=\"suse opensuse\"\n",
                Some("zypper install haproxy"),
            ),
            ("ID=alpine\n", Some("apk add haproxy")),
            ("ID=manjaro\nID_LIKE=arch\n", Some("pacman -S haproxy")),
            ("ID=plan9\n", None),
            ("", None),
        ] {
            let found = PackageManager::of(OsRelease(os_release));
            assert_eq!(found.map(PackageManager::command), want, "{os_release}");
        }
    }

    #[test]
    fn nobody_is_asked_and_signatures_are_checked() {
        for manager in PackageManager::ALL {
            let words = manager.install("haproxy").join(" ");
            assert!(words.ends_with(" haproxy"), "{words}");
            for word in ["gpg", "unauthenticated", "untrusted"] {
                assert!(!words.contains(word), "{words}");
            }
        }
        let words = PackageManager::AptGet.install("cron").join(" ");
        let want = "env DEBIAN_FRONTEND=noninteractive apt-get install -y \
                    --no-install-recommends cron";
        assert_eq!(words, want);
    }
}
