//! The REST API: which path gives which answer, and what every request goes through first.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::{Bytes, HttpBody as _};
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::era::Era;
use super::events;
use super::fault::{self, Faults, Victim, as_json};
use super::login::LOGIN_PATH;
use super::shape::{self, Embeds, Place};
use super::state::{Cluster, Saved};
use super::subscriptions;
use super::tally::{Seen, Tally};
use super::wire::{self, Feed, Peer};

/// A Marathon process: one door to the cluster, with faults and counts of its own.
pub(super) struct Node {
    pub(super) cluster: Arc<Mutex<Cluster>>,
    pub(super) address: SocketAddr,
    pub(super) faults: Mutex<Faults>,
    pub(super) tally: Arc<Tally>,
}

impl Node {
    /// A panic elsewhere leaves the cluster as it was between two changes, or says so in a test.
    pub(super) fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names and values of a query, in order.
type Pairs = Query<Vec<(String, String)>>;

pub(super) fn router(node: Arc<Node>) -> Router {
    Router::new()
        .route("/ping", get(ping))
        .route("/v2/info", get(info))
        .route("/v2/leader", get(leader))
        .route("/v2/apps", get(apps))
        .route("/v2/apps/{*id}", get(app))
        .route("/v2/tasks", get(tasks))
        .route("/v2/events", get(event_stream))
        .route("/v2/eventSubscriptions", subscriptions::routes())
        .route(LOGIN_PATH, post(log_in))
        .fallback(unknown_path)
        .layer(middleware::from_fn_with_state(Arc::clone(&node), front))
        .with_state(node)
}

/// Counts the request, asks for its credentials, and lets the injected faults have their way.
async fn front(
    State(node): State<Arc<Node>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path().to_owned();
    node.tally.asked(Seen::of(&request));
    if path != LOGIN_PATH && !is_allowed(&node.cluster(), request.headers()) {
        return fault::unauthorized();
    }
    let fault = node.faults().take(&path);
    let right = async { with_leader(&node, next.run(request).await) };
    let response = match fault {
        None => right.await,
        Some(fault) => {
            let victim = Victim {
                peer: &peer,
                tally: &node.tally,
                path: &path,
            };
            fault.answer(victim, right).await
        }
    };
    // Bodies without a known size are counted as they are read.
    if let Some(bytes) = response.body().size_hint().exact() {
        node.tally.gave(&path, bytes);
    }
    response
}

fn is_allowed(cluster: &Cluster, headers: &HeaderMap) -> bool {
    let given = headers.get(header::AUTHORIZATION);
    let given = given.map_or(&b""[..], HeaderValue::as_bytes);
    let has_token = (cluster.account.as_ref()).is_none_or(|account| account.knows(given));
    let is_right = (cluster.authorization.as_ref()).is_none_or(|right| right.as_bytes() == given);
    has_token && is_right
}

/// Says who leads, and on a standby that the answer came from there.
fn with_leader(node: &Node, mut response: Response) -> Response {
    let (era, leader) = {
        let cluster = node.cluster();
        (cluster.era, cluster.leader)
    };
    if !era.has_labels_and_events() {
        return response;
    }
    let headers = response.headers_mut();
    let text = |text: String| HeaderValue::try_from(text).expect("an address is a header value");
    headers.insert("x-marathon-leader", text(format!("http://{leader}")));
    if node.address != leader {
        headers.insert("x-marathon-via", text(format!("1.1 {}", node.address)));
    }
    response
}

async fn log_in(State(node): State<Arc<Node>>, posted: Bytes) -> Response {
    match &mut node.cluster().account {
        Some(account) => account.login(&posted),
        None => not_found(UNKNOWN_PATH),
    }
}

async fn ping() -> &'static str {
    "pong"
}

async fn info(State(node): State<Arc<Node>>) -> Response {
    let (era, leader) = {
        let cluster = node.cluster();
        (cluster.era, cluster.leader)
    };
    json_of(&json!({
        "name": "marathon",
        "version": era.version(),
        "elected": node.address == leader,
        "leader": leader.to_string(),
        "frameworkId": "20260101-000000-16777343-5050-1-0000",
        "marathon_config": {"local_port_min": 10000, "local_port_max": 20000},
        "http_config": {"http_port": node.address.port(), "https_port": 8443},
    }))
}

async fn leader(State(node): State<Arc<Node>>) -> Response {
    json_of(&json!({"leader": node.cluster().leader.to_string()}))
}

async fn apps(State(node): State<Arc<Node>>, uri: Uri, Query(query): Pairs) -> Response {
    let cluster = node.cluster();
    if let Some(saved) = cluster.saved.get(uri.path()) {
        return saved_answer(saved);
    }
    let embeds = Embeds {
        tasks: embeds(cluster.era, &query, "tasks"),
        readiness: embeds(cluster.era, &query, "readiness"),
    };
    let apps = cluster.apps.iter();
    let apps: Vec<_> = apps
        .map(|app| shape::app(cluster.era, app, embeds))
        .collect();
    json_of(&json!({"apps": apps}))
}

/// Up to 0.10 only the first `embed` counts, and only in one spelling.
fn embeds(era: Era, query: &[(String, String)], what: &str) -> bool {
    let mut embeds = query
        .iter()
        .filter(|(name, _)| name == "embed")
        .map(|(_, value)| value.as_str());
    if !era.embeds_several() {
        return what == "tasks" && embeds.next() == Some("apps.tasks");
    }
    embeds.any(|embed| {
        let place = embed.strip_suffix(what);
        place.is_some_and(|place| matches!(place, "apps." | "app." | "group.apps." | ""))
    })
}

/// `/v2/apps/<id>` and `/v2/apps/<id>/tasks`; the former has the tasks whether asked or not.
async fn app(
    State(node): State<Arc<Node>>,
    uri: Uri,
    Path(rest): Path<String>,
    Query(query): Pairs,
) -> Response {
    let cluster = node.cluster();
    if let Some(saved) = cluster.saved.get(uri.path()) {
        return saved_answer(saved);
    }
    // Clients put the id with its own slash behind the path's.
    let rest = rest.trim_start_matches('/');
    let (id, only_tasks) = match rest.strip_suffix("/tasks") {
        Some(id) => (format!("/{id}"), true),
        None => (format!("/{rest}"), false),
    };
    let embedded = Embeds {
        tasks: true,
        readiness: embeds(cluster.era, &query, "readiness"),
    };
    let found = match cluster.saved.get("/v2/apps") {
        Some(saved) => app_in_saved(saved, &id),
        None => cluster
            .app(&id)
            .map(|app| shape::app(cluster.era, app, embedded)),
    };
    match found {
        None => not_found(&format!("App '{id}' does not exist")),
        Some(app) if only_tasks => json_of(&json!({"tasks": app["tasks"]})),
        Some(app) => json_of(&json!({"app": app})),
    }
}

fn app_in_saved(saved: &Saved, id: &str) -> Option<Value> {
    let list: Value = serde_json::from_str(&saved.text).ok()?;
    let apps = list["apps"].as_array()?;
    apps.iter().find(|app| app["id"] == id).cloned()
}

async fn tasks(State(node): State<Arc<Node>>, uri: Uri, headers: HeaderMap) -> Response {
    let cluster = node.cluster();
    if let Some(saved) = cluster.saved.get(uri.path()) {
        return saved_answer(saved);
    }
    let era = cluster.era;
    if !wants_text(&headers) {
        let tasks = cluster.apps.iter();
        let tasks: Vec<_> = tasks
            .flat_map(|app| shape::tasks(era, app, Place::InTasks))
            .collect();
        return json_of(&json!({"tasks": tasks}));
    }
    // A saved list of apps has no text form, and an empty one would be a lie.
    if !era.has_text_tasks() || cluster.saved.contains_key("/v2/apps") {
        let message = json!({"message": "HTTP 406 Not Acceptable"}).to_string();
        return (StatusCode::NOT_ACCEPTABLE, as_json(message)).into_response();
    }
    shape::text(era, &cluster.apps).into_response()
}

/// The exact media type in the first place; all else gets the default, JSON.
fn wants_text(headers: &HeaderMap) -> bool {
    let Some(accept) = headers.get(header::ACCEPT).and_then(|a| a.to_str().ok()) else {
        return false;
    };
    let first = accept.split([',', ';']).next().unwrap_or_default();
    first.trim() == "text/plain"
}

async fn event_stream(
    State(node): State<Arc<Node>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    uri: Uri,
    Query(query): Pairs,
    headers: HeaderMap,
) -> Response {
    let mut cluster = node.cluster();
    if !cluster.era.has_labels_and_events() {
        return not_found(UNKNOWN_PATH);
    }
    // Jetty compares the whole header.
    if headers.get(header::ACCEPT).map(HeaderValue::as_bytes) != Some(b"text/event-stream") {
        return fault::html(StatusCode::METHOD_NOT_ALLOWED);
    }
    // A standby passed the stream on until 1.7.
    if cluster.era.keeps_instances() && node.address != cluster.leader {
        let to = format!("http://{}{uri}", cluster.leader);
        return (StatusCode::FOUND, [(header::LOCATION, to)]).into_response();
    }
    let wanted = query
        .into_iter()
        .filter(|(name, _)| name == "event_type")
        .map(|(_, kind)| kind)
        .collect();
    let frames = cluster.bus.attach(node.address, wanted);
    cluster.publish(&events::stream_attached(peer.address));
    let (feed, body) = wire::body(&node.tally, uri.path());
    let heartbeat = cluster.heartbeat;
    drop(cluster);
    let reader = Arc::clone(&node);
    tokio::spawn(async move {
        stream(frames, feed, heartbeat).await;
        reader.cluster().bus.count();
    });
    let head = [
        (header::CONTENT_TYPE, "text/event-stream;charset=UTF-8"),
        (header::CACHE_CONTROL, "no-cache"),
        (header::CONNECTION, "close"),
    ];
    (head, body).into_response()
}

async fn stream(mut frames: mpsc::Receiver<Bytes>, feed: Feed, heartbeat: std::time::Duration) {
    let mut beat = tokio::time::interval_at(Instant::now() + heartbeat, heartbeat);
    loop {
        let piece = tokio::select! {
            frame = frames.recv() => match frame {
                Some(frame) => frame,
                None => return,
            },
            _ = beat.tick() => events::HEARTBEAT,
            () = feed.abandoned() => return,
        };
        if !feed.send(piece).await {
            return;
        }
    }
}

async fn unknown_path() -> Response {
    not_found(UNKNOWN_PATH)
}

pub(super) const UNKNOWN_PATH: &str = "HTTP 404 Not Found";

pub(super) fn not_found(message: &str) -> Response {
    let body = json!({"message": message}).to_string();
    (StatusCode::NOT_FOUND, as_json(body)).into_response()
}

fn json_of(value: &Value) -> Response {
    as_json(value.to_string()).into_response()
}

fn saved_answer(saved: &Saved) -> Response {
    let content_type = [(header::CONTENT_TYPE, saved.content_type.clone())];
    (content_type, saved.text.clone()).into_response()
}
