//! What HAProxy says where it may not have as many files open as it needs, each socket being one.
//!
//! It finds out only when it starts, and whom it names is whoever stands last in the file: nobody is to
//! blame by that. So its words are read for how many it lacks, and for what an operator can do.

use std::fmt;

use super::messages::{CheckMessage, Severity};

/// How it says that it could open none any more.
const NONE_LEFT: &str = "Too many open files";

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
    /// Its first words about it.
    pub words: String,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
    /// What `messages` of a start that failed tell of one; `None` where it failed for other reasons.
    #[must_use]
    pub fn of(messages: &[CheckMessage]) -> Option<Self> {
        let alerts = || messages.iter().filter(|m| m.severity == Severity::Alert);
        let first = alerts().find(|alert| is_of_a_shortage(&alert.text))?;
        let sockets = alerts().filter(|alert| alert.text.contains(NONE_LEFT));
        let sockets = sockets.count();
        // A HAProxy that is told to go on all the same warns of it before it tries.
        let bounds = messages.iter().find_map(|message| bounds(&message.text));
        let missing = bounds.map_or(0, |(needed, limit)| needed.saturating_sub(limit));
        Some(Self {
            lacking: if sockets > 0 { sockets } else { missing }.max(1),
            is_of_sockets: sockets > 0,
            limit: bounds.map(|(_, limit)| limit),
            words: first.lasting(),
        })
    }
}

/// Whether these are HAProxy's words about a limit of open files.
#[must_use]
pub fn is_of_a_shortage(text: &str) -> bool {
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
