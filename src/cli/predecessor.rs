//! What the command lines of the predecessors in Python have in common.

use std::ffi::OsString;

use super::argparse::{Parsed, Parser};
use super::{Entry, Invocation, Usage, not_utf8};
use crate::config::option::{Definition, MARATHON, Takes};
use crate::config::{CommandLine, Layer, Origin, Policy, Repeats, Request};

/// The words that stand for them, in the order of the help.
pub(super) const NAMES: &[Entry] = &[
    Entry {
        name: "marathon-lb",
        takes: "OPTIONS",
        about: "As marathon_lb.py of marathon-lb 1.15",
        details: "Also when the program is started under the name marathon_lb.py or marathon-lb.",
    },
    Entry {
        name: "servicerouter",
        takes: "OPTIONS",
        about: "As servicerouter.py",
        details: "Also when the program is started under the name servicerouter.py.",
    },
];

/// Which of them a program of that file name is.
pub(super) fn started_as(name: &str) -> Option<CommandLine> {
    match name {
        "marathon_lb.py" | "marathon-lb" => Some(CommandLine::MarathonLb),
        "servicerouter.py" => Some(CommandLine::Servicerouter),
        _ => None,
    }
}

/// Which of them a first word asks for.
pub(super) fn called(word: &str) -> Option<CommandLine> {
    match word {
        "marathon-lb" => Some(CommandLine::MarathonLb),
        "servicerouter" => Some(CommandLine::Servicerouter),
        _ => None,
    }
}

/// What `words` give.
pub(super) fn given(parser: &Parser<'_>, words: Vec<OsString>) -> Result<Parsed, Usage> {
    let words: Vec<String> = words
        .into_iter()
        .map(|word| word.into_string().map_err(|word| not_utf8(&word)))
        .collect::<Result<_, _>>()?;
    parser.parse(&words).map_err(|text| Usage::whole(&text))
}

pub(super) fn help(parser: &Parser<'_>) -> Invocation {
    Invocation::Print {
        text: parser.help(),
        exit: 0,
    }
}

/// What was given, as a request of `command_line`.
pub(super) fn request(
    command_line: CommandLine,
    given: Vec<(&'static Definition, Vec<String>)>,
) -> Request {
    let policy = Policy::of(command_line);
    let last_marathon = given
        .iter()
        .rposition(|(option, _)| option.name == MARATHON);
    let mut flags = Layer::default();
    for (place, (option, values)) in given.into_iter().enumerate() {
        let is_replaced = policy.repeated_marathon == Repeats::Last
            && option.name == MARATHON
            && last_marathon != Some(place);
        if is_replaced {
            continue;
        }
        if let Takes::Nothing(_) = option.takes {
            flags.add(option, "true".to_owned(), Origin::Predecessor);
        }
        for value in values {
            flags.add(option, value, Origin::Predecessor);
        }
    }
    Request {
        policy,
        // They have a default, or were asked for already.
        needs_marathon: false,
        flags,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{MarathonLbCall, PROGRAM, ServicerouterCall, parse};

    #[test]
    fn a_predecessor_is_asked_for_by_a_word_or_by_the_name_of_the_program() {
        fn show(invocation: Invocation) -> String {
            let (name, request, more) = match invocation {
                Invocation::MarathonLb(MarathonLbCall::Run { request, follow }) => {
                    assert_eq!(request.policy, Policy::of(CommandLine::MarathonLb));
                    ("marathon-lb", request, format!("{follow}"))
                }
                Invocation::Servicerouter(ServicerouterCall::Run { request, listening }) => {
                    assert_eq!(request.policy, Policy::of(CommandLine::Servicerouter));
                    ("servicerouter", request, format!("{listening:?}"))
                }
                other => panic!("{other:?}"),
            };
            let marathons: Vec<&str> = request.marathons().collect();
            format!("{name} {marathons:?} {more}")
        }
        for (words, what) in [
            (
                &[
                    "/usr/bin/marathon_lb.py",
                    "--group",
                    "a",
                    "-m",
                    "x",
                    "-m",
                    "y",
                    "z",
                ][..],
                r#"marathon-lb ["y", "z"] false"#,
            ),
            (
                &["marathon-lb", "--group", "a", "-s"],
                "marathon-lb [] true",
            ),
            (
                &["./servicerouter.py", "-m", "x", "-m", "y", "z"],
                r#"servicerouter ["x", "y", "z"] None"#,
            ),
            (
                &[PROGRAM, "marathon-lb", "--group=a"],
                "marathon-lb [] false",
            ),
            (
                &[PROGRAM, "servicerouter", "-mx", "-lhttp://y"],
                r#"servicerouter ["x"] Some("http://y")"#,
            ),
        ] {
            let invocation = parse(words.iter().map(OsString::from)).unwrap();
            assert_eq!(show(invocation), what, "{words:?}");
        }
        for words in [
            &["marathon-lb", "--longhelp", "--min", "0"][..],
            &["marathon-lb", "--longhelp", "-h"],
        ] {
            let invocation = parse(words.iter().map(OsString::from));
            assert!(
                matches!(
                    invocation,
                    Ok(Invocation::MarathonLb(MarathonLbCall::LongHelp { .. })
                        | Invocation::Print { exit: 0, .. })
                ),
                "{words:?}"
            );
        }
    }
}
