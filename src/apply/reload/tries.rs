//! How often a reload that nobody has proved is tried again, and how long each try may take.

use std::time::Duration;

use super::ReloadError;
use crate::config;

/// How often a reload without proof is tried again, and for how long each time.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) struct Tries {
    /// `None`: there is no end.
    left: Option<u32>,
    /// Of one try.
    pub(in super::super) limit: Duration,
}

impl Tries {
    pub(in super::super) fn of(reload: &config::Reload) -> Self {
        // A try that is given no time at all proves nothing.
        let limit = match reload.max_retries {
            Some(0) => reload.timeout,
            _ => reload.interval.max(Duration::from_secs(1)),
        };
        Self {
            left: reload.max_retries,
            limit,
        }
    }

    /// Whether there is another one. Only silence is worth asking again: who said no will say no.
    pub(in super::super) fn again_after(&mut self, error: &ReloadError) -> bool {
        if !matches!(error, ReloadError::NotProven { .. }) || self.left == Some(0) {
            return false;
        }
        self.left = self.left.map(|left| left - 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::Method;
    use super::*;
    use crate::config::ReloadMethod;

    fn tries(max_retries: Option<u32>, interval: u64) -> Tries {
        Tries::of(&config::Reload {
            method: ReloadMethod::Command,
            command: None,
            timeout: Duration::from_secs(30),
            max_retries,
            interval: Duration::from_secs(interval),
            runtime_api: false,
            apart: Duration::ZERO,
        })
    }

    fn silence() -> ReloadError {
        ReloadError::NotProven {
            how: Method::None,
            waited: Duration::ZERO,
            seen: String::new(),
        }
    }

    #[test]
    fn a_reload_is_tried_again_as_often_as_it_may_be() {
        for (max_retries, count) in [(Some(0), 0), (Some(3), 3), (None, 100)] {
            let mut tries = tries(max_retries, 10);
            let again = (0..100).take_while(|_| tries.again_after(&silence()));
            assert_eq!(again.count(), count, "{max_retries:?}");
        }
        let refused = ReloadError::Refused {
            how: Method::None,
            output: String::new(),
            said: String::new(),
        };
        assert!(!tries(None, 10).again_after(&refused));
    }

    #[test]
    fn each_try_has_its_interval_and_the_only_one_the_whole_time() {
        for (max_retries, interval, limit) in [
            (Some(0), 10, 30),
            (Some(1), 10, 10),
            (None, 10, 10),
            (Some(1), 0, 1),
        ] {
            let limit = Duration::from_secs(limit);
            assert_eq!(tries(max_retries, interval).limit, limit);
        }
    }
}
