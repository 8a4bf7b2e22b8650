//! What Marathon tells a watcher of its changes, and all that becomes of it on the way.

use std::collections::BTreeSet;
use std::time::Duration;

use haproxy_marathon_bridge::cluster::AppId;
use haproxy_marathon_bridge::marathon::Failure;
use haproxy_marathon_bridge::marathon::Fault;
use haproxy_marathon_bridge::marathon::events::{Doubt, Lost, Told};

use crate::random::Random;

/// The longest pause before Marathon is asked again for its events, in milliseconds.
pub(crate) const LONGEST_PAUSE: u64 = 30_000;

/// A stream without a sign of life is given up after this.
const SILENCE: u64 = 30_000;

/// Times are milliseconds of the host's own clock.
#[derive(Debug)]
enum Link {
    /// Nobody tells anything; asked again then.
    Broken(u64),
    /// A stream begins, which is known then.
    Opening(u64),
    Open,
    /// Nothing comes any more, which is noticed then.
    HalfOpen(u64),
}

/// A stream of events, as far as the watcher hears it.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each can come about with each"
)]
pub(crate) struct Stream {
    link: Link,
    /// It has just broken off, and nobody was told.
    broke_off: bool,
    /// On the way, with the moment at which they come.
    sent: Vec<(u64, Sent)>,
    failures: u32,
    /// Nothing that is told is lost, or comes very late.
    pub(crate) is_reliable: bool,
    /// Nor is it late at all.
    pub(crate) is_prompt: bool,
    /// Something changed that nobody was told of, although the stream lives.
    pub(crate) has_missed: bool,
}

#[derive(Clone, Debug)]
enum Sent {
    Apps(BTreeSet<AppId>),
    Doubt(Doubt),
}

impl Stream {
    /// A watcher begins to listen.
    pub(crate) fn new(now: u64) -> Self {
        Self {
            link: Link::Broken(now),
            broke_off: false,
            sent: Vec::new(),
            failures: 0,
            is_reliable: false,
            is_prompt: false,
            has_missed: false,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.link, Link::Open)
    }

    /// The end of a stream, as the watcher sees it at once.
    pub(crate) fn break_off(&mut self, now: u64) {
        if !matches!(self.link, Link::Broken(_)) {
            self.broke_off = true;
            self.link = Link::Broken(now + self.pause());
            self.sent.clear();
        }
    }

    /// The end of a stream that nobody sees.
    pub(crate) fn fall_silent(&mut self, now: u64) {
        if self.is_open() {
            self.link = Link::HalfOpen(now + SILENCE);
            self.sent.clear();
        }
    }

    fn pause(&self) -> u64 {
        (500 << self.failures.min(10)).min(LONGEST_PAUSE)
    }

    /// Apps were changed, and Marathon says so. `others` are apps that were not.
    pub(crate) fn tell(
        &mut self,
        apps: BTreeSet<AppId>,
        others: &[AppId],
        now: u64,
        random: &mut Random,
    ) {
        if !self.is_open() || apps.is_empty() {
            return;
        }
        let mut soon = now + random.below(250) as u64;
        let mut apps = apps;
        if self.is_prompt {
            soon = now;
        } else if self.is_reliable {
            if random.percent(20) {
                self.sent.push((soon + 40, Sent::Apps(apps.clone())));
            }
        } else {
            match random.below(20) {
                0 => {
                    self.has_missed = true;
                    return;
                }
                1 | 2 => {
                    let again = soon + random.below(4_000) as u64;
                    self.sent.push((again, Sent::Apps(apps.clone())));
                }
                3 => {
                    let doubt = Doubt::TooLarge("deployment_info".into());
                    return self.sent.push((soon, Sent::Doubt(doubt)));
                }
                4 => self.sent.push((soon, Sent::Doubt(Doubt::Garbled))),
                5 => return self.sent.push((soon, Sent::Doubt(Doubt::GroupChanged))),
                6 if !others.is_empty() => {
                    let other = others[random.below(others.len())].clone();
                    apps.extend([other, AppId::new("/nobody")]);
                }
                7..=9 => soon += random.below(5_000) as u64,
                _ => (),
            }
        }
        self.sent.push((soon, Sent::Apps(apps)));
    }

    /// The apps of which something is on the way; `None` where anything may be.
    pub(crate) fn untold(&self) -> Option<BTreeSet<AppId>> {
        let mut untold = BTreeSet::new();
        for (_, sent) in &self.sent {
            match sent {
                Sent::Apps(apps) => untold.extend(apps.iter().cloned()),
                Sent::Doubt(_) => return None,
            }
        }
        self.is_open().then_some(untold)
    }

    /// When there is something to hear, or to do.
    pub(crate) fn next_at(&self, now: u64) -> u64 {
        if self.broke_off {
            return now;
        }
        let link = match self.link {
            Link::Broken(at) | Link::Opening(at) | Link::HalfOpen(at) => Some(at),
            Link::Open => None,
        };
        let sent = self.sent.iter().map(|(at, _)| *at).min();
        link.into_iter().chain(sent).min().unwrap_or(u64::MAX)
    }

    /// What the watcher is told now, merged as far as it comes together. `is_there`: whether
    /// anybody could tell anything.
    pub(crate) fn next(&mut self, now: u64, is_there: bool) -> Option<Told> {
        if std::mem::take(&mut self.broke_off) {
            return Some(self.lost(Fault::StreamEnded));
        }
        match self.link {
            Link::Broken(at) if at <= now => {
                if is_there {
                    self.link = Link::Opening(now + 200);
                    return None;
                }
                self.failures += 1;
                self.link = Link::Broken(now + self.pause());
                return Some(self.lost(Fault::Unreachable("refused".to_owned())));
            }
            Link::Opening(at) if at <= now => {
                self.link = Link::Open;
                self.failures = 0;
                self.has_missed = false;
                let from = "http://marathon:8080".to_owned();
                return Some(Told::Attached { from });
            }
            Link::HalfOpen(at) if at <= now => {
                self.link = Link::Broken(now + self.pause());
                return Some(self.lost(Fault::Silent(Duration::from_millis(SILENCE))));
            }
            _ => (),
        }
        let mut apps = BTreeSet::new();
        let mut doubt = None;
        self.sent.retain(|(at, sent)| {
            if *at <= now {
                match sent {
                    Sent::Apps(more) => apps.extend(more.iter().cloned()),
                    Sent::Doubt(other) => doubt = Some(other.clone()),
                }
            }
            now < *at
        });
        match doubt {
            Some(doubt) => Some(Told::Doubt(doubt)),
            None => (!apps.is_empty()).then_some(Told::Touched(apps)),
        }
    }

    fn lost(&self, fault: Fault) -> Told {
        Told::Lost(Lost {
            failures: vec![Failure {
                address: "http://marathon:8080".to_owned(),
                fault,
            }],
            retry_in: Duration::from_millis(self.pause()),
        })
    }
}
