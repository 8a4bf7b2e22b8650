//! Has `haproxy -c` judge a candidate before it is installed.
//!
//! In come the texts of `haproxy.cfg` and its maps; out goes a verdict with HAProxy's own messages,
//! in which the files have their live names. The judged copy lies in a private folder and names
//! the maps beside it, so that neither the live files nor another run's can be mixed in.

mod copy;
mod lists;
mod messages;
mod shortage;
mod telling;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::haproxy::Line;
use crate::haproxy::child::{Child, RunError, named_signal, printed};
use crate::haproxy::files::{Endless, endless};

use copy::Copy;
pub use copy::remove_leftovers;
use messages::parse_beside;
pub use messages::{CheckMessage, Severity, parse};
pub use shortage::Shortage;
pub use telling::telling;

/// Bytes of output that are read; a file with thousands of faults repeats itself.
const MAX_OUTPUT: usize = 1 << 20;

/// By which a program dies of its own faults, and nobody else's.
const DEATHS: [Signal; 5] = [
    Signal::SIGSEGV,
    Signal::SIGBUS,
    Signal::SIGABRT,
    Signal::SIGFPE,
    Signal::SIGILL,
];

/// What is judged.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// Where the text will be installed: its name in messages.
    pub config: &'a Path,
    /// The text of `haproxy.cfg`.
    pub text: &'a str,
    /// File name → text of the maps and lists that will lie in `map_dir`.
    pub maps: &'a BTreeMap<String, String>,
    /// The folder by which the text names its maps.
    pub map_dir: &'a Path,
    /// Other files that HAProxy is started with, after this one, as they lie on disk.
    pub extra: &'a [PathBuf],
    /// A folder of ours in which the private one is made: what a kill leaves is found there. Where
    /// there is none, or it cannot be written, where temporary files go.
    pub scratch: Option<&'a Path>,
}

impl Candidate<'_> {
    /// Whether its line of this number names a list of certificates that is one of its own files, and no
    /// other list.
    fn names_own_list(&self, line: usize) -> bool {
        let line = self.text.lines().nth(line.saturating_sub(1));
        let words = line.map(|line| Line::of(line).words).unwrap_or_default();
        let lists = words.windows(2).filter(|pair| pair[0] == "crt-list");
        let mut files = lists.map(|pair| Path::new(&pair[1])).peekable();
        files.peek().is_some()
            && files.all(|file| {
                let name = file.file_name().and_then(|name| name.to_str());
                file.parent() == Some(self.map_dir)
                    && name.is_some_and(|name| self.maps.contains_key(name))
            })
    }
}

/// What HAProxy thinks of a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It would start, as far as `-c` can tell: ports and file descriptors are not tried.
    #[expect(missing_docs, reason = "the names say it")]
    Accepted { warnings: Vec<CheckMessage> },
    /// It would not.
    Rejected {
        /// Alerts and warnings in their order.
        messages: Vec<CheckMessage>,
        /// All that was printed, for people.
        output: String,
    },
}

/// Why there is no verdict.
#[derive(Debug)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum CheckError {
    Folder {
        path: PathBuf,
        source: io::Error,
    },
    Run(RunError),
    Killed {
        program: PathBuf,
        signal: i32,
        output: String,
    },
    /// It takes longer than whoever asked waits.
    GoesOn,
}

impl fmt::Display for CheckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder { path, source } => write!(
                f,
                "`{}`: the candidate could not be written for `haproxy -c`: {source}",
                path.display()
            ),
            Self::Run(error) => write!(f, "the candidate could not be checked: {error}"),
            Self::Killed {
                program,
                signal,
                output,
            } => write!(
                f,
                "`{} -c` was killed by {}; {}",
                program.display(),
                named_signal(*signal),
                printed(output)
            ),
            Self::GoesOn => f.write_str("`haproxy -c` goes on to look at the candidate"),
        }
    }
}

// The cause is part of the sentence.
impl std::error::Error for CheckError {}

/// Whether HAProxy only says that it sorts rules of different kinds. marathon-lb's texts have counted
/// on that from the start, once for each redirect and password, and nobody could act on it.
fn is_idle(message: &CheckMessage) -> bool {
    message.text.contains("rule will still be processed before")
}

/// Has `program -c` judge `candidate`.
///
/// # Errors
///
/// When it gave no verdict: the private folder could not be written, the program is missing, or was
/// killed before it told of a fault. A candidate that it refuses, or with which it does not end within
/// `limit`, is no error but a verdict.
pub async fn check(
    program: &Path,
    candidate: &Candidate<'_>,
    limit: Duration,
) -> Result<Verdict, CheckError> {
    let copy = Copy::write(candidate)?;
    // There it names the lists of the candidate.
    if let Some(found) = endless(&copy.text) {
        let path = copy.with_live_names(&found.path);
        let found = Endless { path, ..found };
        return Ok(Verdict::Rejected {
            messages: vec![CheckMessage::of_no_end(candidate.config, &found)],
            output: String::new(),
        });
    }
    let mut child = Child::new(program, limit)
        .arg("-c")
        .arg("-f")
        .arg(&copy.config);
    for file in candidate.extra {
        child = child.arg("-f").arg(file);
    }
    child.max_output = MAX_OUTPUT;
    let files = [candidate.config]
        .into_iter()
        .chain(candidate.extra.iter().map(PathBuf::as_path));
    let files: Vec<&Path> = files.collect();
    let told = |text: &str| {
        let text = copy.with_live_names(text);
        let mut messages = parse_beside(&text, &files, |line| candidate.names_own_list(line));
        messages.retain(|message| message.severity != Severity::Notice);
        messages
    };
    let finished = match child.run().await {
        Ok(finished) => finished,
        // Something in the file has it wait, or work for ever: that is for its owner to mend.
        Err(RunError::TimedOut { limit, output, .. }) => {
            let mut messages = told(&output);
            messages.push(CheckMessage::of_a_wait(limit));
            let output = copy.with_live_names(&output);
            return Ok(Verdict::Rejected { messages, output });
        }
        Err(error) => return Err(CheckError::Run(error)),
    };
    let output = copy.with_live_names(&finished.output());
    let mut messages = told(&finished.stderr);
    // 2.6 dies of some faults right after it told of them, or before: that is a refusal too.
    let is_told = messages.iter().any(|m| m.severity == Severity::Alert);
    if let Some(signal) = finished.signal()
        && !is_told
    {
        if let Ok(signal) = Signal::try_from(signal)
            && DEATHS.contains(&signal)
        {
            messages.push(CheckMessage::of_a_death(signal));
            return Ok(Verdict::Rejected { messages, output });
        }
        return Err(CheckError::Killed {
            program: program.to_owned(),
            signal,
            output,
        });
    }
    if finished.status.success() {
        messages.retain(|message| message.severity == Severity::Warning && !is_idle(message));
        return Ok(Verdict::Accepted { warnings: messages });
    }
    // A wrapper, a missing library, or a form of messages that we do not know.
    if !is_told {
        messages.push(CheckMessage::of_a_failure(finished.status, &output));
    }
    Ok(Verdict::Rejected { messages, output })
}

#[cfg(test)]
mod tests;
