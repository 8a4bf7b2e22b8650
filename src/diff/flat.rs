//! A file in which each backend says itself what it takes from a profile.
//!
//! `backend web_10001 from profile-…` says nothing but its servers, while another program, or this one
//! with other options, writes all of it into the section. So that the two can be put beside each other,
//! what `defaults` say that take from others goes into the backends that take from them. What those
//! `defaults` take from goes for the whole file, and stays where it is.

use std::collections::{BTreeMap, BTreeSet};

use super::outline::{Outline, Section};
use crate::haproxy::profile_of;

/// `text` without profiles, comments and empty lines.
#[must_use]
pub fn flattened(text: &str) -> String {
    let outline = Outline::of(text);
    let profiles: BTreeMap<&str, Profile<'_>> =
        outline.sections().iter().filter_map(profile).collect();
    let bases: BTreeSet<&str> = profiles.values().map(|profile| profile.base).collect();
    let (by_backends, by_others) = takers(&outline);
    let is_written_elsewhere = |section: &Section<'_>, name: &str| {
        let is_taken = by_backends.contains(name) || bases.contains(name);
        section.lines.is_empty() || is_taken && !by_others.contains(name)
    };
    let mut flat = String::with_capacity(text.len());
    let mut say = |line: &str| flat.extend([line, "\n"]);
    for section in outline.sections() {
        let taken = profile_of(section.title);
        match (taken, named_defaults(section.title)) {
            (Some((name, profile)), _) => {
                say(&format!("backend {name}"));
                for line in said(profile, &profiles) {
                    say(line);
                }
            }
            (None, Some((name, Some(_)))) if is_written_elsewhere(section, name) => continue,
            (None, Some((name, None))) if bases.contains(name) => say("defaults"),
            _ => say(section.title),
        }
        for line in section.lines.iter().chain(&section.servers) {
            say(line);
        }
    }
    flat
}

/// Which `defaults` backends take from, and which others do, whose sections stay as they are.
fn takers<'a>(outline: &Outline<'a>) -> (BTreeSet<&'a str>, BTreeSet<&'a str>) {
    let (mut by_backends, mut by_others) = (BTreeSet::new(), BTreeSet::new());
    for section in outline.sections() {
        let words: Vec<&str> = section.title.split_ascii_whitespace().collect();
        match (profile_of(section.title), &words[..]) {
            (Some((_, profile)), _) => by_backends.insert(profile),
            (None, [word, _, "from", profile, ..]) if *word != "defaults" => {
                by_others.insert(*profile)
            }
            _ => false,
        };
    }
    (by_backends, by_others)
}

/// Named `defaults` that take from others.
struct Profile<'a> {
    base: &'a str,
    lines: &'a [&'a str],
}

fn profile<'a>(section: &'a Section<'a>) -> Option<(&'a str, Profile<'a>)> {
    let (name, base) = named_defaults(section.title)?;
    let lines = &section.lines;
    Some((name, Profile { base: base?, lines }))
}

/// The name of `defaults`, and of those that they take from.
fn named_defaults(title: &str) -> Option<(&str, Option<&str>)> {
    let words: Vec<&str> = title.split_ascii_whitespace().collect();
    match words[..] {
        ["defaults", name] => Some((name, None)),
        ["defaults", name, "from", base] => Some((name, Some(base))),
        _ => None,
    }
}

/// What `profile` says, first what it takes from others. HAProxy knows only those that stand before, so
/// that none takes from itself; of a file that it would refuse, no more is followed.
fn said<'a>(profile: &str, profiles: &BTreeMap<&str, Profile<'a>>) -> Vec<&'a str> {
    let mut all: Vec<&'a [&'a str]> = Vec::new();
    let mut next = profiles.get(profile);
    while let Some(profile) = next.filter(|_| all.len() < profiles.len()) {
        all.push(profile.lines);
        next = profiles.get(profile.base);
    }
    all.into_iter().rev().flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Kin, beside};
    use super::*;

    const PLAIN: &str = "\
global\n  daemon\n\
defaults\n  retries 3\n\
frontend f\n  bind :80\n\
backend a\n  balance roundrobin\n  mode http\n  server x 10.0.0.1:1\n\
backend b\n  balance roundrobin\n  mode http\n  server y 10.0.0.2:1\n";

    const PROFILED: &str = "\
global\n  daemon\n\
defaults marathon\n  retries 3\n\
# what several say\n\
defaults profile-1 from marathon\n  balance roundrobin\n  mode http\n\
defaults marathon-rest from marathon\n\
frontend f\n  bind :80\n\
\nbackend a from profile-1\n  server x 10.0.0.1:1\n\
\nbackend b from profile-1\n  server y 10.0.0.2:1\n";

    #[test]
    fn a_backend_with_a_profile_says_what_one_without_does() {
        let flat = flattened(PROFILED);
        let all = beside(PLAIN, &flat);
        assert!(all.iter().all(|one| one.kin == Kin::Same), "{all:#?}");
        let plain = flattened(PLAIN);
        let all = beside(&plain, PLAIN);
        assert!(all.iter().all(|one| one.kin == Kin::Same), "{all:#?}");
    }

    #[test]
    fn what_differs_is_named_where_it_counts() {
        let other = PLAIN.replacen("mode http", "mode tcp", 1);
        let flat = flattened(PROFILED);
        let all = beside(&other, &flat);
        let differ = all.iter().filter(|one| one.kin != Kin::Same);
        let differ: Vec<_> = differ.collect();
        let [one] = differ[..] else {
            panic!("{all:#?}")
        };
        assert_eq!(one.title, "backend a");
        assert_eq!(
            (&one.there[..], &one.here[..]),
            (&["mode tcp"][..], &["mode http"][..])
        );
    }

    #[test]
    fn profiles_of_others_are_read_as_haproxy_reads_them() {
        for (text, want) in [
            // What a whole file has in common stays there.
            (
                "defaults base\n mode http\nbackend a from base\n server x h:1\n",
                "defaults base\nmode http\nbackend a\nserver x h:1\n",
            ),
            (
                "defaults b\n retries 1\ndefaults p from b\n mode http\ndefaults q from p\n mode tcp\n\
                 backend a from q\n balance first\n",
                "defaults\nretries 1\nbackend a\nmode http\nmode tcp\nbalance first\n",
            ),
            // HAProxy would refuse them.
            (
                "defaults p from q\n mode http\ndefaults q from p\nbackend a from p\n",
                "backend a\nmode http\n",
            ),
            // Others take from it, or all that stands behind it.
            (
                "defaults b\n retries 1\ndefaults p from b\n mode http\nfrontend f from p\n bind :1\n\
                 backend a from p\n",
                "defaults\nretries 1\ndefaults p from b\nmode http\nfrontend f from p\nbind :1\n\
                 backend a\nmode http\n",
            ),
            (
                "defaults b\n retries 1\ndefaults rest from b\n mode tcp\nfrontend f\n bind :1\n",
                "defaults\nretries 1\ndefaults rest from b\nmode tcp\nfrontend f\nbind :1\n",
            ),
            ("backend a from none\n mode tcp\n", "backend a\nmode tcp\n"),
        ] {
            assert_eq!(flattened(text), want, "{text}");
        }
    }
}
