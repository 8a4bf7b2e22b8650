//! The file that runs with the servers of another one: so much of a change as needs no reload.

use std::collections::BTreeMap;

use super::outline::Outline;
use crate::haproxy::opens_section;

/// `running` with the servers that `wanted` has in the sections that both have. Those of a section that
/// is to become another one are taken, too: the old ones end.
#[must_use]
pub fn with_servers_of(running: &str, wanted: &str) -> String {
    let (old, new) = (Outline::of(running), Outline::of(wanted));
    let new: BTreeMap<_, _> = new.sections().iter().map(|s| (s.title, s)).collect();
    let mut sections = old.sections().iter();
    let mut text = String::with_capacity(running.len());
    let mut graft: Option<Graft<'_>> = None;
    for line in running.split_inclusive('\n') {
        let word = line.split_ascii_whitespace().next().unwrap_or_default();
        if opens_section(word) {
            if let Some(graft) = graft.take() {
                graft.finish(&mut text);
            }
            let both = sections.next().and_then(|old| new.get(old.title));
            graft = both.map(|wanted| Graft::of(&wanted.servers));
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

/// What a section gets.
struct Graft<'a> {
    servers: &'a [&'a str],
    is_there: bool,
    /// Where its last line ends, and how that is indented.
    end: usize,
    indent: &'a str,
}

impl<'a> Graft<'a> {
    fn of(servers: &'a [&'a str]) -> Self {
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
