//! The command line of the bash script `haproxy-marathon-bridge`, which came with Marathon.
//!
//! Its rule: a first word that names one of its functions is that call, else all words are hosts.
//! It knew no options; ours reach these calls by environment and file.

use std::ffi::OsString;

use super::{Entry, Invocation, Usage, not_utf8, pages};
use crate::config::option;
use crate::config::{CommandLine, Layer, Origin, Policy, Request, redact_value};

/// A call of the script.
#[derive(Debug, PartialEq)]
pub enum BridgeCall {
    /// Hosts alone, or `config`: prints the whole configuration.
    Config(Request),
    /// `header`: prints what stands before the first app.
    Header(Request),
    /// `apps`: prints the sections of the apps.
    Apps(Request),
    /// `cronjob`: prints the line for cron.
    Cronjob(Request),
    /// `install_cronjob`: the list of Marathons, the program, the cron file. The hosts it is given
    /// (`Request::marathons`) replace the list; none leaves it as it is.
    InstallCronjob(Request),
    /// `install_haproxy_system`: HAProxy, then as `install_cronjob`.
    InstallHaproxySystem(Request),
    /// `refresh_system_haproxy`: one turn; what cron runs.
    RefreshSystemHaproxy(Request),
    /// `logged CALL...`: output to syslog, as `haproxy-marathon-bridge[PID]`: standard output at
    /// `user.info`, standard error at `user.notice`.
    Logged(Box<BridgeCall>),
}

/// The calls, in the order of the help.
pub(super) const CALLS: &[Entry] = &[
    Entry {
        name: "config",
        takes: "[HOST:PORT...]",
        about: "Print the whole configuration",
        details: "",
    },
    Entry {
        name: "header",
        takes: "",
        about: "Print what stands before the apps",
        details: "",
    },
    Entry {
        name: "apps",
        takes: "[HOST:PORT...]",
        about: "Print the sections of the apps only",
        details: "",
    },
    Entry {
        name: "refresh_system_haproxy",
        takes: "[HOST:PORT...]",
        about: "Bring the HAProxy of this host in step once",
        details: "",
    },
    Entry {
        name: "install_haproxy_system",
        takes: "[HOST:PORT...]",
        about: "Install HAProxy, this program and its cron job",
        details: "",
    },
    Entry {
        name: "install_cronjob",
        takes: "[HOST:PORT...]",
        about: "Install this program and its cron job",
        details: "",
    },
    Entry {
        name: "cronjob",
        takes: "",
        about: "Print the line for cron",
        details: "",
    },
    Entry {
        name: "logged",
        takes: "CALL...",
        about: "Make one of these calls with output to syslog",
        details: "",
    },
];

/// The function of the script that its other calls went through: hosts, or nothing at all.
const MAIN: &str = "main";

pub(super) fn is_call(word: &str) -> bool {
    word == MAIN || CALLS.iter().any(|call| call.name == word)
}

/// Reads a call and what follows it.
pub(super) fn parse(call: &str, rest: Vec<OsString>) -> Result<Invocation, Usage> {
    if call == MAIN && rest.is_empty() {
        return Ok(Invocation::Print {
            text: pages::help(),
            exit: 1,
        });
    }
    if call == "logged" {
        return logged(rest);
    }
    let hosts = hosts(call, rest)?;
    Ok(Invocation::Bridge(match call {
        "header" => BridgeCall::Header(request(&[], Needs::Nothing)),
        "cronjob" => BridgeCall::Cronjob(request(&[], Needs::Nothing)),
        "apps" => BridgeCall::Apps(request(&hosts, Needs::Marathon)),
        "config" | MAIN => BridgeCall::Config(request(&hosts, Needs::Marathon)),
        "refresh_system_haproxy" => {
            BridgeCall::RefreshSystemHaproxy(request(&hosts, Needs::Marathon))
        }
        "install_cronjob" => BridgeCall::InstallCronjob(request(&hosts, Needs::Nothing)),
        "install_haproxy_system" => {
            BridgeCall::InstallHaproxySystem(request(&hosts, Needs::Nothing))
        }
        other => unreachable!("`{other}` is not among the calls"),
    }))
}

/// Reads a command line of hosts alone.
pub(super) fn parse_hosts(first: OsString, rest: Vec<OsString>) -> Result<Invocation, Usage> {
    parse(MAIN, std::iter::once(first).chain(rest).collect())
}

fn logged(rest: Vec<OsString>) -> Result<Invocation, Usage> {
    let mut rest = rest.into_iter();
    let call = rest.next();
    let name = call
        .as_ref()
        .and_then(|call| call.to_str())
        .unwrap_or_default();
    if !is_call(name) {
        let found = match &call {
            None => "nothing".to_owned(),
            Some(word) => format!("`{}`", redact_value(&word.to_string_lossy())),
        };
        return Err(Usage::new(&format!(
            "`logged`: found {found}, expected a call such as `refresh_system_haproxy`"
        )));
    }
    Ok(match parse(name, rest.collect())? {
        Invocation::Bridge(call) => Invocation::Bridge(BridgeCall::Logged(Box::new(call))),
        // The usage is for the person at the terminal.
        other => other,
    })
}

/// The words behind `call`; the script handed all of them to curl as hosts.
fn hosts(call: &str, words: Vec<OsString>) -> Result<Vec<String>, Usage> {
    let hosts: Vec<String> = words
        .into_iter()
        .map(|word| word.into_string().map_err(|word| not_utf8(&word)))
        .collect::<Result<_, _>>()?;
    match hosts.iter().find(|word| word.starts_with('-')) {
        None => Ok(hosts),
        Some(option) => {
            let place = if call == MAIN {
                String::new()
            } else {
                format!("`{call}`: ")
            };
            Err(Usage::new(&format!(
                "{place}found `{}`, expected a Marathon as HOST:PORT; options reach the calls of \
                 the bash bridge as variables HMB_<OPTION> or in the TOML file",
                redact_value(option)
            )))
        }
    }
}

/// Whether a call asks Marathon.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Marathon,
    Nothing,
}

fn request(hosts: &[String], needs: Needs) -> Request {
    let marathon = option::named("marathon").expect("the table has it");
    let mut flags = Layer::default();
    for host in hosts {
        flags.add(marathon, host.clone(), Origin::Host);
    }
    Request {
        policy: Policy::of(CommandLine::Bridge),
        needs_marathon: needs == Needs::Marathon,
        flags,
    }
}
