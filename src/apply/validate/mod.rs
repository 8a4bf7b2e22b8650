//! Has `haproxy -c` judge a candidate before it is installed.
//!
//! In come the texts of `haproxy.cfg` and its maps; out goes a verdict with HAProxy's own messages,
//! in which the files have their live names. The judged copy lies in a private folder and names
//! the maps beside it, so that neither the live files nor another run's can be mixed in.

mod messages;
mod telling;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::haproxy::child::{Child, RunError};

pub use messages::{CheckMessage, Severity, parse};
pub use telling::telling;

/// Bytes of output that are read; a file with thousands of faults repeats itself.
const MAX_OUTPUT: usize = 1 << 20;

/// What is judged.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    /// Where the text will be installed: its name in messages.
    pub config: &'a Path,
    /// The text of `haproxy.cfg`.
    pub text: &'a str,
    /// File name → text of the maps that will lie in `map_dir`.
    pub maps: &'a BTreeMap<String, String>,
    /// The folder by which the text names its maps.
    pub map_dir: &'a Path,
    /// Other files that HAProxy is started with, after this one, as they lie on disk.
    pub extra: &'a [PathBuf],
    /// Where the private folder is made; `None`: where temporary files go.
    pub scratch: Option<&'a Path>,
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
                "`{} -c` was killed by signal {signal}; it printed: {output}",
                program.display()
            ),
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
/// When it gave no verdict: the private folder could not be written, the program is missing, was
/// killed before it told of a fault, or did not end within `limit`. A candidate that it refuses is
/// no error but a verdict.
pub async fn check(
    program: &Path,
    candidate: &Candidate<'_>,
    limit: Duration,
) -> Result<Verdict, CheckError> {
    let copy = Copy::write(candidate)?;
    let mut child = Child::new(program, limit)
        .arg("-c")
        .arg("-f")
        .arg(&copy.config);
    for file in candidate.extra {
        child = child.arg("-f").arg(file);
    }
    child.max_output = MAX_OUTPUT;
    let finished = child.run().await.map_err(CheckError::Run)?;
    let output = copy.with_live_names(&finished.output());
    let files = [candidate.config]
        .into_iter()
        .chain(candidate.extra.iter().map(PathBuf::as_path));
    let mut messages = parse(
        &copy.with_live_names(&finished.stderr),
        &files.collect::<Vec<_>>(),
    );
    messages.retain(|message| message.severity != Severity::Notice);
    // 2.6 dies of some faults right after it told of them: that is a refusal too.
    let is_told = messages.iter().any(|m| m.severity == Severity::Alert);
    if let Some(signal) = finished.signal()
        && !is_told
    {
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
    Ok(Verdict::Rejected { messages, output })
}

/// The candidate on disk, in a folder that nobody else can look into and that goes with this value.
struct Copy {
    config: PathBuf,
    /// Path in the copy → live path.
    live_names: Vec<(String, String)>,
    _folder: tempfile::TempDir,
}

impl Copy {
    fn write(candidate: &Candidate<'_>) -> Result<Self, CheckError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| CheckError::Folder { path, source }
        };
        let parent = candidate
            .scratch
            .map_or_else(std::env::temp_dir, Path::to_owned);
        let folder = tempfile::Builder::new()
            .prefix("haproxy-check.")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(&parent)
            .map_err(failed(&parent))?;
        let maps = folder.path().join("maps");
        fs::create_dir(&maps).map_err(failed(&maps))?;
        let mut live_names = Vec::new();
        let mut text = with_origin(candidate.text, candidate.config);
        for (name, rows) in candidate.maps {
            let path = maps.join(name);
            fs::write(&path, rows).map_err(failed(&path))?;
            let (copy, live) = (shown(&path), shown(&candidate.map_dir.join(name)));
            text = replace_path(&text, &live, &copy);
            live_names.push((copy, live));
        }
        let config = folder.path().join("haproxy.cfg");
        fs::write(&config, text).map_err(failed(&config))?;
        live_names.push((shown(&config), shown(candidate.config)));
        Ok(Self {
            config,
            live_names,
            _folder: folder,
        })
    }

    fn with_live_names(&self, text: &str) -> String {
        self.live_names
            .iter()
            .fold(text.to_owned(), |text, (copy, live)| {
                text.replace(copy, live)
            })
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Replaces `path` by `copy` where it stands as a whole path, not as a part of a longer one.
fn replace_path(text: &str, path: &str, copy: &str) -> String {
    let goes_on = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let mut replaced = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(path) {
        let (before, after) = (&rest[..at], &rest[at + path.len()..]);
        let inside = before
            .chars()
            .next_back()
            .or(replaced.chars().next_back())
            .is_some_and(goes_on)
            || after.chars().next().is_some_and(goes_on);
        replaced.push_str(before);
        replaced.push_str(if inside { path } else { copy });
        rest = after;
    }
    replaced.push_str(rest);
    replaced
}

/// Points `default-path config` and `parent`, which mean the folder of the file that is read, at
/// the folder where the live file is. Lines keep their numbers.
fn with_origin(text: &str, config: &Path) -> String {
    if !text.contains("default-path") {
        return text.to_owned();
    }
    let folder = config.parent().unwrap_or(config);
    text.split_inclusive('\n')
        .map(|line| {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words[..] {
                ["default-path", "config", ..] => {
                    format!("default-path origin {}\n", shown(folder))
                }
                ["default-path", "parent", ..] => {
                    format!(
                        "default-path origin {}\n",
                        shown(folder.parent().unwrap_or(folder))
                    )
                }
                _ => line.to_owned(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
