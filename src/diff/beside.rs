//! Two files that were made by different programs, section by section: what is the same, and what of a
//! section is not.

use std::collections::BTreeMap;

use super::outline::{Outline, Section};

/// How a section stands to the one of that title in the other file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kin {
    /// It says the same in the same order.
    Same,
    /// It says the same in another order.
    Reordered,
    /// It has the same addresses as servers, under other names or with other options.
    Renamed,
    /// It differs in other ways.
    Differs,
    /// The other file has none.
    OnlyThere,
    /// It is new.
    OnlyHere,
}

/// A section of either file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside<'a> {
    /// Its first line.
    pub title: &'a str,
    /// How the two stand to each other.
    pub kin: Kin,
    /// Lines that only the other file has, in their order.
    pub there: Vec<&'a str>,
    /// Lines that only this one has.
    pub here: Vec<&'a str>,
}

/// Puts `there` beside `here`: first the sections of `there` in their order, then what is new.
#[must_use]
pub fn beside<'a>(there: &'a str, here: &'a str) -> Vec<Beside<'a>> {
    let (there, here) = (Outline::of(there), Outline::of(here));
    let mut left: BTreeMap<&str, Vec<&Section<'a>>> = BTreeMap::new();
    for section in here.sections() {
        left.entry(section.title).or_default().push(section);
    }
    // Several `defaults` have one title; they are compared in their order.
    let mut all = Vec::new();
    for theirs in there.sections() {
        let ours = left.get_mut(theirs.title).filter(|ours| !ours.is_empty());
        all.push(match ours.map(|ours| ours.remove(0)) {
            Some(ours) => compared(theirs, ours),
            None => Beside {
                title: theirs.title,
                kin: Kin::OnlyThere,
                there: lines(theirs),
                here: Vec::new(),
            },
        });
    }
    for section in here.sections() {
        let is_new = |left: &Vec<&Section<'a>>| left.iter().any(|new| std::ptr::eq(*new, section));
        if left.get(section.title).is_some_and(is_new) {
            all.push(Beside {
                title: section.title,
                kin: Kin::OnlyHere,
                there: Vec::new(),
                here: lines(section),
            });
        }
    }
    all
}

fn lines<'a>(section: &Section<'a>) -> Vec<&'a str> {
    section
        .lines
        .iter()
        .chain(&section.servers)
        .copied()
        .collect()
}

fn compared<'a>(theirs: &Section<'a>, ours: &Section<'a>) -> Beside<'a> {
    let (theirs, ours) = (&without_hash(theirs), &without_hash(ours));
    let (theirs_all, ours_all) = (lines(theirs), lines(ours));
    let there = without(&theirs_all, &ours_all);
    let here = without(&ours_all, &theirs_all);
    let kin = if theirs == ours {
        Kin::Same
    } else if there.is_empty() && here.is_empty() {
        Kin::Reordered
    } else if without(&theirs.lines, &ours.lines).is_empty()
        && without(&ours.lines, &theirs.lines).is_empty()
        && addresses(theirs) == addresses(ours)
    {
        Kin::Renamed
    } else {
        Kin::Differs
    };
    Beside {
        title: theirs.title,
        kin,
        there,
        here,
    }
}

/// What it says but for the hash of a file in its own `description`, which tells nothing.
fn without_hash<'a>(section: &Section<'a>) -> Section<'a> {
    let is_hash = |line: &str| {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        matches!(words[..], ["description", hash] if hash.len() == 16
            && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
    };
    let lines = section.lines.iter().copied();
    Section {
        title: section.title,
        lines: lines
            .filter(|line| section.title != "global" || !is_hash(line))
            .collect(),
        servers: section.servers.clone(),
    }
}

/// The lines of `these` beyond those of `others`, each as often as it is missing there.
fn without<'a>(these: &[&'a str], others: &[&'a str]) -> Vec<&'a str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for line in others {
        *counts.entry(line).or_default() += 1;
    }
    let mut missing = Vec::new();
    for line in these {
        match counts.get_mut(line) {
            Some(left @ 1..) => *left -= 1,
            _ => missing.push(*line),
        }
    }
    missing
}

/// The addresses of a section's servers, sorted.
fn addresses<'a>(section: &Section<'a>) -> Vec<&'a str> {
    let address = |line: &&'a str| line.split_ascii_whitespace().nth(2).unwrap_or_default();
    let mut all: Vec<&str> = section.servers.iter().map(address).collect();
    all.sort_unstable();
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_section_is_told_by_how_it_differs() {
        let there = "\
defaults\n  mode http\n\
backend same\n  balance roundrobin\n  server a 10.0.0.1:1\n\
backend turned\n  server a 10.0.0.1:1\n  server b 10.0.0.2:1\n\
backend renamed\n  server a 10.0.0.1:1 check\n\
backend other\n  balance source\n  server a 10.0.0.1:1\n\
backend gone\n  mode tcp\n";
        let here = "\
defaults\n  mode http\n\
backend turned\n  server b 10.0.0.2:1\n  server a 10.0.0.1:1\n\
backend same\n  balance roundrobin\n  # a remark\n  server a 10.0.0.1:1\n\
backend renamed\n  server 10_0_0_1_1 10.0.0.1:1\n\
backend other\n  balance leastconn\n  server a 10.0.0.1:1\n\
backend new\n  mode http\n";
        let all = beside(there, here);
        let found: Vec<_> = all.iter().map(|b| (b.title, b.kin.clone())).collect();
        assert_eq!(
            found,
            [
                ("defaults", Kin::Same),
                ("backend same", Kin::Same),
                ("backend turned", Kin::Reordered),
                ("backend renamed", Kin::Renamed),
                ("backend other", Kin::Differs),
                ("backend gone", Kin::OnlyThere),
                ("backend new", Kin::OnlyHere),
            ]
        );
        let other = &all[4];
        let lines = (other.there.as_slice(), other.here.as_slice());
        assert_eq!(lines, (&["balance source"][..], &["balance leastconn"][..]));
    }

    #[test]
    fn sections_of_one_title_are_compared_in_their_order() {
        let (there, here) = (
            "defaults\n mode http\ndefaults\n mode tcp\n",
            "defaults\n mode http\n",
        );
        let kin: Vec<Kin> = beside(there, here).into_iter().map(|b| b.kin).collect();
        assert_eq!(kin, [Kin::Same, Kin::OnlyThere]);
        let kin: Vec<Kin> = beside(here, there).into_iter().map(|b| b.kin).collect();
        assert_eq!(kin, [Kin::Same, Kin::OnlyHere]);
    }

    #[test]
    fn the_hash_of_a_file_is_no_difference() {
        let there = "global\n description 0123456789abcdef\n daemon\n";
        for (here, kin) in [
            ("global\n daemon\n", Kin::Same),
            (
                "global\n description fedcba9876543210\n daemon\n",
                Kin::Same,
            ),
            ("global\n description mine\n daemon\n", Kin::Differs),
        ] {
            assert_eq!(beside(there, here)[0].kin, kin, "{here}");
        }
    }

    #[test]
    fn a_line_counts_as_often_as_it_stands_there() {
        let all = beside(
            "backend a\n acl x src 1\n acl x src 1\n",
            "backend a\n acl x src 1\n",
        );
        assert_eq!((all[0].kin.clone(), all[0].there.len()), (Kin::Differs, 1));
    }
}
