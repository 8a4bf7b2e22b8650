//! What of HAProxy's many words tells why it did not start.

use super::messages::{Severity, parse};

/// So many messages, or lines, are enough to know where to look.
const MOST: usize = 3;

/// What HAProxy says behind the real causes, in all versions.
const SUMMARIES: [&str; 5] = [
    "Fatal errors found in configuration",
    "Error(s) found in configuration file",
    "Errors found in configuration file",
    "protocols failed to start their listeners",
    "Some configuration options require full privileges",
];

/// The alerts of an `output` without what stands around them; of one without alerts, its last
/// lines.
#[must_use]
pub fn telling(output: &str) -> String {
    let messages = parse(output, &[]);
    let alerts: Vec<&str> = messages
        .iter()
        .filter(|message| message.severity == Severity::Alert)
        .map(|message| message.text.as_str())
        .collect();
    let is_summary = |text: &&str| SUMMARIES.iter().any(|summary| text.contains(summary));
    let (summaries, causes): (Vec<&str>, Vec<&str>) = alerts.into_iter().partition(is_summary);
    let lines: Vec<&str> = match (causes.is_empty(), summaries.is_empty()) {
        (false, _) => causes,
        (true, false) => summaries,
        (true, true) => {
            let lines: Vec<&str> = output
                .lines()
                .filter(|line| !line.trim().is_empty())
                .collect();
            let last = lines.len().saturating_sub(MOST);
            let mut told = joined(&lines[last..]);
            if last > 0 {
                told.insert_str(0, "… ");
            }
            return told;
        }
    };
    let mut told = joined(&lines[..lines.len().min(MOST)]);
    if lines.len() > MOST {
        let more = lines.len() - MOST;
        told = format!("{told}; and {more} more");
    }
    told
}

/// In one line, each line of a message parted from the next.
fn joined(lines: &[&str]) -> String {
    let lines = lines.iter().flat_map(|line| line.lines());
    lines.map(str::trim).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_causes_are_told_and_what_stands_around_them_is_not() {
        let start = "[NOTICE]   (7) : haproxy version is 2.6.12\n\
            [WARNING]  (7) : config : missing timeouts for frontend 'f'.\n   | While\n\
            [ALERT]    (7) : Starting proxy late: cannot bind socket (Address already in use) [127.0.0.1:80]\n\
            [ALERT]    (7) : [/usr/sbin/haproxy.main()] Some protocols failed to start their listeners! Exiting.\n";
        let alert = |n| format!("[ALERT] 001/000000 (7) : config : fault {n}\n");
        let many: String = (1..=5).map(alert).collect();
        for (output, want) in [
            (
                start,
                "Starting proxy late: cannot bind socket (Address already in use) [127.0.0.1:80]",
            ),
            (many.as_str(), "fault 1; fault 2; fault 3; and 2 more"),
            (
                "[ALERT] (7) : Fatal errors found in configuration.",
                "Fatal errors found in configuration.",
            ),
            ("no such\n\n service\n", "no such; service"),
            ("1\n2\n3\n4\n", "… 2; 3; 4"),
            ("", ""),
        ] {
            assert_eq!(telling(output), want);
            assert_eq!(telling(want), want, "once more it is the same");
        }
    }
}
