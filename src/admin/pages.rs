//! The pages: marathon-lb's, which HAProxy's default HEAD forwards, and ours.
//!
//! marathon-lb answered in Lua within HAProxy: every method, plain text, the installed files as they
//! are. Who may ask is decided by who may connect to the socket, and for HAProxy by its own rules.

use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Result;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::sync::Mutex;
use tokio::task::{JoinError, spawn_blocking};

use super::live::{Facts, Live};
use super::metrics::metrics;
use super::page::Asked;
use crate::apply::reload::{Context, old_processes};
use crate::disk;
use crate::door::last_word;
use crate::haproxy::Proc;
use crate::state::Time;

/// Makes the JSON of `status` beside these facts.
pub(super) type Json = dyn Fn(Facts) -> Result<String> + Send + Sync;

/// Makes the page for people.
pub(super) type Html = dyn Fn(Facts, &Asked) -> Result<String> + Send + Sync;

/// What is made for those who ask.
pub struct Made {
    /// As machines read it.
    pub json: Box<Json>,
    /// As people look at it.
    pub html: Box<Html>,
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Made").finish_non_exhaustive()
    }
}

/// Where the files lie that are shown.
#[derive(Clone, Debug)]
pub struct Places {
    /// `haproxy.cfg`; maps lie beside it.
    pub cfg: PathBuf,
    /// The program that is HAProxy whatever its name is.
    pub program: PathBuf,
    /// Where its process is named.
    pub pid_file: PathBuf,
    /// Where its master answers, as far as that is configured.
    pub master_socket: Option<PathBuf>,
}

struct Sources {
    live: Arc<Live>,
    places: Places,
    made: Made,
    last: Mutex<Option<Kept>>,
}

/// The page as it was made last.
struct Kept {
    asked: Asked,
    since: Instant,
    html: String,
}

/// So long it is shown to others who ask for the same.
const FRESH: Duration = Duration::from_secs(1);

/// A browser that shows the page runs and fetches nothing, whatever should come to stand there.
const CONFINED: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; \
                        base-uri 'none'; frame-ancestors 'none'";

const SHOWN: [(HeaderName, &str); 5] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, CONFINED),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
];

/// All of them.
pub fn pages(live: Arc<Live>, places: Places, made: Made) -> Router {
    let sources = Sources {
        live,
        places,
        made,
        last: Mutex::default(),
    };
    Router::new()
        .route("/_haproxy_health_check", any(async || text("OK")))
        .route("/_haproxy_getpids", any(pids))
        .route("/_haproxy_getconfig", any(config))
        .route("/_haproxy_getvhostmap", any(vhosts))
        .route("/_haproxy_getappmap", any(apps))
        .route("/_mlb_signal/hup", any(async || send(Signal::SIGHUP)))
        .route("/_mlb_signal/usr1", any(async || send(Signal::SIGUSR1)))
        .route("/", get(shown))
        .route("/status", get(told))
        .route("/metrics", get(measured))
        .fallback(async || said(StatusCode::NOT_FOUND, "there is no such page\n"))
        .layer(map_response(last_word))
        .with_state(Arc::new(sources))
}

type From = State<Arc<Sources>>;

/// As `pidof haproxy` prints them, the newest first.
async fn pids(State(sources): From) -> Response {
    let program = sources.places.program.clone();
    let found = spawn_blocking(move || Proc::default().with_program(&program).haproxies()).await;
    let pids = found.unwrap_or_default().into_iter().rev();
    let pids: Vec<String> = pids.map(|process| process.pid.to_string()).collect();
    text(pids.join(" "))
}

async fn config(State(sources): From) -> Response {
    file(sources.places.cfg.clone(), None).await
}

async fn vhosts(State(sources): From) -> Response {
    map(&sources, "domain2backend.map").await
}

async fn apps(State(sources): From) -> Response {
    map(&sources, "app2backend.map").await
}

/// One that is missing is as good as an empty one.
async fn map(sources: &Sources, name: &str) -> Response {
    file(sources.places.cfg.with_file_name(name), Some("")).await
}

async fn file(path: PathBuf, missing: Option<&'static str>) -> Response {
    let read = spawn_blocking({
        let path = path.clone();
        move || disk::read(&path, disk::LARGEST_MADE)
    });
    match (read.await, missing) {
        (Ok(Ok(content)), _) => text(content),
        (Ok(Err(error)), Some(instead)) if error.kind() == ErrorKind::NotFound => text(instead),
        (Ok(Err(error)), _) => {
            let status = match error.kind() {
                ErrorKind::NotFound => StatusCode::NOT_FOUND,
                _ => StatusCode::INTERNAL_SERVER_ERROR,
            };
            said(status, format!("`{}`: {error}\n", path.display()))
        }
        (Err(_), _) => said(StatusCode::INTERNAL_SERVER_ERROR, "it was not read\n"),
    }
}

/// The watcher hears it as it hears all others.
fn send(signal: Signal) -> Response {
    match kill(Pid::this(), signal) {
        Ok(()) => text(format!("Sent {signal} signal to marathon-lb")),
        Err(error) => said(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("Failed to send {signal} signal to marathon-lb ({error})"),
        ),
    }
}

async fn shown(State(sources): From, Query(query): Query<Vec<(String, String)>>) -> Response {
    let asked = Asked::of(&query);
    // One at a time: each may need as much as a turn does, and whoever waits mostly asks for the same.
    let mut last = sources.last.lock().await;
    let is_fresh = |kept: &Kept| kept.asked == asked && kept.since.elapsed() < FRESH;
    let made = match last.take().filter(is_fresh) {
        Some(kept) => Ok(kept),
        None => made_anew(&sources, asked).await,
    };
    match made {
        Ok(kept) => {
            let html = kept.html.clone();
            *last = Some(kept);
            (SHOWN, html).into_response()
        }
        Err(why) => said(StatusCode::INTERNAL_SERVER_ERROR, why),
    }
}

async fn made_anew(sources: &Arc<Sources>, asked: Asked) -> Result<Kept, String> {
    let sources = Arc::clone(sources);
    let made = spawn_blocking(move || {
        let html = (sources.made.html)(sources.live.facts(), &asked);
        html.map(|html| Kept {
            asked,
            since: Instant::now(),
            html,
        })
    });
    answer(made.await)
}

async fn told(State(sources): From) -> Response {
    let made = spawn_blocking(move || (sources.made.json)(sources.live.facts()));
    match answer(made.await) {
        Ok(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
        Err(why) => said(StatusCode::INTERNAL_SERVER_ERROR, why),
    }
}

/// What was made, or why it was not.
fn answer<T>(made: Result<Result<T>, JoinError>) -> Result<T, String> {
    match made {
        Ok(made) => made.map_err(|error| format!("{error:#}\n")),
        Err(_) => Err("it was not told\n".to_owned()),
    }
}

async fn measured(State(sources): From) -> Response {
    let Places {
        cfg,
        program,
        pid_file,
        master_socket,
    } = sources.places.clone();
    let context = Context::new(&program, &cfg, &pid_file, Duration::ZERO);
    let old = old_processes(context, master_socket).await;
    let now = Time::at(SystemTime::now());
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    let text = metrics(&sources.live.facts(), &old, now);
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

fn text(body: impl Into<axum::body::Body>) -> Response {
    said(StatusCode::OK, body)
}

fn said(status: StatusCode, body: impl Into<axum::body::Body>) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain")];
    (status, kind, body.into()).into_response()
}
