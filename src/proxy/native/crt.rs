//! How the certificates of port 443 stand in its line: as words, and where there are too many, in lists.
//!
//! HAProxy reads [`MOST_WORDS`] words of a line; a list (`crt-list`) holds any number, one a line. Words
//! come first, as far as they go, and the order stays: the first certificate is for clients that name no
//! known host, and of two for one name the first is shown.
//!
//! A list bears in its name what it holds, so that it comes and goes with the one line that names it: to
//! replace `haproxy.cfg` is to change both at once, and whatever tells two files apart, two lists as well.

use std::collections::BTreeSet;

use crate::disk::Digest;

/// HAProxy refuses a line of more (`MAX_LINE_ARGS` in its sources, 2.2 to 3.4).
const MOST_WORDS: usize = 64;

/// Of the line, without certificates: `bind ADDRESS accept-proxy ssl alpn PROTOCOLS`.
const OTHER_WORDS: usize = 6;

/// Each is two words of the line: `crt PATH`, `crt-list FILE`.
pub(super) const MOST_ON_LINE: usize = (MOST_WORDS - OTHER_WORDS) / 2;

/// Of the name of a list: what stands before its digest and behind it.
const NAME: (&str, &str) = ("https-", ".crt-list");

/// So many digits of a digest are in the name of a list.
const DIGITS: usize = 16;

/// What two words of the line of port 443 name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Crt {
    /// A certificate, or a folder of them: `crt PATH`.
    Path(Box<str>),
    /// Several: `crt-list FILE`.
    List(CrtList),
}

/// A list of certificates that lies beside `haproxy.cfg`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrtList {
    /// Its file name.
    pub name: String,
    /// A path a line.
    pub text: String,
}

impl CrtList {
    /// Two configurations in one folder have lists of different names, since each takes its own away.
    fn new(paths: &[Box<str>], config: &str) -> Self {
        let text: String = paths.iter().flat_map(|path| [&**path, "\n"]).collect();
        Self {
            name: crt_list_name(&text, config),
            text,
        }
    }
}

/// The name of a list that holds `text`, for the configuration whose file is named `config`.
#[must_use]
pub fn crt_list_name(text: &str, config: &str) -> String {
    let digest = Digest::of(format!("{config}\n{text}").as_bytes()).short(DIGITS);
    let (before, behind) = NAME;
    format!("{before}{digest}{behind}")
}

/// Whether a file of this name is a list of ours.
#[must_use]
pub fn is_crt_list(name: &str) -> bool {
    let (before, behind) = NAME;
    let digest = name
        .strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(behind));
    digest.is_some_and(|digest| {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        digest.len() == DIGITS && digest.bytes().all(is_digit)
    })
}

/// All as words, however many.
pub(super) fn as_words(all: &[Box<str>]) -> Vec<Crt> {
    all.iter().cloned().map(Crt::Path).collect()
}

/// All in their order, those that do not fit the line in lists; `None` where there are too many that may
/// not stand in one. `config` is the name of the configuration.
pub(super) fn on_line(
    all: &[Box<str>],
    listable: &BTreeSet<Box<str>>,
    config: &str,
) -> Option<Vec<Crt>> {
    if all.len() <= MOST_ON_LINE {
        return Some(as_words(all));
    }
    let may = |path: &str| listable.contains(path);
    // From so many on, the rest is in so few pieces that there is room for all.
    let mut pieces = 0;
    let words = (0..all.len()).rev().find(|&at| {
        let goes_on = all
            .get(at + 1)
            .is_some_and(|next| may(&all[at]) && may(next));
        pieces += usize::from(!goes_on);
        at + pieces <= MOST_ON_LINE
    })?;
    let (words, rest) = all.split_at(words);
    let mut line = as_words(words);
    for piece in rest.chunk_by(|before, next| may(before) && may(next)) {
        if piece.iter().all(|path| may(path)) {
            line.push(Crt::List(CrtList::new(piece, config)));
        } else {
            line.extend(as_words(piece));
        }
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(count: usize) -> Vec<Box<str>> {
        (0..count).map(|nth| format!("/{nth}.pem").into()).collect()
    }

    fn texts(all: &[Box<str>]) -> impl Iterator<Item = &str> {
        all.iter().map(|path| &**path)
    }

    /// In order, with `-` before those that are in a list.
    fn told(line: &[Crt]) -> Vec<String> {
        let told = line.iter().flat_map(|crt| match crt {
            Crt::Path(path) => vec![path.to_string()],
            Crt::List(list) => list.text.lines().map(|path| format!("-{path}")).collect(),
        });
        told.collect()
    }

    #[test]
    fn only_those_that_do_not_fit_the_line_are_in_a_list_and_the_order_stays() {
        for count in [0, 1, 29, 30, 31, 100, 1000] {
            let all = paths(count);
            let listable = all.iter().cloned().collect();
            let line = on_line(&all, &listable, "/c").unwrap();
            let words = if count <= 29 { count } else { 28 };
            let mark = |(nth, path): (usize, &str)| {
                let mark = if nth < words { "" } else { "-" };
                format!("{mark}{path}")
            };
            let want: Vec<String> = texts(&all).enumerate().map(mark).collect();
            assert_eq!(told(&line), want);
            assert_eq!(line.len(), words + usize::from(count > 29));
        }
    }

    #[test]
    fn what_may_not_stand_in_a_list_is_a_word_in_its_place() {
        let all = paths(60);
        let mut listable: BTreeSet<Box<str>> = all.iter().cloned().collect();
        listable.remove("/40.pem");
        listable.remove("/59.pem");
        let line = on_line(&all, &listable, "/c").unwrap();
        let mark = |(nth, path): (usize, &str)| match nth {
            0..25 | 40 | 59 => path.to_string(),
            _ => format!("-{path}"),
        };
        let want: Vec<String> = texts(&all).enumerate().map(mark).collect();
        assert_eq!((told(&line), line.len()), (want, 29));
        // Each of them is one of the line, and so is what lies between two.
        for nth in (0..60).step_by(2) {
            listable.remove(&*format!("/{nth}.pem"));
        }
        assert_eq!(on_line(&all, &listable, "/c"), None);
        assert_eq!(on_line(&all, &BTreeSet::new(), "/c"), None);
    }

    #[test]
    fn a_list_is_known_by_its_name_and_bears_what_it_holds() {
        let name = |count: usize, config: &str| CrtList::new(&paths(count), config).name;
        assert!(is_crt_list(&name(3, "/c")), "{}", name(3, "/c"));
        assert_eq!(name(3, "/c"), name(3, "/c"));
        assert_ne!(name(3, "/c"), name(4, "/c"));
        assert_ne!(name(3, "/c"), name(3, "/d"));
        for other in [
            "https.crt-list",
            "https-0123456789abcde.crt-list",
            "https-0123456789ABCDEF.crt-list",
            "https-0123456789abcdef.map",
            "mine.crt-list",
        ] {
            assert!(!is_crt_list(other), "{other}");
        }
    }
}
