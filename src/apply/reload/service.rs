//! Reloads that something else carries out: systemd, an init script, a command of the operator's.
//!
//! In comes what to run; out goes its exit status, and beyond it a new process where one could be
//! known by its file, pid file, service or socket.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use super::super::validate::telling;
use super::loading::Loading;
use super::proof::{Before, new_process};
use super::{Context, Method, ReloadError, Reloaded, Verified};
use crate::haproxy::child::{Child, Environment, RunError};
use crate::haproxy::program::find_in;

/// What systemd says of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unit {
    pub(super) active: bool,
    pub(super) main: Option<u32>,
}

impl Unit {
    /// Reads `systemctl show -p ActiveState,MainPID`.
    pub(super) fn parse(output: &str) -> Self {
        let value = |key: &str| {
            output
                .lines()
                .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
        };
        Self {
            active: matches!(value("ActiveState"), Some("active" | "reloading")),
            main: value("MainPID")
                .and_then(|pid| pid.parse().ok())
                .filter(|pid| *pid != 0),
        }
    }

    /// Asks systemd for `unit`.
    pub(super) async fn ask(
        context: &Context,
        unit: &str,
        limit: Duration,
    ) -> Result<Self, RunError> {
        let child = child(context, OsStr::new("systemctl"), limit);
        let show = child
            .arg("show")
            .arg("--property=ActiveState,MainPID")
            .arg(unit);
        Ok(Self::parse(&show.run().await?.stdout))
    }
}

pub(super) async fn by_systemd(context: &Context, unit: &str) -> Result<Reloaded, ReloadError> {
    let deadline = Instant::now() + context.limit;
    let found = Unit::ask(context, unit, context.limit)
        .await
        .map_err(ReloadError::Run)?;
    if !found.active {
        return Ok(Reloaded::NotRunning);
    }
    let before = Before::look(context, found.main).await;
    let how = Method::Systemd {
        unit: unit.to_owned(),
    };
    let left = deadline.saturating_duration_since(Instant::now());
    let reload = child(context, OsStr::new("systemctl"), left)
        .arg("reload")
        .arg(unit);
    let mut loading = Loading::of(context, &before);
    run(&how, &reload, &mut loading).await?;
    // A unit that is not HAProxy itself may have brought up another main process.
    let left = deadline.saturating_duration_since(Instant::now());
    let main = Unit::ask(context, unit, left)
        .await
        .ok()
        .and_then(|unit| unit.main);
    let main = main.or(found.main);
    proven(context, &how, &before, (main, loading), deadline).await
}

/// Runs what the operator wants to be run, whether HAProxy runs or not.
pub(super) async fn by_command(
    context: &Context,
    how: &Method,
    words: &[&OsStr],
) -> Result<Reloaded, ReloadError> {
    let [program, args @ ..] = words else {
        return Ok(Reloaded::NotAsked);
    };
    let deadline = Instant::now() + context.limit;
    let before = Before::look(context, None).await;
    let left = deadline.saturating_duration_since(Instant::now());
    let mut child = args.iter().fold(child(context, program, left), Child::arg);
    child.environment = Environment::Inherited;
    let mut loading = Loading::of(context, &before);
    run(how, &child, &mut loading).await?;
    proven(context, how, &before, (None, loading), deadline).await
}

/// Runs an init script or the like, which would fail without a HAProxy that runs.
pub(super) async fn by_program(
    context: &Context,
    how: &Method,
    words: &[&OsStr],
) -> Result<Reloaded, ReloadError> {
    let deadline = Instant::now() + context.limit;
    let before = Before::look(context, None).await;
    if before.is_empty() {
        return Ok(Reloaded::NotRunning);
    }
    let left = deadline.saturating_duration_since(Instant::now());
    let [program, args @ ..] = words else {
        return Ok(Reloaded::NotAsked);
    };
    let child = args.iter().fold(child(context, program, left), Child::arg);
    let mut loading = Loading::of(context, &before);
    run(how, &child, &mut loading).await?;
    proven(context, how, &before, (None, loading), deadline).await
}

/// `program` by the search path of `context`, which `Command` does not use to find it.
fn child(context: &Context, program: &OsStr, limit: Duration) -> Child {
    let found = find_in(Path::new(program), &context.path);
    let mut child = Child::new(found.unwrap_or_else(|| program.into()), limit);
    child.path.clone_from(&context.path);
    child
}

/// Runs it. Meanwhile the master may begin, and be done.
async fn run(how: &Method, child: &Child, loading: &mut Loading<'_>) -> Result<(), ReloadError> {
    let finished = tokio::select! {
        biased;
        finished = child.run() => finished,
        never = loading.watch() => match never {},
    };
    let finished = finished.map_err(ReloadError::Run)?;
    if finished.status.success() {
        return Ok(());
    }
    let said = finished.output();
    let output = format!("{}; it printed: {}", finished.status, telling(&said));
    Err(ReloadError::Refused {
        how: how.clone(),
        output,
        said,
    })
}

async fn proven(
    context: &Context,
    how: &Method,
    before: &Before,
    (main, mut loading): (Option<u32>, Loading<'_>),
    deadline: Instant,
) -> Result<Reloaded, ReloadError> {
    if before.is_empty() {
        return Ok(Reloaded::Done(Verified::ExitStatus));
    }
    let loaded = (main, &mut loading);
    let pid = new_process(context, how, before, loaded, deadline).await?;
    Ok(Reloaded::Done(Verified::NewProcess { pid }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_says_is_read() {
        for (output, active, main) in [
            ("MainPID=1234\nActiveState=active\n", true, Some(1234)),
            ("ActiveState=reloading\nMainPID=1\n", true, Some(1)),
            ("MainPID=0\nActiveState=inactive\n", false, None),
            ("MainPID=0\nActiveState=failed\n", false, None),
            ("", false, None),
        ] {
            assert_eq!(Unit::parse(output), Unit { active, main }, "{output}");
        }
    }
}
