//! The command line of `marathon_lb.py`, marathon-lb 1.15.

use std::ffi::OsString;

use super::argparse::{Parsed, Parser};
use super::{Invocation, Usage, predecessor};
use crate::config::option::{self, Definition, Fallback};
use crate::config::{CommandLine, Request, integer};

/// A call of marathon-lb.
#[derive(Debug, PartialEq)]
pub enum MarathonLbCall {
    /// `--longhelp`: the reference, of which `--help` is a part.
    LongHelp {
        /// As `--help` prints it.
        help: String,
    },
    /// One turn.
    Run {
        /// What counts for it; `Config::dry` says whether anything may change.
        request: Request,
        /// `--sse`: and on to the next ones, as Marathon's events come.
        follow: bool,
    },
}

/// Reads the words behind `program`, which is how it was started.
pub(super) fn parse(program: &str, words: Vec<OsString>) -> Result<Invocation, Usage> {
    let parser = Parser {
        program,
        about: "Brings HAProxy in step with Marathon, as marathon-lb did",
        options: option::MARATHON_LB,
        takes_several: option::MARATHON,
        ours: &["haproxy-version", "runtime-api"],
    };
    let given = match predecessor::given(&parser, words)? {
        Parsed::Help => return Ok(predecessor::help(&parser)),
        Parsed::Given(given) => given,
    };
    let has = |name: &str| given.iter().any(|(option, _)| option.name == name);
    if has("longhelp") {
        return Ok(Invocation::MarathonLb(MarathonLbCall::LongHelp {
            help: parser.help(),
        }));
    }
    let low = number(&given, option::MIN_AUTO_PORT);
    let high = number(&given, option::MAX_AUTO_PORT);
    let problem = if (low == 0) != (high == 0) {
        "--min-serv-port-ip-per-task and --max-serv-port-ip-per-task: only one of them is 0, \
         expected both (no ports are assigned) or neither"
    } else if low > high {
        "--min-serv-port-ip-per-task is above --max-serv-port-ip-per-task"
    } else if !has(option::GROUP) {
        "argument --group is required: please specify at least one group"
    } else {
        return Ok(Invocation::MarathonLb(MarathonLbCall::Run {
            follow: has("sse"),
            request: predecessor::request(CommandLine::MarathonLb, given),
        }));
    };
    Err(Usage::whole(&parser.error(problem)))
}

/// The number that counts for `name`.
fn number(given: &[(&'static Definition, Vec<String>)], name: &str) -> i64 {
    let last = given
        .iter()
        .rev()
        .find(|(option, _)| option.name == name)
        .and_then(|(_, values)| values.last());
    let text = match last {
        Some(text) => text.as_str(),
        None => match option::MARATHON_LB
            .iter()
            .find(|option| option.name == name)
        {
            Some(Definition {
                fallback: Fallback::Value(text),
                ..
            }) => text,
            _ => "0",
        },
    };
    integer(text).unwrap_or_default()
}
