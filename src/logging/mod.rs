//! What is said, how it looks, and where it goes: tracing on standard error, to syslog or to the
//! journal.
//!
//! In comes `config::Log`; out goes a global subscriber. It also passes on what hides secrets:
//! [`redact`] belongs on every text that may hold an address somebody wrote.

mod journal;
mod line;
mod syslog;
mod told;

use std::io;
use std::path::Path;

use anyhow::Context as _;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

use crate::config::{Log, LogDestination, LogFormat, LogLevel};
use journal::Journal;
use line::{Line, Surroundings};

pub use crate::config::{redact, redact_value};
pub use line::paints;
pub use syslog::{LOGGED, Priority, Syslog};
pub use told::{TOLD, warning};

/// Where journald takes entries with fields.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// Sets up the log of this process.
///
/// # Errors
///
/// When it was set up before, or no socket can be made.
pub fn init(log: &Log) -> anyhow::Result<()> {
    match (log.destination, log.format) {
        (_, LogFormat::Python)
        | (LogDestination::Stderr | LogDestination::StderrAndSyslog, LogFormat::Text) => {
            let surroundings = Surroundings::of_standard_error();
            set(text(log.level, surroundings, io::stderr))
        }
        (LogDestination::Stderr | LogDestination::StderrAndSyslog, LogFormat::Json) => {
            set(json(log.level, io::stderr))
        }
        (LogDestination::Syslog, LogFormat::Text) => {
            let syslog = Syslog::at(&log.syslog_socket).context("no socket for syslog")?;
            set(text(log.level, Surroundings::Syslog, syslog))
        }
        (LogDestination::Syslog, LogFormat::Json) => {
            let syslog = Syslog::at(&log.syslog_socket).context("no socket for syslog")?;
            set(json(log.level, syslog))
        }
        (LogDestination::Journald, _) => {
            let journal = Journal::at(Path::new(JOURNAL)).context("no socket for journald")?;
            set(entries(log.level, journal))
        }
    }
}

fn set(subscriber: impl Subscriber + Send + Sync + 'static) -> anyhow::Result<()> {
    tracing::subscriber::set_global_default(subscriber)
        .context("cannot set up the log a second time")
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

fn entries(level: LogLevel, journal: Journal) -> impl Subscriber + Send + Sync + 'static {
    tracing_subscriber::registry()
        .with(journal)
        .with(filter(level))
}

/// The severity of syslog(3), sd-daemon(3) and the journal.
fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        _ => 7,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::cluster::{AppId, Warning};

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

    /// What the log makes of a warning of the cluster.
    fn warned(subscriber: impl Subscriber + Send + Sync + 'static) {
        tracing::subscriber::with_default(subscriber, || {
            warning(&Warning {
                app: Some(AppId::new("/a")),
                subject: "service port 0".to_owned(),
                found: "0".to_owned(),
                expected: "1 to 65535".to_owned(),
                effect: "left out".to_owned(),
            });
        });
    }

    #[test]
    fn people_read_a_warning_as_one_sentence_and_machines_by_its_parts() {
        let paper = Paper::default();
        let writer = paper.clone();
        warned(text(LogLevel::Info, Surroundings::Syslog, move || {
            writer.clone()
        }));
        assert_eq!(
            paper.text(),
            "warn: app `/a`: service port 0: found 0, expected 1 to 65535; left out\n"
        );
        let paper = Paper::default();
        let writer = paper.clone();
        warned(json(LogLevel::Info, move || writer.clone()));
        let line: serde_json::Value = serde_json::from_str(&paper.text()).unwrap();
        for (field, want) in [
            ("app", "/a"),
            ("subject", "service port 0"),
            ("found", "0"),
            ("expected", "1 to 65535"),
            ("effect", "left out"),
        ] {
            assert_eq!(line[field], want, "{field}");
        }
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
}
