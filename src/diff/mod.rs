//! What changed between the installed file and the new one, and what that means for HAProxy.
//!
//! Both are read into an `Outline`: sections with their servers set apart. That works for any
//! installed file, also for one that somebody else wrote, which a one-shot run has to expect.
//! A text diff exists for people only.

mod beside;
mod flat;
mod graft;
mod line;
mod outline;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use beside::{Beside, Kin, beside};
pub use flat::flattened;
pub use graft::{
    Grafted, resting_but_those_of, with_lines_of, with_servers_at, with_servers_like,
    with_servers_of, within_slots,
};
pub use outline::{Outline, Section};
pub use text::{Paint, unified};

/// What a change means for the running HAProxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The texts are the same.
    Nothing,
    /// Only servers came, went or changed, in these sections.
    Servers(Vec<ServerChange>),
    /// The same, and whole backends came or went that say nothing of their own but servers: from 3.4 on
    /// HAProxy can be told of those too.
    Backends(Backends),
    /// Anything else, with a sentence for each section concerned.
    Structure(Vec<String>),
}

/// Backends that came or went, by name, beside servers of others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backends {
    /// They came.
    pub new: Vec<String>,
    /// They went.
    pub gone: Vec<String>,
    /// Of sections that stayed.
    pub servers: Vec<ServerChange>,
}

/// The servers of one section that differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerChange {
    /// `listen web-10001`.
    pub section: String,
    /// How many there were.
    pub before: usize,
    /// How many there are.
    pub after: usize,
    /// Lines that came.
    pub added: Vec<String>,
    /// Lines that went.
    pub removed: Vec<String>,
}

/// Compares the installed text, if there is one, with the new text.
#[must_use]
pub fn compare(installed: Option<&str>, new: &str) -> Change {
    let Some(installed) = installed else {
        return Change::Structure(vec!["no file was installed".to_owned()]);
    };
    if installed == new {
        return Change::Nothing;
    }
    outlines(&Outline::of(installed), &Outline::of(new))
}

fn outlines(old: &Outline<'_>, new: &Outline<'_>) -> Change {
    let (before, after) = (keyed(old), keyed(new));
    let (in_before, in_after): (BTreeMap<_, _>, BTreeSet<_>) = (
        before.iter().copied().collect(),
        after.iter().map(|(key, _)| *key).collect(),
    );
    let mut reasons = Vec::new();
    let mut servers = Vec::new();
    let mut backends = Backends::default();
    let mut is_marked_anew = false;
    let (names_before, names_after) = (old.names(), new.names());
    for (key, section) in after {
        match in_before.get(&key) {
            None => match section.addable() {
                Some(name) if !names_before.contains(name) => backends.new.push(name.to_owned()),
                _ => reasons.push(format!("{} is new", section.title)),
            },
            // The hash of the structure, which follows from all else.
            Some(was) if section.title == "global" && is_same_but_mark(was, section) => {
                is_marked_anew |= was.lines != section.lines;
            }
            Some(was) if was.lines != section.lines => {
                reasons.push(format!("{} changed", section.title));
            }
            Some(was) if was.servers != section.servers => {
                servers.push(server_change(was, section));
            }
            Some(_) => (),
        }
    }
    for (key, section) in before {
        if in_after.contains(&key) {
            continue;
        }
        match section.addable() {
            Some(name) if !names_after.contains(name) => backends.gone.push(name.to_owned()),
            _ => reasons.push(format!("{} is gone", section.title)),
        }
    }
    if is_marked_anew && reasons.is_empty() {
        reasons.push("global changed".to_owned());
    }
    // HAProxy gives weight to the order of some sections: `defaults` reach those behind them that do
    // not name theirs.
    if reasons.is_empty() && !old.titles_in_order().eq(new.titles_in_order()) {
        reasons.push("order of sections changed".to_owned());
    }
    let has_backends = !(backends.new.is_empty() && backends.gone.is_empty());
    if reasons.is_empty() && has_backends {
        return Change::Backends(Backends {
            servers,
            ..backends
        });
    }
    reasons.extend(backends.sentences());
    match (reasons.is_empty(), servers.is_empty()) {
        (true, false) => Change::Servers(servers),
        (true, true) => Change::Structure(vec!["spacing or remarks changed".to_owned()]),
        (false, _) => {
            reasons.extend(servers.iter().map(ToString::to_string));
            Change::Structure(reasons)
        }
    }
}

impl Backends {
    fn sentences(&self) -> impl Iterator<Item = String> + '_ {
        let new = self.new.iter().map(|name| format!("backend {name} is new"));
        let gone = self.gone.iter();
        new.chain(gone.map(|name| format!("backend {name} is gone")))
    }
}

/// Sections by their titles, and by which of its title each is: HAProxy takes several `global`, of
/// which one may come by `--extra-config`.
fn keyed<'o, 'a>(outline: &'o Outline<'a>) -> Vec<((&'a str, usize), &'o Section<'a>)> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    let sections = outline.sections().iter();
    sections
        .map(|section| {
            let number = seen.entry(section.title).or_default();
            *number += 1;
            ((section.title, *number), section)
        })
        .collect()
}

fn is_same_but_mark(old: &Section<'_>, new: &Section<'_>) -> bool {
    let is_mark = |line: &&&str| line.split_ascii_whitespace().next() == Some("description");
    let but_mark = |section: &Section<'_>| -> Vec<String> {
        let lines = section.lines.iter().filter(|line| !is_mark(line));
        lines.map(|line| (*line).to_owned()).collect()
    };
    but_mark(old) == but_mark(new)
}

fn server_change(old: &Section<'_>, new: &Section<'_>) -> ServerChange {
    let before: BTreeSet<_> = old.servers.iter().copied().collect();
    let after: BTreeSet<_> = new.servers.iter().copied().collect();
    let own = |lines: Vec<&&str>| lines.into_iter().map(|line| (*line).to_owned()).collect();
    ServerChange {
        section: new.title.to_owned(),
        before: old.servers.len(),
        after: new.servers.len(),
        added: own(after.difference(&before).collect()),
        removed: own(before.difference(&after).collect()),
    }
}

impl fmt::Display for ServerChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            section,
            before,
            after,
            ..
        } = self;
        match (self.added.len(), self.removed.len()) {
            (0, 0) => write!(f, "{section}: order of servers changed"),
            (added, removed) if before == after => {
                write!(
                    f,
                    "{section}: {} of {after} servers changed",
                    added.max(removed)
                )
            }
            _ => write!(f, "{section}: servers {before} → {after}"),
        }
    }
}

/// How many sentences a log line bears before it only counts.
const TOLD: usize = 3;

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reasons: Vec<String> = match self {
            Self::Nothing => return f.write_str("no change"),
            Self::Servers(changes) => changes.iter().map(ToString::to_string).collect(),
            Self::Backends(change) => {
                let servers = change.servers.iter().map(ToString::to_string);
                change.sentences().chain(servers).collect()
            }
            Self::Structure(reasons) => reasons.clone(),
        };
        f.write_str(&reasons[..reasons.len().min(TOLD)].join("; "))?;
        match reasons.len().saturating_sub(TOLD) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "\
global
  maxconn 10

listen a-1
  bind :1
  server a-2 h:1 check
  server a-1 h:2 check

listen b-2
  bind :2
";

    #[test]
    fn changes_are_told_apart_and_say_why() {
        let with = |from: &str, to: &str| OLD.replace(from, to);
        let cases = [
            (OLD.to_owned(), "no change"),
            (with("h:1", "h:3"), "listen a-1: 1 of 2 servers changed"),
            (
                with("  server a-2 h:1 check\n", ""),
                "listen a-1: servers 2 → 1",
            ),
            (with("maxconn 10", "maxconn 11"), "global changed"),
            (
                with("listen b-2", "listen c-2"),
                "listen c-2 is new; listen b-2 is gone",
            ),
            (
                with("\nlisten b-2", "\n\nlisten b-2"),
                "spacing or remarks changed",
            ),
            (
                with("bind :2", "bind :3").replace("h:1", "h:9"),
                "listen b-2 changed; listen a-1: 1 of 2 servers changed",
            ),
        ];
        for (new, text) in cases {
            assert_eq!(compare(Some(OLD), &new).to_string(), text);
        }
        assert_eq!(compare(None, OLD).to_string(), "no file was installed");
    }

    #[test]
    fn the_hash_of_the_structure_is_a_reason_only_where_there_is_no_other() {
        let old = OLD.replace("maxconn 10", "maxconn 10\n  description abc");
        let with = |from: &str, to: &str| old.replace(from, to).replace("abc", "def");
        let cases = [
            (with("bind :2", "bind :3"), "listen b-2 changed"),
            (with("maxconn 10", "maxconn 11"), "global changed"),
            (with("abc", "def"), "global changed"),
            (
                with("h:1", "h:3"),
                "global changed; listen a-1: 1 of 2 servers changed",
            ),
        ];
        for (new, text) in cases {
            let change = compare(Some(&old), &new);
            assert_eq!(change.to_string(), text);
            assert!(matches!(change, Change::Structure(_)));
        }
    }

    /// As `--extra-config` brings another `global`.
    #[test]
    fn of_several_sections_of_one_title_each_is_compared_with_its_own() {
        let old = format!("{OLD}global\n  user haproxy\n");
        let change = compare(Some(&old), &old.replace("h:2", "h:7"));
        assert!(matches!(change, Change::Servers(_)), "{change}");
        for (before, after, want) in [
            (
                old.as_str(),
                old.replace("user haproxy", "user lb"),
                "global changed",
            ),
            (
                old.as_str(),
                old.replace("maxconn 10", "maxconn 11"),
                "global changed",
            ),
            (OLD, old.clone(), "global is new"),
            (old.as_str(), OLD.to_owned(), "global is gone"),
        ] {
            assert_eq!(compare(Some(before), &after).to_string(), want);
        }
    }

    #[test]
    fn backends_that_take_all_from_a_profile_are_told_apart() {
        let old = format!("{OLD}\ndefaults p\n  mode http\n\nbackend x from p\n  server s h:1\n");
        let y = "\nbackend y from p\n  server s h:2\n";
        let more = format!("{old}{y}");
        let change = |old: &str, new: &str| {
            let change = compare(Some(old), new);
            (matches!(change, Change::Backends(_)), change.to_string())
        };
        let told = |text: &str| (true, text.to_owned());
        let untold = |text: &str| (false, text.to_owned());
        assert_eq!(change(&old, &more), told("backend y is new"));
        assert_eq!(change(&more, &old), told("backend y is gone"));
        // Wherever it stands.
        let first = old.replace("\nbackend x", &format!("{y}\nbackend x"));
        assert_eq!(change(&old, &first), told("backend y is new"));
        assert_eq!(
            change(&old, &more.replace("h:1\n\nbackend y", "h:9\n\nbackend y")),
            told("backend y is new; backend x from p: 1 of 1 servers changed")
        );
        // It is no other backend, only another section.
        let own = old.replace("backend x from p\n", "backend x from p\n  balance first\n");
        assert_eq!(change(&old, &own), untold("backend x from p changed"));
        let whole = old.replace("backend x from p", "backend x");
        assert_eq!(
            change(&whole, &old),
            untold("backend x from p is new; backend x is gone")
        );
        let other = more.replace("mode http", "mode tcp");
        assert_eq!(
            change(&old, &other),
            untold("defaults p changed; backend y is new")
        );
    }

    #[test]
    fn only_server_lines_make_a_server_change() {
        let change = compare(Some(OLD), &OLD.replace("server a-1 h:2", "server a-1 h:7"));
        let Change::Servers(changes) = change else {
            panic!("{change}")
        };
        assert_eq!(changes[0].added, ["server a-1 h:7 check"]);
        assert_eq!(changes[0].removed, ["server a-1 h:2 check"]);
        let moved = "listen a-1\n server x h:1\n bind :1\n";
        let grown = "listen a-1\n server x h:1\n bind :1\n timeout connect 1s\n";
        assert!(matches!(compare(Some(moved), grown), Change::Structure(_)));
    }

    #[test]
    fn an_order_of_sections_is_no_matter_of_servers() {
        let (one, other) = (
            "listen a\n server x h:1\nlisten b\n",
            "listen b\nlisten a\n server x h:2\n",
        );
        let change = compare(Some(one), other);
        assert!(matches!(change, Change::Structure(_)));
        assert!(
            change.to_string().starts_with("order of sections changed"),
            "{change}"
        );
    }

    #[test]
    fn a_reordering_of_servers_is_seen() {
        let (one, other) = (
            "backend b\n server x h:1\n server y h:2\n",
            "backend b\n server y h:2\n server x h:1\n",
        );
        assert_eq!(
            compare(Some(one), other).to_string(),
            "backend b: order of servers changed"
        );
    }

    #[test]
    fn many_reasons_are_counted() {
        let new: String = (0..9)
            .map(|n| format!("listen l-{n}\n bind :{n}\n"))
            .collect();
        assert_eq!(
            compare(Some(""), &new).to_string(),
            "listen l-0 is new; listen l-1 is new; listen l-2 is new; and 6 more"
        );
    }
}
