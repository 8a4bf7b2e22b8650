//! What the consumer has not been told yet, merged so that it never grows.
//!
//! The stream is read at once, however long the consumer's turn takes: a Marathon that is not read
//! loses events, or ends the stream.

use std::collections::BTreeSet;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::event::Doubt;
use super::heard::Heard;
use super::plans::Change;
use super::{Lost, Told};
use crate::cluster::AppId;

/// Apps kept by name.
const MOST_APPS: usize = 10_000;

/// Between the task that reads and the consumer.
#[derive(Default)]
pub(super) struct Pending {
    news: Mutex<News>,
    is_some: Notify,
    pub(super) heard: Arc<Heard>,
}

/// In the order in which they are told.
#[derive(Default)]
struct News {
    lost: Option<Lost>,
    attached: Option<String>,
    doubt: Option<Doubt>,
    touched: BTreeSet<AppId>,
}

impl Pending {
    /// Whatever changed before is part of the full fetch that this asks for.
    pub(super) fn attached(&self, from: String) {
        self.tell(|news| {
            news.attached = Some(from);
            news.doubt = None;
            news.touched.clear();
        });
    }

    pub(super) fn changed(&self, change: Change) {
        self.tell(|news| {
            if news.attached.is_some() || news.doubt.is_some() {
                return;
            }
            match change {
                Change::Apps(apps) => news.touched.extend(apps),
                Change::Doubt(doubt) => news.doubt = Some(doubt),
            }
            if news.touched.len() > MOST_APPS {
                news.doubt = Some(Doubt::ManyApps);
            }
            if news.doubt.is_some() {
                news.touched.clear();
            }
        });
    }

    /// What changed before is still worth a fetch, but nothing is attached any more.
    pub(super) fn lost(&self, lost: Lost) {
        self.tell(|news| {
            if news.attached.take().is_some() {
                news.doubt = Some(Doubt::MissedAttachment);
            }
            news.lost = Some(lost);
        });
    }

    /// Waits until there is something to tell. Nothing is lost when the wait is given up.
    pub(super) async fn next(&self) -> Told {
        loop {
            if let Some(told) = self.news().take() {
                return told;
            }
            self.is_some.notified().await;
        }
    }

    fn tell(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.news());
        self.is_some.notify_one();
    }

    /// Every change is made in one go, so that a panic elsewhere leaves none half made.
    fn news(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl News {
    fn take(&mut self) -> Option<Told> {
        if let Some(lost) = self.lost.take() {
            return Some(Told::Lost(lost));
        }
        if let Some(from) = self.attached.take() {
            return Some(Told::Attached { from });
        }
        if let Some(doubt) = self.doubt.take() {
            return Some(Told::Doubt(doubt));
        }
        let touched = mem::take(&mut self.touched);
        (!touched.is_empty()).then_some(Told::Touched(touched))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn apps(ids: &[&str]) -> BTreeSet<AppId> {
        ids.iter().map(|id| AppId::new(id)).collect()
    }

    fn touched(ids: &[&str]) -> Change {
        Change::Apps(apps(ids))
    }

    fn lost(seconds: u64) -> Lost {
        Lost {
            failures: Vec::new(),
            retry_in: Duration::from_secs(seconds),
        }
    }

    fn all(pending: &Pending) -> Vec<Told> {
        std::iter::from_fn(|| pending.news().take()).collect()
    }

    #[test]
    fn what_a_full_fetch_covers_is_not_told_apart() {
        let attached = || Told::Attached { from: "b".into() };
        let doubt = Change::Doubt(Doubt::Garbled);
        let pending = Pending::default();
        pending.changed(touched(&["/a"]));
        pending.changed(touched(&["/b", "/a"]));
        assert_eq!(all(&pending), [Told::Touched(apps(&["/a", "/b"]))]);

        pending.changed(touched(&["/a"]));
        pending.changed(doubt.clone());
        pending.changed(touched(&["/b"]));
        pending.changed(Change::Doubt(Doubt::GroupChanged));
        assert_eq!(all(&pending), [Told::Doubt(Doubt::Garbled)]);

        pending.attached("a".into());
        pending.changed(touched(&["/a"]));
        pending.changed(doubt);
        pending.attached("b".into());
        assert_eq!(all(&pending), [attached()]);

        // What comes after it was told counts again.
        pending.changed(touched(&["/a"]));
        assert_eq!(all(&pending), [Told::Touched(apps(&["/a"]))]);
    }

    #[test]
    fn a_loss_keeps_what_changed_and_the_last_attachment_stands_at_the_end() {
        let pending = Pending::default();
        pending.changed(touched(&["/a"]));
        pending.lost(lost(1));
        assert_eq!(
            all(&pending),
            [Told::Lost(lost(1)), Told::Touched(apps(&["/a"]))]
        );

        pending.attached("a".into());
        pending.lost(lost(1));
        pending.lost(lost(2));
        let missed = Told::Doubt(Doubt::MissedAttachment);
        assert_eq!(all(&pending), [Told::Lost(lost(2)), missed]);

        pending.attached("a".into());
        pending.lost(lost(1));
        pending.attached("b".into());
        let attached = Told::Attached { from: "b".into() };
        assert_eq!(all(&pending), [Told::Lost(lost(1)), attached]);
    }

    #[test]
    fn too_many_apps_become_a_doubt() {
        let pending = Pending::default();
        for number in 0..=MOST_APPS {
            pending.changed(touched(&[&format!("/{number}")]));
        }
        assert_eq!(all(&pending), [Told::Doubt(Doubt::ManyApps)]);
    }

    #[tokio::test]
    async fn a_wait_that_is_given_up_loses_nothing() {
        let pending = Pending::default();
        for _ in 0..3 {
            tokio::select! {
                biased;
                told = pending.next() => panic!("{told:?}"),
                () = std::future::ready(()) => (),
            }
        }
        pending.changed(touched(&["/a"]));
        tokio::select! {
            biased;
            () = std::future::ready(()) => (),
            told = pending.next() => panic!("{told:?}"),
        }
        assert_eq!(pending.next().await, Told::Touched(apps(&["/a"])));
    }
}
