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
use crate::cycle;
use crate::demo::client::Report;
use crate::demo::free_ports;
use crate::demo::marathon::TaskState;

/// Which instance of web leaves, counted from 0. It is there from the start, so that clients have
/// connections to it.
const LEAVING: usize = 1;

/// How often a task comes and another goes.
const ROUNDS: u32 = 5;

/// Answers after which a connection that is made anew would have met every instance.
const MANY: u64 = 100;

/// An instance that has heard nothing for so long has done its work.
const QUIET: Duration = Duration::from_millis(300);
impl<Turn: AsyncFn() -> Result<cycle::Report>> Story<'_, '_, Turn> {
    pub(super) async fn first_configuration(&mut self) -> Result<()> {
        self.screen
            .step("Two apps run, and HAProxy gets its first configuration")?;
        for attempt in 1.. {
            let ports = free_ports(5).context("there are no free ports")?;
            self.web.deploy(&self.play.marathon, ports[0]);
            self.orders.deploy(&self.play.marathon, ports[1]);
            let has_stats = self.stage.place([ports[2], ports[3], ports[4]])?;
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
        self.told_for_all_to_see().await?;
        self.fresh_web()
            .answered_by_each(&self.web.names(), SOON)
            .await?;
        self.screen.tick(format!(
            "{} answer too, and the others still do",
            talk::list(&new)
        ))?;
        Ok(())
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
        self.told_for_all_to_see().await?;
        self.no_new_work_for(&name).await?;

        let began = Instant::now();
        self.ends(LEAVING, &task).await?;
        self.screen.tick(format!(
            "{name} answered its last request, closed its connections and ended, {:.1?}",
            began.elapsed()
        ))?;
        self.fresh_web().answered_more(MANY, SOON).await?;
        Ok(())
    }

    /// An instance to which nothing is sent any more, and its task.
    async fn ends(&mut self, position: usize, task: &str) -> Result<()> {
        let backend = self.web.backend(position);
        backend.drain(QUIET, SOON).await?;
        let (name, load) = (backend.name().to_owned(), backend.load());
        ensure!(
            load.in_flight == 0,
            "expected {name} to have no work left, found {} requests in flight",
            load.in_flight
        );
        self.web.stop(position);
        self.play.marathon.end_task(task, TaskState::Killed)?;
        Ok(())
    }

    /// Requests that come now go elsewhere, also those on connections that were open.
    async fn no_new_work_for(&mut self, name: &str) -> Result<()> {
        let (fresh, kept) = (self.fresh_web(), self.kept_web());
        // What was under way is through after these.
        for client in [fresh, kept] {
            client.answered_more(MANY / 5, SOON).await?;
        }
        let before = [fresh.report(), kept.report()];
        fresh.answered_more(MANY, SOON).await?;
        let after = [fresh.report(), kept.report()];
        let sum = |reports: &[Report; 2], of: &dyn Fn(&Report) -> u64| -> u64 {
            reports.iter().map(of).sum()
        };
        let more = |of: &dyn Fn(&Report) -> u64| sum(&after, of) - sum(&before, of);
        let (new, of) = (more(&|r| r.answers_of(name)), more(&|r| r.answered));
        ensure!(
            new == 0,
            "expected no request for {name}, found {new} of {of}"
        );
        self.screen.tick(format!(
            "no request reaches {name}: 0 of the next {of}, also on connections that were open"
        ))?;
        Ok(())
    }

    /// What costs a reload elsewhere, again and again.
    pub(super) async fn tasks_come_and_go(&mut self) -> Result<()> {
        self.screen
            .step("Tasks come and go, and HAProxy stays the same process")?;
        let before = self.requests()?;
        let pid = self.stage.serving().context("HAProxy does not run")?;
        let mut took = Duration::ZERO;
        for _ in 0..ROUNDS {
            let new = self.web.scale_up(&self.play.marathon, 1)?;
            took += self.told().await?;
            let client = self.fresh_web();
            client.answered_by_each(&new, SOON).await?;
            let task = self.web.task(&self.play.marathon, 0)?;
            self.play.marathon.begin_kill(&task)?;
            took += self.told().await?;
            self.ends(0, &task).await?;
        }
        self.shown = self.stage.installed()?;
        let after = self.stage.serving().context("HAProxy does not run")?;
        ensure!(
            after == pid,
            "expected process {pid} of HAProxy to go on, found {after}"
        );
        self.screen.tick(format!(
            "{ROUNDS} tasks came and {ROUNDS} went, {:.1?} for each",
            took / (2 * ROUNDS)
        ))?;
        self.screen.tick(format!(
            "HAProxy was process {pid} before and is process {after} now"
        ))?;
        let answered = self.requests()? - before;
        self.screen
            .tick(format!("{answered} requests answered meanwhile, 0 lost"))?;
        Ok(())
    }

    /// How many were answered, where none was lost.
    fn requests(&self) -> Result<u64> {
        let mut answered = 0;
        for traffic in &self.traffic {
            let report = traffic.client.report();
            nobody_failed(traffic.label, &report)?;
            answered += report.answered;
        }
        Ok(answered)
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
        self.tell_old_processes()?;
        // One that stayed would answer for the page of statistics, too.
        self.old_processes_end().await?;
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
        let took = self.screen.elapsed();
        self.screen
            .tick(format!("all came true in {:.1} s", took.as_secs_f64()))?;
        Ok(())
    }
}
