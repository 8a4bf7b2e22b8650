//! The command line of `servicerouter.py`, which came with Marathon until 0.11.

use std::ffi::OsString;

use super::argparse::{Parsed, Parser};
use super::{Invocation, Usage, predecessor};
use crate::config::option;
use crate::config::{CommandLine, Request};

/// A call of servicerouter.
#[derive(Debug, PartialEq)]
pub enum ServicerouterCall {
    /// `--longhelp`: the reference, of which `--help` is a part.
    LongHelp {
        /// As `--help` prints it.
        help: String,
    },
    /// One turn.
    Run {
        /// What counts for it.
        request: Request,
        /// `--listening`: and on to the next ones, as Marathon calls back at this address.
        listening: Option<String>,
    },
}

/// Reads the words behind `program`, which is how it was started.
pub(super) fn parse(program: &str, words: Vec<OsString>) -> Result<Invocation, Usage> {
    let parser = Parser {
        program,
        about: "Brings HAProxy in step with Marathon, as servicerouter.py did",
        options: option::SERVICEROUTER,
        takes_several: option::MARATHON,
        ours: &[],
    };
    let given = match predecessor::given(&parser, words)? {
        Parsed::Help => return Ok(predecessor::help(&parser)),
        Parsed::Given(given) => given,
    };
    let has = |name: &str| given.iter().any(|(option, _)| option.name == name);
    if has("longhelp") {
        return Ok(Invocation::Servicerouter(ServicerouterCall::LongHelp {
            help: parser.help(),
        }));
    }
    if !has(option::MARATHON) {
        let problem = "argument --marathon/-m: is required";
        return Err(Usage::whole(&parser.error(problem)));
    }
    let listening = given
        .iter()
        .rev()
        .find(|(option, _)| option.name == "listening")
        .and_then(|(_, values)| values.first().cloned());
    Ok(Invocation::Servicerouter(ServicerouterCall::Run {
        request: predecessor::request(CommandLine::Servicerouter, given),
        listening,
    }))
}
