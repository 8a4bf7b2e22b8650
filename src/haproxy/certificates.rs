//! Which files of certificates and keys a configuration text has HAProxy read.
//!
//! In comes the text of `haproxy.cfg`; out go paths. HAProxy reads these files when it starts and
//! never again, so that whoever renews one has to have it reloaded.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::line::words;

/// What HAProxy looks for beside a certificate, by the ending that it appends.
const BESIDE: [&str; 7] = ["key", "ocsp", "issuer", "sctl", "rsa", "ecdsa", "dsa"];

/// A file or folder that HAProxy reads.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certificate {
    /// A certificate with whatever lies beside it, or a folder of them.
    Own(PathBuf),
    /// A list of certificates, as [`listed`] reads it.
    List {
        /// Where it lies.
        path: PathBuf,
        /// What its relative paths start from.
        base: PathBuf,
    },
    /// Certificates of others: authorities, and what they revoked.
    Others(PathBuf),
}

/// What `bind`, `server`, `default-server` and `load` lines of `text` name.
#[must_use]
pub fn certificates(text: &str) -> BTreeSet<Certificate> {
    let mut found = BTreeSet::new();
    let (mut crt_base, mut ca_base) = (PathBuf::new(), PathBuf::new());
    let candidates = text.lines().filter(|line| {
        ["crt", "ca-", "crl-file"]
            .iter()
            .any(|part| line.contains(part))
    });
    for line in candidates {
        let words = words(line);
        match words.first().map(String::as_str) {
            Some("crt-base") => crt_base = words.get(1).map(PathBuf::from).unwrap_or_default(),
            Some("ca-base") => ca_base = words.get(1).map(PathBuf::from).unwrap_or_default(),
            Some(keyword @ ("bind" | "server" | "default-server" | "load")) => {
                // Names and addresses come first, and may be any word.
                let options = match keyword {
                    "server" => 3,
                    "bind" => 2,
                    _ => 1,
                };
                for pair in words.get(options..).unwrap_or_default().windows(2) {
                    let (option, value) = (pair[0].as_str(), pair[1].as_str());
                    // Names that HAProxy knows by itself.
                    if value.starts_with('@') {
                        continue;
                    }
                    found.extend(match option {
                        "crt" => Some(Certificate::Own(crt_base.join(value))),
                        "crt-list" => Some(Certificate::List {
                            path: value.into(),
                            base: crt_base.clone(),
                        }),
                        "ca-file" | "ca-verify-file" | "ca-sign-file" | "crl-file" => {
                            Some(Certificate::Others(ca_base.join(value)))
                        }
                        _ => None,
                    });
                }
            }
            _ => (),
        }
    }
    found
}

/// The certificates of a `crt-list`: the first word of each line.
pub fn listed<'t>(text: &'t str, base: &'t Path) -> impl Iterator<Item = PathBuf> + 't {
    let lines = text.lines().map(str::trim_start);
    let lines = lines.filter(|line| !line.starts_with('#'));
    let files = lines.filter_map(|line| line.split_ascii_whitespace().next());
    files.map(move |file| base.join(file))
}

/// A certificate, and the files that HAProxy reads with it where they are there.
pub fn with_companions(path: &Path) -> impl Iterator<Item = PathBuf> {
    let beside = BESIDE.map(|ending| {
        let mut name = path.as_os_str().to_owned();
        name.push(".");
        name.push(ending);
        PathBuf::from(name)
    });
    // With `ssl-load-extra-del-ext` it lies beside `name.crt` as `name.key`.
    let own = [path.to_owned(), path.with_extension("key")];
    own.into_iter().chain(beside)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lines_name_is_found_below_its_base() {
        let own = |path: &str| Certificate::Own(path.into());
        let others = |path: &str| Certificate::Others(path.into());
        let list = Certificate::List {
            path: "/l".into(),
            base: "/certs".into(),
        };
        let text = r#"
global
  crt-base /certs
  ca-base /cas
frontend a
  bind *:443 ssl crt a.pem crt "/b c.pem" # crt no.pem
  bind *:444 ssl crt-list /l ca-file ca.pem crl-file /crl.pem
backend crt
  server crt 10.0.0.1:80 ssl ca-file @system-ca crt client.pem
  # bind *:445 ssl crt no.pem
"#;
        let want = [
            own("/b c.pem"),
            own("/certs/a.pem"),
            own("/certs/client.pem"),
            list,
            others("/cas/ca.pem"),
            others("/crl.pem"),
        ];
        assert_eq!(certificates(text), BTreeSet::from(want));
    }

    #[test]
    fn a_list_names_one_a_line() {
        let text = "# comment\na.pem [alpn h2] example.com\n\n  /b.pem\n";
        let files: Vec<PathBuf> = listed(text, Path::new("/certs")).collect();
        assert_eq!(files, [Path::new("/certs/a.pem"), Path::new("/b.pem")]);
    }

    #[test]
    fn a_key_may_lie_beside_its_certificate() {
        let all: Vec<PathBuf> = with_companions(Path::new("/a.crt")).collect();
        for path in ["/a.crt", "/a.key", "/a.crt.key", "/a.crt.ocsp"] {
            assert!(all.contains(&PathBuf::from(path)), "{path}");
        }
    }
}
