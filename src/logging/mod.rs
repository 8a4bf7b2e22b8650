//! What is said, how it looks, and where it goes: tracing on standard error, to syslog or to the
//! journal.
//!
//! In comes `config::Log`; out goes a global subscriber. It also passes on what hides secrets:
//! [`redact`] belongs on every text that may hold an address somebody wrote.

mod journal;
mod lasting;
mod line;
mod python;
mod reasons;
mod recent;
mod syslog;
mod told;
mod trouble;

use std::io;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;

use crate::config::{Log, LogDestination, LogFormat, LogLevel};
use journal::Journal;
use line::{Line, Surroundings};
use python::Python;

pub use crate::config::{redact, redact_value};
pub use lasting::{failing, lasting};
pub use line::paints;
pub use reasons::Reasons;
pub use recent::recent;
pub use syslog::{LOGGED, Priority, Syslog};
pub use told::{TOLD, warning};
pub use trouble::{Trouble, brief, in_one_line};

/// A duration for people: in whole seconds, below one in milliseconds.
#[must_use]
pub fn shown(duration: Duration) -> String {
    let rounded = if duration < Duration::from_secs(1) {
        Duration::from_millis(u64::from(duration.subsec_millis()))
    } else {
        Duration::from_secs((duration + Duration::from_millis(500)).as_secs())
    };
    humantime::format_duration(rounded).to_string()
}

/// Where journald takes entries with fields.
const JOURNAL: &str = "/run/systemd/journal/socket";
/// A predecessor that was told to log there did not log to syslog.
const NOWHERE: &str = "/dev/null";

/// Sets up the log of this process.
///
/// # Errors
///
/// When it was set up before, or no socket can be made.
pub fn init(log: &Log) -> anyhow::Result<()> {
    let mut lines = Vec::new();
    match log.destination {
        LogDestination::Stderr => lines.push(to_stderr(log)),
        LogDestination::StderrAndSyslog => {
            lines.push(to_stderr(log));
            // A syslog that cannot be had is not missed: the same lines are on standard error.
            if log.syslog_socket != Path::new(NOWHERE)
                && let Ok(syslog) = Syslog::beside(&log.syslog_socket)
            {
                lines.push(layer(log, Surroundings::Syslog, syslog));
            }
        }
        LogDestination::Syslog => {
            let syslog = Syslog::at(&log.syslog_socket).context("no socket for syslog")?;
            lines.push(layer(log, Surroundings::Syslog, syslog));
        }
        LogDestination::Journald => {
            let journal = Journal::at(Path::new(JOURNAL)).context("no socket for journald")?;
            lines.push(Box::new(journal));
        }
    }
    let latest = text(Surroundings::Other, recent::kept());
    lines.push(Box::new(latest.with_filter(LevelFilter::INFO)));
    set(subscriber(log.level, lines))
}

fn to_stderr(log: &Log) -> Lines {
    layer(log, Surroundings::of_standard_error(), io::stderr)
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

fn subscriber(level: LogLevel, lines: Vec<Lines>) -> impl Subscriber + Send + Sync + 'static {
    tracing_subscriber::registry()
        .with(lines)
        .with(filter(level))
}

/// What writes an event somewhere.
type Lines = Box<dyn Layer<Registry> + Send + Sync>;

fn layer<W>(log: &Log, surroundings: Surroundings, writer: W) -> Lines
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    match log.format {
        LogFormat::Text => text(surroundings, writer),
        LogFormat::Json => json(writer),
        LogFormat::Python => {
            let python = Python::new(&log.pattern, log.logger);
            Box::new(
                fmt::layer()
                    .event_format(python)
                    .with_ansi(false)
                    .with_writer(writer),
            )
        }
    }
}

fn text<W>(surroundings: Surroundings, writer: W) -> Lines
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = fmt::layer()
        .with_ansi(surroundings == Surroundings::Terminal { colours: true })
        .event_format(Line { surroundings })
        .with_writer(writer);
    Box::new(layer)
}

fn json<W>(writer: W) -> Lines
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    Box::new(fmt::layer().json().flatten_event(true).with_writer(writer))
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
    pub(super) struct Paper(Arc<Mutex<Vec<u8>>>);

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
        pub(super) fn text(&self) -> String {
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
        let lines = text(surroundings, move || writer.clone());
        say(subscriber(level, vec![lines]));
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
        let lines = text(Surroundings::Syslog, move || writer.clone());
        warned(subscriber(LogLevel::Info, vec![lines]));
        assert_eq!(
            paper.text(),
            "warn: app `/a`: service port 0: found 0, expected 1 to 65535; left out\n"
        );
        let paper = Paper::default();
        let writer = paper.clone();
        let lines = json(move || writer.clone());
        warned(subscriber(LogLevel::Info, vec![lines]));
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
    fn durations_are_as_exact_as_people_need() {
        for (micros, text) in [
            (3_998_120, "4s"),
            (30_000_001, "30s"),
            (999_900, "999ms"),
            (250_700, "250ms"),
            (0, "0s"),
            (61_400_000, "1m 1s"),
        ] {
            assert_eq!(shown(Duration::from_micros(micros)), text);
        }
    }

    #[test]
    fn machines_read_an_object_a_line() {
        let paper = Paper::default();
        let writer = paper.clone();
        let lines = json(move || writer.clone());
        say(subscriber(LogLevel::Warn, vec![lines]));
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
