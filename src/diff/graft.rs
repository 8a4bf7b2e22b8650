//! The file that runs with the servers of another one: so much of a change as needs no reload.

use std::collections::BTreeMap;

use super::outline::{Outline, opens_section};

/// `running` with the servers that `wanted` has in the sections that both have. Those of a section that
/// is to become another one are taken, too: the old ones end.
#[must_use]
pub fn with_servers_of(running: &str, wanted: &str) -> String {
    let (old, new) = (Outline::of(running), Outline::of(wanted));
    let new: BTreeMap<_, _> = new.sections().iter().map(|s| (s.title, s)).collect();
    let mut sections = old.sections().iter();
    let mut text = String::with_capacity(running.len());
    // What the section at hand gets, and whether it has it already.
    let mut servers: Option<(&[&str], bool)> = None;
    for line in running.split_inclusive('\n') {
        let word = line.split_ascii_whitespace().next().unwrap_or_default();
        if opens_section(word) {
            let wanted = sections.next().and_then(|old| new.get(old.title));
            servers = wanted.map(|new| (new.servers.as_slice(), false));
        }
        match &mut servers {
            Some((servers, is_there)) if word == "server" => {
                if *is_there {
                    continue;
                }
                *is_there = true;
                let indent = &line[..line.len() - line.trim_start().len()];
                for server in *servers {
                    text.push_str(indent);
                    text.push_str(server);
                    text.push('\n');
                }
            }
            _ => text.push_str(line),
        }
    }
    text
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
}
