//! Service ports for apps that name none, whose tasks have addresses of their own: found by hashing,
//! so that every host that sees the same apps in the same order gives the same ports (marathon-lb
//! 1.15, "Auto-assigned service ports").

use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::AppId;

/// How often a clash is answered with another hash.
const TRIALS: u32 = 50;

/// The ports that are given away.
#[derive(Debug)]
pub(super) struct AutoPorts {
    range: RangeInclusive<u16>,
    given: HashMap<(AppId, u16), u16>,
    used: BTreeSet<u16>,
}

impl AutoPorts {
    pub(super) fn new(range: RangeInclusive<u16>) -> Self {
        Self {
            range,
            given: HashMap::new(),
            used: BTreeSet::new(),
        }
    }

    /// The service port of a task's port; `None` when all are given away.
    pub(super) fn assign(&mut self, app: &AppId, task_port: u16) -> Option<u16> {
        let key = (app.clone(), task_port);
        if let Some(&port) = self.given.get(&key) {
            return Some(port);
        }
        if self.used.len() >= self.range.len() {
            return None;
        }
        let by_hash = (0..TRIALS).map(|trial| self.candidate(app, task_port, trial));
        let port = by_hash
            .chain(self.range.clone())
            .find(|port| !self.used.contains(port))?;
        self.used.insert(port);
        self.given.insert(key, port);
        Some(port)
    }

    fn candidate(&self, app: &AppId, task_port: u16, trial: u32) -> u16 {
        let text = format!("{app}-{task_port}-{trial}");
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
        let first = hash.as_ref()[..4]
            .iter()
            .fold(0, |number: u32, &byte| (number << 8) | u32::from(byte));
        let size = u32::try_from(self.range.len()).expect("there are at most 65536 ports");
        let offset = u16::try_from(first % size).expect("it is below the number of ports");
        self.range.start() + offset
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_those_of_marathon_lb() {
        let mut ports = AutoPorts::new(10050..=10100);
        for (app, task_port, want) in [
            ("/a", 80, 10065),
            ("/b", 80, 10059),
            ("/b", 443, 10067),
            ("/foo/bar", 8080, 10076),
            ("/a", 81, 10093),
            ("/a", 82, 10073),
            ("/a", 80, 10065),
        ] {
            assert_eq!(
                ports.assign(&AppId::new(app), task_port),
                Some(want),
                "{app} {task_port}"
            );
        }
    }

    #[test]
    fn what_does_not_fit_gets_none() {
        let mut ports = AutoPorts::new(10..=11);
        let got = [1, 2, 3, 1].map(|port| ports.assign(&AppId::new("/a"), port));
        assert_eq!(got, [Some(11), Some(10), None, Some(11)]);
    }

    #[test]
    fn every_port_of_the_range_is_given_once() {
        let mut ports = AutoPorts::new(10050..=10100);
        let given: BTreeSet<_> = (1..=51)
            .filter_map(|port| ports.assign(&AppId::new("/a"), port))
            .collect();
        assert_eq!(given, (10050..=10100).collect());
    }
}
