//! Streams by script, under a clock that goes as fast as it can.

mod gaps;

use std::collections::{BTreeSet, VecDeque};
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::*;
use crate::cluster::AppId;
use crate::marathon::events::{Follower, Told};

/// What a node does when it is asked; one that has no reply left refuses.
enum Reply {
    Fault(Fault),
    Hang,
    Stream(Vec<Step>),
}

/// What a stream does; one that has no step left is silent.
#[derive(Clone)]
enum Step {
    Bytes(String),
    Wait(Duration),
    Break(Fault),
    End,
}

/// Nodes that follow a script.
struct Fake {
    nodes: Vec<Mutex<VecDeque<Reply>>>,
    asked: Asked,
}

/// Which node was asked, and after how long.
#[derive(Clone)]
struct Asked(Arc<Mutex<Vec<(usize, Duration)>>>, Instant);

impl Asked {
    fn nodes(&self) -> Vec<usize> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .map(|(node, _)| *node)
            .collect()
    }

    fn times(&self) -> Vec<Duration> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .map(|(_, time)| *time)
            .collect()
    }
}

impl Nodes for Fake {
    type Stream = Script;

    fn count(&self) -> usize {
        self.nodes.len()
    }

    fn shown(&self, index: usize) -> String {
        format!("n{index}")
    }

    async fn open(&self, index: usize) -> Result<Script, Fault> {
        let time = self.asked.1.elapsed();
        self.asked.0.lock().unwrap().push((index, time));
        let reply = self.nodes[index].lock().unwrap().pop_front();
        match reply.unwrap_or_else(|| Reply::Fault(refused())) {
            Reply::Fault(fault) => Err(fault),
            Reply::Hang => pending().await,
            Reply::Stream(steps) => Ok(Script(steps.into())),
        }
    }
}

struct Script(VecDeque<Step>);

impl Stream for Script {
    async fn chunk(&mut self) -> Result<Option<impl AsRef<[u8]> + Send>, Fault> {
        loop {
            match self.0.front_mut() {
                None => pending().await,
                Some(Step::Wait(left)) => {
                    // A wait that is given up goes on with the next one.
                    let until = Instant::now() + *left;
                    let waits = Waits(left, until);
                    sleep(*waits.0).await;
                    *waits.0 = Duration::ZERO;
                    drop(waits);
                    self.0.pop_front();
                }
                Some(_) => match self.0.pop_front().unwrap() {
                    Step::Bytes(bytes) => return Ok(Some(bytes)),
                    Step::Break(fault) => return Err(fault),
                    Step::End | Step::Wait(_) => return Ok(None),
                },
            }
        }
    }
}

/// Keeps what is left of a wait.
struct Waits<'a>(&'a mut Duration, Instant);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        *self.0 = self.1.saturating_duration_since(Instant::now());
    }
}

fn refused() -> Fault {
    Fault::Unreachable("refused".to_owned())
}

fn pace() -> Pace {
    Pace {
        opening: secs(13),
        silence: secs(30),
        grace: secs(2),
        event: secs(60),
        event_bytes: 1000,
        healthy: secs(60),
        first_pause: secs(1),
        most_pause: secs(300),
        seed: 1,
    }
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn follower(nodes: Vec<Vec<Reply>>) -> (Follower, Asked) {
    let asked = Asked(Arc::default(), Instant::now());
    let fake = Fake {
        nodes: nodes
            .into_iter()
            .map(|replies| Mutex::new(replies.into()))
            .collect(),
        asked: asked.clone(),
    };
    (Follower::over(fake, &pace()), asked)
}

fn text(text: &str) -> Step {
    Step::Bytes(text.to_owned())
}

fn word() -> Step {
    text("event: event_stream_attached\r\ndata: {}\r\n\r\n")
}

fn status(app: &str) -> Step {
    let data = format!("{{\"appId\": \"{app}\"}}");
    text(&format!(
        "event: status_update_event\r\ndata: {data}\r\n\r\n"
    ))
}

fn wait(seconds: u64) -> Step {
    Step::Wait(secs(seconds))
}

fn attached(node: usize) -> Told {
    let from = format!("n{node}");
    Told::Attached { from }
}

fn touched(apps: &[&str]) -> Told {
    let apps: BTreeSet<_> = apps.iter().map(|id| AppId::new(id)).collect();
    Told::Touched(apps)
}

/// The faults of a loss, and the pause that it announces.
fn lost(told: Told) -> (Vec<(String, Fault)>, Duration) {
    let Told::Lost(Lost { failures, retry_in }) = told else {
        panic!("{told:?}");
    };
    let faults = failures
        .into_iter()
        .map(|failure| (failure.address, failure.fault));
    (faults.collect(), retry_in)
}

fn one(node: usize, fault: Fault) -> Vec<(String, Fault)> {
    vec![(format!("n{node}"), fault)]
}

#[tokio::test(start_paused = true)]
async fn an_attachment_is_told_at_marathons_word_and_changes_after_it() {
    let steps = vec![
        wait(1),
        word(),
        wait(1),
        status("/a"),
        wait(1),
        status("/b"),
        status("/a"),
    ];
    let (mut follower, asked) = follower(vec![vec![Reply::Stream(steps)]]);
    for (want, at) in [
        (attached(0), 1),
        (touched(&["/a"]), 2),
        (touched(&["/a", "/b"]), 3),
    ] {
        assert_eq!(follower.next().await, want);
        assert_eq!(asked.1.elapsed(), secs(at));
    }
}

#[tokio::test(start_paused = true)]
async fn without_marathons_word_an_attachment_is_assumed_until_an_event_proves_it() {
    let steps = vec![
        text("\r\n"),
        wait(20),
        status("/a"),
        wait(1),
        status("/b"),
        wait(1),
        word(),
    ];
    let (mut follower, asked) = follower(vec![vec![Reply::Stream(steps)]]);
    for (want, at) in [(attached(0), 2), (attached(0), 20), (touched(&["/b"]), 21)] {
        assert_eq!(follower.next().await, want);
        assert_eq!(asked.1.elapsed(), secs(at));
    }
    // Another reader's arrival is nothing to this one.
    let (failures, _) = lost(follower.next().await);
    assert_eq!(failures, one(0, Fault::Silent(secs(30))));
}

/// Each of them is asked in vain for as long as a dead one, and nobody takes a head for a stream.
#[tokio::test(start_paused = true)]
async fn an_answer_after_which_nothing_comes_is_no_attachment() {
    let silent = || Reply::Stream(Vec::new());
    let late = Reply::Stream(vec![wait(9), text("\r\n"), wait(9), text("\r\n")]);
    let (mut follower, asked) = follower(vec![vec![silent(), silent(), late]]);
    for _ in 0..2 {
        let (failures, _) = lost(follower.next().await);
        assert_eq!(failures, one(0, Fault::Silent(secs(30))));
    }
    // The first sign of life is one.
    assert_eq!(follower.next().await, attached(0));
    let opened = asked.times()[2];
    assert_eq!(asked.1.elapsed(), opened + secs(9));
}

#[tokio::test(start_paused = true)]
async fn heartbeats_keep_a_stream_alive_and_silence_ends_it() {
    let beats = [wait(10), text("\r\n")];
    let steps = [word()]
        .into_iter()
        .chain(beats.into_iter().cycle().take(200));
    let (mut follower, asked) = follower(vec![vec![Reply::Stream(steps.collect())]]);
    assert_eq!(follower.next().await, attached(0));
    let (failures, _) = lost(follower.next().await);
    assert_eq!(failures, one(0, Fault::Silent(secs(30))));
    assert_eq!(asked.1.elapsed(), secs(1030));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_never_ends_is_not_waited_for() {
    let trickle = [wait(5), text("x")];
    let steps = [word(), wait(9), text("data: ")];
    let steps = steps
        .into_iter()
        .chain(trickle.into_iter().cycle().take(200));
    let (mut follower, asked) = follower(vec![vec![Reply::Stream(steps.collect())]]);
    assert_eq!(follower.next().await, attached(0));
    let (failures, _) = lost(follower.next().await);
    assert_eq!(failures, one(0, Fault::StuckEvent(secs(60))));
    assert_eq!(asked.1.elapsed(), secs(9 + 60));
}

#[tokio::test(start_paused = true)]
async fn slow_events_that_end_are_all_read() {
    let event = "event: app_terminated_event\r\ndata: {\"appId\":\"/a\"}\r\n\r\n";
    let slowly = event.chars().flat_map(|c| [wait(1), text(&c.to_string())]);
    let steps = [word()].into_iter().chain(slowly.clone()).chain(slowly);
    let (mut follower, _) = follower(vec![vec![Reply::Stream(steps.collect())]]);
    assert_eq!(follower.next().await, attached(0));
    assert_eq!(follower.next().await, touched(&["/a"]));
    assert_eq!(follower.next().await, touched(&["/a"]));
}

#[tokio::test(start_paused = true)]
async fn whatever_one_node_does_the_next_one_tells() {
    let nodes = vec![
        vec![Reply::Hang],
        vec![Reply::Fault(Fault::Empty)],
        vec![Reply::Stream(vec![word()])],
    ];
    let (mut follower, asked) = follower(nodes);
    assert_eq!(follower.next().await, attached(2));
    assert_eq!(asked.nodes(), [0, 1, 2]);
    assert_eq!(asked.times(), [secs(0), secs(13), secs(13)]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_lasted_and_said_goodbye_is_asked_again_and_else_the_next() {
    let broken = || Fault::BrokeOff("reset".to_owned());
    let lasting = |end| {
        let beats = [wait(20), text("\r\n")].into_iter().cycle().take(8);
        let steps = [word()].into_iter().chain(beats);
        Reply::Stream(steps.chain([end]).collect())
    };
    let nodes = vec![
        vec![
            lasting(Step::End),
            lasting(Step::Break(broken())),
            Reply::Stream(vec![word(), wait(1), Step::End]),
        ],
        vec![
            Reply::Stream(vec![word()]),
            // As a standby before 1.7, which hangs up on readers.
            Reply::Stream(vec![Step::End]),
        ],
    ];
    let (mut follower, asked) = follower(nodes);
    for (node, fault) in [
        (0, Fault::StreamEnded),
        (0, broken()),
        (1, Fault::Silent(secs(30))),
        (0, Fault::StreamEnded),
    ] {
        assert_eq!(follower.next().await, attached(node));
        assert_eq!(lost(follower.next().await).0, one(node, fault));
    }
    let (failures, _) = lost(follower.next().await);
    assert_eq!(failures, one(1, Fault::StreamEnded));
    lost(follower.next().await);
    assert_eq!(asked.nodes(), [0, 0, 1, 0, 1, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn while_no_node_answers_pauses_grow_and_every_reason_is_told() {
    let (mut follower, asked) = follower(vec![vec![Reply::Hang], vec![]]);
    let mut longest = secs(1);
    let mut ends = Vec::new();
    for round in 0..12 {
        let (failures, pause) = lost(follower.next().await);
        let first = match round {
            0 => Fault::Silent(secs(13)),
            _ => refused(),
        };
        let want = vec![("n0".to_owned(), first), ("n1".to_owned(), refused())];
        assert_eq!(failures, want);
        assert!(
            longest / 2 <= pause && pause <= longest,
            "{round}: {pause:?}"
        );
        longest = (longest * 2).min(secs(300));
        ends.push(asked.1.elapsed() + pause);
    }
    sleep(secs(301)).await;
    // Neither earlier nor later than announced.
    let begun = asked.times().into_iter().skip(2).step_by(2);
    for (begun, announced) in begun.zip(ends) {
        let late = begun.checked_sub(announced).unwrap_or_default();
        assert!(late < Duration::from_millis(2), "{begun:?} {announced:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_stream_that_lasted_ends_the_lengthening_of_pauses() {
    let short = || Reply::Stream(vec![word(), wait(5), Step::End]);
    let long = Reply::Stream(vec![
        word(),
        wait(20),
        text("\n"),
        wait(25),
        text("\n"),
        wait(20),
        Step::End,
    ]);
    let (mut follower, _) = follower(vec![vec![short(), short(), short(), long, short()]]);
    let mut pauses = Vec::new();
    for _ in 0..5 {
        assert_eq!(follower.next().await, attached(0));
        pauses.push(lost(follower.next().await).1);
    }
    for (pause, longest) in pauses.into_iter().zip([1, 2, 4, 1, 2].map(secs)) {
        assert!(
            longest / 2 <= pause && pause <= longest,
            "{pause:?} {longest:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_in_short_pieces_hears_the_same() {
    let steps = vec![wait(5), word(), wait(3), status("/a"), wait(3), Step::End];
    let (mut follower, asked) = follower(vec![vec![Reply::Hang], vec![Reply::Stream(steps)]]);
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let told = timeout(Duration::from_millis(100), follower.next()).await;
        heard.extend(told.ok().map(|told| (told, asked.1.elapsed().as_secs())));
    }
    assert_eq!(heard[0], (attached(1), 13 + 5));
    assert_eq!(heard[1], (touched(&["/a"]), 13 + 8));
}

#[tokio::test(start_paused = true)]
async fn a_consumer_that_is_busy_hears_all_of_it_at_once() {
    let mut steps = vec![word()];
    steps.extend((0..50).flat_map(|n| [wait(1), status(&format!("/{}", n % 3))]));
    let (mut follower, _) = follower(vec![vec![Reply::Stream(steps)]]);
    assert_eq!(follower.next().await, attached(0));
    sleep(secs(55)).await;
    assert_eq!(follower.next().await, touched(&["/0", "/1", "/2"]));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_a_doubt_and_the_stream_goes_on() {
    let huge = format!("event: deployment_info\ndata: {}\n\n", "x".repeat(5000));
    for (bytes, doubt) in [
        (
            "event: status_update_event\ndata: {}\n\n",
            Doubt::Unreadable("status_update_event".into()),
        ),
        (&*huge, Doubt::TooLarge("deployment_info".into())),
        ("<html>\n\n", Doubt::Garbled),
        (
            "event: group_change_success\ndata: {\"version\":\"v\"}\n\n",
            Doubt::GroupChanged,
        ),
    ] {
        let steps = vec![word(), wait(1), text(bytes), wait(1), status("/a")];
        let (mut follower, _) = follower(vec![vec![Reply::Stream(steps)]]);
        assert_eq!(follower.next().await, attached(0));
        assert_eq!(follower.next().await, Told::Doubt(doubt));
        assert_eq!(follower.next().await, touched(&["/a"]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_is_dropped_asks_no_more() {
    let (mut follower, asked) = follower(vec![vec![]]);
    lost(follower.next().await);
    drop(follower);
    sleep(secs(1000)).await;
    assert_eq!(asked.nodes(), [0]);
}

#[test]
fn a_loss_is_told_in_one_sentence() {
    let failures = vec![
        Failure {
            address: "http://a:8080".to_owned(),
            fault: Fault::StreamEnded,
        },
        Failure {
            address: "http://b:8080".to_owned(),
            fault: Fault::StuckEvent(secs(60)),
        },
    ];
    let lost = Lost {
        failures,
        retry_in: secs(2),
    };
    assert_eq!(
        lost.to_string(),
        "Marathon tells no events: `http://a:8080`: the stream of events ended; \
         `http://b:8080`: an event was not complete after 1m; asked again in 2s"
    );
}
