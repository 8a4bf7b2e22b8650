//! What HAProxy says where it may not have as many files open as it needs, each socket being one.
//!
//! It finds out only when it starts, and whom it names is whoever stands last in the file: nobody is to
//! blame by that. So its words are read for how many it lacks, and for what an operator can do.

use std::fmt;

use super::messages::{CheckMessage, Severity};

/// How it says that it could open none any more.
const NONE_LEFT: &str = "Too many open files";

/// The same in words of HAProxy up to 2.2, and of the last file that it opens before it serves, both
/// without a reason: where it was told before that the limit is too low, that is the reason.
const UNEXPLAINED: [&str; 2] = ["cannot create listening socket", "Cannot create pidfile"];

/// How it says, before it tries, that the limit is too low: with what it needs and what it may have.
/// The first number of the one is the last of the other.
const TOO_LOW: [&str; 2] = ["Cannot raise FD limit to ", "FD limit ("];

/// How many files HAProxy may not open and would have to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// At least so many more.
    pub lacking: usize,
    /// Whether it could not even listen; else it reckons with the connections of `maxconn`.
    pub is_of_sockets: bool,
    /// How many it may open, where it says so.
    limit: Option<usize>,
    /// Whether it says that this is why it did not start.
    is_sure: bool,
    /// Its first words about it.
    pub words: String,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_sure {
            f.write_str("perhaps ")?;
        }
        f.write_str("HAProxy may open too few files")?;
        if let Some(limit) = self.limit {
            write!(f, " ({limit})")?;
        }
        write!(f, " and lacks {} at least: raise ", self.lacking)?;
        f.write_str("`LimitNOFILE=` of the unit or `ulimit -n` of what starts it")?;
        if !self.is_of_sockets {
            f.write_str(", or lower `maxconn`")?;
        }
        Ok(())
    }
}

impl Shortage {
    /// How many files HAProxy may open, as far as can be told of one that would have opened `files`
    /// before anybody connects.
    #[must_use]
    pub fn limit_of(&self, files: usize) -> usize {
        let opened = files.saturating_sub(self.lacking);
        let told = self.limit.unwrap_or(0);
        // What it tells may be the limit from which it has raised its own.
        if self.is_of_sockets {
            told.max(opened)
        } else {
            told
        }
    }

    /// What `messages` of a start that failed tell of one; `None` where it failed for other reasons.
    #[must_use]
    pub fn of(messages: &[CheckMessage]) -> Option<Self> {
        let alerts = || messages.iter().filter(|m| m.severity == Severity::Alert);
        // A HAProxy that is told to go on all the same warns of it before it tries.
        let bounds = messages.iter().find_map(|message| bounds(&message.text));
        let is_unexplained = |text: &str| {
            let mut known = UNEXPLAINED.iter();
            bounds.is_some() && known.any(|words| text.contains(words))
        };
        let is_of_sockets = |text: &str| text.contains(NONE_LEFT) || is_unexplained(text);
        let first =
            alerts().find(|alert| is_of_sockets(&alert.text) || is_of_a_shortage(&alert.text))?;
        let sockets = alerts().filter(|alert| is_of_sockets(&alert.text)).count();
        let missing = bounds.map_or(0, |(needed, limit)| needed.saturating_sub(limit));
        Some(Self {
            lacking: if sockets > 0 { sockets } else { missing }.max(1),
            is_of_sockets: sockets > 0,
            limit: bounds.map(|(_, limit)| limit),
            is_sure: alerts().any(|alert| is_of_a_shortage(&alert.text)),
            words: first.lasting(),
        })
    }
}

/// Whether these are HAProxy's words about a limit of open files.
fn is_of_a_shortage(text: &str) -> bool {
    text.contains(NONE_LEFT) || bounds(text).is_some()
}

/// How many it needs, and how many it may open.
fn bounds(text: &str) -> Option<(usize, usize)> {
    let [raise, low] = TOO_LOW;
    let numbers = |from: &str| -> Vec<usize> {
        let words = from.split(|c: char| !c.is_ascii_digit());
        words.filter_map(|word| word.parse().ok()).collect()
    };
    if let Some((_, rest)) = text.split_once(raise) {
        return match numbers(rest)[..] {
            [needed, limit, ..] => Some((needed, limit)),
            _ => None,
        };
    }
    let (_, rest) = text.split_once(low)?;
    let all = numbers(rest);
    Some((*all.last()?, *all.first()?))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn how_many_files_are_lacking_is_what_haproxy_says_when_it_does_not_start() {
        let warns =
            "[WARNING]  (7) : [haproxy.main()] Cannot raise FD limit to 516, limit is 200.\n";
        let named = |line| {
            format!(
                "[ALERT]    (7) : Binding [a.cfg:{line}] for frontend f: cannot create receiving \
                 socket (Too many open files) for [127.0.0.1:30195]\n"
            )
        };
        let low = "[ALERT] 1/2 (7) : [haproxy.main()] FD limit (1024) too low for \
                   maxconn=2000/maxsock=4036. Please raise 'ulimit-n' to 4036 or more to avoid any \
                   trouble.\n";
        for (output, want) in [
            (
                format!("{warns}{}{}", named(595), named(598)),
                Some((2, true, Some(200))),
            ),
            (named(595), Some((1, true, None))),
            (
                warns.replace("[WARNING]", "[ALERT]"),
                Some((316, false, Some(200))),
            ),
            (low.to_owned(), Some((3012, false, Some(1024)))),
            (warns.to_owned(), None),
            (
                "[ALERT] (7) : Binding [a.cfg:5] for frontend f: cannot bind socket (Permission \
                 denied) for [127.0.0.1:80]"
                    .to_owned(),
                None,
            ),
        ] {
            let shortage = Shortage::of(&parse(&output, &[]));
            let found = shortage.map(|s| (s.lacking, s.is_of_sockets, s.limit));
            assert_eq!(found, want, "{output}");
        }
    }

    #[test]
    fn words_without_a_reason_count_where_the_limit_was_told_before() {
        let warns =
            "[WARNING] 1/2 (7) : [haproxy.main()] Cannot raise FD limit to 516, limit is 200.\n";
        for alert in [
            "[ALERT] 1/2 (7) : Starting frontend f: cannot create listening socket [0.0.0.0:81]",
            "[ALERT] 1/2 (7) : [haproxy.main()] Cannot create pidfile /run/haproxy.pid",
        ] {
            let of = |output: &str| Shortage::of(&parse(output, &[]));
            assert_eq!(of(alert), None, "{alert}");
            let shortage = of(&format!("{warns}{alert}")).unwrap();
            assert_eq!(
                (shortage.lacking, shortage.limit),
                (1, Some(200)),
                "{alert}"
            );
            let told = shortage.to_string();
            assert!(
                told.starts_with("perhaps HAProxy may open too few files (200)"),
                "{told}"
            );
        }
    }

    #[test]
    fn what_to_raise_is_said() {
        let output =
            "[ALERT] (7) : [haproxy.main()] Cannot raise FD limit to 100036, limit is 1024.";
        let shortage = Shortage::of(&parse(output, &[])).unwrap();
        assert_eq!(
            shortage.to_string(),
            "HAProxy may open too few files (1024) and lacks 99012 at least: raise `LimitNOFILE=` of \
             the unit or `ulimit -n` of what starts it, or lower `maxconn`"
        );
    }
}
