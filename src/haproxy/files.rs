//! Files that HAProxy reads because a line of its configuration names them, and whether it can.
//!
//! `haproxy -c` opens them and reads to their end, as well as what lies beside a certificate and what
//! a list of certificates names. A pipe or a device has no end, so that it waits or works for ever, and
//! names nobody.

mod in_list;

use std::collections::BTreeSet;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use self::in_list::in_list;
use super::Line;
use super::certificates::{is_companion, places, with_companions};
use crate::disk::{is_null, kind};

/// Certificates are smaller. HAProxy keeps what it reads in memory.
const LARGEST: u64 = 64 << 20;

/// A list is read here, and each of its files looked for under many names, while everybody waits.
const LARGEST_LIST: u64 = 4 << 20;

/// So many lines a list may have.
const MOST_LISTED: usize = 10_000;

/// In so many files of a folder it is looked for one that is too large.
const MOST_ENTRIES: usize = 10_000;

/// A file that a line names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NamedFile {
    /// As it is written there.
    pub path: String,
    /// What HAProxy reads with it.
    pub kind: Kind,
}

/// What HAProxy reads with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What lies beside a certificate: its key, its OCSP answer.
    Certificate,
    /// The certificates that a list names.
    List,
    /// Nothing.
    Other,
}

/// Keywords that a file follows, and the words between.
const KEYWORDS: [(&str, usize); 12] = [
    ("-f", 0),
    ("ca-file", 0),
    ("ca-sign-file", 0),
    ("ca-verify-file", 0),
    ("config", 0),
    ("crl-file", 0),
    ("crt", 0),
    ("crt-list", 0),
    ("errorfile", 1),
    ("file", 0),
    ("lf-file", 0),
    ("tls-ticket-keys", 0),
];

/// One of these is in every line that names a file.
const PARTS: [&str; 6] = ["crt", "file", "-f", "config", "keys", CONVERTER];

/// Of the converters that look up in a file: `map(`, `map_beg_int(` …
const CONVERTER: &str = "map";

/// Files of these folders are no files of a disk, and some never end.
const OF_THE_KERNEL: [&str; 2] = ["/proc", "/sys"];

/// The files that lines of a configuration name.
pub fn named(text: &str) -> impl Iterator<Item = NamedFile> {
    // Nearly all texts name none, and there are many.
    let could_name = |text: &str| PARTS.iter().any(|part| text.contains(part));
    let text = if could_name(text) { text } else { "" };
    let lines = text.lines().filter(move |line| could_name(line));
    lines.flat_map(|line| {
        let words = Line::of(line).words;
        let mut files: Vec<NamedFile> = Vec::new();
        for (place, word) in words.iter().enumerate() {
            let known = KEYWORDS.iter().find(|(keyword, _)| keyword == word);
            let file = known.and_then(|(_, between)| words.get(place + 1 + between));
            files.extend(file.map(|path| NamedFile {
                path: path.clone(),
                kind: match &**word {
                    "crt" => Kind::Certificate,
                    "crt-list" => Kind::List,
                    _ => Kind::Other,
                },
            }));
            files.extend(looked_up(word).map(|path| NamedFile {
                path,
                kind: Kind::Other,
            }));
        }
        files
    })
}

/// The files of converters within a word: `%[src,map_ip(/etc/a,none)]`.
fn looked_up(word: &str) -> impl Iterator<Item = String> {
    // One may stand in the name of a file, too.
    word.match_indices(CONVERTER).filter_map(|(at, _)| {
        let rest = &word[at + CONVERTER.len()..];
        let (kind, arguments) = rest.split_once('(')?;
        let is_kind = kind.bytes().all(|c| c == b'_' || c.is_ascii_lowercase());
        let file = arguments.split([',', ')']).next()?;
        (is_kind && !file.is_empty()).then(|| file.to_owned())
    })
}

/// The folders before relative names (`crt-base`, `ca-base`) that a configuration gives.
#[must_use]
pub fn bases(text: &str) -> Vec<PathBuf> {
    let base = |line: &str| match &Line::of(line).words[..] {
        [keyword, folder] if keyword == "crt-base" || keyword == "ca-base" => {
            Some(PathBuf::from(folder))
        }
        _ => None,
    };
    let could_be = |line: &&str| line.contains("-base");
    text.lines().filter(could_be).filter_map(base).collect()
}

/// What of a file or folder, which may lie below one of `bases`, keeps HAProxy from reading it to its
/// end, or us from looking at all that it names. `None` also where there is nothing: HAProxy tells that
/// itself. Nothing but lists of certificates is opened.
#[must_use]
pub fn unfit(file: &NamedFile, bases: &[PathBuf]) -> Option<String> {
    fault_in(file, bases, Bound::Size)
}

/// A line that has HAProxy read what has no end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endless {
    /// From 1.
    pub line: usize,
    /// As it is written there.
    pub path: String,
    /// What it is.
    pub found: String,
}

/// The first such line of a configuration. Whoever writes the file himself may have it as large as he
/// likes.
#[must_use]
pub fn endless(text: &str) -> Option<Endless> {
    let mut known = BTreeSet::new();
    let bases = bases(text);
    let mut lines = text.lines().zip(1..);
    lines.find_map(|(words, line)| {
        let mut new = named(words).filter(|file| known.insert(file.clone()));
        new.find_map(|file| {
            let found = fault_in(&file, &bases, Bound::End)?;
            let path = file.path;
            Some(Endless { line, path, found })
        })
    })
}

/// What a file has to have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    /// An end.
    End,
    /// One that is near.
    Size,
}

fn fault_in(file: &NamedFile, bases: &[PathBuf], bound: Bound) -> Option<String> {
    // HAProxy looks for the files of a list below a base, and not for the list.
    let below = if file.kind == Kind::List { &[] } else { bases };
    places(&file.path, below).find_map(|place| {
        fault(&place, bound).or_else(|| match file.kind {
            Kind::Certificate => beside(&place, bound),
            Kind::List => in_list(&place, bases, bound),
            Kind::Other => None,
        })
    })
}

/// The same of what HAProxy looks for beside a certificate.
fn beside(certificate: &Path, bound: Bound) -> Option<String> {
    // Parts of a bundle have companions of their own.
    let parts = with_companions(certificate).filter(|part| part.exists());
    let mut companions = parts.flat_map(|path| with_companions(&path).collect::<Vec<_>>());
    companions.find_map(|path| {
        let found = fault(&path, bound)?;
        let name = path.file_name()?.display();
        Some(format!("a certificate with `{name}` beside it, {found}"))
    })
}

fn fault(path: &Path, bound: Bound) -> Option<String> {
    // A link is followed, as HAProxy does.
    let facts = fs::metadata(path).ok()?;
    // People name it where they want no text, as for a page of errors.
    if bound == Bound::End && is_null(&facts) {
        return None;
    }
    let real = fs::canonicalize(path).ok()?;
    if OF_THE_KERNEL.iter().any(|folder| real.starts_with(folder)) {
        return Some("a file that the kernel makes".to_owned());
    }
    if !facts.is_dir() {
        return kind(&facts)
            .map(str::to_owned)
            .or_else(|| size(&facts, bound));
    }
    let entries = fs::read_dir(path).ok()?.take(MOST_ENTRIES).flatten();
    entries.into_iter().find_map(|entry| {
        // Other than regular files HAProxy passes over in a folder, but for what lies beside one.
        let facts = fs::metadata(entry.path()).ok()?;
        let found = if is_companion(&entry.path()) {
            kind(&facts).map(str::to_owned)
        } else {
            None
        };
        let found = found.or_else(|| size(&facts, bound))?;
        let name = entry.file_name();
        Some(format!("a folder with `{}`, {found}", name.display()))
    })
}

fn size(facts: &Metadata, bound: Bound) -> Option<String> {
    let is_large = bound == Bound::Size && LARGEST < facts.len();
    is_large.then(|| format!("a file of {} bytes", facts.len()))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn every_keyword_is_looked_for() {
        for (keyword, _) in KEYWORDS {
            assert!(PARTS.iter().any(|part| keyword.contains(part)), "{keyword}");
        }
    }

    #[test]
    fn files_are_read_from_lines() {
        let text = "  bind *:1 ssl crt /a crt '/b c' alpn h2 ca-file \"/d\"\n  acl x src -f /e\n  \
                    http-request return file /f\n  option httpchk\n  errorfile 503 /g\n  # crt /h\n  use_backend %[src,map_ip(/i,x),map(/j),map(/maps/k.map,x)]\n";
        let named: Vec<NamedFile> = named(text).collect();
        assert_eq!(named[0].kind, Kind::Certificate);
        let named: Vec<&str> = named.iter().map(|file| &*file.path).collect();
        assert_eq!(
            named,
            [
                "/a",
                "/b c",
                "/d",
                "/e",
                "/f",
                "/g",
                "/i",
                "/j",
                "/maps/k.map"
            ]
        );
        let text = "global\n  crt-base /a\n  ca-base \"/b\"\n  log-base\n";
        assert_eq!(bases(text), [Path::new("/a"), Path::new("/b")]);
    }

    #[test]
    fn what_has_no_end_is_told_and_never_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        mkfifo(&path("pipe"), Mode::S_IRWXU).unwrap();
        symlink(path("pipe"), path("link")).unwrap();
        fs::write(path("file"), "").unwrap();
        fs::create_dir(path("empty")).unwrap();
        fs::create_dir(path("full")).unwrap();
        let large = File::create(path("full/large")).unwrap();
        large.set_len(LARGEST + 1).unwrap();
        let _socket = UnixListener::bind(path("socket")).unwrap();
        let file = |path: &str, kind| NamedFile {
            path: path.to_owned(),
            kind,
        };
        let other = |path: &str| file(path, Kind::Other);
        let told = |name: &str| unfit(&other(path(name).to_str().unwrap()), &[]);
        for name in ["pipe", "link"] {
            assert_eq!(told(name).as_deref(), Some("a pipe"), "{name}");
        }
        for name in ["file", "empty", "missing"] {
            assert_eq!(told(name), None, "{name}");
        }
        assert_eq!(told("socket").as_deref(), Some("a socket"));
        let large = "a file of 67108865 bytes";
        assert_eq!(told("full/large").as_deref(), Some(large));
        assert_eq!(
            told("full"),
            Some(format!("a folder with `large`, {large}"))
        );
        for name in [
            "/dev/zero",
            "/proc/self/status",
            "/sys/kernel/uevent_seqnum",
        ] {
            assert!(unfit(&other(name), &[]).is_some(), "{name}");
        }
        let bases = [folder.path().to_owned()];
        assert!(unfit(&other("pipe"), &[]).is_none());
        assert!(unfit(&other("pipe"), &bases).is_some());
    }

    #[test]
    fn the_line_of_what_has_no_end_is_told_and_size_is_left_to_the_host() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        mkfifo(Path::new(&path("pipe")), Mode::S_IRWXU).unwrap();
        fs::write(path("list"), "pipe\n").unwrap();
        let large = File::create(path("large")).unwrap();
        large.set_len(LARGEST + 1).unwrap();
        let head = format!(
            "global\n  crt-base {}\ndefaults\n  errorfile 503 /dev/null\n  errorfile 502 {}\n",
            folder.path().display(),
            path("large")
        );
        assert_eq!(endless(&head), None);
        let in_list = "a list whose line 1 names what is no file of a disk";
        for (keyword, path, found) in [
            ("crt", "pipe".to_owned(), "a pipe"),
            ("crt", "/dev/zero".to_owned(), "a device"),
            ("crt-list", path("list"), in_list),
        ] {
            let line = format!("  bind *:1 ssl {keyword} {path}\n");
            let told = endless(&format!("{head}listen a\n{line}{line}"));
            let found = found.to_owned();
            let line = 7;
            assert_eq!(told, Some(Endless { line, path, found }));
        }
    }

    #[test]
    fn what_is_read_with_a_certificate_has_an_end_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let bases = [folder.path().to_owned()];
        let told = |path: &str, kind| {
            let path = path.to_owned();
            unfit(&NamedFile { path, kind }, &bases)
        };
        let pipe = |name: &str| mkfifo(&path(name), Mode::S_IRWXU).unwrap();
        fs::create_dir(path("folder")).unwrap();
        for name in ["a.pem", "b.pem", "b.pem.key", "c.pem.rsa", "folder/d.pem"] {
            fs::write(path(name), "").unwrap();
        }
        let list = "# pipe\nb.pem [alpn h2] x.test\n\na.pem\n";
        fs::write(path("list"), list).unwrap();
        fs::write(path("folders"), "a.pem\nfolder [alpn h2]\n").unwrap();
        fs::write(path("authority"), "b.pem [verify required ca-file pipe]\n").unwrap();
        let lists = ["list", "authority"].map(path);
        let [list, authority] = lists.each_ref().map(|list| list.to_str().unwrap());
        let all = [
            (list, Kind::List),
            (authority, Kind::List),
            ("a.pem", Kind::Certificate),
            ("b.pem", Kind::Certificate),
            ("c.pem", Kind::Certificate),
            ("folder", Kind::Certificate),
        ];
        for (name, kind) in all {
            assert_eq!(told(name, kind), None, "{name}");
        }
        let folders = path("folders").display().to_string();
        assert_eq!(
            told(&folders, Kind::List).as_deref(),
            Some("a list whose line 2 names a folder, of which HAProxy would read without end")
        );
        assert_eq!(told("folder", Kind::Certificate), None);
        pipe("a.pem.ocsp");
        pipe("c.pem.rsa.sctl");
        pipe("folder/d.pem.key");
        pipe("folder/alone");
        pipe("pipe");
        for (name, kind, want) in [
            (
                "a.pem",
                Kind::Certificate,
                Some("a certificate with `a.pem.ocsp` beside it, a pipe"),
            ),
            ("a.pem", Kind::Other, None),
            ("b.pem", Kind::Certificate, None),
            (
                "c.pem",
                Kind::Certificate,
                Some("a certificate with `c.pem.rsa.sctl` beside it, a pipe"),
            ),
            (
                "folder",
                Kind::Certificate,
                Some("a folder with `d.pem.key`, a pipe"),
            ),
            (
                list,
                Kind::List,
                Some("a list whose line 4 names what is no file of a disk, or is too large"),
            ),
            (list, Kind::Other, None),
            // HAProxy does not look for a list below a base.
            ("list", Kind::List, None),
            (
                authority,
                Kind::List,
                Some("a list whose line 1 names what is no file of a disk, or is too large"),
            ),
        ] {
            assert_eq!(told(name, kind).as_deref(), want, "{name}");
        }
    }

    #[test]
    fn a_list_that_is_too_long_or_without_end_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("list");
        let told = || {
            let path = list.display().to_string();
            unfit(
                &NamedFile {
                    path,
                    kind: Kind::List,
                },
                &[],
            )
        };
        for (line, is_told) in [
            ("a.pem [alpn h2] *.test", false),
            ("a.pem[alpn h2]", false),
            ("Nov 27 06:25:01 host CRON[123]: x", true),
        ] {
            fs::write(&list, line).unwrap();
            let told = told().is_some_and(|told| told.contains("line 1 has a `[` behind"));
            assert_eq!(told, is_told, "{line}");
        }
        fs::write(&list, "a.pem\n".repeat(MOST_LISTED)).unwrap();
        assert_eq!(told(), None);
        fs::write(&list, "a.pem\n".repeat(MOST_LISTED + 1)).unwrap();
        assert_eq!(told().as_deref(), Some("a list of more than 10000 lines"));
        File::create(&list).unwrap().set_len(LARGEST_LIST).unwrap();
        assert_eq!(told(), None);
        File::create(&list)
            .unwrap()
            .set_len(LARGEST_LIST + 1)
            .unwrap();
        let large = "a list of more than 4194304 bytes";
        assert_eq!(told().as_deref(), Some(large));
    }
}
