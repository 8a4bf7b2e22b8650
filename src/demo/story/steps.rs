//! The steps: what happens in the cluster, and what has to come of it.

use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::cast::{DemoApp, Kind, Tally, Traffic};
use super::proof::nobody_failed;
use super::{SOON, Story, talk};
use crate::apply::Outcome;
use crate::cycle::Report;
use crate::demo::free_ports;
use crate::demo::marathon::TaskState;

/// Which instance of web leaves, counted from 0. It is there from the start, so that clients have
/// connections to it.
const LEAVING: usize = 1;

/// Answers after which a connection that is made anew would have met every instance.
const MANY: u64 = 100;

/// An instance that has heard nothing for so long has done its work.
const QUIET: Duration = Duration::from_millis(300);
impl<Turn: AsyncFn() -> Result<Report>> Story<'_, '_, Turn> {
    pub(super) async fn first_configuration(&mut self) -> Result<()> {
        self.screen
            .step("Two apps run, and HAProxy gets its first configuration")?;
        for attempt in 1.. {
            let ports = free_ports(3).context("there are no free ports")?;
            self.web.deploy(&self.play.marathon, ports[0]);
            self.orders.deploy(&self.play.marathon, ports[1]);
            let has_stats = self.stage.place_stats(ports[2])?;
            self.play.stats = has_stats.then(|| (Ipv4Addr::LOCALHOST, ports[2]).into());
            for app in [&self.web, &self.orders] {
                self.screen.say(talk::app(app))?;
            }
            match self.reload().await? {
                Ok(()) => break,
                Err(refused) => self.try_other_ports(attempt, &refused)?,
            }
        }
        let (web, orders) = (self.web.address(), self.orders.address());
        // First, so that the load balancer spreads these over the instances.
        let kept = Traffic::kept("web, connections kept", web)?;
        let names = self.web.names();
        kept.client.answered_by_each(&names, SOON).await?;
        self.traffic.push(kept);
        let fresh = Traffic::http("web, a connection each", web)?;
        fresh.client.answered_by_each(&names, SOON).await?;
        self.traffic.push(fresh);
        let lines = Traffic::tcp("orders, a connection each", orders)?;
        lines
            .client
            .answered_by_each(&self.orders.names(), SOON)
            .await?;
        self.traffic.push(lines);
        let mut all = names;
        all.extend(self.orders.names());
        self.screen
            .tick(format!("{} answer through HAProxy", talk::list(&all)))?;
        self.screen
            .say("from now on clients send requests all along")?;
        self.look_at_stats().await
    }

    pub(super) async fn scale_up(&mut self) -> Result<()> {
        self.screen.step("An app is scaled up")?;
        let new = self.web.scale_up(&self.play.marathon, 2)?;
        self.screen.say(format!(
            "Marathon: {} has {} tasks more: {}",
            self.web.id(),
            new.len(),
            self.web.addresses(&new)
        ))?;
        self.reload_for_certain().await?;
        self.fresh_web()
            .answered_by_each(&self.web.names(), SOON)
            .await?;
        self.screen.tick(format!(
            "{} answer too, and the others still do",
            talk::list(&new)
        ))?;
        self.tell_old_processes()
    }

    pub(super) async fn a_task_leaves(&mut self) -> Result<()> {
        self.screen.step("A task leaves and loses nothing")?;
        let name = self.web.names().swap_remove(LEAVING);
        let task = self.web.task(&self.play.marathon, LEAVING)?;
        self.play.marathon.begin_kill(&task)?;
        self.screen.say(format!(
            "Marathon: {} loses a task (TASK_KILLING): {}",
            self.web.id(),
            self.web.addresses(std::slice::from_ref(&name))
        ))?;
        self.reload_for_certain().await?;
        self.no_new_work_for(&name).await?;

        let began = Instant::now();
        let backend = self.web.backend(LEAVING);
        backend.drain(QUIET, SOON).await?;
        let load = backend.load();
        ensure!(
            load.in_flight == 0,
            "expected {name} to have no work left, found {} requests in flight",
            load.in_flight
        );
        backend.stop();
        self.play.marathon.end_task(&task, TaskState::Killed)?;
        self.screen.tick(format!(
            "{name} answered its last {}, closed its connections and ended, {:.1?}",
            talk::requests(load.late),
            began.elapsed()
        ))?;
        self.fresh_web().answered_more(MANY, SOON).await?;
        self.tell_old_processes()
    }

    /// Connections that are made now go elsewhere; those that are open are served on.
    async fn no_new_work_for(&mut self, name: &str) -> Result<()> {
        let fresh = self.fresh_web();
        // What the old process had taken in before it stopped listening is through after these.
        fresh.answered_more(MANY / 5, SOON).await?;
        let before = fresh.report();
        let kept_before = self.kept_web().report().answers_of(name);
        fresh.answered_more(MANY, SOON).await?;
        let after = fresh.report();
        let new = after.answers_of(name) - before.answers_of(name);
        let of = after.answered - before.answered;
        ensure!(
            new == 0,
            "expected no new connection for {name}, found {new} of {of}"
        );
        self.screen.tick(format!(
            "no new connection reaches {name}: 0 of the next {of}"
        ))?;
        let on_open = self.kept_web().report().answers_of(name) - kept_before;
        ensure!(
            on_open > 0,
            "expected {name} to answer on connections that were open, found no answer"
        );
        self.screen.tick(format!(
            "open connections are not cut: {name} answered {} on them",
            talk::requests(on_open)
        ))?;
        Ok(())
    }

    pub(super) async fn a_new_app(&mut self) -> Result<()> {
        self.screen.step("A new app is deployed")?;
        let mut mail = DemoApp::start("/shop/mail", Kind::Tcp, 2)?;
        for attempt in 1.. {
            let ports = free_ports(1).context("there are no free ports")?;
            mail.deploy(&self.play.marathon, ports[0]);
            self.screen.say(talk::app(&mail))?;
            match self.reload().await? {
                Ok(()) => break,
                Err(refused) => self.try_other_ports(attempt, &refused)?,
            }
        }
        let traffic = Traffic::tcp("mail, a connection each", mail.address())?;
        traffic.client.answered_by_each(&mail.names(), SOON).await?;
        self.traffic.push(traffic);
        self.screen
            .tick(format!("{} answer", talk::list(&mail.names())))?;
        self.play.apps.push(mail);
        self.look_at_stats().await
    }

    pub(super) async fn nothing_happens(&mut self) -> Result<()> {
        self.screen
            .step("Nothing has changed, so nothing is touched")?;
        let look = || -> io::Result<_> {
            let facts = fs::metadata(self.stage.cfg())?;
            Ok((facts.ino(), facts.modified()?, self.stage.serving()))
        };
        let before = look()?;
        let began = Instant::now();
        let report = (self.turn)().await?;
        let took = began.elapsed();
        ensure!(
            report.outcome == Outcome::Unchanged,
            "expected a turn without a change, found {:?}",
            report.outcome
        );
        let after = look()?;
        ensure!(
            before == after,
            "expected file and process to stay, found {after:?} after {before:?}"
        );
        self.screen.tick(format!(
            "another turn left file and process alone, {took:.1?}"
        ))?;
        Ok(())
    }

    pub(super) async fn ending(&mut self) -> Result<()> {
        self.screen
            .step("The clients stop, and the sums are right")?;
        let mut tallies = Vec::new();
        for traffic in self.traffic.drain(..) {
            let report = traffic.client.stop().await;
            tallies.push(Tally {
                label: traffic.label,
                report,
            });
        }
        for line in talk::table(&tallies) {
            self.screen.say(line)?;
        }
        for tally in &tallies {
            ensure!(
                tally.report.answered > 0,
                "expected answers for `{}`, found none",
                tally.label
            );
            nobody_failed(tally.label, &tally.report)?;
        }
        self.screen.tick("no request failed")?;
        self.old_processes_end().await?;
        let took = self.screen.elapsed();
        self.screen
            .tick(format!("all came true in {:.1} s", took.as_secs_f64()))?;
        Ok(())
    }
}
