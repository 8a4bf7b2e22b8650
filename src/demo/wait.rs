//! Waiting until something was seen: for an event instead of a guess of how long it takes, and
//! never for ever.

use std::fmt;
use std::time::Duration;

use tokio::sync::watch;

/// What was waited for did not come in time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    expected: String,
    found: String,
    within: Duration,
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "waited {:?} for {}, found {}",
            self.within, self.expected, self.found
        )
    }
}

impl std::error::Error for Late {}

/// Waits until the watched value satisfies `enough`, which is asked at once and after each change.
///
/// # Errors
/// [`Late`] with the last value when `within` has passed, or when nobody is left to change it.
pub(super) async fn until<T: fmt::Debug>(
    mut watched: watch::Receiver<T>,
    within: Duration,
    expected: impl Into<String>,
    enough: impl FnMut(&T) -> bool,
) -> Result<(), Late> {
    let seen = tokio::time::timeout(within, watched.wait_for(enough)).await;
    if let Ok(Ok(_)) = seen {
        return Ok(());
    }
    drop(seen);
    Err(Late {
        expected: expected.into(),
        found: format!("{:?}", *watched.borrow()),
        within,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_value_that_is_there_already_is_not_waited_for() {
        let (_sender, watched) = watch::channel(3);
        let seen = until(watched, Duration::ZERO, "three", |n| *n == 3).await;
        assert_eq!(seen, Ok(()));
    }

    #[tokio::test]
    async fn a_late_value_is_told_with_what_was_there_instead() {
        let (_sender, watched) = watch::channel(3);
        let late = until(watched, Duration::from_millis(1), "four", |n| *n == 4).await;
        assert_eq!(
            late.unwrap_err().to_string(),
            "waited 1ms for four, found 3"
        );
    }

    #[tokio::test]
    async fn nobody_left_to_change_the_value_ends_the_wait() {
        let (sender, watched) = watch::channel(3);
        drop(sender);
        let late = until(watched, Duration::from_secs(3600), "four", |n| *n == 4).await;
        assert!(late.is_err());
    }
}
