//! The last lines of the log, for those who look at a page and have no log at hand.

use std::collections::VecDeque;
use std::io;
use std::sync::{Mutex, PoisonError};

use tracing_subscriber::fmt::MakeWriter;

use crate::cluster::cut;

/// So many lines are kept.
const MOST_LINES: usize = 100;

/// Of so many characters each, so that all of them need little room whatever somebody's label holds.
const LONGEST: usize = 600;

static RECENT: Recent = Recent {
    lines: Mutex::new(VecDeque::new()),
};

/// What was said last by this process, the latest last, each with its time.
#[must_use]
pub fn recent() -> Vec<String> {
    RECENT.lines()
}

/// Keeps what is written.
pub(super) struct Recent {
    lines: Mutex<VecDeque<String>>,
}

/// That of this process.
pub(super) fn kept() -> &'static Recent {
    &RECENT
}

impl Recent {
    fn lines(&self) -> Vec<String> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines.iter().cloned().collect()
    }

    fn keep(&self, text: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == MOST_LINES {
            lines.pop_front();
        }
        lines.push_back(cut(text, LONGEST).into_owned());
    }
}

/// One event: it is written in one piece.
pub(super) struct Event<'a>(&'a Recent);

impl io::Write for Event<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.keep(String::from_utf8_lossy(bytes).trim_end());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for &'static Recent {
    type Writer = Event<'a>;

    fn make_writer(&'a self) -> Event<'a> {
        Event(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Recent {
        Recent {
            lines: Mutex::default(),
        }
    }

    #[test]
    fn the_latest_lines_are_kept_and_none_is_long() {
        let recent = fresh();
        for number in 0..=MOST_LINES {
            recent.keep(&format!("line {number}"));
        }
        recent.keep(&"ä".repeat(2 * LONGEST));
        let lines = recent.lines();
        assert_eq!(lines.len(), MOST_LINES);
        assert_eq!(lines[0], "line 2");
        let last = &lines[MOST_LINES - 1];
        assert_eq!(*last, format!("{}…", "ä".repeat(LONGEST)));
    }
}
