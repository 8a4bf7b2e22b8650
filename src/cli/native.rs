//! The program's own command line, built from the table of options.
//!
//! Values are taken as they are: `config::build` reads them, so that what is wrong in options,
//! environment and file is told at once. Only words of a fixed choice are checked here, which lets
//! shells complete them.

use std::ffi::OsString;

use clap::builder::PossibleValuesParser;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint};

use super::{Entry, Invocation, PROGRAM, Shell, Usage, pages, redact_words};
use crate::config::option::{self, Definition, Form, Takes};
use crate::config::{CommandLine, Layer, Origin, Policy, Request};

/// The commands, in the order of the help.
pub(super) const COMMANDS: &[Entry] = &[
    Entry {
        name: "generate",
        takes: "",
        about: "Print what would be installed, or write it into a folder; changes nothing else",
        details: "",
    },
    Entry {
        name: "refresh",
        takes: "",
        about: "Bring HAProxy in step once: ask, render, check, install, reload",
        details: "",
    },
    Entry {
        name: "watch",
        takes: "",
        about: "Keep HAProxy in step: a turn as of refresh whenever Marathon tells of a change",
        details: "It follows Marathon's events and holds the lock of the file for as long as it runs, so that refresh has nothing to do meanwhile. SIGHUP: ask for everything now. SIGUSR1: reload HAProxy with the installed files. SIGTERM, SIGINT: finish the turn and end with 0. It tells systemd of its state where that asks (Type=notify, WatchdogSec). --allow-removal counts for the first turn alone.",
    },
    Entry {
        name: "diff",
        takes: "",
        about: "Show what refresh would change, and why; exit 0 nothing, 1 something, 2 trouble",
        details: "It asks Marathon as refresh does, and shows the differences of all files. Nothing is written.",
    },
    Entry {
        name: "check",
        takes: "",
        about: "Have HAProxy judge what refresh would install; exit 1 where something is left out",
        details: "It asks Marathon as refresh does, has `haproxy -c` judge the files, and says which app and service port each fault belongs to. Nothing is written.",
    },
    Entry {
        name: "explain",
        takes: "APP | HOST[/PATH]",
        about: "Tell what becomes of an app, or where a request is led, and why",
        details: "Of an app, whose id begins with `/`: each service port, the labels that are said of it, where its requests are led and by what, its lines of haproxy.cfg and its rows of the maps as refresh would install them, and all warnings; exit 1 where there are any. Of a host, with or without a path: who gets such requests on ports 80 and 443, in the order in which HAProxy tries them; exit 1 where nobody does. It asks Marathon as refresh does. Passwords are not shown, and nothing is written.",
    },
    Entry {
        name: "compare",
        takes: "URL-or-FILE",
        about: "Show what differs from a predecessor's file; exit 0 nothing, 1 something, 2 trouble",
        details: "It asks Marathon as generate does, and compares section by section with a file, or with what a URL gives: http://LB:9090 stands for the page of marathon-lb that shows its file. So are maps that lie beside that file, or that marathon-lb shows, row by row. Order and remarks within a section do not count as differences of what it says. Behind what differs stands why, where options, labels, Marathon or the documents tell. Nothing is written.",
    },
    Entry {
        name: "status",
        takes: "",
        about: "Tell what came of the last turn; exit 1 where something is wrong",
        details: "It reads what is remembered, and asks neither Marathon nor HAProxy, but a watcher of itself. Something is wrong where the last turn failed, something is held back, a reload is still to come, HAProxy does not run the files, an edit is not put to use, or a service port is in quarantine though HAProxy named nobody. What an app is in quarantine for by what it says itself is told, and is for its owner to mend.",
    },
    Entry {
        name: "doctor",
        takes: "",
        about: "Look for what keeps HAProxy from being kept in step, and tell what mends it",
        details: "It looks at this program, HAProxy with its file, process and sockets, what may be written, every Marathon, who takes turns, and what came of the last one, and changes nothing. Exit 1 where something is wrong.",
    },
    Entry {
        name: "rollback",
        takes: "",
        about: "Go back to the good files before those that are installed, and pause",
        details: "The files of a few earlier states that HAProxy was seen to run are kept (--archive-versions). Rollback checks, installs and reloads the last one before the one that is installed; called again, it goes one further back. What was gone back from is no longer kept as good. Since the next refresh would install the same again, turns are paused until `resume`, unless --no-pause is given. Tasks that moved meanwhile are not followed: it is a way to win time.",
    },
    Entry {
        name: "pause",
        takes: "",
        about: "Let refresh apply nothing and only tell what it would do",
        details: "While paused, refresh asks, renders and tells what it would apply, and exits 0. Tasks that move are not followed.",
    },
    Entry {
        name: "resume",
        takes: "",
        about: "Let refresh apply again what it finds",
        details: "",
    },
    Entry {
        name: "drain",
        takes: "WHAT...",
        about: "Let a host, a task or a server get no new requests",
        details: "WHAT is a host or a task as Marathon names it, or a server as HOST:PORT. Its servers stay in the file and rest there (`disabled`): requests under way are answered, new ones go to others. That is remembered until `undrain`, also for tasks that come later, and shown by `status`. A watcher heeds it at once, else the next refresh does. In the bridge's templates, which know no rest, they leave the file.",
    },
    Entry {
        name: "undrain",
        takes: "WHAT...",
        about: "Let what was drained get requests again",
        details: "WHAT is what was given to `drain`.",
    },
    Entry {
        name: "install",
        takes: "[HOST:PORT...]",
        about: "Put this program on the host, with HAProxy and what has turns taken",
        details: "HAProxy comes by the system's package manager where it is missing. The program is copied to /usr/local/bin, the Marathons that are given replace the list in /etc/haproxy-marathon-bridge/marathons, and a file of options is written where there is none. The present haproxy.cfg is kept once, HAProxy is started, a first turn is taken, and more by cron, a timer or a service. What is already so is left as it is: called again, it does what is left to do. Variables HMB_ of other options do not count, since nobody will have them later.",
    },
    Entry {
        name: "uninstall",
        takes: "",
        about: "Take back what install did; HAProxy and its file stay",
        details: "A file of options that somebody changed, the list of Marathons and what is remembered are kept unless --purge is given; the haproxy.cfg from before the installation always is.",
    },
    Entry {
        name: "demo",
        takes: "",
        about: "Show it at work on this host, with a Marathon and backends of its own",
        details: "With --stay it is kept running until it is interrupted.",
    },
    Entry {
        name: "completions",
        takes: "",
        about: "Print completions for a shell",
        details: "",
    },
    Entry {
        name: "man",
        takes: "",
        about: "Print the man page",
        details: "",
    },
    Entry {
        name: "help",
        takes: "",
        about: "Print this, or the help of a command",
        details: "",
    },
];

/// The id of what is given without a name.
const HOST: &str = "HOST:PORT";
const OTHER: &str = "URL-or-FILE";

pub(super) fn is_command(word: &str) -> bool {
    COMMANDS.iter().any(|command| command.name == word)
}

/// The secret that `word` would give. clap would take it for the beginning of another option.
fn secret_option(word: &OsString) -> Option<&'static Definition> {
    let word = word.to_str()?.strip_prefix("--")?;
    let name = word.split('=').next().unwrap_or_default();
    option::named(name).filter(|option| option.is_secret())
}

/// Reads a native command line, whose first word is `first`.
pub(super) fn parse(first: OsString, rest: Vec<OsString>) -> Result<Invocation, Usage> {
    if let Some(option) = rest.iter().find_map(secret_option) {
        return Err(Usage::of(format!(
            "`--{0}` would show a secret in the process list, expected it in the variable `{1}` or \
             in a file: `--{0}-file`",
            option.name,
            option.variable()
        )));
    }
    let words: Vec<OsString> = std::iter::once(PROGRAM.into())
        .chain(std::iter::once(first))
        .chain(rest)
        .collect();
    let matches = match command().try_get_matches_from(&words) {
        Ok(matches) => matches,
        Err(error) => {
            let text = error.render().to_string();
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                    Ok(Invocation::Print { text, exit: 0 })
                }
                _ => {
                    let words: Vec<String> = words
                        .iter()
                        .map(|word| word.to_string_lossy().into_owned())
                        .collect();
                    Err(Usage::of(
                        redact_words(text.trim_end(), &words).into_owned(),
                    ))
                }
            };
        }
    };
    let (name, matches) = matches.subcommand().expect("clap asks for a command");
    Ok(match name {
        "generate" => Invocation::Generate(request(option::Command::Generate, matches)),
        "refresh" => Invocation::Refresh(request(option::Command::Refresh, matches)),
        "watch" => Invocation::Watch(request(option::Command::Watch, matches)),
        "diff" => Invocation::Diff(request(option::Command::Diff, matches)),
        "check" => Invocation::Check(request(option::Command::Check, matches)),
        "explain" => Invocation::Explain {
            request: request(option::Command::Explain, matches),
            what: matches
                .get_one::<String>("what")
                .expect("clap asks for it")
                .clone(),
        },
        "status" => Invocation::Status(request(option::Command::Status, matches)),
        "compare" => Invocation::Compare {
            request: request(option::Command::Compare, matches),
            other: matches
                .get_one::<String>(OTHER)
                .expect("clap asks for it")
                .clone(),
        },
        "doctor" => Invocation::Doctor(request(option::Command::Doctor, matches)),
        "rollback" => Invocation::Rollback(request(option::Command::Rollback, matches)),
        "pause" => Invocation::Pause(request(option::Command::Pause, matches)),
        "resume" => Invocation::Resume(request(option::Command::Resume, matches)),
        "drain" => Invocation::Drain {
            request: request(option::Command::Drain, matches),
            what: whats(matches),
        },
        "undrain" => Invocation::Undrain {
            request: request(option::Command::Undrain, matches),
            what: whats(matches),
        },
        "install" => Invocation::Install(with_hosts(
            request(option::Command::Install, matches),
            matches,
        )),
        "uninstall" => Invocation::Uninstall(request(option::Command::Uninstall, matches)),
        "demo" => Invocation::Demo(request(option::Command::Demo, matches)),
        "completions" => Invocation::Completions(
            *matches
                .get_one::<Shell>("shell")
                .expect("clap asks for a shell"),
        ),
        "man" => Invocation::Man,
        other => unreachable!("`{other}` is not among the commands"),
    })
}

fn whats(matches: &ArgMatches) -> Vec<String> {
    let all = matches.get_many::<String>("what").into_iter().flatten();
    all.cloned().collect()
}

/// What `matches` gave of the options that `command` takes.
fn request(command: option::Command, matches: &ArgMatches) -> Request {
    let mut flags = Layer::default();
    for option in options(command) {
        for text in matches
            .get_many::<String>(option.name)
            .into_iter()
            .flatten()
        {
            flags.add(option, text.clone(), Origin::Flag);
        }
    }
    Request {
        policy: Policy::of(CommandLine::Native),
        needs_marathon: command.asks_marathon(),
        flags,
    }
}

/// With the bare words behind the command as Marathons.
fn with_hosts(mut request: Request, matches: &ArgMatches) -> Request {
    let marathon = option::named(option::MARATHON).expect("the table has it");
    let hosts = matches.get_many::<String>(HOST).into_iter().flatten();
    for host in hosts {
        request.flags.add(marathon, host.clone(), Origin::Host);
    }
    request
}

/// The whole command line, as clap knows it.
pub(super) fn command() -> Command {
    let of = |name: &str| {
        let entry = COMMANDS
            .iter()
            .find(|entry| entry.name == name)
            .expect("it is listed");
        let command = Command::new(entry.name).about(entry.about);
        if entry.details.is_empty() {
            return command;
        }
        command.long_about(format!("{}\n\n{}", entry.about, entry.details))
    };
    Command::new(PROGRAM)
        .version(env!("CARGO_PKG_VERSION"))
        .about(env!("CARGO_PKG_DESCRIPTION"))
        .override_usage(format!(
            "{PROGRAM} <COMMAND> [OPTIONS]\n       {PROGRAM} HOST:PORT..."
        ))
        .after_help(pages::after_help())
        .subcommand_required(true)
        .max_term_width(100)
        .subcommand(with_options(of("generate"), option::Command::Generate))
        .subcommand(with_options(of("refresh"), option::Command::Refresh))
        .subcommand(with_options(of("watch"), option::Command::Watch))
        .subcommand(with_options(of("diff"), option::Command::Diff))
        .subcommand(with_options(of("check"), option::Command::Check))
        .subcommand(
            with_options(of("explain"), option::Command::Explain).arg(
                Arg::new("what")
                    .value_name("APP|HOST[/PATH]")
                    .required(true)
                    .help("The id of an app, or what requests ask for"),
            ),
        )
        .subcommand(
            with_options(of("compare"), option::Command::Compare).arg(
                Arg::new(OTHER)
                    .help("The file of the predecessor, or where it shows it")
                    .required(true)
                    .value_hint(ValueHint::AnyPath),
            ),
        )
        .subcommand(with_options(of("status"), option::Command::Status))
        .subcommand(with_options(of("doctor"), option::Command::Doctor))
        .subcommand(with_options(of("rollback"), option::Command::Rollback))
        .subcommand(with_options(of("pause"), option::Command::Pause))
        .subcommand(with_options(of("resume"), option::Command::Resume))
        .subcommand(with_options(of("drain"), option::Command::Drain).arg(what()))
        .subcommand(with_options(of("undrain"), option::Command::Undrain).arg(what()))
        .subcommand(
            with_options(of("install"), option::Command::Install).arg(
                Arg::new(HOST)
                    .help("Marathons for the list; without any it stays as it is")
                    .num_args(0..)
                    .value_hint(ValueHint::Hostname),
            ),
        )
        .subcommand(with_options(of("uninstall"), option::Command::Uninstall))
        .subcommand(with_options(of("demo"), option::Command::Demo))
        .subcommand(
            of("completions").arg(
                Arg::new("shell")
                    .required(true)
                    .value_parser(clap::value_parser!(Shell)),
            ),
        )
        .subcommand(of("man"))
        .subcommand_help_heading("Commands")
}

fn what() -> Arg {
    Arg::new("what")
        .value_name("WHAT")
        .help("A host or a task as Marathon names it, or a server as HOST:PORT")
        .required(true)
        .num_args(1..)
}

fn options(command: option::Command) -> impl Iterator<Item = &'static Definition> {
    option::all().filter(move |option| option.commands.contains(&command))
}

fn with_options(clap: Command, command: option::Command) -> Command {
    // A beginning must not be taken for an option that another command has by this very name.
    let is_misleading = |other: &Definition| {
        !other.commands.is_empty()
            && !other.commands.contains(&command)
            && options(command).any(|option| option.name.starts_with(other.name))
    };
    clap.infer_long_args(!option::all().any(is_misleading))
        .args_override_self(true)
        .args(options(command).map(argument))
        .after_help(
            "Each option is also a key of the TOML file and a variable HMB_<OPTION>; see the man \
             page.",
        )
}

/// `option` as clap knows it.
pub(super) fn argument(option: &'static Definition) -> Arg {
    let default = option
        .default_text()
        .map(|default| format!("[default: {default}]"));
    let short_help = match &default {
        Some(default) => format!("{} {default}", option.summary),
        None => option.summary.to_owned(),
    };
    let variable = format!("[environment: {}]", option.variable());
    let last = default
        .into_iter()
        .chain([variable])
        .collect::<Vec<_>>()
        .join("\n");
    let paragraphs = [option.summary, option.details, &last];
    let long_help = paragraphs
        .into_iter()
        .filter(|text| !text.is_empty())
        .collect::<Vec<_>>();
    let argument = Arg::new(option.name)
        .long(option.name)
        .help(short_help)
        .long_help(long_help.join("\n\n"))
        .help_heading(option.heading.title());
    let argument = match option.short {
        Some(short) => argument.short(short),
        None => argument,
    };
    match &option.takes {
        // `--insecure=false` overrules what the environment or the file turned on.
        Takes::Nothing(_) => argument
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true")
            .value_name("BOOL")
            .value_parser(PossibleValuesParser::new(["true", "false"]))
            .hide_possible_values(true),
        Takes::One(value, _) => form(argument.value_name(value.name), value.form),
        Takes::Many(value, _) => {
            form(argument.value_name(value.name), value.form).action(ArgAction::Append)
        }
    }
}

fn form(argument: Arg, form: Form) -> Arg {
    match form {
        Form::Text | Form::Secret | Form::Integer => argument.value_hint(ValueHint::Other),
        Form::Url => argument.value_hint(ValueHint::Url),
        Form::File => argument.value_hint(ValueHint::FilePath),
        Form::Folder => argument.value_hint(ValueHint::DirPath),
        Form::Program => argument.value_hint(ValueHint::CommandName),
        Form::CommandLine => argument.value_hint(ValueHint::CommandString),
        Form::OneOf(words) => argument.value_parser(PossibleValuesParser::new(words)),
    }
}
