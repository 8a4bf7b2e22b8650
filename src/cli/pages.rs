//! What people read about the command line: help, man page, completions. All are made of the same
//! tables that the words are read by.

use std::io;

use clap::{Arg, Command};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use super::native::{self, COMMANDS};
use super::{Entry, PROGRAM, bridge, predecessor};
use crate::config::option::{self, Definition};
use crate::config::{DEFAULT_FILE, MARATHONS};

/// What HOST:PORT... alone does.
const HOSTS_ALONE: Entry = Entry {
    name: "HOST:PORT...",
    takes: "",
    about: "Print the whole configuration",
    details: "",
};

/// With what each of them is shown.
const EXAMPLES: &[(&str, &str)] = &[
    (
        "generate -m http://leader.mesos:8080",
        "see what would be installed",
    ),
    (
        "refresh -m m1:8080 -m m2:8080 --reload systemd",
        "keep HAProxy in step, from cron",
    ),
    ("leader.mesos:8080 > haproxy.cfg", "as the bash bridge did"),
    ("demo", "see it at work without a cluster"),
];

/// The help of the program as a whole: also its usage when nothing is said.
pub(super) fn help() -> String {
    native::command().render_help().to_string()
}

/// The part of the help that clap does not know of.
pub(super) fn after_help() -> String {
    let calls = std::iter::once(&HOSTS_ALONE).chain(bridge::CALLS);
    let calls = calls.map(line);
    let predecessors = predecessor::NAMES.iter().map(line);
    let examples = EXAMPLES
        .iter()
        .map(|(words, purpose)| format!("  {PROGRAM} {words}\n      {purpose}"));
    let lines: Vec<String> = std::iter::empty()
        .chain(["Calls of the bash bridge:".to_owned()])
        .chain(calls)
        .chain([
            "  Options reach them as variables HMB_<OPTION> and in the TOML file. Without hosts they"
                .to_owned(),
            format!("  read {MARATHONS}."),
            "\nCommand lines of predecessors, with options of their own:".to_owned(),
        ])
        .chain(predecessors)
        .chain(["  Their own --help tells of them.".to_owned()])
        .chain(["\nExamples:".to_owned()])
        .chain(examples)
        .chain(["\nExit status: 0 done, 1 something could not be done, 2 wrong usage".to_owned()])
        .collect();
    lines.join("\n")
}

fn line(entry: &Entry) -> String {
    let Entry {
        name, takes, about, ..
    } = entry;
    let call = format!("{name} {takes}");
    format!("  {call:<37} {about}")
}

/// The completions for `shell`: to be installed where it looks for them.
#[must_use]
pub fn completions(shell: Shell) -> String {
    let hosts = || {
        Arg::new("host")
            .num_args(0..)
            .value_hint(clap::ValueHint::Hostname)
    };
    let calls = bridge::CALLS.iter().map(|call| {
        let command = Command::new(call.name).about(call.about);
        if call.takes.is_empty() {
            command
        } else {
            command.arg(hosts())
        }
    });
    let predecessors = predecessor::NAMES.iter().map(|its| {
        let command = Command::new(its.name).about(its.about);
        let options = predecessor::called(its.name).map(option::of_predecessor);
        command.args(options.into_iter().flatten().map(native::argument))
    });
    let mut command = native::command()
        .subcommands(calls)
        .subcommands(predecessors);
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, PROGRAM, &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    match shell {
        Shell::Bash => led_to_its_cases(script, &command),
        _ => script,
    }
}

/// `clap_complete` writes a dash of a name as `__` where it says in which command the words are, and as
/// `__subcmd__` where it says what that command takes: no case would ever be reached.
fn led_to_its_cases(script: String, command: &Command) -> String {
    let names = command.get_subcommands().map(Command::get_name);
    let dashed = names.chain([PROGRAM]).filter(|name| name.contains('-'));
    dashed.fold(script, |script, name| {
        script.replace(&name.replace('-', "__subcmd__"), &name.replace('-', "__"))
    })
}

/// The man page, in roff.
///
/// # Errors
///
/// None in practice: it is written to memory.
pub fn man() -> io::Result<String> {
    let mut command = Command::new(PROGRAM)
        .version(env!("CARGO_PKG_VERSION"))
        .about(env!("CARGO_PKG_DESCRIPTION"))
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args(
            option::all()
                .enumerate()
                .filter(|(_, option)| !option.commands.is_empty())
                .map(|(place, option)| {
                    native::argument(option)
                        .long_help(explanation(option))
                        .display_order(place)
                }),
        );
    command.build();
    let page = Man::new(command)
        .section("8")
        .manual("System Administration");

    let mut text = Vec::new();
    page.render_title(&mut text)?;
    page.render_name_section(&mut text)?;
    before_options().to_writer(&mut text)?;
    page.render_options_section(&mut text)?;
    after_options().to_writer(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// All there is to say about an option.
fn explanation(option: &Definition) -> String {
    let commands: Vec<&str> = option
        .commands
        .iter()
        .map(|command| command.name())
        .collect();
    let sentences = [
        Some(format!("{}.", option.summary)),
        Some(option.details.to_owned()).filter(|details| !details.is_empty()),
        option
            .is_repeatable()
            .then(|| "It may be given more than once.".to_owned()),
        option
            .default_text()
            .map(|default| format!("Default: {default}.")),
        Some(format!("Variable: {}.", option.variable())),
        Some(format!("Taken by: {}.", commands.join(", "))),
    ];
    sentences
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(" ")
}

fn before_options() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    for rest in [" COMMAND [OPTIONS]", " HOST:PORT..."] {
        roff.text([bold(PROGRAM), roman(rest)]);
        roff.control("br", []);
    }
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([roman(
        "It stands beside HAProxy, learns from Marathon which tasks run where, renders the \
         configuration of HAProxy, has HAProxy check it, installs it if it differs from what is \
         installed, and brings the running HAProxy to it.",
    )]);
    roff.control("SH", ["COMMANDS"]);
    entries(&mut roff, COMMANDS);
    roff.control("SH", ["CALLS OF THE BASH BRIDGE"]);
    roff.text([roman(format!(
        "The script of this name that came with Marathon spoke these. They take no options: \
         variables and the TOML file count for them too. Without hosts they read {MARATHONS}. \
         They do not verify certificates unless HMB_INSECURE is false or HMB_MARATHON_CA_CERT is \
         given, and serve all apps."
    ))]);
    entries(&mut roff, std::slice::from_ref(&HOSTS_ALONE));
    entries(&mut roff, bridge::CALLS);
    roff.control("SH", ["COMMAND LINES OF PREDECESSORS"]);
    roff.text([roman(
        "They have the options and defaults that marathon_lb.py and servicerouter.py had, and are \
         read as Python read them: a long option may be shortened while it is clear which one is \
         meant. Their --help tells of them. Variables and the TOML file count for what these \
         options do not say, such as the state folder.",
    )]);
    entries(&mut roff, predecessor::NAMES);
    roff
}

fn entries(roff: &mut Roff, entries: &[Entry]) {
    for entry in entries {
        let Entry {
            name,
            takes,
            about,
            details,
        } = entry;
        roff.control("TP", []);
        roff.text([bold(*name), roman(" "), italic(*takes)]);
        roff.text([roman(format!("{about}. {details}").trim_end())]);
    }
}

fn after_options() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["ENVIRONMENT AND FILE"]);
    roff.text([roman(
        "Each option is also a variable of the environment, HMB_ and its name in capitals with _ \
         for each dash, and a key of the TOML file, by its name. Options win over the environment, \
         the environment wins over the file, and the file wins over defaults. An option that may \
         be given more than once takes a list in the file, and in its variable several values \
         parted by commas or blanks; what one place says replaces what a weaker one says. Switches \
         are true or false. A variable that is empty counts as unset.",
    )]);
    for option in option::all().filter(|option| option.commands.is_empty()) {
        roff.control("TP", []);
        roff.text([bold(option.variable())]);
        roff.text([roman(format!("{}. {}", option.summary, option.details))]);
    }
    roff.control("SH", ["FILES"]);
    for (path, about) in [
        (
            DEFAULT_FILE,
            "Options, unless another file is named. It may be missing.",
        ),
        (
            MARATHONS,
            "Marathons, if none is given elsewhere: parted by lines or blanks, # comments.",
        ),
    ] {
        roff.control("TP", []);
        roff.text([bold(path)]);
        roff.text([roman(about)]);
    }
    roff.control("SH", ["EXIT STATUS"]);
    roff.text([roman(
        "0 when all was done, 1 when something could not be done, 2 on wrong usage, which includes \
         wrong values in the environment and the file.",
    )]);
    roff.control("SH", ["EXAMPLES"]);
    for (words, purpose) in EXAMPLES {
        roff.control("TP", []);
        roff.text([roman(format!("{PROGRAM} {words}"))]);
        roff.text([roman(*purpose)]);
    }
    roff
}
