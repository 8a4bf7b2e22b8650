//! The follower of events, against every version and every fault.

use std::collections::BTreeSet;

use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;

use super::*;
use crate::cluster::AppId;
use crate::config::{self, Credentials, DcosAccount, Secret};
use crate::marathon::events::{Doubt, Follower, Pace, Told};

fn config<'a>(nodes: impl IntoIterator<Item = &'a Marathon>) -> config::Marathon {
    config::Marathon {
        urls: nodes.into_iter().map(Marathon::url).collect(),
        ca_cert: None,
        insecure: false,
        client_cert: None,
        client_key: None,
        credentials: Credentials::None,
        proxy_from_environment: false,
        connect_timeout: SOON,
        read_timeout: SOON,
        fetch_timeout: SOON,
        max_body: 1_000_000,
        max_backoff: Duration::from_millis(50),
    }
}

/// In a hurry where that shows nothing, patient where it would.
fn pace(config: &config::Marathon) -> Pace {
    Pace {
        first_pause: Duration::from_millis(10),
        seed: 1,
        ..Pace::new(config)
    }
}

fn follow<'a>(nodes: impl IntoIterator<Item = &'a Marathon>) -> Follower {
    let config = config(nodes);
    Follower::start(&config, &pace(&config)).unwrap()
}

async fn next(follower: &mut Follower) -> Told {
    tokio::time::timeout(SOON, follower.next()).await.unwrap()
}

/// The reasons of a loss.
async fn lost(follower: &mut Follower) -> Vec<String> {
    match next(follower).await {
        Told::Lost(lost) => lost
            .failures
            .into_iter()
            .map(|f| f.fault.to_string())
            .collect(),
        told => panic!("{told:?}"),
    }
}

async fn attached(follower: &mut Follower, to: &Marathon) {
    let from = to.url();
    assert_eq!(next(follower).await, Told::Attached { from });
}

/// What is told until something is attached again, attempts that failed meanwhile aside.
async fn attached_again(follower: &mut Follower, to: &Marathon) {
    loop {
        match next(follower).await {
            Told::Lost(_) => (),
            told => return assert_eq!(told, Told::Attached { from: to.url() }),
        }
    }
}

fn apps(ids: &[&str]) -> BTreeSet<AppId> {
    ids.iter().map(|id| AppId::new(id)).collect()
}

/// All apps that are touched by what has happened so far, and nothing else may be told.
async fn touched_so_far(follower: &mut Follower, marathon: &Marathon) -> BTreeSet<AppId> {
    let last = AppId::new("/last");
    marathon.publish("app_terminated_event", json!({"appId": "/last"}));
    let mut all = BTreeSet::new();
    while !all.remove(&last) {
        match next(follower).await {
            Told::Touched(apps) => all.extend(apps),
            told => panic!("{told:?}"),
        }
    }
    all
}

#[tokio::test]
async fn every_version_tells_which_apps_to_look_at() {
    for era in Era::ALL.into_iter().filter(|era| *era != Era::V0_7) {
        let marathon = Marathon::start(era).unwrap();
        let mut follower = follow([&marathon]);
        attached(&mut follower, &marathon).await;
        marathon.deploy(web());
        let touched = touched_so_far(&mut follower, &marathon).await;
        assert_eq!(touched, apps(&["/web"]), "{era:?}");
        let task = marathon.app("/web").unwrap().tasks()[0].id().to_owned();
        marathon.fail_task(&task).unwrap();
        let touched = touched_so_far(&mut follower, &marathon).await;
        assert_eq!(touched, apps(&["/web"]), "{era:?}");
        marathon.remove_app("/web").unwrap();
        let touched = touched_so_far(&mut follower, &marathon).await;
        assert_eq!(touched, apps(&["/web"]), "{era:?}");
        assert_eq!(marathon.all_requests(), 1, "{era:?}");
    }
}

#[tokio::test]
async fn a_version_without_events_says_so() {
    let marathon = Marathon::start(Era::V0_7).unwrap();
    let mut follower = follow([&marathon]);
    let want = "found status 404 Not Found, expected 200 OK";
    assert_eq!(lost(&mut follower).await, [want]);
}

#[tokio::test]
async fn the_question_is_the_one_that_every_version_understands() {
    let marathon = Marathon::start(Era::V1_8).unwrap();
    let mut follower = follow([&marathon]);
    attached(&mut follower, &marathon).await;
    let seen = &marathon.seen()[0];
    assert_eq!(seen.path, "/v2/events");
    assert_eq!(seen.header("accept"), Some("text/event-stream"));
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
    assert!(seen.query.contains("plan-format=light&"), "{}", seen.query);
    assert!(
        seen.query.contains("&event_type=status_update_event&"),
        "{}",
        seen.query
    );
}

#[tokio::test]
async fn noise_of_versions_without_a_filter_is_filtered_here() {
    for era in [Era::V0_10, Era::V1_1] {
        let marathon = Marathon::start(era).unwrap();
        let mut follower = follow([&marathon]);
        attached(&mut follower, &marathon).await;
        for kind in ["framework_message_event", "failed_health_check_event"] {
            marathon.publish(kind, json!({"appId": "/a", "message": "x"}));
        }
        let touched = touched_so_far(&mut follower, &marathon).await;
        assert_eq!(touched, apps(&[]), "{era:?}");
    }
}

#[tokio::test]
async fn a_health_state_that_the_agent_found_is_heard_of() {
    let marathon = Marathon::start(Era::V1_5).unwrap();
    marathon.deploy(web().mesos_http_check("/"));
    let task = marathon.app("/web").unwrap().tasks()[0].id().to_owned();
    let mut follower = follow([&marathon]);
    attached(&mut follower, &marathon).await;
    marathon.set_health(&task, Health::Failing(3)).unwrap();
    assert_eq!(next(&mut follower).await, Told::Touched(apps(&["/web"])));
}

#[tokio::test]
async fn a_new_leader_is_attached_to_and_told_of() {
    for era in [Era::V1_4, Era::V1_8] {
        let old = Marathon::start(era).unwrap();
        let new = old.another_node().unwrap();
        let mut follower = follow([&old, &new]);
        attached(&mut follower, &old).await;
        new.lead();
        assert_eq!(lost(&mut follower).await, ["the stream of events ended"]);
        attached_again(&mut follower, &new).await;
        new.deploy(web());
        let touched = touched_so_far(&mut follower, &new).await;
        assert_eq!(touched, apps(&["/web"]), "{era:?}");
    }
}

#[tokio::test]
async fn a_standby_sends_on_and_credentials_go_to_configured_hosts_only() {
    let leader = Marathon::start(Era::V1_8).unwrap();
    let standby = leader.another_node().unwrap();
    leader.require_authorization(Some("Basic dTpw"));
    let credentials = Credentials::from_user_pass("u:p").unwrap();
    let with = |nodes: &[&Marathon]| {
        let config = config::Marathon {
            credentials: credentials.clone(),
            ..config(nodes.iter().copied())
        };
        Follower::start(&config, &pace(&config)).unwrap()
    };
    let mut follower = with(&[&standby, &leader]);
    attached(&mut follower, &standby).await;
    let asked = leader.seen();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].query.contains("event_type=status_update_event"));
    drop(follower);

    let mut follower = with(&[&standby]);
    let faults = lost(&mut follower).await;
    assert!(
        faults[0].contains("no credentials were sent after a redirect"),
        "{faults:?}"
    );
    assert_eq!(leader.seen()[1].header("authorization"), None);
}

#[tokio::test]
async fn a_token_that_is_revoked_is_renewed_for_the_next_stream() {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let marathon = Marathon::start(Era::V1_8).unwrap();
    marathon
        .require_login("lb", &key.public_key_pem(), TokenPlace::Cookie)
        .unwrap();
    let config = config::Marathon {
        credentials: Credentials::Dcos(DcosAccount {
            uid: "lb".to_owned(),
            private_key: Secret::new(key.serialize_pem()),
            login_endpoint: marathon.login_url(),
        }),
        ..config([&marathon])
    };
    let mut follower = Follower::start(&config, &pace(&config)).unwrap();
    attached(&mut follower, &marathon).await;
    marathon.revoke_tokens();
    marathon.close_event_streams();
    lost(&mut follower).await;
    attached(&mut follower, &marathon).await;
    assert_eq!(marathon.requests(LOGIN_PATH), 2);
}

#[tokio::test]
async fn whatever_is_no_stream_is_told_and_asked_again() {
    let status = |status: &str| format!("found status {status}, expected 200 OK");
    let mut loops = Vec::new();
    for (fault, reason) in [
        (Fault::Status(500), status("500 Internal Server Error")),
        (Fault::Html(503), status("503 Service Unavailable")),
        (
            Fault::Unauthorized,
            format!("{}: credentials", status("401 Unauthorized")),
        ),
        (
            Fault::Garbage,
            "found application/json, expected text/event-stream".to_owned(),
        ),
        (
            Fault::Empty,
            "found application/json, expected text/event-stream".to_owned(),
        ),
        (
            Fault::WrongContentType,
            "found text/html, expected text/event-stream".to_owned(),
        ),
        (Fault::Reset, "the answer broke off (".to_owned()),
        (
            Fault::Redirect("/v2/events".to_owned()),
            "found more than 5 redirects".to_owned(),
        ),
        (
            Fault::Redirect("ftp://x".to_owned()),
            "found a redirect to no HTTP address".to_owned(),
        ),
    ] {
        let marathon = Marathon::start(Era::V1_8).unwrap();
        let is_loop = fault == Fault::Redirect("/v2/events".to_owned());
        marathon.inject(fault.clone());
        let mut follower = follow([&marathon]);
        let faults = lost(&mut follower).await;
        assert!(faults[0].starts_with(&reason), "{fault:?}: {faults:?}");
        if is_loop {
            loops.push(marathon.all_requests());
        }
        marathon.clear_faults();
        attached_again(&mut follower, &marathon).await;
        // The next node need not wait for this one to be well.
        marathon.inject(fault);
        let other = Marathon::start(Era::V1_8).unwrap();
        let mut follower = follow([&marathon, &other]);
        attached(&mut follower, &other).await;
    }
    assert_eq!(loops.len(), 1);
    assert!(loops[0] >= 6, "{loops:?}");
}

#[tokio::test]
async fn silence_before_the_answer_or_within_ends_a_stream() {
    let short = Duration::from_millis(150);
    for (fault, opening, was_attached) in [
        (Fault::Hang, short, false),
        (Fault::HangInBody { after_bytes: 0 }, SOON, false),
        // In the middle of the first event.
        (Fault::HangInBody { after_bytes: 40 }, SOON, false),
        // As a stream that is half open: nothing more comes, and nothing ends.
        (
            Fault::HangInBody {
                after_bytes: 100_000,
            },
            SOON,
            true,
        ),
    ] {
        let marathon = Marathon::start(Era::V1_8).unwrap();
        marathon.inject(fault.clone());
        let config = config([&marathon]);
        let pace = Pace {
            opening,
            silence: short,
            ..pace(&config)
        };
        let mut follower = Follower::start(&config, &pace).unwrap();
        if was_attached {
            attached_again(&mut follower, &marathon).await;
        }
        assert_eq!(
            lost(&mut follower).await,
            ["nothing came for 150ms"],
            "{fault:?}"
        );
        marathon.clear_faults();
        attached_again(&mut follower, &marathon).await;
    }
}

#[tokio::test]
async fn heartbeats_are_a_sign_of_life() {
    let marathon = Marathon::start(Era::V1_8).unwrap();
    marathon.set_heartbeat(Duration::from_millis(20));
    let config = config([&marathon]);
    let pace = Pace {
        silence: Duration::from_secs(1),
        ..pace(&config)
    };
    let mut follower = Follower::start(&config, &pace).unwrap();
    attached(&mut follower, &marathon).await;
    let silence = tokio::time::timeout(pace.silence * 3 / 2, follower.next()).await;
    assert!(silence.is_err(), "{silence:?}");
    assert_eq!(marathon.requests("/v2/events"), 1);
}

#[tokio::test]
async fn a_stream_that_is_cut_is_followed_by_another() {
    for (ending, reason) in [
        (Ending::ShortOfLastChunk, "the answer broke off ("),
        (Ending::Unnoticed, "the stream of events ended"),
    ] {
        let marathon = Marathon::start(Era::V1_8).unwrap();
        let cut = Fault::Truncated {
            at_bytes: 60,
            ending,
        };
        marathon.inject(cut.times(1));
        let mut follower = follow([&marathon]);
        let faults = lost(&mut follower).await;
        assert!(faults[0].starts_with(reason), "{faults:?}");
        attached(&mut follower, &marathon).await;
    }
}

#[tokio::test]
async fn a_slow_trickle_is_read_while_its_events_end() {
    let marathon = Marathon::start(Era::V1_8).unwrap();
    let slow = |pause| Fault::Slow {
        bytes_per_chunk: 1,
        pause,
    };
    marathon.inject(slow(Duration::from_micros(100)));
    let mut follower = follow([&marathon]);
    attached(&mut follower, &marathon).await;
    marathon.publish("app_terminated_event", json!({"appId": "/a"}));
    assert_eq!(next(&mut follower).await, Told::Touched(apps(&["/a"])));

    marathon.clear_faults();
    marathon.inject(slow(Duration::from_millis(20)));
    let config = config([&marathon]);
    let pace = Pace {
        event: Duration::from_millis(100),
        ..pace(&config)
    };
    let mut follower = Follower::start(&config, &pace).unwrap();
    let want = "an event was not complete after 100ms";
    assert_eq!(lost(&mut follower).await, [want]);
}

#[tokio::test]
async fn a_huge_event_is_passed_over() {
    const BYTES: u64 = 16 * 1024 * 1024;
    let marathon = Marathon::start(Era::V1_8).unwrap();
    marathon.inject(Fault::HugeEvent { bytes: BYTES });
    let config = config([&marathon]);
    let pace = Pace {
        grace: Duration::ZERO,
        ..pace(&config)
    };
    let mut follower = Follower::start(&config, &pace).unwrap();
    attached(&mut follower, &marathon).await;
    let read = marathon.wait_bytes("/v2/events", BYTES, SOON * 3);
    read.await.unwrap();
    // Its end proves the attachment, and the full fetch that is due then covers what it said.
    attached(&mut follower, &marathon).await;
    let touched = touched_so_far(&mut follower, &marathon).await;
    assert_eq!(touched, apps(&[]));
    assert_eq!(marathon.requests("/v2/events"), 1);
}

#[tokio::test]
async fn garbage_between_events_is_a_doubt() {
    let marathon = Marathon::start(Era::V1_8).unwrap();
    let mut follower = follow([&marathon]);
    attached(&mut follower, &marathon).await;
    marathon.send_raw_events(b"\xff\xfe\x00 garbage\r\n\r\n");
    assert_eq!(next(&mut follower).await, Told::Doubt(Doubt::Garbled));
    marathon.send_raw_events(b"event: status_update_event\r\ndata: {\"appId\": \"\xff\"}\r\n\r\n");
    let doubt = Doubt::Unreadable("status_update_event".into());
    assert_eq!(next(&mut follower).await, Told::Doubt(doubt));
    marathon.publish("app_terminated_event", json!({"appId": "/a"}));
    assert_eq!(next(&mut follower).await, Told::Touched(apps(&["/a"])));
    assert_eq!(marathon.requests("/v2/events"), 1);
}

#[tokio::test]
async fn a_group_that_changed_is_a_doubt() {
    let marathon = Marathon::start(Era::V1_8).unwrap();
    let mut follower = follow([&marathon]);
    attached(&mut follower, &marathon).await;
    marathon.publish(
        "group_change_success",
        json!({"groupId": "/", "version": "v"}),
    );
    assert_eq!(next(&mut follower).await, Told::Doubt(Doubt::GroupChanged));
}

/// Marathon loses events of readers that fall behind, or cuts them off.
#[tokio::test]
async fn a_consumer_that_takes_its_time_loses_nothing() {
    for era in [Era::V1_5, Era::V1_8] {
        let marathon = Marathon::start(era).unwrap();
        let mut follower = follow([&marathon]);
        attached(&mut follower, &marathon).await;
        let filler = "x".repeat(16 * 1024);
        let mut given = marathon.bytes("/v2/events");
        // More in all than the backlog and the buffers of the sockets between them hold.
        for _ in 0..25 {
            for n in 0..40 {
                let data = json!({"appId": format!("/{}", n % 7), "filler": filler});
                marathon.publish("app_terminated_event", data);
                given += filler.len() as u64;
            }
            // The follower reads on this thread, and nobody asks it for anything.
            let read = marathon.wait_bytes("/v2/events", given, SOON);
            read.await.unwrap();
        }
        let touched = touched_so_far(&mut follower, &marathon).await;
        let all = apps(&["/0", "/1", "/2", "/3", "/4", "/5", "/6"]);
        assert_eq!(touched, all, "{era:?}");
        assert_eq!(marathon.requests("/v2/events"), 1, "{era:?}");
    }
}

#[tokio::test]
async fn a_node_that_dies_is_replaced_and_may_come_back() {
    let mut first = Marathon::start(Era::V1_4).unwrap();
    let mut second = first.another_node().unwrap();
    let mut follower = follow([&first, &second]);
    attached(&mut follower, &first).await;
    first.down();
    lost(&mut follower).await;
    attached_again(&mut follower, &second).await;
    second.down();
    // All are down for a while.
    for _ in 0..3 {
        lost(&mut follower).await;
    }
    first.up().unwrap();
    attached_again(&mut follower, &first).await;
    first.deploy(web());
    let touched = touched_so_far(&mut follower, &first).await;
    assert_eq!(touched, apps(&["/web"]));
}

#[tokio::test]
async fn a_follower_needs_a_node() {
    let saved = config::Marathon {
        urls: vec!["file:apps.json".to_owned()],
        ..config([])
    };
    let error = Follower::start(&saved, &pace(&saved)).unwrap_err();
    let want = "no address of a node of Marathon was given that could tell events";
    assert_eq!(error.to_string(), want);
}
