//! `/v2/events`.

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::*;

const ACCEPT: &str = "Accept: text/event-stream\r\n";

/// A reader that sees through chunks, line by line.
struct Stream(BufReader<TcpStream>);

impl Stream {
    async fn open(marathon: &Marathon, query: &str) -> Self {
        let stream = connect(marathon, &format!("/v2/events{query}"), ACCEPT).await;
        let mut stream = Self(BufReader::new(stream));
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(stream.0.read_line(&mut head).await.unwrap(), 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("connection: close\r\n"), "{head}");
        assert!(head.contains("cache-control: no-cache\r\n"), "{head}");
        stream
    }

    /// The next chunk; `None` at the end of the body, or of the connection.
    async fn chunk(&mut self) -> Option<String> {
        let mut size = String::new();
        let read = self.0.read_line(&mut size);
        tokio::time::timeout(SOON, read).await.unwrap().ok()?;
        let size = usize::from_str_radix(size.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        self.0.read_exact(&mut chunk).await.ok()?;
        chunk.truncate(size);
        (size > 0).then(|| String::from_utf8(chunk).unwrap())
    }

    /// The next event, which has to be framed as Jetty does it.
    async fn event(&mut self) -> (String, Value) {
        let frame = self.chunk().await.unwrap();
        let rest = frame.strip_prefix("event: ").unwrap();
        let (kind, rest) = rest.split_once("\r\ndata: ").unwrap();
        let data = rest.strip_suffix("\r\n\r\n").unwrap();
        assert!(!data.contains(['\r', '\n']), "{data}");
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["eventType"], kind);
        assert!(data["timestamp"].is_string());
        (kind.to_owned(), data)
    }

    /// The types of all events up to and with `last`.
    async fn kinds_until(&mut self, last: &str) -> Vec<String> {
        let mut kinds = Vec::new();
        while kinds.last().is_none_or(|kind| kind != last) {
            kinds.push(self.event().await.0);
        }
        kinds
    }
}

#[tokio::test]
async fn only_the_exact_media_type_opens_a_stream() {
    let marathon = Marathon::start(Era::V1_8).unwrap();
    for accept in ["", "Accept: */*\r\n", "Accept: text/event-stream, */*\r\n"] {
        let answer = raw(&marathon, "/v2/events", accept).await;
        assert_eq!(answer.status(), "405", "{accept}");
    }
    let before_events = Marathon::start(Era::V0_7).unwrap();
    let answer = raw(&before_events, "/v2/events", ACCEPT).await;
    assert_eq!(answer.status(), "404");
}

#[tokio::test]
async fn the_first_event_is_the_readers_own_arrival() {
    let marathon = Marathon::start(Era::V1_8).unwrap();
    let mut stream = Stream::open(&marathon, "?plan-format=light").await;
    let (kind, data) = stream.event().await;
    assert_eq!(kind, "event_stream_attached");
    assert_eq!(data["remoteAddress"], "127.0.0.1");
    marathon.wait_event_streams(1, SOON).await.unwrap();
    drop(stream);
    marathon.wait_event_streams(0, SOON).await.unwrap();
}

#[tokio::test]
async fn a_heartbeat_is_an_empty_line() {
    let marathon = Marathon::start(Era::V1_8).unwrap();
    marathon.set_heartbeat(Duration::from_millis(20));
    let mut stream = Stream::open(&marathon, "").await;
    stream.event().await;
    for _ in 0..3 {
        assert_eq!(stream.chunk().await.as_deref(), Some("\r\n"));
    }
}

#[tokio::test]
async fn a_deployment_tells_its_story_in_order() {
    let marathon = Marathon::start(Era::V1_8).unwrap();
    let mut stream = Stream::open(&marathon, "").await;
    marathon.deploy(web());
    let expected = [
        "event_stream_attached",
        "api_post_event",
        "deployment_info",
        "instance_changed_event",
        "status_update_event",
        "instance_changed_event",
        "status_update_event",
        "deployment_step_success",
        "deployment_success",
    ];
    assert_eq!(stream.kinds_until("deployment_success").await, expected);
    marathon.remove_app("/web").unwrap();
    let kinds = stream.kinds_until("deployment_success").await;
    assert!(kinds.contains(&"app_terminated_event".to_owned()));
}

#[tokio::test]
async fn the_filter_counts_only_where_the_era_knows_it() {
    let query = "?event_type=status_update_event&event_type=deployment_success";
    for (era, filtered) in [(Era::V0_15, false), (Era::V1_4, true), (Era::V1_11, true)] {
        let marathon = Marathon::start(era).unwrap();
        let mut stream = Stream::open(&marathon, query).await;
        marathon.deploy(web());
        let mut kinds = stream.kinds_until("deployment_success").await;
        kinds.dedup();
        let only_wanted = kinds == ["status_update_event", "deployment_success"];
        assert_eq!(only_wanted, filtered, "{era:?}: {kinds:?}");
    }
}

#[tokio::test]
async fn health_events_differ_by_era_and_by_who_runs_the_check() {
    let marathon_run = web().http_check("/");
    let agent_run = web().mesos_http_check("/");
    let old = ["health_status_changed_event"].as_slice();
    let both = [
        "health_status_changed_event",
        "instance_health_changed_event",
    ]
    .as_slice();
    let instance = ["instance_health_changed_event"].as_slice();
    for (era, app, expected, key) in [
        (Era::V0_15, &marathon_run, old, "taskId"),
        (Era::V1_1, &agent_run, [].as_slice(), ""),
        (Era::V1_4, &marathon_run, both, "instanceId"),
        (Era::V1_8, &agent_run, instance, "instanceId"),
    ] {
        let marathon = Marathon::start(era).unwrap();
        marathon.deploy(app.clone());
        let task = marathon.app("/web").unwrap().tasks()[0].id().to_owned();
        let mut stream = Stream::open(&marathon, "").await;
        stream.event().await;
        marathon.set_health(&task, Health::Failing(1)).unwrap();
        marathon.publish("last", json!({}));
        let mut kinds = Vec::new();
        loop {
            let (kind, data) = stream.event().await;
            if kind == "last" {
                break;
            }
            assert!(data.get(key).is_some(), "{era:?} {data}");
            kinds.push(kind);
        }
        assert_eq!(kinds, expected, "{era:?}");
    }
}

#[tokio::test]
async fn plans_are_heavy_before_they_are_light() {
    for (era, heavy) in [(Era::V1_5, true), (Era::V1_8, false)] {
        let marathon = Marathon::start(era).unwrap();
        let mut stream = Stream::open(&marathon, "?event_type=deployment_info").await;
        marathon.deploy(web());
        let (_, data) = stream.event().await;
        assert_eq!(data["plan"].get("target").is_some(), heavy, "{era:?}");
        assert_eq!(data["currentStep"]["actions"][0]["app"], "/web");
    }
}

#[tokio::test]
async fn muted_changes_happen_without_a_word() {
    let marathon = Marathon::start(Era::V1_4).unwrap();
    let mut stream = Stream::open(&marathon, "").await;
    stream.event().await;
    marathon.mute_events(true);
    marathon.deploy(web());
    marathon.mute_events(false);
    marathon.send_raw_events(b": odd\n\n");
    assert_eq!(stream.chunk().await.as_deref(), Some(": odd\n\n"));
}

#[tokio::test]
async fn a_new_leader_ends_the_streams_and_forgets_health() {
    let marathon = Marathon::start(Era::V1_8).unwrap();
    let task = Task::local(31001).in_health(Health::Alive);
    marathon.deploy(App::new("/web").http_check("/").task(task));
    let standby = marathon.another_node().unwrap();
    let mut stream = Stream::open(&marathon, "").await;
    stream.event().await;
    standby.lead();
    assert_eq!(stream.chunk().await, None);
    let app = get(&standby, "/v2/apps/web").await["app"].clone();
    assert_eq!(app["tasks"][0].get("healthCheckResults"), None);
}

#[tokio::test]
async fn a_slow_reader_is_cut_off_or_loses_events() {
    for (era, cut_off) in [(Era::V1_5, false), (Era::V1_8, true)] {
        let marathon = Marathon::start(era).unwrap();
        let stream = Stream::open(&marathon, "").await;
        // More than the backlog and all buffers of the sockets between them hold.
        let filler = "x".repeat(64 * 1024);
        for _ in 0..era.event_backlog() + 300 {
            marathon.publish("filler", json!({"filler": filler}));
        }
        assert_eq!(marathon.event_streams(), usize::from(!cut_off), "{era:?}");
        drop(stream);
    }
}
