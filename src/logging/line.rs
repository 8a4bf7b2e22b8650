//! How a line for people looks.
//!
//! It is a level and a sentence, with its fields behind it unless the sentence told them. A time
//! stands before it only where nothing else notes one: a person at a terminal looks on, journald
//! and syslog have their own clocks; but the mail of a cron job comes once for many runs, and a
//! file has no clock at all. journald gets the priority of each line instead, which it takes off
//! again.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::severity;
use super::syslog::LOGGED;
use super::told::TOLD;

/// Whether whoever reads `stream` wants colours: a person at a terminal who did not say otherwise.
#[must_use]
pub fn paints(stream: &impl io::IsTerminal) -> bool {
    let variable = |name: &str| std::env::var_os(name).unwrap_or_default();
    // https://no-color.org: any text but the empty one.
    stream.is_terminal() && variable("NO_COLOR").is_empty() && variable("TERM") != "dumb"
}

/// Who reads standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Surroundings {
    Terminal {
        colours: bool,
    },
    Journal,
    /// syslog, which notes the time itself.
    Syslog,
    /// A file, a pipe, the mail of cron.
    Other,
}

impl Surroundings {
    pub(super) fn of_standard_error() -> Self {
        if std::env::var_os(LOGGED).is_some() {
            return Self::Syslog;
        }
        if io::stderr().is_terminal() {
            let colours = paints(&io::stderr());
            return Self::Terminal { colours };
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

/// A line for people.
pub(super) struct Line {
    pub(super) surroundings: Surroundings,
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
            Surroundings::Terminal { .. } | Surroundings::Syslog => (),
            Surroundings::Journal => write!(writer, "<{}>", severity(level))?,
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
        if event.metadata().target() == TOLD {
            event.record(&mut Sentence(&mut writer));
        } else {
            ctx.format_fields(writer.by_ref(), event)?;
        }
        writeln!(writer)
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

/// Writes the sentence of an event and leaves its fields out.
pub(super) struct Sentence<'a, 'w>(pub(super) &'a mut Writer<'w>);

impl Visit for Sentence<'_, '_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            // Nobody could be told that the log cannot be written.
            let _ = write!(self.0, "{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_known_by_device_and_inode() {
        assert!(is_journal("8:17", 8, 17));
        for other in ["", "8", "8:18", "9:17", "8:", ":17", "a:b"] {
            assert!(!is_journal(other, 8, 17), "{other}");
        }
    }
}
