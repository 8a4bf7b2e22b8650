//! The file that runs with the servers of another one: so much of a change as needs no reload.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::line::{ServerLine, is_ours, words_of};
use super::outline::{Outline, Section};
use crate::haproxy::opens_section;
use crate::proxy::native::{is_slot, slot_of};

/// The text that runs with other servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grafted {
    /// All of it.
    pub text: String,
    /// Servers that have to wait, since nobody has checked what is to be said of them: their sections
    /// and lines.
    pub left_out: Vec<(String, String)>,
}

/// `running` with the servers that `wanted` has in the sections that both have. Those of a section that
/// is to become another one are taken, too: the old ones end. A backend that `wanted` does not have
/// follows the one that its app has in its place, since its port moved; else it keeps those that its app
/// has anywhere. The others go; where there are slots, these are free then.
///
/// Nothing is new of a server but what we write of numbers, since HAProxy has accepted only what runs:
/// one at an address that is there stays as it is but for its weight and whether it rests, and one that
/// comes is written as those beside it. One that cannot be is left out.
#[must_use]
pub fn with_servers_of(running: &str, wanted: &str) -> Grafted {
    let (old, new) = (Outline::of(running), Outline::of(wanted));
    let wanted: BTreeMap<_, _> = new.sections().iter().map(|s| (name_of(s), s)).collect();
    let known = known(&old);
    let moved = moved(&old, &new);
    let of_app = |app: &str| {
        let sections = new.sections().iter();
        let own = sections.filter(|section| app_of(section) == app);
        addresses(own.flat_map(|section| &section.servers))
    };
    let mut left_out = Vec::new();
    let text = rewritten(running, &old, |old| {
        let name = name_of(old);
        match wanted.get(name).or_else(|| moved.get(name)) {
            Some(wanted) => Some(taken(old, wanted, &known, &mut left_out)),
            None if old.backend().is_none() => None,
            None => {
                let own = of_app(app_of(old));
                Some(left(old, |line| own.contains(address_of(line))))
            }
        }
    });
    Grafted { text, left_out }
}

/// A backend with the servers of another form of it, by whatever name that is known; otherwise as
/// [`with_servers_of`].
#[must_use]
pub fn with_servers_like(running: &str, wanted: &str) -> Grafted {
    let (old, new) = (Outline::of(running), Outline::of(wanted));
    let known = known(&old);
    let wanted = new.sections().iter().find(|s| s.backend().is_some());
    let mut left_out = Vec::new();
    let text = rewritten(running, &old, |old| {
        old.backend()?;
        Some(taken(old, wanted?, &known, &mut left_out))
    });
    Grafted { text, left_out }
}

/// The text with no other servers than those at these addresses; slots of the others are free.
#[must_use]
pub fn with_servers_at(text: &str, addresses: &BTreeSet<&str>) -> String {
    rewritten(text, &Outline::of(text), |section| {
        Some(left(section, |line| addresses.contains(address_of(line))))
    })
}

/// The text with the lines of servers that `other` has in sections of the same titles.
#[must_use]
pub fn with_lines_of(text: &str, other: &Outline<'_>) -> String {
    let lines: HashMap<&str, &Vec<&str>> = other
        .sections()
        .iter()
        .map(|section| (section.title, &section.servers))
        .collect();
    rewritten(text, &Outline::of(text), |section| {
        let lines = lines.get(section.title)?;
        Some(lines.iter().map(|line| Cow::Borrowed(*line)).collect())
    })
}

/// `running` in which those that `wanted` does not have rest, and nobody comes: of so much can HAProxy
/// always be told.
#[must_use]
pub fn resting_but_those_of(running: &str, wanted: &str) -> String {
    let new = Outline::of(wanted);
    let stays = addresses(new.sections().iter().flat_map(|section| &section.servers));
    rewritten(running, &Outline::of(running), |section| {
        let lines = section.servers.iter().map(|line| {
            if stays.contains(address_of(line)) {
                Cow::Borrowed(*line)
            } else {
                Cow::Owned(ServerLine::of(line).at_rest())
            }
        });
        Some(lines.collect())
    })
}

/// Puts what `servers_of` gives into the sections of `text`, which are `old`, in the place of their
/// servers; `None` leaves a section as it is.
fn rewritten<'a, 'l>(
    text: &'a str,
    old: &Outline<'a>,
    mut servers_of: impl FnMut(&Section<'a>) -> Option<Vec<Cow<'l, str>>>,
) -> String {
    let mut sections = old.sections().iter();
    let mut written = String::with_capacity(text.len());
    let mut graft: Option<Graft<'_>> = None;
    for line in text.split_inclusive('\n') {
        let word = line.split_ascii_whitespace().next().unwrap_or_default();
        if opens_section(word) {
            if let Some(graft) = graft.take() {
                graft.finish(&mut written);
            }
            let servers = sections.next().and_then(&mut servers_of);
            graft = servers.map(Graft::of);
        }
        let Some(graft) = &mut graft else {
            written.push_str(line);
            continue;
        };
        let indent = &line[..line.len() - line.trim_start().len()];
        if word == "server" {
            graft.put(&mut written, indent);
            continue;
        }
        written.push_str(line);
        // What stands behind that, as a remark, may belong to the next section.
        if !word.is_empty() && !word.starts_with('#') {
            graft.end = written.len();
            if !opens_section(word) {
                graft.indent = indent;
            }
        }
    }
    if let Some(graft) = graft {
        graft.finish(&mut written);
    }
    written
}

/// `wanted` without the slots that the same section of `running` lacks; `None` where it lacks none. Whoever
/// is in one of these comes later, and nobody else waits for him.
#[must_use]
pub fn within_slots(running: &str, wanted: &str) -> Option<String> {
    let (old, new) = (Outline::of(running), Outline::of(wanted));
    let slots_of = |section: &Section<'_>| -> HashSet<u32> {
        let lines = section.servers.iter();
        lines.filter_map(|line| Some(slot_of(line)?.0)).collect()
    };
    let old: BTreeMap<_, _> = old
        .sections()
        .iter()
        .map(|section| (name_of(section), slots_of(section)))
        .collect();
    let mut lacks = false;
    let text = rewritten(wanted, &new, |section| {
        let there = old
            .get(name_of(section))
            .filter(|slots| !slots.is_empty())?;
        let is_there = |line: &&str| slot_of(line).is_none_or(|(slot, _)| there.contains(&slot));
        if section.servers.iter().all(&is_there) {
            return None;
        }
        lacks = true;
        let lines = section.servers.iter().copied().filter(is_there);
        Some(lines.map(Cow::Borrowed).collect())
    });
    lacks.then_some(text)
}

/// What is said of a server anywhere.
fn known<'a>(outline: &Outline<'a>) -> HashSet<Vec<&'a str>> {
    let sections = outline.sections().iter();
    let lines = sections.flat_map(|section| &section.servers);
    lines.map(|line| words_of(line)).collect()
}

/// By which the section is known, whatever it takes from a profile.
fn name_of<'a>(section: &Section<'a>) -> &'a str {
    section.backend().unwrap_or(section.title)
}

/// The name of its app, as far as it is in that of the section: the service port stands behind it.
fn app_of<'a>(section: &Section<'a>) -> &'a str {
    let name = name_of(section);
    name.rsplit_once('_').map_or(name, |(app, _)| app)
}

fn address_of(line: &str) -> &str {
    line.split_ascii_whitespace().nth(2).unwrap_or_default()
}

fn addresses<'a: 's, 's>(lines: impl IntoIterator<Item = &'s &'a str>) -> HashSet<&'a str> {
    lines.into_iter().map(|line| address_of(line)).collect()
}

/// Backends that are to be there under another service port, by their old names: those that share a
/// server, and those that are the only ones of their app.
fn moved<'o, 'a>(old: &Outline<'a>, new: &'o Outline<'a>) -> HashMap<&'a str, &'o Section<'a>> {
    let names = |outline: &Outline<'a>| -> HashSet<&str> {
        outline.sections().iter().map(name_of).collect()
    };
    let (before, after) = (names(old), names(new));
    let is_alone = |section: &&Section<'a>, others: &HashSet<&str>| {
        section.backend().is_some() && !others.contains(name_of(section))
    };
    let gone = old.sections().iter().filter(|s| is_alone(s, &after));
    let came = new.sections().iter().filter(|s| is_alone(s, &before));
    let mut of_apps: BTreeMap<&str, (Vec<_>, Vec<_>)> = BTreeMap::new();
    for section in gone {
        of_apps.entry(app_of(section)).or_default().0.push(section);
    }
    for section in came {
        if let Some((_, came)) = of_apps.get_mut(app_of(section)) {
            came.push(section);
        }
    }
    let mut moved = HashMap::new();
    for (mut gone, mut came) in of_apps.into_values() {
        gone.retain(|gone| {
            let own = addresses(&gone.servers);
            let shares = |came: &&&Section<'_>| {
                let mut lines = came.servers.iter();
                lines.any(|line| own.contains(address_of(line)))
            };
            let place = came.iter().position(|section| shares(&section));
            if let Some(place) = place {
                moved.insert(name_of(gone), came.swap_remove(place));
            }
            place.is_none()
        });
        if let ([gone], [came]) = (&gone[..], &came[..]) {
            moved.insert(name_of(gone), *came);
        }
    }
    moved
}

/// The servers that a section gets.
fn taken<'a>(
    running: &Section<'a>,
    wanted: &Section<'a>,
    known: &HashSet<Vec<&str>>,
    left_out: &mut Vec<(String, String)>,
) -> Vec<Cow<'a, str>> {
    let has_slots = has_slots(running);
    // Who is in a slot changes, and what else is said of it does not.
    let key = |line: &'a str| {
        let own = if has_slots { 1 } else { 2 };
        line.split_ascii_whitespace().nth(own).unwrap_or_default()
    };
    let lines = running.servers.iter();
    let there: HashMap<&str, &'a str> = lines.map(|line| (key(line), *line)).collect();
    let mut names = HashSet::new();
    let mut taken: Vec<Cow<'a, str>> = Vec::new();
    for &line in &wanted.servers {
        let same = there.get(key(line)).copied();
        let written = if running.servers.contains(&line) {
            Some(Cow::Borrowed(line))
        } else if let Some(same) = same.filter(|_| !has_slots) {
            Some(ServerLine::of(same).in_the_state_of(line))
        } else if known.contains(&words_of(line)) {
            Some(Cow::Borrowed(line))
        } else {
            let model = same.or(running.servers.first().copied());
            let written = model.and_then(|model| ServerLine::of(line).in_words_of(model));
            let own = || is_ours(line).then_some(Cow::Borrowed(line));
            written.map(Cow::Owned).or_else(own)
        };
        match written {
            Some(written) => {
                // Two of one name are none.
                let name = written.split_ascii_whitespace().nth(1).map(str::to_owned);
                if names.insert(name) {
                    taken.push(written);
                }
            }
            None => left_out.push((name_of(running).to_owned(), line.to_owned())),
        }
    }
    taken
}

/// The servers that are left of a section; of slots, no line goes.
fn left<'a>(section: &Section<'a>, stays: impl Fn(&str) -> bool) -> Vec<Cow<'a, str>> {
    let has_slots = has_slots(section);
    let lines = section.servers.iter().filter_map(|line| {
        if stays(line) {
            Some(Cow::Borrowed(*line))
        } else {
            has_slots.then(|| Cow::Owned(ServerLine::of(line).freed()))
        }
    });
    lines.collect()
}

fn has_slots(section: &Section<'_>) -> bool {
    let mut lines = section.servers.iter();
    lines.any(|line| line.split_ascii_whitespace().nth(1).is_some_and(is_slot))
}

/// What a section gets.
struct Graft<'a> {
    servers: Vec<Cow<'a, str>>,
    is_there: bool,
    /// Where its last line ends, and how that is indented.
    end: usize,
    indent: &'a str,
}

impl<'a> Graft<'a> {
    fn of(servers: Vec<Cow<'a, str>>) -> Self {
        Self {
            servers,
            is_there: false,
            end: 0,
            indent: "  ",
        }
    }

    /// In the place of the first server.
    fn put(&mut self, text: &mut String, indent: &str) {
        if !self.is_there {
            self.is_there = true;
            text.push_str(&self.lines(indent));
        }
    }

    /// At the end, where it had none.
    fn finish(self, text: &mut String) {
        if self.is_there || self.servers.is_empty() {
            return;
        }
        let mut lines = self.lines(self.indent);
        if !text[..self.end].ends_with('\n') {
            lines.insert(0, '\n');
        }
        text.insert_str(self.end, &lines);
    }

    fn lines(&self, indent: &str) -> String {
        let lines = self.servers.iter();
        lines.map(|server| format!("{indent}{server}\n")).collect()
    }
}

#[cfg(test)]
mod tests;
