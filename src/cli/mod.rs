//! Every command line that the program speaks, one file each.
//!
//! In come the words it was started with; out goes an [`Invocation`] that the caller carries out.
//! Nothing here reads a file, the environment or the network: what a word means as a value is for
//! `config` to say, together with all that stands elsewhere.

mod argparse;
mod bridge;
mod marathon_lb;
mod native;
mod pages;
mod predecessor;
mod servicerouter;

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;

pub use bridge::BridgeCall;
pub use clap_complete::Shell;
pub use marathon_lb::MarathonLbCall;
pub use pages::{completions, man};
pub use servicerouter::ServicerouterCall;

use crate::config::{CommandLine, Request, nearest, redact, redact_value};

/// The name people type.
pub const PROGRAM: &str = "haproxy-marathon-bridge";

/// What was asked for.
#[derive(Debug, PartialEq)]
pub enum Invocation {
    /// `text` goes to standard output and that is all: help, usage, version.
    Print {
        /// Ends with a line feed.
        text: String,
        /// 0 when it was asked for, 1 when nothing was said at all.
        exit: u8,
    },
    /// `generate`.
    Generate(Request),
    /// `refresh`.
    Refresh(Request),
    /// `watch`.
    Watch(Request),
    /// `diff`.
    Diff(Request),
    /// `check`.
    Check(Request),
    /// `explain APP` or `explain HOST/PATH`.
    Explain {
        /// As of `check`.
        request: Request,
        /// What is asked about.
        what: String,
    },
    /// `status`.
    Status(Request),
    /// `compare`.
    Compare {
        /// With a Marathon.
        request: Request,
        /// A file, or the address of one.
        other: String,
    },
    /// `doctor`.
    Doctor(Request),
    /// `rollback`.
    Rollback(Request),
    /// `pause`.
    Pause(Request),
    /// `resume`.
    Resume(Request),
    /// `drain WHAT…`.
    #[expect(missing_docs, reason = "as in `Undrain`")]
    Drain { request: Request, what: Vec<String> },
    /// `undrain WHAT…`.
    Undrain {
        /// Without a Marathon.
        request: Request,
        /// Hosts, tasks and servers; at least one.
        what: Vec<String>,
    },
    /// `install`: the hosts it is given ([`Request::marathons`]) replace the list; none leaves it as it
    /// is.
    Install(Request),
    /// `uninstall`.
    Uninstall(Request),
    /// `demo`, without a Marathon: it brings its own.
    Demo(Request),
    /// `completions SHELL`: see [`completions`].
    Completions(Shell),
    /// `man`: see [`man`].
    Man,
    /// A call of the bash script.
    Bridge(BridgeCall),
    /// A call of `marathon_lb.py`.
    MarathonLb(MarathonLbCall),
    /// A call of `servicerouter.py`.
    Servicerouter(ServicerouterCall),
}

/// Wrong usage: the text, free of secrets, goes to standard error; exit 2.
#[derive(Debug, PartialEq, Eq)]
pub struct Usage {
    text: String,
    /// Whether the text begins with the name of the program, where it belongs.
    is_whole: bool,
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.is_whole {
            write!(f, "{PROGRAM}: ")?;
        }
        f.write_str(&self.text)
    }
}

impl std::error::Error for Usage {}

impl Usage {
    fn new(problem: &str) -> Self {
        Self::of(format!("{problem}; see `{PROGRAM} --help`"))
    }

    const fn of(text: String) -> Self {
        Self {
            text,
            is_whole: false,
        }
    }

    /// As a predecessor says it.
    fn whole(text: &str) -> Self {
        Self {
            text: redact(text).into_owned(),
            is_whole: true,
        }
    }
}

/// Reads a whole command line; the first word is the name that the program was started under.
///
/// # Errors
///
/// Wrong usage. What is wrong with the value of an option comes later, from `config::build`.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Invocation, Usage> {
    let mut args = args.into_iter();
    let program = args.next().unwrap_or_default();
    let name = Path::new(&program)
        .file_name()
        .and_then(|name| name.to_str());
    if let Some(name) = name
        && let Some(command_line) = predecessor::started_as(name)
    {
        return parse_predecessor(command_line, name, args.collect());
    }
    let Some(first) = args.next() else {
        // The script did so: nothing was asked for, so nothing was done.
        return Ok(Invocation::Print {
            text: pages::help(),
            exit: 1,
        });
    };
    let rest: Vec<OsString> = args.collect();
    let Some(word) = first.to_str() else {
        return Err(not_utf8(&first));
    };
    if matches!(word, "-h" | "--help") {
        return Ok(Invocation::Print {
            text: pages::help(),
            exit: 0,
        });
    }
    if let Some(command_line) = predecessor::called(word) {
        return parse_predecessor(command_line, &format!("{PROGRAM} {word}"), rest);
    }
    if bridge::is_call(word) {
        return bridge::parse(word, rest);
    }
    if word.starts_with('-') || native::is_command(word) {
        return native::parse(first, rest);
    }
    if is_host(word) {
        return bridge::parse_hosts(first, rest);
    }
    Err(unknown(word))
}

/// Reads a command line of a predecessor in Python, which was started as `program`.
fn parse_predecessor(
    command_line: CommandLine,
    program: &str,
    rest: Vec<OsString>,
) -> Result<Invocation, Usage> {
    match command_line {
        CommandLine::Servicerouter => servicerouter::parse(program, rest),
        _ => marathon_lb::parse(program, rest),
    }
}

/// Whether a bare first word can be meant as a Marathon. A command with a typing error must not
/// become a host: it would be asked for its apps, and fail in a way that explains nothing.
fn is_host(word: &str) -> bool {
    let has_form = word == "localhost" || word.contains(['.', ':', '/']);
    has_form && !commands().any(|command| strsim::osa_distance(word, command) <= 1)
}

/// Every word that is a command in the first place.
fn commands() -> impl Iterator<Item = &'static str> {
    native::COMMANDS
        .iter()
        .chain(bridge::CALLS)
        .chain(predecessor::NAMES)
        .map(|command| command.name)
}

fn unknown(word: &str) -> Usage {
    let found = redact_value(word);
    match nearest(word, commands()) {
        Some(meant) => Usage::new(&format!(
            "unknown command `{found}`, did you mean `{meant}`"
        )),
        None => Usage::new(&format!(
            "unknown command `{found}`, expected a command, or a Marathon as HOST:PORT"
        )),
    }
}

fn not_utf8(word: &OsString) -> Usage {
    let shown = word.to_string_lossy().into_owned();
    Usage::new(&format!(
        "found `{}`, which is no UTF-8, expected text",
        redact_value(&shown)
    ))
}

/// A command as it stands in the help.
struct Entry {
    name: &'static str,
    /// What may follow, as in `HOST:PORT...`.
    takes: &'static str,
    about: &'static str,
    /// What else is to be known; may be empty.
    details: &'static str,
}

/// Hides secrets in `text`, which quotes some of `words`, perhaps only what follows a `=`.
fn redact_words<'a>(text: &'a str, words: &[String]) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    for word in words.iter().filter(|word| word.contains('@')) {
        let value = word
            .split_once('=')
            .map_or(word.as_str(), |(_, value)| value);
        for secret in [word, value] {
            if text.contains(secret) {
                text = text.replace(secret, &redact_value(secret)).into();
            }
        }
    }
    redact(&text).into_owned().into()
}

#[cfg(test)]
mod tests;
