//! Which files of certificates and keys a configuration text has HAProxy read.
//!
//! In comes the text of `haproxy.cfg`; out go paths. HAProxy reads these files when it starts and
//! never again, so that whoever renews one has to tell it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use webpki::EndEntityCert;

use super::line::words;
use crate::disk::read_head;

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

/// The text of a `crt-list`, of a larger one its beginning; nothing where it cannot be read.
#[must_use]
pub fn list_text(path: &Path) -> String {
    let text = read_head(path, LARGEST_LIST).unwrap_or_default();
    String::from_utf8_lossy(&text).into_owned()
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

/// Lists of whole hosters are smaller.
const LARGEST_LIST: u64 = 64 << 20;

/// A chain with its key is smaller.
const LARGEST_CHAIN: u64 = 1 << 20;

/// So many files of a folder are read.
const MOST_OF_FOLDER: usize = 10_000;

/// HAProxy reads a line of a list into a buffer of so many bytes and more.
const LONGEST_LISTED: usize = 2048;

/// For which hosts HAProxy shows a certificate, or those of a folder: names, and `*.` before one, in
/// small letters. Of a path that is not absolute it lies below one of `bases`. Nothing where it
/// cannot be read, or bears its host as the common name alone.
#[must_use]
pub fn names(path: &str, bases: &[PathBuf]) -> BTreeSet<String> {
    let Some(place) = places(path, bases).find(|place| place.exists()) else {
        return BTreeSet::new();
    };
    let Ok(entries) = fs::read_dir(&place) else {
        return names_in(&place);
    };
    let entries = entries.take(MOST_OF_FOLDER).flatten();
    let files = entries.map(|entry| entry.path());
    files
        .filter(|file| !is_companion(file))
        .flat_map(|file| names_in(&file))
        .collect()
}

/// Those of `paths`, which may lie below `bases`, that may be lines of a `crt-list`: from 2.6 on HAProxy reads
/// a folder there without end, and 2.2 refuses it. What is not there may, since HAProxy tells of that itself.
#[must_use]
pub fn listable(paths: &[Box<str>], bases: &[PathBuf]) -> BTreeSet<Box<str>> {
    let is_folder = |path: &str| places(path, bases).any(|place| place.is_dir());
    // A line of a list knows no quotes: a blank ends the path there, and these have meanings of their own.
    let is_plain = |path: &str| {
        path.len() < LONGEST_LISTED
            && !path.contains(|c: char| c.is_whitespace() || "[]#".contains(c))
    };
    // One with `@` in front is a name that HAProxy knows by itself.
    let may = |path: &str| !path.starts_with('@') && is_plain(path) && !is_folder(path);
    let paths = paths.iter();
    paths.filter(|path| may(path)).cloned().collect()
}

fn names_in(file: &Path) -> BTreeSet<String> {
    names_of(file).unwrap_or_default()
}

/// Of the first certificate of a file: those behind it are of its issuers.
fn names_of(file: &Path) -> Option<BTreeSet<String>> {
    let text = head_of(file)?;
    let first = CertificateDer::pem_slice_iter(&text).next()?.ok()?;
    let certificate = EndEntityCert::try_from(&first).ok()?;
    let names = certificate.valid_dns_names();
    Some(names.map(str::to_ascii_lowercase).collect())
}

/// What a file of a certificate or key holds, as far as one has anything to say. It may be secret.
pub(crate) fn head_of(file: &Path) -> Option<Vec<u8>> {
    read_head(file, LARGEST_CHAIN).ok()
}

/// Where `path` may lie: an absolute one in one place.
pub(super) fn places(path: &str, bases: &[PathBuf]) -> impl Iterator<Item = PathBuf> {
    let path = PathBuf::from(path);
    let bases = if path.is_absolute() { &[] } else { bases };
    let below: Vec<PathBuf> = bases.iter().map(|base| base.join(&path)).collect();
    below.into_iter().chain([path])
}

/// By which `show ssl cert` tells the first certificate of `pem` from others: SHA-1, in capitals.
#[must_use]
pub fn fingerprint(pem: &[u8]) -> Option<String> {
    let first = CertificateDer::pem_slice_iter(pem).next()?.ok()?;
    let sum = digest(&SHA1_FOR_LEGACY_USE_ONLY, &first);
    Some(
        sum.as_ref()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect(),
    )
}

/// Whether HAProxy reads this file with a certificate that lies beside it.
pub(crate) fn is_companion(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| BESIDE.contains(&ending)) && path.with_extension("").is_file()
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
    fn a_certificate_is_shown_for_its_names_wherever_it_lies() {
        let made = rcgen::generate_simple_self_signed(vec![
            "Www.shop.test".to_owned(),
            "*.shop.test".to_owned(),
        ]);
        let made = made.unwrap();
        let folder = tempfile::tempdir().unwrap();
        // The key may stand first.
        let text = made.signing_key.serialize_pem() + &made.cert.pem();
        fs::write(folder.path().join("a.pem"), &text).unwrap();
        fs::write(folder.path().join("README"), "no certificate").unwrap();
        let want = ["*.shop.test", "www.shop.test"].map(str::to_owned);
        let want = BTreeSet::from(want);
        let bases = [folder.path().to_owned()];
        assert_eq!(names("a.pem", &bases), want);
        assert_eq!(names(folder.path().to_str().unwrap(), &[]), want);
        assert_eq!(names("README", &bases), BTreeSet::new());
        assert_eq!(names("none.pem", &bases), BTreeSet::new());
        nix::unistd::mkfifo(&folder.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(names("pipe", &bases), BTreeSet::new());
    }

    #[test]
    fn what_a_line_of_a_list_would_read_otherwise_stays_a_word() {
        let long = format!("/{}.pem", "a".repeat(LONGEST_LISTED));
        for (path, is_listable) in [
            ("/a.pem", true),
            ("/my certs/a.pem", false),
            ("/a.pem[]www.test", false),
            ("/a.pem#", false),
            ("@store/a.pem", false),
            (&*long, false),
        ] {
            let all = [Box::from(path)];
            assert_eq!(
                listable(&all, &[]).len(),
                usize::from(is_listable),
                "{path}"
            );
        }
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
