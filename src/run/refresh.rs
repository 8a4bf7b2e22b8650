//! `refresh`, and the bash bridge's `refresh_system_haproxy`: one turn.

use std::mem::{self, ManuallyDrop};
use std::process::ExitCode;
use std::time::SystemTime;

use anyhow::Result;
use tracing::{error, info};

use super::certificates::{Known, Renewal, known, named, were_read};
use super::lock::{installation, lock};
use super::stages::stages;
use super::tell;
use super::turn::{Memory, Turn, haproxy, host, save};
use crate::apply::{Installation, LocalHaproxy, Outcome};
use crate::config::Config;
use crate::cycle::Report;
use crate::disk::OsDisk;
use crate::resolve::{Resolver, System};
use crate::state::{Folder, State, Time};

pub(super) async fn refresh(config: &Config) -> Result<ExitCode> {
    let Some((turn, renewed)) = one_turn(config).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    tell::warnings(&turn);
    if let Some(held) = tell::held(&turn) {
        held.say();
    }
    let outcome = tell::outcome(&turn, config);
    outcome.say();
    if let Err(error) = &renewed {
        error!("{error:#}");
    }
    let is_good = outcome.is_good() && turn.report.plan.held.is_none() && renewed.is_ok();
    // The process ends: to give everything back piece by piece costs a fifth of a large run.
    drop(outcome);
    mem::forget(turn);
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Everything that a turn needs, the turn, and what is to be remembered of it; beside it, whether HAProxy
/// shows the certificates that were renewed. `None` where a watcher does the work.
pub(super) async fn one_turn(config: &Config) -> Result<Option<(Turn, Result<()>)>> {
    let haproxy = haproxy(config).await;
    let folder = Folder::of(&config.state.dir, &config.haproxy.config);
    if haproxy.is_err() && !folder.path().exists() {
        // Nothing is written where there was never a HAProxy.
        return haproxy.map(|_| None);
    }
    let lock = match lock(config, &folder).await? {
        Ok(lock) => lock,
        Err(watcher) => {
            info!(
                "`{}` is kept in step by a watcher (pid {}): nothing to do",
                config.haproxy.config.display(),
                watcher.pid
            );
            return Ok(None);
        }
    };
    let mut memory = Memory::open(folder);
    let now = Time::at(SystemTime::now());
    let result = match haproxy {
        Ok((program, version)) => {
            let local = LocalHaproxy::new(program, version, config, &OsDisk);
            let at = installation(config, memory.store.path(), lock.is_alone());
            only_turn(config, &local, &at, &mut memory, now).await
        }
        Err(error) => Err(error),
    };
    let (result, renewed) = match result {
        Ok((report, renewed)) => (Ok(report), renewed),
        Err(error) => (Err(error), Ok(())),
    };
    let turn = memory.ended(result, now)?;
    if let Err(error) = &renewed {
        memory.falls_short(error);
    }
    Ok(Some((turn, renewed)))
}

async fn only_turn(
    config: &Config,
    local: &LocalHaproxy<'_>,
    at: &Installation,
    memory: &mut Memory,
    now: Time,
) -> Result<(Report, Result<()>)> {
    memory.trust_if_read_only(at)?;
    let state = &mut memory.state;
    let resolver = Resolver::new(System, state.addresses.clone());
    // What it knows is given back by the end of the process, as in `refresh`.
    let mut stages =
        ManuallyDrop::new(stages(config, Some((resolver, config.policy.names))).await?);
    if let Some(address) = &state.last_good_marathon {
        stages.source.client.prefer(address);
    }
    if config.retry_now {
        if let Some(pending) = &mut state.pending {
            pending.next_try_at = now;
        }
        state.ask_again();
    }
    let began = SystemTime::now();
    let mut report = memory.turn(&mut stages, local, at, now).await?;
    let renewed = renew_certificates(local, at, memory, &mut report, began).await;
    Ok((report, renewed))
}

/// Has HAProxy show certificates that were renewed since it has read them, where the turn left it as it
/// was.
async fn renew_certificates(
    local: &LocalHaproxy<'_>,
    at: &Installation,
    memory: &mut Memory,
    report: &mut Report,
    began: SystemTime,
) -> Result<()> {
    let host = host(local, at);
    let Memory { store, state } = memory;
    let applied = state.applied.as_ref();
    let is_run = applied.is_some_and(|applied| !applied.unproved && applied.down.is_none());
    if !is_run || state.pending.is_some() || state.paused.is_some() {
        return Ok(());
    }
    let Some(cfg) = host.installed_cfg()? else {
        return Ok(());
    };
    if matches!(report.outcome, Outcome::Applied { reloaded: true, .. }) {
        were_read(&cfg, state, began);
        return Ok(());
    }
    let renewed = match known(&cfg, state) {
        Known::AsRead => return Ok(()),
        Known::Nothing => {
            were_read(&cfg, state, began);
            return Ok(());
        }
        Known::Renewed(renewed) => renewed,
    };
    let names = named(&renewed.files);
    let asked_at = SystemTime::now();
    let mut remember = |state: &State| save(store, state);
    let outcome = host
        .bring_again(&renewed.files, state, Time::at(asked_at), &mut remember)
        .await;
    match Renewal::of(outcome, &names)? {
        Renewal::Shown => were_read(&cfg, state, asked_at),
        Renewal::Left(outcome) => report.outcome = outcome,
    }
    Ok(())
}
