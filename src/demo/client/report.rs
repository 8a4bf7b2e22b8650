//! What became of the requests: answers by instance, failures by kind, and how long it took.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::Duration;

use super::exchange::Outcome;

/// How a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// Nobody listens.
    Refused,
    /// The connection was reset.
    Reset,
    /// The connection ended before the answer did.
    Eof,
    /// The time for the exchange ran out.
    Timeout,
    /// An HTTP answer other than 200.
    Status(u16),
    /// An answer that is no HTTP, or that no instance gave.
    Malformed,
    /// Something on this side: no free port, no free descriptor.
    Other,
}

impl Failure {
    pub(super) fn of(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::Refused,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::Reset,
            io::ErrorKind::UnexpectedEof => Self::Eof,
            io::ErrorKind::InvalidData => Self::Malformed,
            _ => Self::Other,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused => f.write_str("connection refused"),
            Self::Reset => f.write_str("connection reset"),
            Self::Eof => f.write_str("connection ended early"),
            Self::Timeout => f.write_str("timeout"),
            Self::Status(status) => write!(f, "status {status}"),
            Self::Malformed => f.write_str("malformed answer"),
            Self::Other => f.write_str("failure of the client"),
        }
    }
}

/// A failure, and when it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// When the request was sent, from the client's start on.
    pub at: Duration,
    /// How it failed.
    pub failure: Failure,
    /// How long that took.
    pub took: Duration,
}

/// Incidents kept one by one; later ones only count.
const REMEMBERED: usize = 32;

/// What became of all requests.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Requests with the right answer.
    pub answered: u64,
    /// Answers by the name of the instance.
    pub instances: BTreeMap<String, u64>,
    /// Failures by kind.
    pub failures: BTreeMap<Failure, u64>,
    /// The first 32 failures.
    pub incidents: Vec<Incident>,
    /// Kept connections that turned out to be closed before a byte of an answer came. That is any
    /// server's right; the request was sent again at once, on a new connection, and its fate is
    /// counted once.
    pub stale: u64,
    /// Answers of another instance than the one before, to clients that show a cookie.
    pub moved: u64,
    /// How long the answers took.
    pub latency: Latency,
}

impl Report {
    /// Requests without the right answer.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Answers of this instance.
    #[must_use]
    pub fn answers_of(&self, instance: &str) -> u64 {
        self.instances.get(instance).copied().unwrap_or_default()
    }

    /// Adds what another client has seen.
    pub fn absorb(&mut self, other: &Self) {
        self.answered += other.answered;
        self.stale += other.stale;
        self.moved += other.moved;
        for (instance, answers) in &other.instances {
            *self.instances.entry(instance.clone()).or_default() += answers;
        }
        for (failure, times) in &other.failures {
            *self.failures.entry(*failure).or_default() += times;
        }
        let room = REMEMBERED.saturating_sub(self.incidents.len());
        self.incidents
            .extend(other.incidents.iter().take(room).cloned());
        self.latency.absorb(&other.latency);
    }

    pub(super) fn record(&mut self, outcome: Outcome, at: Duration, took: Duration) {
        self.stale += u64::from(outcome.was_stale);
        self.moved += u64::from(outcome.has_moved);
        match outcome.result {
            Ok(instance) => {
                self.answered += 1;
                *self.instances.entry(instance).or_default() += 1;
                self.latency.record(took);
            }
            Err(failure) => {
                *self.failures.entry(failure).or_default() += 1;
                if self.incidents.len() < REMEMBERED {
                    self.incidents.push(Incident { at, failure, took });
                }
            }
        }
    }
}

/// One line for people.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} answered, {} failed", self.answered, self.failed())?;
        for (failure, times) in &self.failures {
            write!(f, ", {times} by {failure}")?;
        }
        let latency = &self.latency;
        write!(
            f,
            "; p50 {:.1?}, p95 {:.1?}, max {:.1?}",
            latency.quantile(0.5),
            latency.quantile(0.95),
            latency.max()
        )
    }
}

/// Sixteen steps for each doubling: a quantile is at most a sixteenth too high.
const STEPS: u32 = 16;
const BUCKETS: usize = 61 * STEPS as usize;

/// Durations in buckets that widen with them, so that any number of them takes the same room.
#[derive(Clone)]
pub struct Latency {
    buckets: Box<[u64]>,
    count: u64,
    max: Duration,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            buckets: vec![0; BUCKETS].into(),
            count: 0,
            max: Duration::ZERO,
        }
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p95] = [0.5, 0.95].map(|q| self.quantile(q));
        write!(f, "p50 {p50:?} p95 {p95:?} max {:?}", self.max)
    }
}

impl Latency {
    /// The time within which this part of the answers came, 0.0 to 1.0; zero without any.
    #[must_use]
    pub fn quantile(&self, part: f64) -> Duration {
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if *count > 0 && seen as f64 >= part * self.count as f64 {
                return upper_bound(bucket).min(self.max);
            }
        }
        self.max
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Duration {
        self.max
    }

    fn absorb(&mut self, other: &Self) {
        for (bucket, count) in self.buckets.iter_mut().zip(other.buckets.iter()) {
            *bucket += count;
        }
        self.count += other.count;
        self.max = self.max.max(other.max);
    }

    fn record(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket(micros)] += 1;
        self.count += 1;
        self.max = self.max.max(took);
    }
}

/// Up to 15 µs one each, then sixteen for each power of two.
fn bucket(micros: u64) -> usize {
    let bucket = match micros.checked_ilog2() {
        Some(power) if power >= 4 => {
            let step = (micros >> (power - 4)) - u64::from(STEPS);
            u64::from((power - 3) * STEPS) + step
        }
        _ => micros,
    };
    usize::try_from(bucket).map_or(BUCKETS - 1, |bucket| bucket.min(BUCKETS - 1))
}

fn upper_bound(bucket: usize) -> Duration {
    let steps = STEPS as usize;
    if bucket < steps {
        return Duration::from_micros(bucket as u64);
    }
    let (power, step) = (bucket / steps - 1, bucket % steps);
    let next = u128::from(STEPS) + step as u128 + 1;
    let micros = (next << power) - 1;
    Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_at_most_a_sixteenth_too_high() {
        for micros in [0, 1, 15, 16, 17, 31, 32, 999, 1_000_000, 3_600_000_000] {
            let mut latency = Latency::default();
            latency.record(Duration::from_micros(micros));
            latency.record(Duration::from_secs(1 << 20));
            let found = latency.quantile(0.5).as_micros();
            let exact = u128::from(micros);
            assert!(
                found >= exact && found <= exact + exact / 16,
                "{found} for {exact}"
            );
        }
    }

    #[test]
    fn quantiles_of_a_thousand_milliseconds() {
        let mut latency = Latency::default();
        for millis in 1..=1000 {
            latency.record(Duration::from_millis(millis));
        }
        let within = |part, low, high| {
            let found = latency.quantile(part).as_millis();
            assert!((low..=high).contains(&found), "{part}: {found}");
        };
        within(0.5, 500, 532);
        within(0.95, 950, 1000);
        assert_eq!(latency.max(), Duration::from_secs(1));
        assert_eq!(latency.quantile(1.0), Duration::from_secs(1));
    }

    #[test]
    fn any_duration_has_a_bucket() {
        assert!(bucket(u64::MAX) < BUCKETS);
        assert_eq!(Latency::default().quantile(0.95), Duration::ZERO);
    }

    #[test]
    fn a_report_reads_as_one_line() {
        let mut report = Report::default();
        let outcome = |result| Outcome {
            result,
            was_stale: false,
            has_moved: false,
        };
        let millis = Duration::from_millis;
        report.record(outcome(Ok("web-1".to_owned())), millis(1), millis(2));
        report.record(outcome(Err(Failure::Status(503))), millis(3), millis(4));
        assert_eq!(
            report.to_string(),
            "1 answered, 1 failed, 1 by status 503; p50 2.0ms, p95 2.0ms, max 2.0ms"
        );
        assert_eq!(report.answers_of("web-1"), 1);
        assert_eq!(report.incidents[0].at, millis(3));
    }
}
