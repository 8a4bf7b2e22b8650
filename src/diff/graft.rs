//! The file that runs with the servers of another one: so much of a change as needs no reload.

use std::collections::{BTreeMap, HashSet};

use super::outline::{Outline, Section};
use crate::haproxy::opens_section;

/// `running` with the servers that `wanted` has in the sections that both have. Those of a section that
/// is to become another one are taken, too: the old ones end. So do those of a backend that `wanted` does
/// not have at all, unless there are slots in it.
///
/// Of a server that is not in `running` nothing is new but name, address and number: HAProxy has
/// accepted the other words beside one that runs. One that says more has to wait.
#[must_use]
pub fn with_servers_of(running: &str, wanted: &str) -> String {
    let (old, new) = (Outline::of(running), Outline::of(wanted));
    let new: BTreeMap<_, _> = new.sections().iter().map(|s| (name_of(s), s)).collect();
    let lines = old.sections().iter().flat_map(|section| &section.servers);
    let known: HashSet<Vec<&str>> = lines.clone().map(|line| words_of(line)).collect();
    let there: HashSet<&str> = lines.copied().collect();
    let is_known = |line: &&str| there.contains(line) || known.contains(&words_of(line));
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
                let servers = match new.get(name_of(old)) {
                    Some(wanted) => wanted.servers.iter().copied().filter(is_known).collect(),
                    None if old.backend().is_some() && !has_slots(old) => Vec::new(),
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

/// By which the section is known, whatever it takes from a profile.
fn name_of<'a>(section: &Section<'a>) -> &'a str {
    section.backend().unwrap_or(section.title)
}

/// Free ones are kept out of use by a word.
fn has_slots(section: &Section<'_>) -> bool {
    let mut words = section
        .servers
        .iter()
        .flat_map(|line| line.split_ascii_whitespace());
    words.any(|word| word == "disabled")
}

/// What a line says of its server beside name and address, but for what is each server's own.
fn words_of(line: &str) -> Vec<&str> {
    let mut words = line.split_ascii_whitespace().skip(3);
    let mut kept = Vec::new();
    while let Some(word) = words.next() {
        kept.push(word);
        if matches!(word, "id" | "cookie" | "port") {
            words.next();
        }
    }
    kept
}

/// What a section gets.
struct Graft<'a> {
    servers: Vec<&'a str>,
    is_there: bool,
    /// Where its last line ends, and how that is indented.
    end: usize,
    indent: &'a str,
}

impl<'a> Graft<'a> {
    fn of(servers: Vec<&'a str>) -> Self {
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
        assert_eq!(grafted, expected.replace("h:3", "h:5"));
        let change = compare(Some(RUNNING), &grafted);
        assert!(matches!(change, Change::Servers(_)), "{change}");
    }

    #[test]
    fn what_needs_no_graft_stays_as_it_is() {
        assert_eq!(with_servers_of(RUNNING, RUNNING), RUNNING);
        assert_eq!(with_servers_of(RUNNING, ""), RUNNING);
        // All of them may go.
        let wanted = RUNNING.replace("  server x h:3\n", "");
        assert_eq!(with_servers_of(RUNNING, &wanted), wanted);
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
