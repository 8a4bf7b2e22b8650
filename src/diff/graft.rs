//! The file that runs with the servers of another one: so much of a change as needs no reload.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::outline::{Outline, Section};
use crate::haproxy::opens_section;
use crate::proxy::native::slot_of;

/// Says that a server gets no requests.
const RESTS: &str = "disabled";

/// `running` with the servers that `wanted` has in the sections that both have. Those of a section that
/// is to become another one are taken, too: the old ones end. A backend that `wanted` does not have keeps
/// those that an app of its name has there: its port may have moved. The others go, unless there are
/// slots.
///
/// Nothing is new of a server but name, address and number, since HAProxy has accepted only what runs: one
/// at an address that is there stays as it is, and one that comes is written as those beside it. One that
/// cannot be has to wait.
#[must_use]
pub fn with_servers_of(running: &str, wanted: &str) -> String {
    let (old, new) = (Outline::of(running), Outline::of(wanted));
    let wanted: BTreeMap<_, _> = new.sections().iter().map(|s| (name_of(s), s)).collect();
    let lines = || old.sections().iter().flat_map(|section| &section.servers);
    let known: HashSet<Vec<&str>> = lines().map(|line| words_of(line)).collect();
    let of_app = |app: &str| {
        let sections = new.sections().iter();
        let own = sections.filter(|section| app_of(section) == app);
        let addresses = own
            .flat_map(|section| &section.servers)
            .map(|line| address_of(line));
        addresses.collect::<HashSet<_>>()
    };
    let mut sections = old.sections().iter();
    let mut text = String::with_capacity(running.len());
    let mut graft: Option<Graft<'_>> = None;
    for line in running.split_inclusive('\n') {
        let word = line.split_ascii_whitespace().next().unwrap_or_default();
        if opens_section(word) {
            if let Some(graft) = graft.take() {
                graft.finish(&mut text);
            }
            graft = sections.next().and_then(|old| {
                let servers = match wanted.get(name_of(old)) {
                    Some(wanted) => taken(old, wanted, &known),
                    None if old.backend().is_some() && !has_slots(old) => {
                        let addresses = of_app(app_of(old));
                        let lines = old.servers.iter();
                        let kept = lines.filter(|line| addresses.contains(address_of(line)));
                        kept.map(|line| Cow::Borrowed(*line)).collect()
                    }
                    None => return None,
                };
                Some(Graft::of(servers))
            });
        }
        let Some(graft) = &mut graft else {
            text.push_str(line);
            continue;
        };
        let indent = &line[..line.len() - line.trim_start().len()];
        if word == "server" {
            graft.put(&mut text, indent);
            continue;
        }
        text.push_str(line);
        // What stands behind that, as a remark, may belong to the next section.
        if !word.is_empty() && !word.starts_with('#') {
            graft.end = text.len();
            if !opens_section(word) {
                graft.indent = indent;
            }
        }
    }
    if let Some(graft) = graft {
        graft.finish(&mut text);
    }
    text
}

/// The text with no other servers than those of these names.
#[must_use]
pub fn with_servers_named(text: &str, names: &BTreeSet<&str>) -> String {
    let stays = |line: &&str| {
        let mut words = line.split_ascii_whitespace();
        words.next() != Some("server") || words.next().is_some_and(|name| names.contains(name))
    };
    text.split_inclusive('\n').filter(stays).collect()
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
    let mut sections = new.sections().iter();
    let mut slots: Option<&HashSet<u32>> = None;
    let mut text = String::with_capacity(wanted.len());
    for line in wanted.split_inclusive('\n') {
        let word = line.split_ascii_whitespace().next().unwrap_or_default();
        if opens_section(word) {
            let there = sections
                .next()
                .and_then(|section| old.get(name_of(section)));
            slots = there.filter(|slots| !slots.is_empty());
        }
        let slot = slot_of(line).filter(|_| word == "server");
        if slot
            .zip(slots)
            .is_none_or(|((slot, _), slots)| slots.contains(&slot))
        {
            text.push_str(line);
        }
    }
    (text.len() < wanted.len()).then_some(text)
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

/// The servers that a section gets.
fn taken<'a>(
    running: &Section<'a>,
    wanted: &Section<'a>,
    known: &HashSet<Vec<&str>>,
) -> Vec<Cow<'a, str>> {
    let there: BTreeMap<&str, &'a str> = running
        .servers
        .iter()
        .map(|line| (address_of(line), *line))
        .collect();
    let model = running.servers.first();
    let lines = wanted.servers.iter().filter_map(|line| {
        if running.servers.contains(line) {
            return Some(Cow::Borrowed(*line));
        }
        if let Some(same) = there.get(address_of(line)).filter(|_| !has_slots(running)) {
            let rests = rests(line).then(|| format!("{same} {RESTS}"));
            return Some(rests.map_or(Cow::Borrowed(*same), Cow::Owned));
        }
        if known.contains(&words_of(line)) {
            return Some(Cow::Borrowed(*line));
        }
        as_written(line, model?).map(Cow::Owned)
    });
    lines.collect()
}

/// A server in the words of another one.
fn as_written(line: &str, model: &str) -> Option<String> {
    let own: Vec<&str> = line.split_ascii_whitespace().collect();
    let mut written = own.get(..3)?.join(" ");
    let mut words = model.split_ascii_whitespace().skip(3);
    while let Some(word) = words.next() {
        if word == RESTS {
            continue;
        }
        written.push(' ');
        written.push_str(word);
        if is_own(word) {
            words.next();
            let at = own.iter().position(|own| *own == word)?;
            written.push(' ');
            written.push_str(own.get(at + 1)?);
        }
    }
    // Whether it rests is its own, too, and a word of ours.
    if rests(line) {
        written.push(' ');
        written.push_str(RESTS);
    }
    Some(written)
}

/// Whether it is kept from requests.
fn rests(line: &str) -> bool {
    line.split_ascii_whitespace().any(|word| word == RESTS)
}

/// Whether what follows is each server's own.
fn is_own(word: &str) -> bool {
    matches!(word, "id" | "cookie" | "port")
}

/// Free ones are kept out of use by a word.
fn has_slots(section: &Section<'_>) -> bool {
    let mut lines = section.servers.iter();
    lines.any(|line| rests(line))
}

/// What a line says of its server beside name and address, but for what is each server's own.
fn words_of(line: &str) -> Vec<&str> {
    let mut words = line.split_ascii_whitespace().skip(3);
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        kept.push(word);
        if is_own(word) {
            words.next();
        }
    }
    kept
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
mod tests {
    use super::super::{Change, compare};
    use super::*;

    const RUNNING: &str = "\
global
  description a
backend a
  balance roundrobin
  server x h:1
  server y h:2
  # remark
backend b
  server x h:3
backend c
  server x h:4
";

    #[test]
    fn servers_are_taken_and_nothing_else() {
        let wanted = "\
global
  description b
backend a
  balance roundrobin
  server x h:1
  server z h:9
backend b
  balance leastconn
  server x h:5
backend d
  server x h:6
";
        let grafted = with_servers_of(RUNNING, wanted);
        let expected = RUNNING.replace("server y h:2", "server z h:9");
        let expected = expected.replace("h:3", "h:5");
        // Whoever is not wanted any more serves nobody.
        assert_eq!(grafted, expected.replace("  server x h:4\n", ""));
        let change = compare(Some(RUNNING), &grafted);
        assert!(matches!(change, Change::Servers(_)), "{change}");
    }

    #[test]
    fn what_needs_no_graft_stays_as_it_is() {
        assert_eq!(with_servers_of(RUNNING, RUNNING), RUNNING);
        // All of them may go.
        let wanted = RUNNING.replace("  server x h:3\n", "");
        assert_eq!(with_servers_of(RUNNING, &wanted), wanted);
    }

    #[test]
    fn what_a_server_says_beside_its_address_is_known_or_has_to_wait() {
        let running = "backend a\n  server x h:1 check port 7 inter 3s id 4\nbackend b\n";
        for (line, taken) in [
            (
                "server y h:2 check port 8 inter 3s id 5",
                ["y h:2 check port 8 inter 3s id 5"; 2],
            ),
            (
                "server y h:2 check port 8 inter 4s bogus id 5",
                ["y h:2 check port 8 inter 3s id 5", ""],
            ),
            ("server y h:2 bogus", ["", ""]),
            // It serves, whatever else is to be said of it.
            (
                "server z h:1 bogus",
                ["x h:1 check port 7 inter 3s id 4", ""],
            ),
        ] {
            let written = |line: &str| {
                if line.is_empty() {
                    String::new()
                } else {
                    format!("  server {line}\n")
                }
            };
            let [in_a, in_b] = taken.map(written);
            let wanted = format!("backend a\n  {line}\nbackend b\n  {line}\n");
            let expected = format!("backend a\n{in_a}backend b\n{in_b}");
            assert_eq!(with_servers_of(running, &wanted), expected, "{line}");
        }
    }

    #[test]
    fn a_backend_that_is_gone_keeps_what_its_app_has_elsewhere() {
        let running = "backend a_1\n  server x h:1\n  server y h:2\nbackend b_1\n  server x h:3\n";
        let wanted = "backend a_2\n  server x h:1\nbackend c_1\n  server z h:3\n";
        let expected = "backend a_1\n  server x h:1\nbackend b_1\n";
        assert_eq!(with_servers_of(running, wanted), expected);
    }

    #[test]
    fn a_backend_is_known_by_its_name_and_slots_stay() {
        let running = "backend a from p1\n  server x h:1\nbackend s\n  server s1 h:2\n  \
                       server s2 h:0 disabled\n";
        let wanted = "backend a from p2\n  server y h:3\n";
        let expected = running.replace("server x h:1", "server y h:3");
        assert_eq!(with_servers_of(running, wanted), expected);
    }

    /// What rests gets no requests, whatever else it says.
    #[test]
    fn who_rests_does_so_in_the_file_that_runs() {
        let running = "backend a\n  server slot_1 h:1 check id 1\n";
        let wanted = "backend a\n  server slot_1 127.0.0.1:1 check id 1 disabled\n";
        assert_eq!(with_servers_of(running, wanted), wanted);
        assert_eq!(with_servers_of(wanted, running), running);
        let drained = running.replace("id 1", "id 1 disabled");
        let other = drained.replace("check", "check inter 9s");
        assert_eq!(with_servers_of(running, &other), drained);
    }

    #[test]
    fn slots_are_kept_that_are_there() {
        let running = "backend a\n  server slot_1 h:1 id 1\nbackend b\n  server x h:2\n";
        let more = "backend a from p\n  server slot_1 h:9 id 1\n  server slot_2 h:8 id 2\n";
        let rest = "backend b\n  server slot_7 h:7\nbackend c\n  server slot_1 h:6\n";
        let within = "backend a from p\n  server slot_1 h:9 id 1\n";
        let found = within_slots(running, &format!("{more}{rest}"));
        // Where there was none, nobody is told of slots.
        assert_eq!(found.as_deref(), Some(&*format!("{within}{rest}")));
        assert_eq!(within_slots(running, &format!("{within}{rest}")), None);
    }

    #[test]
    fn those_stay_that_are_named() {
        let names = BTreeSet::from(["y"]);
        let expected = RUNNING.replace("  server x h:1\n", "");
        let expected = expected.replace("  server x h:3\n", "");
        let expected = expected.replace("  server x h:4\n", "");
        assert_eq!(with_servers_named(RUNNING, &names), expected);
    }

    #[test]
    fn servers_come_back_to_a_section_that_has_none() {
        let emptied = RUNNING.replace("  server x h:1\n  server y h:2\n", "");
        let emptied = emptied.replace("  server x h:4\n", "");
        let grafted = with_servers_of(&emptied, RUNNING);
        assert_eq!(grafted, RUNNING);
        assert_eq!(with_servers_of(emptied.trim_end(), RUNNING), RUNNING);
        let change = compare(Some(&emptied), &grafted);
        assert!(matches!(change, Change::Servers(_)), "{change}");
    }
}
