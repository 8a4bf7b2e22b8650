//! Nodes for which another one stands in: each is told of once, and once when it answers again.

use std::collections::BTreeMap;

use tracing::{debug, info, warn};

use super::Failure;
use crate::logging::Trouble;

/// By address, those that failed when they were last asked, though another one did not.
#[derive(Debug, Default)]
pub(super) struct Away(BTreeMap<String, Trouble>);

impl Away {
    /// The node at `from` did as it was asked, in a word `did`, after those had failed.
    pub(super) fn is_replaced(&mut self, from: &str, did: &str, failures: &[Failure]) {
        if let Some(over) = self.0.remove(from).and_then(|mut away| away.is_over()) {
            info!("over: Marathon at {over}");
        }
        for failure in failures {
            let away = self.0.entry(failure.address.clone()).or_default();
            if away.is_news(&failure.to_string()) {
                warn!("Marathon at {failure}; `{from}` {did} instead");
            } else {
                debug!("still: Marathon at {failure}; `{from}` {did} instead");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::marathon::Fault;

    #[test]
    fn a_node_is_away_until_it_answers_itself() {
        let failure = |address: &str| Failure {
            address: address.to_owned(),
            fault: Fault::TooSlow(Duration::from_secs(1)),
        };
        let mut away = Away::default();
        away.is_replaced("b", "answered", &[failure("a")]);
        away.is_replaced("c", "answered", &[failure("b"), failure("a")]);
        assert_eq!(away.0.keys().collect::<Vec<_>>(), ["a", "b"]);
        let again = failure("a").to_string();
        assert!(!away.0.get_mut("a").unwrap().is_news(&again), "it was told");
        away.is_replaced("a", "answered", &[]);
        assert_eq!(away.0.keys().collect::<Vec<_>>(), ["b"]);
    }
}
