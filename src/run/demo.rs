//! `demo`: the story of `demo::story`, told with the same turn that `refresh` takes.
//!
//! It ends with 0 when all came true, with 1 when something did not, and by a signal with 128 and
//! its number, as a shell counts; while it only stays, a signal is the good end. Whatever ends it,
//! HAProxy and the private folder go with it.

use std::io;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::error;

use super::is_broken_pipe;
use super::refresh::one_turn;
use crate::config::{Config, LogLevel, Request};
use crate::demo::marathon::{Era, Marathon};
use crate::demo::story::{self, Play, Screen, Stage};
use crate::haproxy::program;

/// For `haproxy -v`.
const VERSION_LIMIT: Duration = Duration::from_secs(10);

/// Which Marathon is played.
const ERA: Era = Era::V1_11;

/// The story tells what goes well; the log speaks up only for the rest, unless it was asked.
pub(super) fn quieten(request: &Request, config: &mut Config) {
    if config.log.level == LogLevel::Info && !request.flags.has("log-level") {
        config.log.level = LogLevel::Warn;
    }
}

pub(super) async fn demo(mut config: Config) -> Result<ExitCode> {
    let stay = config.stay;
    // First of all, so that nothing is ever left behind.
    let mut interrupts = Interrupts::listen()?;
    config.haproxy.program = program::find(&config.haproxy.program)?;
    // Nobody watches here, and whoever watches this host knows nothing of the demo.
    config.watch.admin_socket = None;
    let marathon = Marathon::start(ERA).context("the built-in Marathon cannot be started")?;
    let stage = Stage::set(&mut config, &marathon.url())?;
    let mut out = io::stdout();
    let mut screen = Screen::new(&mut out, story::paint_of_standard_output());

    let end = tokio::select! {
        biased;
        interrupt = interrupts.next() => Ok(End::Interrupted(interrupt)),
        told = tell(&config, &stage, &mut screen, marathon) => told.map(End::Told),
    };
    let end = match end {
        Ok(End::Told(play)) if stay => stayed(play, &stage, &mut screen, &mut interrupts)
            .await
            .map(|()| ExitCode::SUCCESS),
        Ok(End::Told(_)) => Ok(ExitCode::SUCCESS),
        Ok(End::Interrupted(interrupt)) => screen
            .heading(&format!("\ninterrupted by {}", interrupt.name))
            .map(|()| ExitCode::from(interrupt.exit_code))
            .map_err(Into::into),
        Err(error) => Err(error),
    };
    match clean_up(stage, &mut screen) {
        // Whoever does not read on need not be told so twice.
        Err(error) if is_broken_pipe(&error) => (),
        Err(error) if end.is_err() => error!("{error:#}"),
        cleaned => cleaned?,
    }
    end
}

/// How the story ended.
enum End {
    Told(Play),
    Interrupted(Interrupt),
}

async fn tell(
    config: &Config,
    stage: &Stage,
    screen: &mut Screen<'_>,
    marathon: Marathon,
) -> Result<Play> {
    let program = &config.haproxy.program;
    let version = program::version(program, VERSION_LIMIT).await?;
    screen.heading("From Marathon to a HAProxy that serves it")?;
    screen.say(format!("HAProxy {version}: {}", program.display()))?;
    screen.say(format!(
        "Marathon {}: {}, built in, with a backend for each task",
        ERA.version(),
        marathon.url()
    ))?;
    screen.say(format!(
        "private folder: {}, removed at the end",
        stage.folder().display()
    ))?;
    story::tell(stage, screen, marathon, async || {
        match one_turn(config).await? {
            Some((turn, renewed)) => renewed.map(|()| turn.report),
            None => bail!("somebody else keeps the file of the demo in step"),
        }
    })
    .await
}

async fn stayed(
    play: Play,
    stage: &Stage,
    screen: &mut Screen<'_>,
    interrupts: &mut Interrupts,
) -> Result<()> {
    screen.heading("\nIt stays now: Ctrl-C ends it")?;
    play.invite(stage, screen)?;
    interrupts.next().await;
    screen.heading("")?;
    Ok(())
}

fn clean_up(stage: Stage, screen: &mut Screen<'_>) -> Result<()> {
    let folder = stage.folder().display().to_string();
    let ended = stage.clear()?;
    let noun = if ended == 1 { "process" } else { "processes" };
    screen.say(format!(
        "cleaned up: HAProxy stopped ({ended} {noun}), {folder} removed"
    ))?;
    Ok(())
}

/// A signal that asks for the end.
#[derive(Clone, Copy)]
struct Interrupt {
    name: &'static str,
    exit_code: u8,
}

/// Ctrl-C, a kill, and a terminal that is closed.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Interrupts {
    fn listen() -> Result<Self> {
        let listen = |kind| signal(kind).context("signals cannot be waited for");
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Interrupt {
        let (name, exit_code) = tokio::select! {
            _ = self.interrupt.recv() => ("SIGINT", 130),
            _ = self.terminate.recv() => ("SIGTERM", 143),
            _ = self.hangup.recv() => ("SIGHUP", 129),
        };
        Interrupt { name, exit_code }
    }
}
