//! The demo: what the program does for a cluster, step by step, on a HAProxy that really serves.
//!
//! In come a [`Stage`], a [`Screen`], and one turn of the program as a closure, so that what is
//! shown is what runs in earnest; out goes what was seen, sentence by sentence. Everything that is
//! shown with a tick was checked, and the first thing that does not come true ends the story.

mod cast;
mod screen;
mod stage;
mod talk;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

pub use screen::{Screen, paint_of_standard_output};
pub use stage::Stage;

use super::client::{Client, Report as Requests};
use super::free_ports;
use super::marathon::{Marathon, TaskState};
use crate::apply::Outcome;
use crate::cycle::Report;
use cast::{DemoApp, Kind, Tally, Traffic};

/// For everything that takes a moment when all is well.
const SOON: Duration = Duration::from_secs(10);

/// Between steps: the clients go on, and the spectator reads.
const BREATH: Duration = Duration::from_millis(1800);

/// Ports are free when they are chosen and may be taken when HAProxy binds them.
const ATTEMPTS: usize = 4;

/// Which instance of web leaves, counted from 0. It is there from the start, so that clients have
/// connections to it.
const LEAVING: usize = 1;

/// Answers after which a connection that is made anew would have met every instance.
const MANY: u64 = 100;

/// An instance that has heard nothing for so long has done its work.
const QUIET: Duration = Duration::from_millis(300);

/// What is left of the story when it has ended well: it may go on running.
pub struct Play {
    marathon: Marathon,
    apps: Vec<DemoApp>,
    stats: Option<SocketAddr>,
}

/// Tells the whole story. `turn` is one turn of the program, with the configuration that the stage
/// was set for.
///
/// # Errors
/// The first thing that did not come true, and where.
pub async fn tell(
    stage: &Stage,
    screen: &mut Screen<'_>,
    marathon: Marathon,
    turn: impl AsyncFn() -> Result<Report>,
) -> Result<Play> {
    let mut story = Story {
        stage,
        screen,
        turn,
        web: DemoApp::start("/shop/web", Kind::Http, 2)?,
        orders: DemoApp::start("/shop/orders", Kind::Tcp, 2)?,
        play: Play {
            marathon,
            apps: Vec::new(),
            stats: None,
        },
        traffic: Vec::new(),
        shown: String::new(),
        processes: Vec::new(),
    };
    if let Err(error) = story.all_steps().await {
        let position = story.screen.position();
        // The error itself matters more than that nobody can read it here.
        let _ = story.screen.cross(format!("{error:#}"));
        return Err(error.context(format!("the demo failed {position}")));
    }
    Ok(story.end())
}

struct Story<'a, 'out, Turn> {
    stage: &'a Stage,
    screen: &'a mut Screen<'out>,
    turn: Turn,
    web: DemoApp,
    orders: DemoApp,
    play: Play,
    traffic: Vec<Traffic>,
    /// The file that HAProxy runs.
    shown: String,
    /// Every process of HAProxy that served, in this order.
    processes: Vec<u32>,
}

/// Why the files of a turn do not serve.
struct NotServing(String);

impl<Turn: AsyncFn() -> Result<Report>> Story<'_, '_, Turn> {
    async fn all_steps(&mut self) -> Result<()> {
        self.first_configuration().await?;
        self.pause().await?;
        self.scale_up().await?;
        self.pause().await?;
        self.a_task_leaves().await?;
        self.pause().await?;
        self.a_new_app().await?;
        self.pause().await?;
        self.nothing_happens().await?;
        self.pause().await?;
        self.ending().await
    }

    async fn first_configuration(&mut self) -> Result<()> {
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
        self.screen.tick(format!(
            "requests through HAProxy are answered by {}; clients send more from now on",
            talk::list(&all)
        ))?;
        self.look_at_stats().await
    }

    async fn scale_up(&mut self) -> Result<()> {
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

    async fn a_task_leaves(&mut self) -> Result<()> {
        self.screen.step("A task leaves and loses nothing")?;
        let name = self.web.names().swap_remove(LEAVING);
        let task = self.web.task(&self.play.marathon, LEAVING)?;
        self.play.marathon.begin_kill(&task)?;
        self.screen.say(format!(
            "Marathon: a task of {} is told to end (TASK_KILLING): {}",
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
            "asked to end, {name} answered its last {}, closed its connections and was gone after \
             {:.1?}",
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

    async fn a_new_app(&mut self) -> Result<()> {
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

    async fn nothing_happens(&mut self) -> Result<()> {
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

    async fn ending(&mut self) -> Result<()> {
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

    fn end(self) -> Play {
        let mut play = self.play;
        play.apps.splice(0..0, [self.web, self.orders]);
        play
    }
}

/// What the steps have in common.
impl<Turn: AsyncFn() -> Result<Report>> Story<'_, '_, Turn> {
    /// A turn that brings HAProxy to another file: shows the difference, and who serves now.
    async fn reload(&mut self) -> Result<Result<(), NotServing>> {
        let began = Instant::now();
        let report = (self.turn)().await?;
        let took = began.elapsed();
        if let Some(warning) = report.plan.warnings.first() {
            bail!("expected a turn without a warning, found: {warning}");
        }
        let how = match report.outcome {
            Outcome::Applied { how } => how,
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

    async fn reload_for_certain(&mut self) -> Result<()> {
        match self.reload().await? {
            Ok(()) => Ok(()),
            Err(NotServing(error)) => bail!("expected HAProxy to run the new file, found: {error}"),
        }
    }

    fn try_other_ports(&mut self, attempt: usize, refused: &NotServing) -> Result<()> {
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
    async fn pause(&mut self) -> Result<()> {
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

    fn kept_web(&self) -> &Client {
        &self.traffic[0].client
    }

    fn fresh_web(&self) -> &Client {
        &self.traffic[1].client
    }

    /// Who does not serve any more, and is still there for what it began.
    fn tell_old_processes(&mut self) -> Result<()> {
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

    async fn old_processes_end(&mut self) -> Result<()> {
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
        self.screen.tick(format!(
            "the {} old processes of HAProxy have ended by themselves; {serving} serves",
            old.len()
        ))?;
        Ok(())
    }

    /// The page of statistics lists the sections of the installed file.
    async fn look_at_stats(&mut self) -> Result<()> {
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
            .filter_map(|line| line.strip_prefix("listen "));
        for section in sections {
            ensure!(
                page.contains(section),
                "expected `{section}` on the page of statistics {url}, found no mention"
            );
        }
        self.screen.tick(format!(
            "page of statistics: {url} (user admin, password admin)"
        ))?;
        Ok(())
    }
}

async fn stats_page(url: &str) -> Result<String> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(SOON)
        .build()?;
    let answer = client
        .get(url)
        .basic_auth("admin", Some("admin"))
        .send()
        .await?;
    Ok(answer.error_for_status()?.text().await?)
}

fn nobody_failed(label: &str, report: &Requests) -> Result<()> {
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

impl Play {
    /// Says what can be done with what runs on.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn invite(&self, stage: &Stage, screen: &mut Screen<'_>) -> io::Result<()> {
        for line in talk::invitation(self, stage) {
            screen.say(line)?;
        }
        Ok(())
    }
}
