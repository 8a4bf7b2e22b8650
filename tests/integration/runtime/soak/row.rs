//! What is printed of a variant, and what must hold of it.

use std::time::Duration;

use haproxy_marathon_bridge::demo::client::Report;

use super::Length;

/// A run with fewer proves nothing; the slowest hosts reach many times as much.
const FEWEST_REQUESTS_PER_SECOND: f64 = 20.0;

/// Where HAProxy checks the servers, a change takes seconds.
const LONGEST_CHANGE: Duration = Duration::from_secs(10);

pub(super) struct Row {
    pub(super) variant: &'static str,
    pub(super) elapsed: Duration,
    pub(super) reloads: usize,
    pub(super) took: Vec<Duration>,
    pub(super) report: Report,
}

impl Row {
    pub(super) const HEAD: &str = "variant                 seconds  changes  reloads  requests   \
                                   per s  lost  event to HAProxy p50 / p95";

    #[track_caller]
    pub(super) fn has_lost_nothing(&self, length: Length) {
        let report = &self.report;
        assert_eq!(report.failed(), 0, "{self}: {:#?}", report.incidents);
        assert_eq!(
            report.stale, 0,
            "{self}: connections were closed that were idle"
        );
        // Nothing is lost where nothing is done.
        let changes = self.took.len();
        assert!(length.changes <= changes, "{self}");
        let average = self.elapsed / u32::try_from(changes).unwrap();
        assert!(average <= LONGEST_CHANGE, "{self}");
        assert!(changes / length.reload_every <= self.reloads, "{self}");
        let per_second = report.answered as f64 / self.elapsed.as_secs_f64();
        assert!(FEWEST_REQUESTS_PER_SECOND <= per_second, "{self}");
    }
}

/// Of times in their order.
pub(super) fn quantile(took: &[Duration], part: f64) -> Duration {
    let last = took.len().saturating_sub(1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let at = (last * part).round() as usize;
    took.get(at).copied().unwrap_or_default()
}

pub(super) fn shown(took: Duration) -> String {
    format!("{:.1} ms", took.as_secs_f64() * 1000.0)
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        write!(
            f,
            "{:<22} {:>8.1} {:>8} {:>8} {:>9} {:>7.0} {:>5}  {} / {}",
            self.variant,
            seconds,
            self.took.len(),
            self.reloads,
            self.report.answered,
            self.report.answered as f64 / seconds,
            self.report.failed(),
            shown(quantile(&self.took, 0.5)),
            shown(quantile(&self.took, 0.95)),
        )?;
        for (failure, times) in &self.report.failures {
            write!(f, "; {failure}: {times}")?;
        }
        Ok(())
    }
}
