//! The modes of the program, each a function that reads as what it does.
//!
//! In comes what the command line asked for; out go an exit code and what was said on the way:
//! 0 is success, 1 means that something could not be done, 2 is wrong usage.

mod access;
mod blame;
mod bridge;
mod certificates;
mod check;
mod compare;
mod demo;
mod diff;
mod doctor;
mod drain;
mod explain;
mod footprint;
mod generate;
mod install;
mod lock;
mod logged;
mod longhelp;
mod look;
mod marathon_lb;
mod pause;
mod refresh;
mod rollback;
mod servicerouter;
mod site;
mod stages;
mod status;
mod tell;
mod turn;
mod watch;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Serialize;
use tracing::{error, warn};

use crate::cli::{self, Invocation};
use crate::config::{self, CommandLine, Config, Mistakes, Policy, Request, System};
use crate::logging;

/// Carries out a command line; its first word is the name that the program was started under.
pub fn run(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = args.into_iter().collect();
    let invocation = match cli::parse(words.clone()) {
        Ok(invocation) => invocation,
        Err(usage) => {
            eprintln!("{}", usage.to_string().trim_end());
            return ExitCode::from(2);
        }
    };
    match invocation {
        Invocation::Print { text, exit } => {
            print(&text).map_or_else(|error| failed(&error), |()| exit.into())
        }
        Invocation::Completions(shell) => finish(print(&cli::completions(shell))),
        Invocation::Man => finish(
            cli::man()
                .context("the manual cannot be made")
                .and_then(|m| print(&m)),
        ),
        Invocation::Generate(request) => {
            configured(&request, |config| block_on(generate::generate(&config)))
        }
        Invocation::Refresh(request) => {
            configured(&request, |config| block_on(refresh::refresh(&config)))
        }
        Invocation::Watch(request) => {
            configured(&request, |config| block_on(watch::watch(config, &request)))
        }
        Invocation::Diff(request) => configured(&request, |config| block_on(diff::diff(&config))),
        Invocation::Check(request) => {
            configured(&request, |config| block_on(check::check(&config)))
        }
        Invocation::Explain { request, what } => configured(&request, |config| {
            block_on(async move { explain::explain(&config, &what).await })
        }),
        Invocation::Status(request) => configured(&request, |config| status::status(&config)),
        Invocation::Rollback(request) => {
            configured(&request, |config| block_on(rollback::rollback(&config)))
        }
        Invocation::Pause(request) => {
            configured(&request, |config| block_on(pause::pause(&config)))
        }
        Invocation::Resume(request) => {
            configured(&request, |config| block_on(pause::resume(&config)))
        }
        Invocation::Drain { request, what } => {
            configured(&request, |config| block_on(drain::drain(&config, &what)))
        }
        Invocation::Undrain { request, what } => {
            configured(&request, |config| block_on(drain::undrain(&config, &what)))
        }
        Invocation::Compare { request, other } => configured(&request, |config| {
            block_on(compare::compare(&config, &other))
        }),
        Invocation::Doctor(request) => doctor::doctor(&request),
        Invocation::Install(request) => install::install(&request, install::Extent::Native),
        Invocation::Uninstall(request) => install::uninstall(&request),
        Invocation::Demo(request) => adjusted(
            &request,
            |config| demo::quieten(&request, config),
            |config| block_on(demo::demo(config)),
        ),
        Invocation::Bridge(call) => bridge::call(call, &words),
        Invocation::MarathonLb(call) => marathon_lb::call(call),
        Invocation::Servicerouter(call) => servicerouter::call(call),
    }
}

/// Builds the configuration, sets up the log, and does the work.
fn configured(request: &Request, work: impl FnOnce(Config) -> Result<ExitCode>) -> ExitCode {
    adjusted(request, |_| (), work)
}

/// The same for a command that sees some of it in its own way.
fn adjusted(
    request: &Request,
    adjust: impl FnOnce(&mut Config),
    work: impl FnOnce(Config) -> Result<ExitCode>,
) -> ExitCode {
    let adjusted = |mut built: config::Built| {
        adjust(&mut built.config);
        built
    };
    carried_out(request, &System::host(), adjusted, work)
}

/// The same on a system that differs from this one as it is.
fn configured_on(
    request: &Request,
    system: &System,
    work: impl FnOnce(Config) -> Result<ExitCode>,
) -> ExitCode {
    carried_out(request, system, |built| built, work)
}

fn carried_out(
    request: &Request,
    system: &System,
    adjust: impl FnOnce(config::Built) -> config::Built,
    work: impl FnOnce(Config) -> Result<ExitCode>,
) -> ExitCode {
    let built = match config::build(request, system) {
        Ok(built) => adjust(built),
        Err(mistakes) => return wrong_values(request.policy, &mistakes),
    };
    if let Err(error) = logging::init(&built.config.log) {
        return failed(&error);
    }
    for warning in built.warnings {
        warn!("{warning}");
    }
    work(built.config).unwrap_or_else(|error| {
        if is_broken_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        error!("{error:#}");
        ExitCode::FAILURE
    })
}

/// Takes the file of options away from `system` where something is wrong; what that was where it is
/// the file alone.
fn passed_over(request: &Request, system: &mut System) -> Option<Mistakes> {
    let request = Request {
        needs_marathon: false,
        ..request.clone()
    };
    let mistakes = config::build(&request, system).err()?;
    options_are(system, None);
    config::build(&request, system).is_ok().then_some(mistakes)
}

/// From now on the file of options reads as `text`, or is not there.
fn options_are(system: &mut System, text: Option<String>) {
    let missing = || io::Error::from(io::ErrorKind::NotFound);
    let file = system.default_file.clone();
    let before = std::mem::replace(&mut system.read, Box::new(move |_| Err(missing())));
    system.read = Box::new(move |path| {
        if path != file {
            return before(path);
        }
        text.clone().ok_or_else(missing)
    });
}

/// Runs `work` to its end. A name lookup that hangs in the system's resolver holds a thread that
/// nobody can stop, and must not hold the program.
fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")?;
    let result = runtime.block_on(work);
    runtime.shutdown_timeout(Duration::ZERO);
    result
}

/// Writes all of `text` to standard output.
fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .context("standard output cannot be written")
}

/// For machines, with a line end behind it.
fn json(object: &impl Serialize) -> Result<String> {
    let mut text = serde_json::to_string_pretty(object)?;
    text.push('\n');
    Ok(text)
}

fn finish(result: Result<()>) -> ExitCode {
    result.map_or_else(|error| failed(&error), |()| ExitCode::SUCCESS)
}

/// For what fails before there is a log.
fn failed(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        return ExitCode::SUCCESS;
    }
    eprintln!("{}: {error:#}", cli::PROGRAM);
    ExitCode::FAILURE
}

/// In the words of a predecessor where it had some, which began with no name.
fn wrong_values(policy: &Policy, mistakes: &Mistakes) -> ExitCode {
    match policy.command_line {
        CommandLine::Native | CommandLine::Bridge => eprintln!("{}: {mistakes}", cli::PROGRAM),
        CommandLine::MarathonLb | CommandLine::Servicerouter => eprintln!("{mistakes}"),
    }
    ExitCode::from(policy.wrong_value)
}

/// A reader that has seen enough, like `head`, is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let is = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(is))
}
