//! A Marathon without Mesos: apps and tasks are what the caller says they are.
//!
//! In come deployments, deaths of tasks and faults, by calls; out go the answers and events that
//! a Marathon of the chosen [`Era`] would give, over HTTP on 127.0.0.1.
//!
//! ```text
//! model ─▶ state ─▶ shape ─▶ rest ─▶ fault ─▶ wire
//!            └────▶ events ───┘
//! ```

mod era;
mod events;
mod fault;
mod login;
mod model;
mod rest;
mod shape;
mod state;
mod subscriptions;
mod tally;
#[cfg(test)]
mod tests;
mod wire;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use serde_json::Value;
use tokio::sync::watch;

pub use era::Era;
pub use fault::{Ending, Fault, Injection};
pub use login::{LOGIN_PATH, TokenPlace};
pub use model::{App, Health, Port, Task, TaskState};
pub use state::Absent;
pub use tally::Seen;

use super::thread::RuntimeThread;
use super::wait::{self, Late};
use events::Event;
use rest::Node;
use state::{Cluster, Saved};
use wire::{Door, Peer};

/// How long answers under way may take once the end was asked for.
const PATIENCE: Duration = Duration::from_secs(1);

/// A node of the built-in Marathon. Dropping it ends it at once.
pub struct Marathon {
    node: Arc<Node>,
    thread: Option<RuntimeThread>,
}

impl Marathon {
    /// A leader of an empty cluster.
    ///
    /// # Errors
    /// When there is no port, thread or runtime to be had.
    pub fn start(era: Era) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let cluster = Cluster::new(era, listener.local_addr()?);
        Self::open(listener, Arc::new(Mutex::new(cluster)))
    }

    /// A standby of the same cluster, with faults and counts of its own.
    ///
    /// # Errors
    /// When there is no port, thread or runtime to be had.
    pub fn another_node(&self) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        Self::open(listener, Arc::clone(&self.node.cluster))
    }

    fn open(listener: TcpListener, cluster: Arc<Mutex<Cluster>>) -> io::Result<Self> {
        let node = Arc::new(Node {
            cluster,
            address: listener.local_addr()?,
            faults: Mutex::default(),
            tally: Arc::default(),
        });
        let thread = serve(listener, Arc::clone(&node))?;
        Ok(Self {
            node,
            thread: Some(thread),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.node.address
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.node.address)
    }

    /// Stops listening and cuts all connections, as if the process had died; the cluster lives on.
    pub fn down(&mut self) {
        self.thread = None;
        self.node.cluster().bus.close(Some(self.node.address));
    }

    /// Listens again where it did before.
    ///
    /// # Errors
    /// When the port has gone to somebody else, or there is no thread or runtime to be had.
    pub fn up(&mut self) -> io::Result<()> {
        if self.thread.is_none() {
            let listener = TcpListener::bind(self.node.address)?;
            self.thread = Some(serve(listener, Arc::clone(&self.node))?);
        }
        Ok(())
    }

    /// Ends streams of events, finishes the answers under way (for a second at most) and ends.
    pub async fn shutdown(mut self) {
        self.node.cluster().bus.close(Some(self.node.address));
        if let Some(thread) = self.thread.take() {
            thread.finish(PATIENCE).await;
        }
    }
}

/// What happens in the cluster. Every change takes one second of the cluster's own clock and
/// tells its events to all readers before the call returns.
impl Marathon {
    /// Creates an app and starts the tasks that come with it. An app that is there already gets
    /// the new definition; its tasks stay, as those of the old version. Returns the new version.
    #[expect(clippy::must_use_candidate, reason = "done for its effect")]
    pub fn deploy(&self, app: App) -> String {
        self.node.cluster().deploy(app)
    }

    /// The same in a deployment that goes on until [`Self::finish`]. Returns the ids of the tasks that
    /// came with it.
    #[expect(clippy::must_use_candidate, reason = "done for its effect")]
    pub fn roll_out(&self, app: App) -> Vec<String> {
        self.node.cluster().roll_out(app)
    }

    /// Ends that deployment, and forgets who was ready.
    ///
    /// # Errors
    /// When there is no such app.
    pub fn finish(&self, app: &str) -> Result<(), Absent> {
        self.node.cluster().finish(app)
    }

    /// What a task answers to its readiness check, shown from 1.1 to those who ask with
    /// `embed=apps.readiness`; `None` for nothing yet. As in Marathon, no event tells of it.
    ///
    /// # Errors
    /// When there is no such task.
    pub fn set_ready(&self, task: &str, is_ready: Option<bool>) -> Result<(), Absent> {
        self.node.cluster().set_ready(task, is_ready)
    }

    /// Deploys a new definition made from the present one: `|app| app.label("A", "b")`.
    ///
    /// # Errors
    /// When there is no such app.
    pub fn change_app(&self, id: &str, change: impl FnOnce(App) -> App) -> Result<String, Absent> {
        let mut cluster = self.node.cluster();
        let mut app = cluster.known_app(id)?.clone();
        app.tasks.clear();
        Ok(cluster.deploy(change(app)))
    }

    /// Wants more tasks, and has them at once. Returns their ids.
    ///
    /// # Errors
    /// When there is no such app.
    pub fn scale_up(
        &self,
        app: &str,
        tasks: impl IntoIterator<Item = Task>,
    ) -> Result<Vec<String>, Absent> {
        let tasks = tasks.into_iter().collect();
        self.node.cluster().scale_up(app, tasks)
    }

    /// Wants so many tasks less, and begins to kill the newest. Returns their ids; each is in
    /// `TASK_KILLING` until [`Self::end_task`].
    ///
    /// # Errors
    /// When there is no such app.
    pub fn scale_down(&self, app: &str, fewer: usize) -> Result<Vec<String>, Absent> {
        self.node.cluster().scale_down(app, fewer)
    }

    /// Starts a task without a deployment, as Marathon does in place of one that died. Returns
    /// its id.
    ///
    /// # Errors
    /// When there is no such app.
    pub fn start_task(&self, app: &str, task: Task) -> Result<String, Absent> {
        self.node.cluster().start_task(app, task)
    }

    /// Mesos tells of another state; the task stays in the list.
    ///
    /// # Errors
    /// When there is no such task.
    pub fn set_task_state(&self, task: &str, state: TaskState) -> Result<(), Absent> {
        self.node.cluster().set_task_state(task, state)
    }

    /// The task was told to end and does its last work: `TASK_KILLING`. Before 1.1 tasks have no
    /// state, so that nothing is to be seen of it.
    ///
    /// # Errors
    /// When there is no such task.
    pub fn begin_kill(&self, task: &str) -> Result<(), Absent> {
        self.set_task_state(task, TaskState::Killing)
    }

    /// The task is gone from the list; `how` is its last state.
    ///
    /// # Errors
    /// When there is no such task.
    pub fn end_task(&self, task: &str, how: TaskState) -> Result<(), Absent> {
        self.node.cluster().end_task(task, how)
    }

    /// The task dies without a warning: `TASK_FAILED`.
    ///
    /// # Errors
    /// When there is no such task.
    pub fn fail_task(&self, task: &str) -> Result<(), Absent> {
        self.end_task(task, TaskState::Failed)
    }

    /// The checks of a task found something else.
    ///
    /// # Errors
    /// When there is no such task.
    pub fn set_health(&self, task: &str, health: Health) -> Result<(), Absent> {
        self.node.cluster().set_health(task, health)
    }

    /// Removes an app with all its tasks.
    ///
    /// # Errors
    /// When there is no such app.
    pub fn remove_app(&self, id: &str) -> Result<(), Absent> {
        self.node.cluster().remove_app(id)
    }

    /// The app as it is now.
    #[must_use]
    pub fn app(&self, id: &str) -> Option<App> {
        self.node.cluster().app(id).cloned()
    }

    /// Makes this node the leader: results of checks are forgotten and all streams of events end.
    pub fn lead(&self) {
        self.node.cluster().elect(self.node.address);
    }
}

/// What clients get apart from the truth.
impl Marathon {
    /// Serves this text as the answer to `path`, and, where that is `/v2/apps`, its apps one by
    /// one under their ids. A list of apps has no text form: `/v2/tasks` answers text with 406.
    pub fn serve_saved(&self, path: &str, content_type: &str, text: &str) {
        let saved = Saved {
            content_type: content_type.to_owned(),
            text: text.to_owned(),
        };
        self.node.cluster().saved.insert(path.to_owned(), saved);
    }

    /// [`Self::serve_saved`] for the JSON of `/v2/apps`.
    pub fn serve_saved_apps(&self, json: &str) {
        self.serve_saved("/v2/apps", "application/json", json);
    }

    /// Tells the truth again.
    pub fn forget_saved(&self) {
        self.node.cluster().saved.clear();
    }

    /// Answers 401 to requests whose `Authorization` header is not exactly this.
    pub fn require_authorization(&self, header: Option<&str>) {
        self.node.cluster().authorization = header.map(str::to_owned);
    }

    /// Answers 401 to requests without a token that a login at [`Self::login_url`] gave. That wants
    /// a statement with this `uid`, signed with RS256 by the key of `public_key`, in PEM. Faults
    /// can hit it under [`LOGIN_PATH`].
    ///
    /// # Errors
    /// When `public_key` is no RSA key.
    pub fn require_login(
        &self,
        uid: &str,
        public_key: &str,
        place: TokenPlace,
    ) -> Result<(), jsonwebtoken::errors::Error> {
        self.node.cluster().account = Some(login::Account::new(uid, public_key, place)?);
        Ok(())
    }

    /// Where service accounts log in.
    #[must_use]
    pub fn login_url(&self) -> String {
        format!("{}{LOGIN_PATH}", self.url())
    }

    /// Tokens that were given so far are refused from now on.
    pub fn revoke_tokens(&self) {
        if let Some(account) = &mut self.node.cluster().account {
            account.revoke();
        }
    }

    /// Adds a fault of this node. Of several that fit a request, the oldest that is not used up
    /// counts: `Status(500)` `.times(1)`, then `Hang` is a script.
    pub fn inject(&self, fault: impl Into<Injection>) {
        self.node.faults().inject(fault.into());
    }

    /// This node is well again; answers that hang already go on hanging.
    pub fn clear_faults(&self) {
        self.node.faults().clear();
    }

    /// Time between two heartbeats of a stream of events, 10 s otherwise; for streams that begin
    /// from now on.
    pub fn set_heartbeat(&self, every: Duration) {
        self.node.cluster().heartbeat = every;
    }

    /// Loses all events while `muted`: changes happen without a word.
    pub fn mute_events(&self, muted: bool) {
        self.node.cluster().bus.muted = muted;
    }

    /// Tells an event of any type and content; `eventType` and `timestamp` are added.
    pub fn publish(&self, kind: &str, fields: Value) {
        let event = Event::new(kind, fields);
        self.node.cluster().publish(&event);
    }

    /// Sends bytes to all readers of events, whatever they are.
    pub fn send_raw_events(&self, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(bytes);
        self.node.cluster().bus.send_raw(&bytes);
    }

    /// Forgets to whom events were sent, as one does that lost what it kept.
    pub fn forget_callbacks(&self) {
        let mut cluster = self.node.cluster();
        for url in Self::callbacks_of(&cluster) {
            cluster.bus.unsubscribe(&url);
        }
    }

    /// Ends all streams of events.
    pub fn close_event_streams(&self) {
        self.node.cluster().bus.close(None);
    }
}

/// What clients did. Counts are of this node, and only grow.
impl Marathon {
    /// Requests of a path, query aside, answered or not.
    #[must_use]
    pub fn requests(&self, path: &str) -> u64 {
        self.node.tally.requests(path)
    }

    /// Requests of all paths.
    #[must_use]
    pub fn all_requests(&self) -> u64 {
        self.node.tally.all_requests()
    }

    /// Bytes of bodies given for a path.
    #[must_use]
    pub fn bytes(&self, path: &str) -> u64 {
        self.node.tally.bytes(path)
    }

    /// The last 4096 requests, oldest first.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.node.tally.seen()
    }

    /// Waits until `path` has been asked for `n` times since the start.
    ///
    /// # Errors
    /// When that takes longer than `within`.
    pub async fn wait_requests(&self, path: &str, n: u64, within: Duration) -> Result<(), Late> {
        self.node.tally.wait(path, n, within).await
    }

    /// Waits until `path` has given so many bytes of bodies since the start.
    ///
    /// # Errors
    /// When that takes longer than `within`.
    pub async fn wait_bytes(&self, path: &str, n: u64, within: Duration) -> Result<(), Late> {
        self.node.tally.wait_bytes(path, n, within).await
    }

    /// Readers of events on all nodes.
    #[must_use]
    pub fn event_streams(&self) -> usize {
        *self.attached().borrow()
    }

    /// Waits until exactly `n` readers of events are attached, over all nodes; what happens after
    /// that reaches each of them.
    ///
    /// # Errors
    /// When that takes longer than `within`.
    pub async fn wait_event_streams(&self, n: usize, within: Duration) -> Result<(), Late> {
        let expected = format!("{n} streams of events");
        wait::until(self.attached(), within, expected, |now| *now == n).await
    }

    /// Addresses that events are sent to.
    #[must_use]
    pub fn callbacks(&self) -> Vec<String> {
        Self::callbacks_of(&self.node.cluster())
    }

    fn callbacks_of(cluster: &Cluster) -> Vec<String> {
        cluster.bus.callbacks().borrow().keys().cloned().collect()
    }

    /// Waits until events are sent to exactly `n` addresses.
    ///
    /// # Errors
    /// When that takes longer than `within`.
    pub async fn wait_callbacks(&self, n: usize, within: Duration) -> Result<(), Late> {
        let callbacks = self.node.cluster().bus.callbacks();
        let expected = format!("{n} addresses to send events to");
        wait::until(callbacks, within, expected, |now| now.len() == n).await
    }

    fn attached(&self) -> watch::Receiver<usize> {
        self.node.cluster().bus.attached()
    }
}

fn serve(listener: TcpListener, node: Arc<Node>) -> io::Result<RuntimeThread> {
    listener.set_nonblocking(true)?;
    RuntimeThread::start("demo-marathon", move |stop| async move {
        let listener = tokio::net::TcpListener::from_std(listener)
            .expect("a thread's own runtime takes any socket");
        let service = rest::router(node).into_make_service_with_connect_info::<Peer>();
        // It ends only when it is told to.
        let _ = axum::serve(Door(listener), service)
            .with_graceful_shutdown(stop.asked())
            .await;
    })
}
