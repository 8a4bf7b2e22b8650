//! What tells one answer from another before it is read.
//!
//! Marathon writes a new time into the result of every health check that it runs, so that no two
//! answers of a live cluster are equal. Nothing reads these times, and they are passed over here;
//! whatever is not just what Marathon writes counts as it stands.

use memchr::memchr2;
use memchr::memmem::Finder;

use crate::disk::{Digest, Digesting};

/// A list of results begins so; Marathon writes no spaces.
const RESULTS: &[u8] = b"\"healthCheckResults\":[";

/// Fields of a result that `wire` does not read, and that change by themselves.
const TIMES: [&[u8]; 4] = [
    b"firstSuccess",
    b"lastFailure",
    b"lastFailureCause",
    b"lastSuccess",
];

/// Equal for answers that differ in nothing that is read.
pub(super) fn essence(body: &str) -> Digest {
    let body = body.as_bytes();
    let mut digesting = Digesting::new();
    let mut done = 0;
    for start in Finder::new(RESULTS).find_iter(body) {
        // What begins by an escaped quote stands within a text.
        if start < done || body[..start].ends_with(b"\\") {
            continue;
        }
        let mut times = Times {
            body,
            at: start + RESULTS.len(),
        };
        for (from, to) in times.by_ref() {
            digesting.add(&body[done..from]);
            done = to;
        }
    }
    digesting.add(&body[done..]);
    digesting.end()
}

/// The values of [`TIMES`] in one list of results, as far as it is a list of flat objects.
struct Times<'a> {
    body: &'a [u8],
    at: usize,
}

impl Iterator for Times<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        loop {
            // Objects, commas, numbers and words go by.
            let next = self.body[self.at..]
                .iter()
                .position(|byte| matches!(byte, b'"' | b'[' | b']'))?;
            self.at += next;
            if self.body[self.at] != b'"' {
                return None;
            }
            let name = self.text()?;
            if self.body.get(self.at) != Some(&b':') {
                continue;
            }
            self.at += 1;
            let from = self.at;
            if self.body[from..].starts_with(b"\"") {
                self.text()?;
            } else if self.body[from..].starts_with(b"null") {
                self.at += b"null".len();
            } else {
                continue;
            }
            if TIMES.contains(&name) {
                return Some((from, self.at));
            }
        }
    }
}

impl<'a> Times<'a> {
    /// The text that begins here, without its quotes; the next byte is the one behind it.
    fn text(&mut self) -> Option<&'a [u8]> {
        let from = self.at + 1;
        let mut at = from;
        loop {
            at += memchr2(b'"', b'\\', &self.body[at..])?;
            if self.body[at] == b'"' {
                self.at = at + 1;
                return Some(&self.body[from..at]);
            }
            at += 2;
            if at > self.body.len() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::body;
    use super::*;

    /// An answer with these fields in the result of a health check.
    fn answer(result: &str) -> String {
        format!(
            r#"{{"apps":[{{"id":"/a","ports":[80],"labels":{{"a":"\"healthCheckResults\":[\"lastSuccess\":\"1\"]"}},"tasks":[{{"id":"t","host":"10.0.0.1","ports":[31000],"state":"TASK_RUNNING","healthCheckResults":[{{"alive":true,{result}"taskId":"t"}}]}}]}}]}}"#
        )
    }

    #[test]
    fn only_the_times_of_health_checks_are_passed_over() {
        let plain = answer(r#""lastSuccess":"2016-10-21T11:02:31Z","lastFailure":null,"#);
        let same = [
            r#""lastSuccess":"2016-10-21T11:02:41Z","lastFailure":null,"#,
            r#""lastSuccess":null,"lastFailure":"2016","#,
            r#""lastSuccess":"a \" \\","lastFailure":"]}","#,
        ];
        for result in same {
            assert_eq!(essence(&answer(result)), essence(&plain), "{result}");
        }
        let others = [
            answer(r#""lastSuccess":1,"lastFailure":null,"#),
            answer(r#""lastSuccess":"1","#),
            answer(r#""consecutiveFailures":1,"lastSuccess":"1","lastFailure":null,"#),
            answer(r#""more":{"lastSuccess":"1"},"lastFailure":null,"#),
            plain.replace("true", "false"),
            plain.replace(r#""1\""#, r#""2\""#),
            plain.replace("\"}]}]}]}", "\"}]}]"),
            plain.replace("\"taskId\":\"t\"", "\"taskId\":\"u\""),
        ];
        for other in others {
            assert_ne!(essence(&other), essence(&plain), "{other}");
        }
        let spaced = |time: &str| {
            plain
                .replace(":[{\"alive", ": [{\"alive")
                .replace("11:02", time)
        };
        assert_ne!(essence(&spaced("11:03")), essence(&spaced("11:04")));
    }

    #[test]
    fn what_is_said_of_readiness_counts() {
        let body = |ready: &str, deployments: &str| {
            let readiness = format!(
                r#""deployments":[{deployments}],"readinessCheckResults":[{{"taskId":"t","ready":{ready}}}],"tasks""#
            );
            answer("").replace("\"tasks\"", &readiness)
        };
        let plain = essence(&body("false", ""));
        assert_eq!(essence(&body("false", "")), plain);
        assert_ne!(essence(&body("true", "")), plain);
        assert_ne!(essence(&body("false", r#"{"id":"d"}"#)), plain);
    }

    #[test]
    fn a_body_that_breaks_off_anywhere_is_another() {
        let plain = answer(r#""lastSuccess":"2016-10-21T11:02:31Z","lastFailure":null,"#);
        for end in 0..plain.len() {
            assert_ne!(essence(&plain[..end]), essence(&plain), "{end}");
        }
    }

    proptest! {
        /// Whatever is written over an answer: where it passes for the same, it is read alike.
        #[test]
        fn answers_of_one_essence_are_read_alike(
            at in any::<prop::sample::Index>(),
            length in 0usize..12,
            text in r#"[\[\]{}",:\\0-9a-zA-Z]{0,12}"#,
        ) {
            let plain = answer(
                r#""lastSuccess":"2016-10-21T11:02:31Z","lastFailureCause":"\"no\"","lastFailure":null,"#,
            );
            let from = at.index(plain.len());
            let to = (from + length).min(plain.len());
            let other = format!("{}{text}{}", &plain[..from], &plain[to..]);
            if essence(&other) == essence(&plain) && let Ok(read) = body::apps(&other) {
                prop_assert_eq!(read, body::apps(&plain).unwrap());
            }
        }
    }
}
