//! A line of the log as the loggers of the predecessors wrote it, by a pattern in the language of
//! Python's `logging`: `%(asctime)-15s %(name)s: %(message)s`.
//!
//! A pattern is read once. What it names and nobody knows stays as it is written: a log that says
//! too little is worth more than none.

use std::fmt::{self, Write as _};
use std::process;
use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::ZonedDateTime;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::line::Sentence;
use super::told::TOLD;

/// A pattern and the name of the logger that it may ask for.
#[derive(Clone, Debug)]
pub(super) struct Python {
    parts: Vec<Part>,
    logger: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(Slot),
}

/// A place for a value: `%(name)-15.3s`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Slot {
    name: String,
    /// `-`: the value stands at the left of its place.
    left: bool,
    /// `0`: numbers are filled up with zeros.
    zeros: bool,
    /// `+` or a blank before numbers that are not negative.
    sign: Option<char>,
    /// `#`: numbers say their base.
    base: bool,
    width: usize,
    precision: Option<usize>,
    conversion: char,
    /// As it was written.
    source: String,
}

/// What an attribute of a record is.
enum Value {
    Text(String),
    Integer(u64),
    Real(f64),
}

/// What a record is made of.
struct Record<'a> {
    at: SystemTime,
    /// Since the log was set up.
    age: Duration,
    metadata: &'a Metadata<'a>,
    logger: &'a str,
    message: &'a str,
}

impl Python {
    pub(super) fn new(pattern: &str, logger: &'static str) -> Self {
        START.get_or_init(Instant::now);
        Self {
            parts: parts(pattern),
            logger,
        }
    }

    fn line(&self, record: &Record<'_>) -> String {
        self.parts
            .iter()
            .map(|part| match part {
                Part::Text(text) => text.clone(),
                Part::Value(slot) => match record.attribute(&slot.name) {
                    Some(value) => slot.fill(&value),
                    None => slot.source.clone(),
                },
            })
            .collect()
    }
}

static START: OnceLock<Instant> = OnceLock::new();

impl<S, N> FormatEvent<S, N> for Python
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
        let mut message = String::new();
        let mut out = Writer::new(&mut message);
        if event.metadata().target() == TOLD {
            event.record(&mut Sentence(&mut out));
        } else {
            ctx.format_fields(out, event)?;
        }
        let record = Record {
            at: SystemTime::now(),
            age: START.get().map(Instant::elapsed).unwrap_or_default(),
            metadata: event.metadata(),
            logger: self.logger,
            message: &message,
        };
        writeln!(writer, "{}", self.line(&record))
    }
}

impl Record<'_> {
    fn attribute(&self, name: &str) -> Option<Value> {
        let path = self.metadata.file().unwrap_or_default();
        let module = self.metadata.target().rsplit("::").next();
        let file = path.rsplit('/').next().unwrap_or_default();
        let since_epoch = self.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        Some(match name {
            "asctime" => Value::Text(asctime(self.at)),
            "name" => Value::Text(self.logger.to_owned()),
            "levelname" => Value::Text(level(*self.metadata.level()).0.to_owned()),
            "levelno" => Value::Integer(level(*self.metadata.level()).1),
            "message" => Value::Text(self.message.to_owned()),
            "process" | "thread" => Value::Integer(process::id().into()),
            "processName" => Value::Text("MainProcess".to_owned()),
            "threadName" => Value::Text("MainThread".to_owned()),
            "taskName" => Value::Text("None".to_owned()),
            "filename" => Value::Text(file.to_owned()),
            "pathname" => Value::Text(path.to_owned()),
            "lineno" => Value::Integer(self.metadata.line().unwrap_or_default().into()),
            // The nearest thing that is known of an event.
            "funcName" | "module" => Value::Text(module.unwrap_or_default().to_owned()),
            "created" => Value::Real(since_epoch.as_secs_f64()),
            "msecs" => Value::Real(since_epoch.subsec_millis().into()),
            "relativeCreated" => Value::Real(self.age.as_secs_f64() * 1000.0),
            _ => return None,
        })
    }
}

/// By the clock on the wall, as Python has it.
fn asctime(at: SystemTime) -> String {
    match ZonedDateTime::try_from(at) {
        Ok(zoned) => format!(
            "{},{:03}",
            zoned.strftime("%Y-%m-%d %H:%M:%S"),
            zoned.millisecond()
        ),
        Err(_) => humantime::format_rfc3339_millis(at).to_string(),
    }
}

/// Name and number; Python knows nothing below `DEBUG`.
fn level(level: Level) -> (&'static str, u64) {
    match level {
        Level::ERROR => ("ERROR", 40),
        Level::WARN => ("WARNING", 30),
        Level::INFO => ("INFO", 20),
        _ => ("DEBUG", 10),
    }
}

fn parts(pattern: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = pattern;
    while let Some(at) = rest.find('%') {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(behind) = rest.strip_prefix("%%") {
            text.push('%');
            rest = behind;
        } else if let Some((slot, behind)) = slot(rest) {
            if !text.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut text)));
            }
            parts.push(Part::Value(slot));
            rest = behind;
        } else {
            text.push('%');
            rest = &rest[1..];
        }
    }
    text.push_str(rest);
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    parts
}

/// The slot at the beginning of `text`, and what stands behind it.
fn slot(text: &str) -> Option<(Slot, &str)> {
    let (name, mut rest) = text.strip_prefix("%(")?.split_once(')')?;
    let mut slot = Slot {
        name: name.to_owned(),
        left: false,
        zeros: false,
        sign: None,
        base: false,
        width: 0,
        precision: None,
        conversion: 's',
        source: String::new(),
    };
    loop {
        match rest.chars().next()? {
            '-' => slot.left = true,
            '0' => slot.zeros = true,
            '+' => slot.sign = Some('+'),
            ' ' => slot.sign = slot.sign.or(Some(' ')),
            '#' => slot.base = true,
            _ => break,
        }
        rest = &rest[1..];
    }
    (slot.width, rest) = number(rest);
    if let Some(behind) = rest.strip_prefix('.') {
        let (precision, behind) = number(behind);
        slot.precision = Some(precision);
        rest = behind;
    }
    slot.conversion = rest
        .chars()
        .next()
        .filter(|c| "diouxXeEfFgGcrsa".contains(*c))?;
    rest = &rest[1..];
    text[..text.len() - rest.len()].clone_into(&mut slot.source);
    Some((slot, rest))
}

/// A number at the beginning of `text`, 0 if there is none. A line that is wider than a screen can
/// be is a typing error.
fn number(text: &str) -> (usize, &str) {
    const WIDEST: usize = 1000;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    (number.parse().unwrap_or(0).min(WIDEST), rest)
}

impl Slot {
    fn fill(&self, value: &Value) -> String {
        let number = match (self.conversion, value) {
            ('s' | 'r' | 'a' | 'c', _) | (_, Value::Text(_)) => None,
            ('d' | 'i' | 'u', Value::Integer(number)) => Some(self.digits(&number.to_string())),
            ('d' | 'i' | 'u', Value::Real(number)) => {
                Some(self.digits(&format!("{:.0}", number.trunc())))
            }
            ('x' | 'X' | 'o', value) => Some(self.in_base(value)),
            (_, Value::Integer(number)) => Some(self.real(*number as f64)),
            (_, Value::Real(number)) => Some(self.real(*number)),
        };
        let Some(number) = number else {
            return self.place(&self.text(value));
        };
        let sign = self.sign.map(String::from).unwrap_or_default();
        let missing = self
            .width
            .saturating_sub(sign.chars().count() + number.chars().count());
        if self.zeros && !self.left {
            return format!("{sign}{}{number}", "0".repeat(missing));
        }
        self.place(&format!("{sign}{number}"))
    }

    fn place(&self, text: &str) -> String {
        let width = self.width;
        if self.left {
            format!("{text:<width$}")
        } else {
            format!("{text:>width$}")
        }
    }

    fn text(&self, value: &Value) -> String {
        let text = match value {
            Value::Text(text) if self.conversion == 'r' || self.conversion == 'a' => {
                format!("'{text}'")
            }
            Value::Text(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Real(number) => format!("{number:?}"),
        };
        match self.precision {
            Some(precision) => text.chars().take(precision).collect(),
            None => text,
        }
    }

    /// At least as many as the precision says.
    fn digits(&self, digits: &str) -> String {
        let missing = self.precision.unwrap_or(0).saturating_sub(digits.len());
        "0".repeat(missing) + digits
    }

    fn in_base(&self, value: &Value) -> String {
        let number = match value {
            Value::Integer(number) => *number,
            _ => return self.text(value),
        };
        let (prefix, digits) = match self.conversion {
            'o' => ("0o", format!("{number:o}")),
            'X' => ("0X", format!("{number:X}")),
            _ => ("0x", format!("{number:x}")),
        };
        let digits = self.digits(&digits);
        if self.base {
            return format!("{prefix}{digits}");
        }
        digits
    }

    /// `e` and `g` are as good as `f` for the times that there are.
    fn real(&self, number: f64) -> String {
        let mut text = String::new();
        let precision = self.precision.unwrap_or(6);
        // To a text everything can be written.
        let _ = write!(text, "{number:.precision$}");
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(pattern: &str, value: &Value) -> String {
        let Some((slot, "")) = slot(pattern) else {
            panic!("{pattern} is no slot");
        };
        slot.fill(value)
    }

    /// What Python's `%` operator says.
    #[test]
    fn values_fill_their_places_as_in_python() {
        let text = || Value::Text("warn".to_owned());
        for (pattern, value, line) in [
            ("%(x)s", text(), "warn"),
            ("%(x)8s", text(), "    warn"),
            ("%(x)-8s", text(), "warn    "),
            ("%(x)08s", text(), "    warn"),
            ("%(x).2s", text(), "wa"),
            ("%(x)-4.2s", text(), "wa  "),
            ("%(x)2s", text(), "warn"),
            ("%(x)r", text(), "'warn'"),
            ("%(x)d", Value::Integer(40), "40"),
            ("%(x)s", Value::Integer(40), "40"),
            ("%(x)5d", Value::Integer(40), "   40"),
            ("%(x)05d", Value::Integer(40), "00040"),
            ("%(x)-5d", Value::Integer(40), "40   "),
            ("%(x)+d", Value::Integer(40), "+40"),
            ("%(x)+05d", Value::Integer(40), "+0040"),
            ("%(x) d", Value::Integer(40), " 40"),
            ("%(x).4d", Value::Integer(40), "0040"),
            ("%(x)x", Value::Integer(40), "28"),
            ("%(x)#x", Value::Integer(40), "0x28"),
            ("%(x)o", Value::Integer(40), "50"),
            ("%(x)f", Value::Real(1.5), "1.500000"),
            ("%(x)d", Value::Real(123.9), "123"),
            ("%(x)03d", Value::Real(7.0), "007"),
            ("%(x).1f", Value::Real(1.25), "1.2"),
            ("%(x)s", Value::Real(7.0), "7.0"),
            ("%(x)9.3f", Value::Real(1.5), "    1.500"),
        ] {
            assert_eq!(filled(pattern, &value), line, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_slot_stands_as_it_is() {
        let text = |text: &str| vec![Part::Text(text.to_owned())];
        for (pattern, parsed) in [
            ("", vec![]),
            ("plain", text("plain")),
            ("100%%", text("100%")),
            ("%", text("%")),
            ("%s", text("%s")),
            ("%(message", text("%(message")),
            ("%(message)", text("%(message)")),
            ("%(message)z", text("%(message)z")),
            ("%(message)\u{fc}", text("%(message)\u{fc}")),
        ] {
            assert_eq!(parts(pattern), parsed, "{pattern}");
        }
    }

    /// Lines of an event, through a subscriber.
    fn lines(pattern: &str) -> String {
        let paper = super::super::tests::Paper::default();
        let writer = paper.clone();
        let python = Python::new(pattern, "marathon_lb");
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .event_format(python)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(servers = 3, "it changed");
        });
        paper.text()
    }

    #[test]
    fn every_attribute_of_a_record_that_makes_sense_is_known() {
        let pid = process::id();
        for (pattern, line) in [
            ("%(name)s: %(message)s", "marathon_lb: it changed servers=3"),
            ("%(levelname)-8s|%(levelno)d", "WARNING |30"),
            ("%(process)d %(processName)s", &format!("{pid} MainProcess")),
            ("%(threadName)s", "MainThread"),
            (
                "%(filename)s %(module)s %(funcName)s",
                "python.rs tests tests",
            ),
            ("%(unheard)-5s of %(message).2s", "%(unheard)-5s of it"),
        ] {
            assert_eq!(lines(pattern), format!("{line}\n"), "{pattern}");
        }
        for name in ["lineno", "created", "msecs", "relativeCreated", "thread"] {
            let line = lines(&format!("%({name})d"));
            assert!(line.trim_end().parse::<u64>().is_ok(), "{name}: {line}");
        }
        assert!(lines("%(pathname)s").ends_with("/python.rs\n"));
        let time = lines("%(asctime)s");
        let shape: String = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '9' } else { c })
            .collect();
        assert_eq!(shape, "9999-99-99 99:99:99,999\n");
    }
}
