//! What is looked at in several steps: that HAProxy was replaced, that its page of statistics
//! knows everybody, that old processes finish, and above all that no request fails.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::{SOON, Story, talk};
use crate::apply::Outcome;
use crate::cycle::Report;
use crate::demo::client::{Client, Report as Requests};

/// Between steps: the clients go on, and the spectator reads.
const BREATH: Duration = Duration::from_millis(1800);

/// Ports are free when they are chosen and may be taken when HAProxy binds them.
const ATTEMPTS: usize = 4;
/// Why the files of a turn do not serve.
pub(super) struct NotServing(pub(super) String);

impl<Turn: AsyncFn() -> Result<Report>> Story<'_, '_, Turn> {
    /// A turn that brings HAProxy to another file: shows the difference, and who serves now.
    pub(super) async fn reload(&mut self) -> Result<Result<(), NotServing>> {
        let began = Instant::now();
        let report = (self.turn)().await?;
        let took = began.elapsed();
        if let Some(warning) = report.plan.warnings.first() {
            bail!("expected a turn without a warning, found: {warning}");
        }
        let how = match report.outcome {
            Outcome::Applied { how, .. } => how,
            Outcome::ReloadFailed { error, .. } => return Ok(Err(NotServing(error))),
            other => bail!("expected HAProxy to be brought to another file, found {other:?}"),
        };
        let installed = self.stage.installed()?;
        ensure!(
            self.screen.diff(&self.shown, &installed)?,
            "expected another file than before, found the same"
        );
        self.shown = installed;
        let Some(serving) = self.stage.serving() else {
            bail!("expected a process of HAProxy in the pid file, found none");
        };
        ensure!(
            !self.processes.contains(&serving),
            "expected a new process of HAProxy, found {serving}, which served before"
        );
        self.processes.push(serving);
        self.screen.tick(format!("{how}, {took:.1?}"))?;
        Ok(Ok(()))
    }

    /// A turn that tells the running HAProxy of its servers, and how long it took: the process stays.
    pub(super) async fn told(&mut self) -> Result<Duration> {
        let began = Instant::now();
        let report = (self.turn)().await?;
        let took = began.elapsed();
        let Outcome::Applied {
            reloaded: false, ..
        } = report.outcome
        else {
            bail!(
                "expected HAProxy to be told of its servers, found {:?}",
                report.outcome
            );
        };
        let serving = self.serving()?;
        ensure!(
            self.stage.serving() == Some(serving),
            "expected process {serving} of HAProxy to go on, found {:?}",
            self.stage.serving()
        );
        Ok(took)
    }

    /// The same, with what it changed in the file.
    pub(super) async fn told_for_all_to_see(&mut self) -> Result<()> {
        let took = self.told().await?;
        let installed = self.stage.installed()?;
        self.screen.diff(&self.shown, &installed)?;
        self.shown = installed;
        let serving = self.serving()?;
        self.screen.tick(format!(
            "HAProxy was told at runtime and is the same process (pid {serving}), {took:.1?}"
        ))?;
        Ok(())
    }

    /// The process that was seen to serve last.
    pub(super) fn serving(&self) -> Result<u32> {
        let last = self.processes.last().copied();
        last.context("expected a process of HAProxy, found none")
    }

    pub(super) fn try_other_ports(&mut self, attempt: usize, refused: &NotServing) -> Result<()> {
        let NotServing(error) = refused;
        ensure!(
            attempt < ATTEMPTS,
            "expected HAProxy to serve, found {attempt} times: {error}"
        );
        self.screen.say(format!(
            "HAProxy did not serve ({error}); once more, with other ports"
        ))?;
        Ok(())
    }

    /// Lets the clients go on for a while, and tells how they fare.
    pub(super) async fn pause(&mut self) -> Result<()> {
        tokio::time::sleep(BREATH).await;
        let mut all = Requests::default();
        for traffic in &self.traffic {
            let report = traffic.client.report();
            nobody_failed(traffic.label, &report)?;
            all.absorb(&report);
        }
        self.screen.say(talk::so_far(&all))?;
        Ok(())
    }

    pub(super) fn kept_web(&self) -> &Client {
        &self.traffic[0].client
    }

    pub(super) fn fresh_web(&self) -> &Client {
        &self.traffic[1].client
    }

    /// Who does not serve any more, and is still there for what it began.
    pub(super) fn tell_old_processes(&mut self) -> Result<()> {
        let old = self.old_processes();
        if !old.is_empty() {
            self.screen.say(talk::old_processes(&old))?;
        }
        Ok(())
    }

    fn old_processes(&self) -> Vec<u32> {
        let mut alive = self.stage.haproxies();
        alive.retain(|pid| self.processes.last() != Some(pid));
        alive.sort_unstable();
        alive
    }

    pub(super) async fn old_processes_end(&mut self) -> Result<()> {
        let began = Instant::now();
        loop {
            let old = self.old_processes();
            if old.is_empty() {
                break;
            }
            ensure!(
                began.elapsed() < SOON,
                "expected the old processes of HAProxy to end, found {old:?} after {SOON:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let (old, [serving]) = self.processes.split_at(self.processes.len() - 1) else {
            bail!("expected a process of HAProxy, found none");
        };
        let (who, have) = match old.len() {
            1 => ("the old process".to_owned(), "has ended by itself"),
            count => (
                format!("the {count} old processes"),
                "have ended by themselves",
            ),
        };
        self.screen
            .tick(format!("{who} of HAProxy {have}; {serving} serves"))?;
        Ok(())
    }

    /// The page of statistics lists the sections of the installed file.
    pub(super) async fn look_at_stats(&mut self) -> Result<()> {
        let Some(address) = self.play.stats else {
            self.screen
                .say("the header of --template-dir says where the page of statistics is")?;
            return Ok(());
        };
        let url = talk::stats_url(address);
        let page = stats_page(&url)
            .await
            .with_context(|| format!("the page of statistics {url} cannot be read"))?;
        let sections = self
            .shown
            .lines()
            .filter_map(|line| line.strip_prefix("backend "));
        for section in sections {
            ensure!(
                page.contains(section),
                "expected `{section}` on the page of statistics {url}, found no mention"
            );
        }
        self.screen.tick(format!("stats page: {url}"))?;
        Ok(())
    }
}

async fn stats_page(url: &str) -> Result<String> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(SOON)
        .build()?;
    let answer = client.get(url).send().await?;
    Ok(answer.error_for_status()?.text().await?)
}

pub(super) fn nobody_failed(label: &str, report: &Requests) -> Result<()> {
    let Some(first) = report.incidents.first() else {
        return Ok(());
    };
    bail!(
        "expected no failed request, found {} of `{label}`; the first after {:.1?}: {}",
        report.failed(),
        first.at,
        first.failure
    );
}
