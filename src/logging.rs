//! What is said, and how it looks: tracing on standard error.
//!
//! In comes `config::Log`; out goes a global subscriber. It also passes on what hides secrets:
//! [`redact`] belongs on every text that may hold an address somebody wrote.
//!
//! A line for people is a level and a sentence, with its fields behind it. A time stands before it
//! only where nothing else notes one: a person at a terminal looks on, and journald has its own
//! clock; but the mail of a cron job comes once for many runs, and a file has no clock at all.
//! journald gets the priority of each line instead, which it takes off again.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::time::SystemTime;

use anyhow::Context as _;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;

use crate::config::{Log, LogFormat, LogLevel};

pub use crate::config::{redact, redact_value};

/// Sets up the log of this process.
///
/// # Errors
///
/// When it was set up before.
pub fn init(log: &Log) -> anyhow::Result<()> {
    let surroundings = Surroundings::of_standard_error();
    let result = match log.format {
        LogFormat::Text => {
            tracing::subscriber::set_global_default(text(log.level, surroundings, io::stderr))
        }
        LogFormat::Json => tracing::subscriber::set_global_default(json(log.level, io::stderr)),
    };
    result.context("cannot set up the log a second time")
}

/// Who reads standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surroundings {
    Terminal {
        colours: bool,
    },
    Journal,
    /// A file, a pipe, the mail of cron.
    Other,
}

impl Surroundings {
    fn of_standard_error() -> Self {
        if io::stderr().is_terminal() {
            // https://no-color.org: any text but the empty one.
            let no_color = std::env::var_os("NO_COLOR").is_some_and(|text| !text.is_empty());
            return Self::Terminal { colours: !no_color };
        }
        let journal = std::env::var("JOURNAL_STREAM").unwrap_or_default();
        match nix::sys::stat::fstat(io::stderr()) {
            Ok(stat) if is_journal(&journal, stat.st_dev, stat.st_ino) => Self::Journal,
            _ => Self::Other,
        }
    }
}

/// Whether `$JOURNAL_STREAM` means this file. The variable alone is inherited by programs whose
/// standard error has long been turned elsewhere.
fn is_journal(variable: &str, device: u64, inode: u64) -> bool {
    variable
        .split_once(':')
        .is_some_and(|(its_device, its_inode)| {
            its_device.parse() == Ok(device) && its_inode.parse() == Ok(inode)
        })
}

/// Our own lines from `level` on. Libraries speak up only where it matters: their details are not
/// ours to explain, and may hold headers with passwords.
fn filter(level: LogLevel) -> Targets {
    let ours = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    Targets::new()
        .with_target(env!("CARGO_CRATE_NAME"), ours)
        .with_default(ours.min(LevelFilter::WARN))
}

fn text<W>(
    level: LogLevel,
    surroundings: Surroundings,
    writer: W,
) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(surroundings == Surroundings::Terminal { colours: true })
        .event_format(Line { surroundings })
        .with_writer(writer)
        .finish()
        .with(filter(level))
}

fn json<W>(level: LogLevel, writer: W) -> impl Subscriber + Send + Sync + 'static
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .json()
        .flatten_event(true)
        .with_writer(writer)
        .finish()
        .with(filter(level))
}

/// A line for people.
struct Line {
    surroundings: Surroundings,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let level = *event.metadata().level();
        match self.surroundings {
            Surroundings::Terminal { .. } => (),
            Surroundings::Journal => write!(writer, "<{}>", priority(level))?,
            Surroundings::Other => {
                write!(
                    writer,
                    "{} ",
                    humantime::format_rfc3339_seconds(SystemTime::now())
                )?;
            }
        }
        let name = level.as_str().to_ascii_lowercase();
        match (writer.has_ansi_escapes(), colour(level)) {
            (true, Some(colour)) => write!(writer, "\x1b[{colour}m{name}\x1b[0m: ")?,
            _ => write!(writer, "{name}: ")?,
        }
        ctx.format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

/// The priority of syslog and of sd-daemon(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

/// The number of the terminal's colour; what is usual has none.
fn colour(level: Level) -> Option<u8> {
    match level {
        Level::ERROR => Some(31),
        Level::WARN => Some(33),
        Level::INFO => None,
        _ => Some(2),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Paper {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    fn say(subscriber: impl Subscriber + Send + Sync + 'static) {
        tracing::subscriber::with_default(subscriber, || {
            tracing::error!("it broke");
            tracing::warn!(app = "/a", "label ignored");
            tracing::info!(servers = 3, "applied");
            tracing::debug!("details");
            tracing::trace!("more details");
            tracing::info!(target: "hyper", "chatter");
            tracing::warn!(target: "hyper", "trouble");
        });
    }

    fn lines(level: LogLevel, surroundings: Surroundings) -> String {
        let paper = Paper::default();
        let writer = paper.clone();
        say(text(level, surroundings, move || writer.clone()));
        paper.text()
    }

    #[test]
    fn people_at_a_terminal_read_a_level_and_a_sentence() {
        assert_eq!(
            lines(LogLevel::Info, Surroundings::Terminal { colours: false }),
            "error: it broke\nwarn: label ignored app=\"/a\"\ninfo: applied servers=3\nwarn: trouble\n"
        );
    }

    #[test]
    fn colours_are_only_where_they_are_wanted() {
        let shown = lines(LogLevel::Error, Surroundings::Terminal { colours: true });
        assert_eq!(shown, "\x1b[31merror\x1b[0m: it broke\n");
        for surroundings in [
            Surroundings::Terminal { colours: false },
            Surroundings::Journal,
            Surroundings::Other,
        ] {
            assert!(
                !lines(LogLevel::Trace, surroundings).contains('\x1b'),
                "{surroundings:?}"
            );
        }
    }

    #[test]
    fn the_journal_gets_priorities_and_no_time() {
        assert_eq!(
            lines(LogLevel::Debug, Surroundings::Journal),
            "<3>error: it broke\n<4>warn: label ignored app=\"/a\"\n<6>info: applied servers=3\n\
             <7>debug: details\n<4>warn: trouble\n"
        );
    }

    #[test]
    fn files_and_mails_get_the_time() {
        let shown = lines(LogLevel::Error, Surroundings::Other);
        let (time, rest) = shown.split_once(' ').unwrap();
        humantime::parse_rfc3339(time).unwrap();
        assert_eq!(rest, "error: it broke\n");
    }

    #[test]
    fn libraries_are_heard_only_when_something_is_wrong() {
        let count = |level| lines(level, Surroundings::Journal).lines().count();
        assert_eq!(
            [
                LogLevel::Error,
                LogLevel::Warn,
                LogLevel::Info,
                LogLevel::Debug,
                LogLevel::Trace
            ]
            .map(count),
            [1, 3, 4, 5, 6]
        );
    }

    #[test]
    fn machines_read_an_object_a_line() {
        let paper = Paper::default();
        let writer = paper.clone();
        say(json(LogLevel::Warn, move || writer.clone()));
        let lines: Vec<serde_json::Value> = paper
            .text()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1]["level"], "WARN");
        assert_eq!(lines[1]["message"], "label ignored");
        assert_eq!(lines[1]["app"], "/a");
        assert!(lines[1]["timestamp"].is_string());
    }

    #[test]
    fn the_journal_is_known_by_device_and_inode() {
        assert!(is_journal("8:17", 8, 17));
        for other in ["", "8", "8:18", "9:17", "8:", ":17", "a:b"] {
            assert!(!is_journal(other, 8, 17), "{other}");
        }
    }
}
