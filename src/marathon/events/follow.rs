//! One stream after the other: which node is asked when, what counts as dead, and what is told.
//!
//! In come nodes whose streams can be opened, out go changes, attachments and losses. Nothing here
//! knows HTTP; the clock is tokio's.

use std::convert::Infallible;
use std::sync::Arc;

use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::backoff::Backoff;
use super::event::{self, Doubt, Meaning};
use super::frames::Frames;
use super::pending::Pending;
use super::plans::Plans;
use super::{Lost, Pace};
use crate::marathon::away::Away;
use crate::marathon::{Failure, Fault};

/// The nodes of one cluster.
pub(super) trait Nodes: Send + Sync + 'static {
    /// What a node says once it answered.
    type Stream: Stream;

    /// How many there are, at least one.
    fn count(&self) -> usize;

    /// The address of one, as shown to people.
    fn shown(&self, index: usize) -> String;

    /// Asks one for its events; waits for the head of its answer.
    fn open(&self, index: usize) -> impl Future<Output = Result<Self::Stream, Fault>> + Send;
}

/// The body of an answer.
pub(super) trait Stream: Send {
    /// The next bytes; `None` at its end. A wait that is given up loses none.
    fn chunk(
        &mut self,
    ) -> impl Future<Output = Result<Option<impl AsRef<[u8]> + Send>, Fault>> + Send;
}

/// Follows for ever.
pub(super) async fn run<N: Nodes>(
    nodes: N,
    pending: Arc<Pending>,
    mut backoff: Backoff,
    pace: Pace,
) -> Infallible {
    let mut first = 0;
    let mut away = Away::default();
    loop {
        let failures = match open(&nodes, first, &pace, &mut away).await {
            Err(failures) => failures,
            Ok((index, stream)) => {
                let began = Instant::now();
                let reader = Reader::new(&pending, &pace, nodes.shown(index));
                let fault = reader.read(stream).await;
                let was_healthy = began.elapsed() >= pace.healthy;
                if was_healthy {
                    backoff.reset();
                }
                // A node that said goodbye after a while is alive, and knows the new leader.
                let is_alive = was_healthy && fault == Fault::StreamEnded;
                first = (index + usize::from(!is_alive)) % nodes.count();
                vec![failure(&nodes, index, fault)]
            }
        };
        let retry_in = backoff.pause();
        pending.lost(Lost { failures, retry_in });
        sleep(retry_in).await;
    }
}

/// The stream of the first node that opens one, and which that is.
async fn open<N: Nodes>(
    nodes: &N,
    first: usize,
    pace: &Pace,
    away: &mut Away,
) -> Result<(usize, N::Stream), Vec<Failure>> {
    let mut failures = Vec::new();
    for index in (first..nodes.count()).chain(0..first) {
        let opened = timeout(pace.opening, nodes.open(index)).await;
        match opened.unwrap_or(Err(Fault::Silent(pace.opening))) {
            Err(fault) => failures.push(failure(nodes, index, fault)),
            Ok(stream) => {
                away.is_replaced(&nodes.shown(index), "tells the events", &failures);
                return Ok((index, stream));
            }
        }
    }
    Err(failures)
}

fn failure(nodes: &impl Nodes, index: usize, fault: Fault) -> Failure {
    Failure {
        address: nodes.shown(index),
        fault,
    }
}

/// Whether changes are told by now. Marathon sends the head of its answer before it attaches the
/// reader, so that a fetch in between could miss something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attachment {
    /// Not a byte has come: an answer that says `200` and then nothing is no stream.
    Awaited,
    /// Something came that is no event; assumed after this, if nothing proves it before.
    Likely(Instant),
    /// Nothing proves it.
    Assumed,
    /// An event came.
    Proved,
}

/// Reads one stream to its end.
struct Reader<'a> {
    pending: &'a Pending,
    pace: &'a Pace,
    from: String,
    /// Until then Marathon's own word is awaited, even where other bytes come.
    grace_ends: Instant,
    attachment: Attachment,
    plans: Plans,
}

impl<'a> Reader<'a> {
    fn new(pending: &'a Pending, pace: &'a Pace, from: String) -> Self {
        Self {
            pending,
            pace,
            from,
            grace_ends: Instant::now() + pace.grace,
            attachment: Attachment::Awaited,
            plans: Plans::default(),
        }
    }

    /// Why it ended.
    async fn read(mut self, mut stream: impl Stream) -> Fault {
        let pace = self.pace;
        let mut frames = Frames::new(pace.event_bytes);
        let mut heard = Instant::now();
        let mut event_began = None;
        loop {
            let silent_at = heard + pace.silence;
            let stuck_at = event_began.map(|began: Instant| began + pace.event);
            let assumed_at = match self.attachment {
                Attachment::Likely(until) => Some(until),
                Attachment::Awaited | Attachment::Assumed | Attachment::Proved => None,
            };
            let others = [stuck_at, assumed_at].into_iter().flatten();
            let wake_at = others.fold(silent_at, Instant::min);
            let came = timeout_at(wake_at, stream.chunk()).await;
            let now = Instant::now();
            match came {
                Ok(Err(fault)) => return fault,
                Ok(Ok(None)) => return Fault::StreamEnded,
                Ok(Ok(Some(bytes))) => {
                    heard = now;
                    if self.attachment == Attachment::Awaited && !bytes.as_ref().is_empty() {
                        self.attachment = Attachment::Likely(self.grace_ends);
                    }
                    frames.push(bytes.as_ref(), |frame| {
                        event_began = None;
                        self.heard(event::read(frame));
                    });
                }
                Err(_) if silent_at <= now => return Fault::Silent(pace.silence),
                Err(_) => (),
            }
            event_began = frames.is_within_event().then(|| event_began.unwrap_or(now));
            if event_began.is_some_and(|began| began + pace.event <= now) {
                return Fault::StuckEvent(pace.event);
            }
            if matches!(self.attachment, Attachment::Likely(until) if until <= now) {
                self.attach(Attachment::Assumed);
            }
        }
    }

    fn heard(&mut self, meaning: Meaning) {
        self.pending.heard.event();
        if let Meaning::Doubt(doubt) = &meaning {
            self.pending.heard.is_unread(doubt);
        }
        let is_event = meaning != Meaning::Doubt(Doubt::Garbled);
        // Who hears of anything is attached. What was only assumed before may have been wrong.
        if is_event && self.attachment != Attachment::Proved {
            self.attach(Attachment::Proved);
        }
        if let Some(change) = self.plans.change(meaning) {
            self.pending.changed(change);
        }
    }

    fn attach(&mut self, attachment: Attachment) {
        self.attachment = attachment;
        self.pending.attached(self.from.clone());
    }
}

#[cfg(test)]
mod tests;
