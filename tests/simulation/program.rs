//! The program on the simulated host: what `refresh` does around a turn.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;
use haproxy_marathon_bridge::apply::{Balancer, FileSet, Host, Outcome};
use haproxy_marathon_bridge::cycle::Stages;
use haproxy_marathon_bridge::state::{LastTurn, State, Time, TurnOutcome, Writable};

use crate::cluster::{SimulatedDns, SimulatedMarathon};

/// The program while it runs; a cron job is one that ends after every turn.
pub(crate) struct Program {
    pub(crate) stages: Stages<SimulatedMarathon, SimulatedDns>,
    pub(crate) store: Writable,
    pub(crate) memory: State,
    /// Whether the last turn built nothing, although it had to read the answer.
    pub(crate) asked_for_the_same: bool,
}

impl Program {
    pub(crate) async fn turn<B: Balancer>(
        &mut self,
        host: &Host<'_, B>,
        now: Time,
        with_maps: bool,
    ) -> Result<Outcome> {
        let Self {
            stages,
            store,
            memory,
            asked_for_the_same,
        } = self;
        *asked_for_the_same = false;
        let mut remember = |memory: &State| drop(store.save(&host.disk, memory));
        let outcome = if with_maps {
            turn_with_maps(stages, host, memory, now, &mut remember).await
        } else {
            let report = stages.turn(host, memory, now, &mut remember).await;
            report.map(|report| {
                *asked_for_the_same = report.as_before && !stages.source.recognised;
                report.outcome
            })
        };
        if let Some((resolver, _)) = &stages.resolver {
            memory.addresses.clone_from(resolver.known());
        }
        memory.last_turn = Some(LastTurn {
            at: now,
            outcome: TurnOutcome::Failed,
            detail: None,
            warnings: Vec::new(),
            haproxy_warnings: Vec::new(),
            marathon: None,
            change: None,
            held: None,
        });
        remember(memory);
        outcome
    }
}

/// [`Stages::turn`] with maps, which no template set has so far.
async fn turn_with_maps<B: Balancer>(
    stages: &mut Stages<SimulatedMarathon, SimulatedDns>,
    host: &Host<'_, B>,
    memory: &mut State,
    now: Time,
    remember: &mut dyn FnMut(&State),
) -> Result<Outcome> {
    let installed = host.installed_cfg()?;
    let behind = host.cfg_behind(installed.as_deref(), memory);
    let plan = stages
        .plan_beside(installed.as_deref(), behind.as_deref(), memory, now)
        .await?;
    let files = add_maps(plan.files.cfg, host);
    let outcome = host.bring_to(&files, memory, now, remember).await?;
    if matches!(
        outcome,
        Outcome::Unchanged | Outcome::Applied { .. } | Outcome::NotRunning { .. }
    ) {
        let listens = plan.proxies.listens.iter();
        memory.incumbents = listens
            .map(|listen| (listen.owner.service_port, listen.owner.app.clone()))
            .collect();
    }
    Ok(outcome)
}

/// One map of all sections, and from time to time a second one.
fn add_maps<B>(mut cfg: String, host: &Host<'_, B>) -> FileSet {
    let sections: Vec<String> = cfg
        .lines()
        .filter_map(|line| line.strip_prefix("listen "))
        .filter(|title| *title != "stats")
        .map(str::to_owned)
        .collect();
    let mut maps = BTreeMap::new();
    let names = ["app2backend.map", "domain2backend.map"];
    let used = 1 + sections.len() % 2;
    cfg.push_str("\nfrontend by-name\n  bind 127.0.0.1:9\n");
    for name in &names[..used] {
        let path = host.at.cfg.with_file_name(name);
        writeln!(
            cfg,
            "  use_backend %[req.hdr(host),map({})]",
            path.display()
        )
        .expect("a String takes all text");
        let row = |title: &String| format!("{title} {title}\n");
        maps.insert((*name).to_owned(), sections.iter().map(row).collect());
    }
    FileSet { cfg, maps }
}
