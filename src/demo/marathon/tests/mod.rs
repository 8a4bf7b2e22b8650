//! The built-in Marathon as a client without a library sees it.

mod events;
mod faults;
mod follower;
mod login;
mod shapes;

use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;

const SOON: Duration = Duration::from_secs(10);

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Closed,
    Reset,
    /// Nothing came for a while, and the connection was still open.
    Silent,
}

/// What came over a connection.
struct Raw {
    head: String,
    body: Vec<u8>,
    end: End,
}

impl Raw {
    fn status(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(": ")?;
            known.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    fn json(&self) -> Value {
        assert_eq!(self.status(), "200", "{}", self.head);
        assert_eq!(self.header("content-type"), Some("application/json"));
        serde_json::from_slice(&self.body).unwrap()
    }
}

async fn connect(marathon: &Marathon, path: &str, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(marathon.address()).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: marathon\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Asks, and reads until the connection ends, which it has to.
async fn raw(marathon: &Marathon, path: &str, headers: &str) -> Raw {
    let answer = raw_until_silent(marathon, path, headers, SOON).await;
    assert_ne!(answer.end, End::Silent, "{}", answer.head);
    answer
}

/// Asks, and reads until the connection ends, or for as long as `patience` lasts.
async fn raw_until_silent(
    marathon: &Marathon,
    path: &str,
    headers: &str,
    patience: Duration,
) -> Raw {
    let headers = format!("Connection: close\r\n{headers}");
    let stream = connect(marathon, path, &headers).await;
    read(stream, patience).await
}

async fn read(mut stream: TcpStream, patience: Duration) -> Raw {
    let mut all = Vec::new();
    let end = match tokio::time::timeout(patience, stream.read_to_end(&mut all)).await {
        Ok(Ok(_)) => End::Closed,
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionReset => End::Reset,
        Ok(Err(error)) => panic!("{error}"),
        Err(_) => End::Silent,
    };
    let blank = all.windows(4).position(|window| window == b"\r\n\r\n");
    let (head, body) = all.split_at(blank.map_or(all.len(), |at| at + 4));
    Raw {
        head: String::from_utf8(head.to_vec()).unwrap(),
        body: body.to_vec(),
        end,
    }
}

async fn get(marathon: &Marathon, path: &str) -> Value {
    raw(marathon, path, "").await.json()
}

/// An app in host networking with one task, both as simple as can be.
fn web() -> App {
    App::new("/web")
        .service_port(10001)
        .task(Task::local(31001))
}

#[tokio::test]
async fn paths_answer_as_the_manual_says() {
    let marathon = Marathon::start(Era::V1_8).unwrap();
    marathon.deploy(web());
    marathon.deploy(App::new("/product/frontend").task(Task::local(31002)));
    assert_eq!(raw(&marathon, "/ping", "").await.text(), "pong");
    assert_eq!(get(&marathon, "/v2/info").await["version"], "1.8.222");
    let leader = get(&marathon, "/v2/leader").await;
    assert_eq!(leader["leader"], marathon.address().to_string());
    let app = get(&marathon, "/v2/apps/product/frontend").await;
    assert_eq!(app["app"]["id"], "/product/frontend");
    assert_eq!(app["app"]["tasks"][0]["ports"][0], 31002);
    let tasks = get(&marathon, "/v2/apps//product/frontend/tasks").await;
    assert_eq!(tasks["tasks"][0]["appId"], "/product/frontend");
    for path in ["/v2/apps/none", "/v2/apps/none/tasks", "/v2/none"] {
        let answer = raw(&marathon, path, "").await;
        assert_eq!(answer.status(), "404", "{path}");
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(body["message"].is_string(), "{path}: {body}");
    }
}

#[tokio::test]
async fn tasks_are_embedded_only_where_they_are_asked_for() {
    let cases = [
        (Era::V0_7, "", false),
        (Era::V0_7, "?embed=apps.tasks", true),
        (Era::V0_10, "?embed=apps.tasks&embed=apps.counts", true),
        (Era::V0_10, "?embed=apps.counts&embed=apps.tasks", false),
        (Era::V0_10, "?embed=tasks", false),
        (Era::V0_15, "?embed=apps.counts&embed=apps.tasks", true),
        (Era::V0_15, "?embed=tasks", true),
        (Era::V1_11, "?embed=apps.deployments", false),
    ];
    for (era, query, embedded) in cases {
        let marathon = Marathon::start(era).unwrap();
        marathon.deploy(web());
        let apps = get(&marathon, &format!("/v2/apps{query}")).await;
        let has_tasks = apps["apps"][0].get("tasks").is_some();
        assert_eq!(has_tasks, embedded, "{era:?} {query}");
    }
}

#[tokio::test]
async fn a_saved_answer_stands_for_the_model() {
    let marathon = Marathon::start(Era::V1_4).unwrap();
    let list = r#"{"apps":[{"id":"/a/b","tasks":[{"id":"t"}],"odd":1}]}"#;
    marathon.serve_saved_apps(list);
    assert_eq!(raw(&marathon, "/v2/apps?x", "").await.text(), list);
    assert_eq!(get(&marathon, "/v2/apps/a/b").await["app"]["odd"], 1);
    let tasks = get(&marathon, "/v2/apps/a/b/tasks").await;
    assert_eq!(tasks["tasks"][0]["id"], "t");
    let text = raw(&marathon, "/v2/tasks", "Accept: text/plain\r\n").await;
    assert_eq!(text.status(), "406");
    marathon.serve_saved("/v2/tasks", "text/plain", "web\t1\t\n");
    let text = raw(&marathon, "/v2/tasks", "").await;
    assert_eq!(text.text(), "web\t1\t\n");
    marathon.forget_saved();
    assert_eq!(
        get(&marathon, "/v2/apps").await["apps"],
        Value::from([] as [Value; 0])
    );
}

#[tokio::test]
async fn requests_and_bytes_are_counted_by_path() {
    let marathon = Marathon::start(Era::V1_4).unwrap();
    let body = raw(&marathon, "/v2/apps?embed=apps.tasks", "User-Agent: me\r\n").await;
    get(&marathon, "/v2/apps").await;
    get(&marathon, "/v2/info").await;
    marathon.wait_requests("/v2/apps", 2, SOON).await.unwrap();
    assert_eq!(marathon.requests("/v2/apps"), 2);
    assert_eq!(marathon.all_requests(), 3);
    assert_eq!(marathon.bytes("/v2/apps"), 2 * body.body.len() as u64);
    let seen = &marathon.seen()[0];
    assert_eq!(seen.query, "embed=apps.tasks");
    assert_eq!(seen.header("user-agent"), Some("me"));
    let late = marathon.wait_requests("/v2/apps", 3, Duration::from_millis(1));
    let late = late.await.unwrap_err().to_string();
    assert!(
        late.ends_with(r#"{"/v2/apps": 2, "/v2/info": 1}"#),
        "{late}"
    );
}

#[tokio::test]
async fn credentials_are_asked_for_and_never_shown() {
    let marathon = Marathon::start(Era::V1_4).unwrap();
    marathon.require_authorization(Some("Basic YTpi"));
    let refused = raw(&marathon, "/v2/apps", "Authorization: Basic bad\r\n").await;
    assert_eq!(refused.status(), "401");
    assert!(refused.header("www-authenticate").is_some());
    let allowed = raw(&marathon, "/v2/apps", "Authorization: Basic YTpi\r\n").await;
    assert_eq!(allowed.status(), "200");
    assert!(!format!("{:?}", marathon.seen()).contains("YTpi"));
}

#[tokio::test]
async fn a_standby_passes_on_what_the_leader_says() {
    let leader = Marathon::start(Era::V1_8).unwrap();
    let standby = leader.another_node().unwrap();
    leader.deploy(web());
    let answer = raw(&standby, "/v2/apps", "").await;
    assert_eq!(answer.json()["apps"][0]["id"], "/web");
    assert_eq!(answer.header("x-marathon-leader"), Some(&*leader.url()));
    assert!(answer.header("x-marathon-via").is_some());
    let accept = "Accept: text/event-stream\r\n";
    let events = raw(&standby, "/v2/events?event_type=a", accept).await;
    assert_eq!(events.status(), "302");
    let to = format!("{}/v2/events?event_type=a", leader.url());
    assert_eq!(events.header("location"), Some(&*to));
    standby.lead();
    let answer = raw(&standby, "/v2/apps", "").await;
    assert_eq!(answer.header("x-marathon-leader"), Some(&*standby.url()));
    assert_eq!(answer.header("x-marathon-via"), None);
}

#[tokio::test]
async fn a_node_goes_down_and_comes_back_with_its_cluster() {
    let mut marathon = Marathon::start(Era::V1_4).unwrap();
    marathon.deploy(web());
    let mut stream = connect(&marathon, "/v2/events", "Accept: text/event-stream\r\n").await;
    marathon.wait_event_streams(1, SOON).await.unwrap();
    marathon.down();
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
    let refused = TcpStream::connect(marathon.address()).await.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(marathon.event_streams(), 0);
    marathon.up().unwrap();
    assert_eq!(get(&marathon, "/v2/apps").await["apps"][0]["id"], "/web");
}

#[tokio::test]
async fn shutdown_finishes_the_answers_under_way() {
    let marathon = Marathon::start(Era::V1_4).unwrap();
    marathon.inject(Fault::Slow {
        bytes_per_chunk: 8,
        pause: Duration::from_millis(20),
    });
    let mut stream = connect(&marathon, "/v2/apps", "").await;
    let mut first = [0; 1];
    stream.read_exact(&mut first).await.unwrap();
    marathon.shutdown().await;
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(
        rest.ends_with(r#"{"apps":[]}"#) || rest.contains("apps"),
        "{rest}"
    );
}

#[test]
fn what_is_not_there_cannot_change() {
    let marathon = Marathon::start(Era::V1_4).unwrap();
    let absent = marathon.remove_app("/none").unwrap_err();
    assert_eq!(
        absent.to_string(),
        "the built-in Marathon has no app `/none`"
    );
    assert!(marathon.fail_task("none").is_err());
    assert!(marathon.scale_up("/none", [Task::local(1)]).is_err());
    assert!(marathon.change_app("/none", |app| app).is_err());
}
