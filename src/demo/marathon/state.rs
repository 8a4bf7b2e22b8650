//! What the built-in Marathon knows, and how it changes: every change has its version, its time
//! and its events, in the order in which a real one tells them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::era::Era;
use super::events::{self, Bus, Deployment, Event};
use super::login::Account;
use super::model::{App, Health, Rollout, Task, TaskState};

/// A text that is served in place of what the model would say.
#[derive(Clone, Debug)]
pub(super) struct Saved {
    pub(super) content_type: String,
    pub(super) text: String,
}

/// An app or a task that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Absent {
    what: &'static str,
    id: String,
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the built-in Marathon has no {} `{}`",
            self.what, self.id
        )
    }
}

impl std::error::Error for Absent {}

/// One cluster, seen through one or more nodes.
pub(super) struct Cluster {
    pub(super) era: Era,
    /// In Marathon's order.
    pub(super) apps: Vec<App>,
    pub(super) bus: Bus,
    pub(super) saved: BTreeMap<String, Saved>,
    pub(super) leader: SocketAddr,
    /// The `Authorization` header that a request has to carry.
    pub(super) authorization: Option<String>,
    /// Whose tokens are asked for instead.
    pub(super) account: Option<Account>,
    pub(super) heartbeat: Duration,
    /// Seconds since the cluster began: a clock that only changes move, so that the same calls
    /// give the same answers.
    clock: u32,
    deployments: u32,
    tasks_started: u32,
}

impl Cluster {
    pub(super) fn new(era: Era, leader: SocketAddr) -> Self {
        Self {
            era,
            apps: Vec::new(),
            bus: Bus::new(era),
            saved: BTreeMap::new(),
            leader,
            authorization: None,
            account: None,
            heartbeat: Duration::from_secs(10),
            clock: 0,
            deployments: 0,
            tasks_started: 0,
        }
    }

    pub(super) fn app(&self, id: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.id == id)
    }

    pub(super) fn known_app(&self, id: &str) -> Result<&App, Absent> {
        Ok(&self.apps[self.position(id)?])
    }

    pub(super) fn publish(&mut self, event: &Event) {
        let now = self.now();
        self.bus.publish(event, &now);
    }

    /// Creates an app, or gives one a new definition beside its running tasks; tasks that come
    /// with the definition are started.
    pub(super) fn deploy(&mut self, app: App) -> String {
        let (position, action, new_tasks) = self.define(app);
        self.deployment(position, action, |cluster| {
            for task in new_tasks {
                cluster.start_task_of(position, task);
            }
        });
        self.apps[position].version.clone()
    }

    /// The same, in a deployment that goes on until [`Self::finish`].
    pub(super) fn roll_out(&mut self, app: App) -> Vec<String> {
        let (position, action, new_tasks) = self.define(app);
        let id = self.next_deployment();
        let told = [
            events::api_post(self.era, &self.apps[position]),
            self.deployment_of(position, &id, action).info(self.era),
        ];
        self.publish_all(&told);
        self.apps[position].rollout = Some(Rollout { id, action });
        let new_tasks = new_tasks.into_iter();
        let started = new_tasks.map(|task| self.start_task_of(position, task));
        started.collect()
    }

    /// Ends the deployment of an app, if one runs: what its tasks said of their readiness is forgotten.
    pub(super) fn finish(&mut self, id: &str) -> Result<(), Absent> {
        let position = self.position(id)?;
        self.tick();
        for task in &mut self.apps[position].tasks {
            task.is_ready = None;
        }
        if let Some(Rollout { id, action }) = self.apps[position].rollout.take() {
            let deployment = self.deployment_of(position, &id, action);
            let told = [
                deployment.step_success(self.era),
                deployment.success(self.era),
            ];
            self.publish_all(&told);
        }
        Ok(())
    }

    /// What a task says of its readiness. No event tells of it.
    pub(super) fn set_ready(&mut self, id: &str, is_ready: Option<bool>) -> Result<(), Absent> {
        let (app, task) = self.task_position(id)?;
        self.apps[app].tasks[task].is_ready = is_ready;
        Ok(())
    }

    /// Puts a definition in its place: where that is, what a deployment does for it, and the tasks that
    /// it has to start.
    fn define(&mut self, mut app: App) -> (usize, &'static str, Vec<Task>) {
        let version = self.tick();
        app.version.clone_from(&version);
        app.last_config_change_at.clone_from(&version);
        let new_tasks = std::mem::take(&mut app.tasks);
        let position = self.apps.iter().position(|known| known.id == app.id);
        let action = match position {
            Some(_) => "RestartApplication",
            None => "StartApplication",
        };
        let position = match position {
            Some(position) => {
                let known = &mut self.apps[position];
                app.tasks = std::mem::take(&mut known.tasks);
                app.last_scaling_at.clone_from(&known.last_scaling_at);
                *known = app;
                position
            }
            None => {
                app.last_scaling_at.clone_from(&version);
                self.apps.push(app);
                self.apps.len() - 1
            }
        };
        let wanted = self.apps[position].tasks.len() + new_tasks.len();
        let app = &mut self.apps[position];
        app.instances = app.instances.max(wanted);
        (position, action, new_tasks)
    }

    /// Starts more tasks of the app and wants that many more.
    pub(super) fn scale_up(&mut self, id: &str, tasks: Vec<Task>) -> Result<Vec<String>, Absent> {
        let position = self.position(id)?;
        self.scaled(position, |instances| instances + tasks.len());
        let mut started = Vec::with_capacity(tasks.len());
        self.deployment(position, "ScaleApplication", |cluster| {
            for task in tasks {
                started.push(cluster.start_task_of(position, task));
            }
        });
        Ok(started)
    }

    /// Wants `fewer` tasks less and begins to kill the newest ones.
    pub(super) fn scale_down(&mut self, id: &str, fewer: usize) -> Result<Vec<String>, Absent> {
        let position = self.position(id)?;
        self.scaled(position, |instances| instances.saturating_sub(fewer));
        let newest = self.apps[position].tasks.iter().rev().take(fewer);
        let victims: Vec<String> = newest.map(|task| task.id.clone()).collect();
        self.deployment(position, "ScaleApplication", |cluster| {
            for id in &victims {
                // The ids were read from the app a moment ago.
                let _ = cluster.set_task_state(id, TaskState::Killing);
            }
        });
        Ok(victims)
    }

    /// Starts one task without a deployment, as Marathon does when one has died.
    pub(super) fn start_task(&mut self, id: &str, task: Task) -> Result<String, Absent> {
        let position = self.position(id)?;
        self.tick();
        Ok(self.start_task_of(position, task))
    }

    pub(super) fn set_task_state(&mut self, id: &str, state: TaskState) -> Result<(), Absent> {
        let (app, task) = self.task_position(id)?;
        self.tick();
        self.apps[app].tasks[task].state = state;
        self.tell_task(app, task, state);
        Ok(())
    }

    /// The task is gone, and `how` is the last that is heard of it.
    pub(super) fn end_task(&mut self, id: &str, how: TaskState) -> Result<(), Absent> {
        let (app, task) = self.task_position(id)?;
        self.tick();
        let ended = self.apps[app].tasks.remove(task);
        let told = events::task_changed(self.era, &self.apps[app], &ended, how);
        self.publish_all(&told);
        Ok(())
    }

    pub(super) fn set_health(&mut self, id: &str, health: Health) -> Result<(), Absent> {
        let (app, task) = self.task_position(id)?;
        self.tick();
        self.apps[app].tasks[task].health = health;
        let app = &self.apps[app];
        let told = events::health_changed(self.era, app, &app.tasks[task]);
        self.publish_all(&told);
        Ok(())
    }

    pub(super) fn remove_app(&mut self, id: &str) -> Result<(), Absent> {
        let position = self.position(id)?;
        self.tick();
        let mut app = self.apps.remove(position);
        let tasks = std::mem::take(&mut app.tasks);
        app.instances = 0;
        let plan = self.next_deployment();
        let deployment = Deployment {
            id: &plan,
            action: "StopApplication",
            app: &app,
        };
        self.publish(&deployment.info(self.era));
        for task in &tasks {
            let told = events::task_changed(self.era, &app, task, TaskState::Killed);
            self.publish_all(&told);
        }
        self.publish(&events::app_terminated(&app));
        self.publish(&deployment.step_success(self.era));
        self.publish(&deployment.success(self.era));
        Ok(())
    }

    /// A new leader: what checks found, and who is ready, is forgotten, and every stream of events ends.
    pub(super) fn elect(&mut self, leader: SocketAddr) {
        self.leader = leader;
        for task in self.apps.iter_mut().flat_map(|app| &mut app.tasks) {
            task.health = Health::Unchecked;
            task.is_ready = None;
        }
        self.bus.close(None);
    }

    /// Announces a deployment, lets `act` do its work, and announces its end.
    fn deployment(&mut self, app: usize, action: &'static str, act: impl FnOnce(&mut Self)) {
        let era = self.era;
        let id = self.next_deployment();
        let told = [
            events::api_post(era, &self.apps[app]),
            self.deployment_of(app, &id, action).info(era),
        ];
        self.publish_all(&told);
        act(self);
        let deployment = self.deployment_of(app, &id, action);
        let told = [deployment.step_success(era), deployment.success(era)];
        self.publish_all(&told);
    }

    fn deployment_of<'a>(
        &'a self,
        app: usize,
        id: &'a str,
        action: &'static str,
    ) -> Deployment<'a> {
        Deployment {
            id,
            action,
            app: &self.apps[app],
        }
    }

    fn start_task_of(&mut self, app: usize, mut task: Task) -> String {
        self.tasks_started += 1;
        let now = self.now();
        let of = &self.apps[app];
        if task.id.is_empty() {
            task.id = self.new_task_id(&of.safe_path());
        }
        if task.version.is_empty() {
            task.version.clone_from(&of.version);
        }
        task.staged_at.clone_from(&now);
        task.started_at = now;
        let (id, state) = (task.id.clone(), task.state);
        let tasks = &mut self.apps[app].tasks;
        tasks.push(task);
        let position = tasks.len() - 1;
        if state.has_started() {
            self.tell_task(app, position, TaskState::Staging);
        }
        self.tell_task(app, position, state);
        id
    }

    fn tell_task(&mut self, app: usize, task: usize, state: TaskState) {
        let app = &self.apps[app];
        let told = events::task_changed(self.era, app, &app.tasks[task], state);
        self.publish_all(&told);
    }

    fn new_task_id(&self, safe_path: &str) -> String {
        let uuid = uuid(self.tasks_started);
        if self.era.keeps_instances() {
            format!("{safe_path}.instance-{uuid}._app.1")
        } else {
            format!("{safe_path}.{uuid}")
        }
    }

    fn next_deployment(&mut self) -> String {
        self.deployments += 1;
        // Apart from the ids of tasks, which count from 1.
        uuid(0x8000_0000 + self.deployments)
    }

    fn scaled(&mut self, app: usize, instances: impl FnOnce(usize) -> usize) {
        let version = self.tick();
        let app = &mut self.apps[app];
        app.instances = instances(app.instances);
        app.version.clone_from(&version);
        app.last_scaling_at = version;
    }

    fn publish_all(&mut self, events: &[Event]) {
        for event in events {
            self.publish(event);
        }
    }

    fn position(&self, id: &str) -> Result<usize, Absent> {
        let position = self.apps.iter().position(|app| app.id == id);
        position.ok_or_else(|| Absent {
            what: "app",
            id: id.to_owned(),
        })
    }

    fn task_position(&self, id: &str) -> Result<(usize, usize), Absent> {
        for (app, of) in self.apps.iter().enumerate() {
            if let Some(task) = of.tasks.iter().position(|task| task.id == id) {
                return Ok((app, task));
            }
        }
        Err(Absent {
            what: "task",
            id: id.to_owned(),
        })
    }

    fn tick(&mut self) -> String {
        self.clock += 1;
        self.now()
    }

    /// RFC 3339 in UTC, from the first second of 2026 on.
    fn now(&self) -> String {
        let (minutes, second) = (self.clock / 60, self.clock % 60);
        let (hours, minute) = (minutes / 60, minutes % 60);
        // A month of changes at one a second has to do.
        let (day, hour) = (hours / 24 + 1, hours % 24);
        format!("2026-01-{day:02}T{hour:02}:{minute:02}:{second:02}.000Z")
    }
}

/// In the form of a time-based one, told apart by its first part.
fn uuid(n: u32) -> String {
    format!("{n:08x}-e6f1-11ef-8a5c-0242ac110002")
}
