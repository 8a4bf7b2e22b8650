//! The event bus: what an era tells of a change, its form on the wire, and who hears it.
//!
//! In come changes from `state`, out go frames for the readers of `/v2/events`.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use axum::body::Bytes;
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, watch};

use super::era::Era;
use super::model::{App, Health, Task, TaskState};
use super::shape;

/// One event, complete but for its time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) kind: String,
    pub(super) fields: Map<String, Value>,
}

impl Event {
    pub(super) fn new(kind: &str, fields: Value) -> Self {
        let fields = match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        Self {
            kind: kind.to_owned(),
            fields,
        }
    }

    /// As a callback carries it.
    fn json(&self, timestamp: &str) -> String {
        let mut fields = self.fields.clone();
        fields.insert("eventType".into(), json!(self.kind));
        fields.insert("timestamp".into(), json!(timestamp));
        Value::from(fields).to_string()
    }

    /// As Jetty frames it: no id, no retry, lines end with CRLF.
    pub(super) fn frame(&self, timestamp: &str) -> Bytes {
        let data = self.json(timestamp);
        format!("event: {}\r\ndata: {data}\r\n\r\n", self.kind).into()
    }
}

/// What keeps the connection alive: an empty line.
pub(super) const HEARTBEAT: Bytes = Bytes::from_static(b"\r\n");

pub(super) fn stream_attached(remote: SocketAddr) -> Event {
    let fields = json!({"remoteAddress": remote.ip().to_string()});
    Event::new("event_stream_attached", fields)
}

/// Somebody posted a change of an app; nothing has happened yet.
pub(super) fn api_post(era: Era, app: &App) -> Event {
    let fields = json!({
        "clientIp": "127.0.0.1",
        "uri": format!("/v2/apps/{}", app.id.trim_start_matches('/')),
        "appDefinition": shape::definition(era, app),
    });
    Event::new("api_post_event", fields)
}

/// A deployment as its events carry it.
pub(super) struct Deployment<'a> {
    pub(super) id: &'a str,
    pub(super) action: &'static str,
    pub(super) app: &'a App,
}

impl Deployment<'_> {
    pub(super) fn info(&self, era: Era) -> Event {
        let fields = json!({"plan": self.plan(era), "currentStep": self.step()});
        Event::new("deployment_info", fields)
    }

    pub(super) fn step_success(&self, era: Era) -> Event {
        let fields = json!({"plan": self.plan(era), "currentStep": self.step()});
        Event::new("deployment_step_success", fields)
    }

    pub(super) fn success(&self, era: Era) -> Event {
        let fields = json!({"id": self.id, "plan": self.plan(era)});
        Event::new("deployment_success", fields)
    }

    /// Light plans name the deployment; heavy ones repeat all apps.
    fn plan(&self, era: Era) -> Value {
        if era.keeps_instances() {
            return json!({"id": self.id});
        }
        let apps = [shape::definition(era, self.app)];
        json!({
            "id": self.id,
            "target": {"id": "/", "apps": apps, "groups": []},
            "steps": [self.step()],
        })
    }

    fn step(&self) -> Value {
        json!({"actions": [{"action": self.action, "app": self.app.id}]})
    }
}

/// What the bus says when Mesos tells of a task.
pub(super) fn task_changed(era: Era, app: &App, task: &Task, state: TaskState) -> Vec<Event> {
    let mut events = Vec::new();
    if era.has_instances() {
        let fields = json!({
            "instanceId": task.instance_id(),
            "condition": state.condition(),
            "runSpecId": app.id,
            "agentId": shape::AGENT,
            "host": task.host,
            "runSpecVersion": task.version,
        });
        events.push(Event::new("instance_changed_event", fields));
    }
    let mut status = Event::new(
        "status_update_event",
        json!({
            "slaveId": shape::AGENT,
            "taskId": task.id,
            "taskStatus": state.word(),
            "message": "",
            "appId": app.id,
            "host": task.host,
            "ports": task.ports,
            "version": task.version,
        }),
    );
    if era.has_task_addresses() {
        let addresses = shape::addresses(task);
        status.fields.insert("ipAddresses".into(), addresses);
    }
    events.push(status);
    events
}

/// What the bus says when a check changed its mind.
pub(super) fn health_changed(era: Era, app: &App, task: &Task) -> Vec<Event> {
    let alive = match task.health {
        Health::Unchecked => return Vec::new(),
        Health::Alive => true,
        Health::Failing(_) => false,
    };
    let by_marathon = app.checks.iter().any(|c| !c.protocol.starts_with("MESOS_"));
    let mut events = Vec::new();
    if by_marathon {
        let (key, id) = if era.has_instances() {
            ("instanceId", task.instance_id())
        } else {
            ("taskId", task.id.clone())
        };
        let fields = json!({"appId": app.id, key: id, "version": task.version, "alive": alive});
        events.push(Event::new("health_status_changed_event", fields));
    }
    if era.has_instances() {
        let fields = json!({
            "instanceId": task.instance_id(),
            "runSpecId": app.id,
            "healthy": alive,
            "runSpecVersion": task.version,
        });
        events.push(Event::new("instance_health_changed_event", fields));
    }
    events
}

/// Somebody is sent events from now on, or no longer.
pub(super) fn subscription(kind: &str, url: &str) -> Event {
    Event::new(kind, json!({"clientIp": "127.0.0.1", "callbackUrl": url}))
}

pub(super) fn app_terminated(app: &App) -> Event {
    Event::new("app_terminated_event", json!({"appId": app.id}))
}

/// One reader of `/v2/events`.
struct Reader {
    node: SocketAddr,
    /// Types it asked for; empty means all.
    wanted: Vec<String>,
    frames: mpsc::Sender<Bytes>,
}

/// All readers of all nodes, and where events are sent to.
pub(super) struct Bus {
    era: Era,
    readers: Vec<Reader>,
    callbacks: watch::Sender<BTreeMap<String, mpsc::Sender<Bytes>>>,
    attached: watch::Sender<usize>,
    pub(super) muted: bool,
}

impl Bus {
    pub(super) fn new(era: Era) -> Self {
        Self {
            era,
            readers: Vec::new(),
            callbacks: watch::Sender::default(),
            attached: watch::Sender::new(0),
            muted: false,
        }
    }

    /// A new reader; eras that know no filter send it everything.
    pub(super) fn attach(
        &mut self,
        node: SocketAddr,
        mut wanted: Vec<String>,
    ) -> mpsc::Receiver<Bytes> {
        if !self.era.has_instances() {
            wanted.clear();
        }
        let (frames, received) = mpsc::channel(self.era.event_backlog());
        self.readers.push(Reader {
            node,
            wanted,
            frames,
        });
        received
    }

    /// From now on events are sent to this address, too. What comes out is to be sent; nothing where
    /// the address is known already.
    pub(super) fn subscribe(&mut self, url: &str) -> Option<mpsc::Receiver<Bytes>> {
        if self.callbacks.borrow().contains_key(url) {
            return None;
        }
        let (events, received) = mpsc::channel(self.era.event_backlog());
        self.callbacks
            .send_modify(|all| drop(all.insert(url.to_owned(), events)));
        Some(received)
    }

    /// No longer.
    pub(super) fn unsubscribe(&mut self, url: &str) {
        self.callbacks.send_modify(|all| drop(all.remove(url)));
    }

    /// Addresses that events are sent to.
    pub(super) fn callbacks(&self) -> watch::Receiver<BTreeMap<String, mpsc::Sender<Bytes>>> {
        self.callbacks.subscribe()
    }

    /// How many readers are attached, with the first event on its way to each.
    pub(super) fn attached(&self) -> watch::Receiver<usize> {
        self.attached.subscribe()
    }

    /// Hands the event to each reader that wants it and has room for it.
    pub(super) fn publish(&mut self, event: &Event, timestamp: &str) {
        if !self.muted {
            for events in self.callbacks.borrow().values() {
                // A listener that falls behind loses some.
                let _ = events.try_send(event.json(timestamp).into());
            }
            let frame = event.frame(timestamp);
            self.send(&frame, |reader| {
                reader.wanted.is_empty() || reader.wanted.contains(&event.kind)
            });
        }
        self.count();
    }

    /// Hands bytes to each reader, whatever they are.
    pub(super) fn send_raw(&mut self, bytes: &Bytes) {
        self.send(bytes, |_| true);
        self.count();
    }

    /// Ends the streams of one node, or of all.
    pub(super) fn close(&mut self, node: Option<SocketAddr>) {
        self.readers
            .retain(|reader| node.is_some_and(|node| node != reader.node));
        self.count();
    }

    /// Forgets readers that have gone.
    pub(super) fn count(&mut self) {
        self.readers.retain(|reader| !reader.frames.is_closed());
        let now = self.readers.len();
        self.attached.send_if_modified(|count| {
            let changed = *count != now;
            *count = now;
            changed
        });
    }

    fn send(&mut self, frame: &Bytes, wants: impl Fn(&Reader) -> bool) {
        let cuts_off = self.era.keeps_instances();
        self.readers.retain(|reader| {
            if !wants(reader) {
                return true;
            }
            match reader.frames.try_send(frame.clone()) {
                Ok(()) => true,
                Err(mpsc::error::TrySendError::Full(_)) => !cuts_off,
                Err(mpsc::error::TrySendError::Closed(_)) => false,
            }
        });
    }
}
