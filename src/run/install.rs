//! `install`, the calls of the bash script of that kind, and `uninstall`: the plan, told or carried
//! out.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::rc::Rc;

use anyhow::{Context as _, Result};
use nix::unistd::Uid;
use tracing::{error, warn};

use super::{configured_on, options_are, passed_over, print};
use crate::cli;
use crate::config::option::{self, Command};
use crate::config::{self, Config, DEFAULT_FILE, Request, Schedule, System};
use crate::disk::{Digest, OsDisk};
use crate::install::{
    Action, Content, Facts, Look as _, Plan, Real, Removal, Step, Wish, all_copies, also_written,
    carry_out, install as plan_install, uninstall as plan_uninstall,
};
use crate::state::Folder;

/// In whose words, and how much, is installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// HAProxy, and our own commands.
    Native,
    /// HAProxy, and the bash script's line for cron.
    BridgeAndHaproxy,
    /// That line.
    Bridge,
}

pub(super) fn install(request: &Request, extent: Extent) -> ExitCode {
    let hosts: Vec<String> = request.marathons().map(str::to_owned).collect();
    let system = system(request, Command::Install);
    // What is installed would not read it.
    let other = request.file_named(&system);
    if let Some(file) = other.filter(|file| Path::new(file) != system.default_file) {
        eprintln!(
            "{}: `--config {file}`: found another file of options than `{DEFAULT_FILE}`, which what is \
             installed reads; put it there",
            cli::PROGRAM
        );
        return ExitCode::from(request.policy.wrong_value);
    }
    configured_on(request, &system, |config| {
        let site = Site::of(&config)?;
        let wish = Wish {
            options_name_marathons: config.install.file_names_marathons,
            hosts,
            schedule: match extent {
                Extent::Native => config.install.schedule(),
                Extent::BridgeAndHaproxy | Extent::Bridge => Some(Schedule::Cron),
            },
            as_bridge: extent != Extent::Native,
            haproxy: extent != Extent::Bridge,
            program: Content(site.program()?.into()),
            config: config.haproxy.config.clone(),
            state_dir: config.state.dir.clone(),
            also_written: also_written(&site.host, &config),
            installed: installed(&config, site.facts.is_tree),
            reload: config.reload.method,
            extra: config.templates.extra.clone(),
        };
        let plan = match plan_install(&site.facts, &wish) {
            Ok(plan) => plan,
            Err(why) => {
                error!("nothing was done: {why}");
                return Ok(ExitCode::FAILURE);
            }
        };
        site.follow(&plan, &config, |_, _| None)
    })
}

pub(super) fn uninstall(request: &Request) -> ExitCode {
    let mut system = system(request, Command::Uninstall);
    // Who wants to be rid of it need not mend its options first.
    let text = (system.read)(&system.default_file).unwrap_or_default();
    let broken = passed_over(request, &mut system);
    if broken.is_some() {
        places_of(&text, request, &mut system);
    }
    configured_on(request, &system, |config| {
        if let Some(mistakes) = broken {
            let (file, state) = (config.haproxy.config.display(), config.state.dir.display());
            warn!("{mistakes}; the file of options is passed over: `{file}` and `{state}` count");
        }
        let site = Site::of(&config)?;
        let removal = Removal {
            purge: config.install.purge,
            config: config.haproxy.config.clone(),
            state_dir: config.state.dir.clone(),
            copies: all_copies(&site.host, &config.haproxy.config),
        };
        let plan = plan_uninstall(&site.facts, &removal);
        site.follow(&plan, &config, |host, facts| {
            // One that could not be made is none.
            let is_there = |path: &PathBuf| host.is_there(path) || host.link(path).is_some();
            let mut removal = removal.clone();
            removal.copies.retain(is_there);
            Some(plan_uninstall(facts, &removal))
        })
    })
}

/// Of a file of options in which something else is wrong, where it says that what is to go lies.
fn places_of(text: &str, request: &Request, system: &mut System) {
    // What is wrong may be its form, so that no line is read with another one.
    let names_place = |line: &&str| {
        let keys = line.parse::<toml::Table>().unwrap_or_default();
        ["state-dir", "haproxy-config"]
            .iter()
            .any(|key| keys.contains_key(*key))
    };
    let lines: Vec<&str> = text.lines().filter(names_place).collect();
    options_are(system, Some(lines.join("\n")));
    // Not even these can be read.
    if config::build(request, system).is_err() {
        options_are(system, None);
    }
}

/// The host as whoever runs the program later will find it: variables of this shell are not there
/// then. With `--root` its files of options are those of the tree.
fn system(request: &Request, command: Command) -> System {
    let mut system = System::host();
    let counts = |name: &str| {
        let option = option::all().find(|option| option.variable() == name);
        option.is_none_or(|option| option.commands.contains(&command))
    };
    system
        .environment
        .retain(|name, _| name.to_str().is_none_or(&counts));
    let root = request.flags.of(option::ROOT).last();
    let root = root.map(|written| written.text.clone().into());
    let variable = option::named(option::ROOT).map(option::Definition::variable);
    let root: Option<PathBuf> = root.or_else(|| {
        let text = system.environment.get(std::ffi::OsStr::new(&variable?))?;
        (!text.is_empty()).then(|| text.into())
    });
    if let Some(root) = root {
        for path in [&mut system.default_file, &mut system.marathons] {
            *path = root.join(path.strip_prefix("/").unwrap_or(path));
        }
    }
    system
}

/// What turns of ours are known to have installed as `haproxy.cfg`. In a tree none was taken.
fn installed(config: &Config, is_tree: bool) -> Rc<[Digest]> {
    if is_tree {
        return Rc::new([]);
    }
    let folder = Folder::of(&config.state.dir, &config.haproxy.config);
    let (state, _) = folder.load(&OsDisk);
    let applied = state.applied.map(|applied| applied.cfg_hash);
    let pending = state.pending.map(|pending| pending.cfg_hash);
    [applied, pending, state.told]
        .into_iter()
        .flatten()
        .collect()
}

/// Where it is installed.
struct Site {
    host: Real,
    facts: Facts,
    /// The program that runs.
    program: PathBuf,
}

impl Site {
    fn of(config: &Config) -> Result<Self> {
        let host = Real::below(config.install.root.as_deref())?;
        let program = env::current_exe().context("this program cannot be found")?;
        let facts = Facts::of(&host, host.is_tree(), &program, &config.haproxy.program);
        Ok(Self {
            host,
            facts,
            program,
        })
    }

    fn program(&self) -> Result<Vec<u8>> {
        let path = self.program.display();
        fs::read(&self.program).with_context(|| format!("this program, `{path}`, cannot be read"))
    }

    /// Tells the plan or carries it out.
    /// `after` is the plan whose notes count once it was followed, where those are others.
    fn follow(
        mut self,
        plan: &Plan,
        config: &Config,
        after: impl FnOnce(&Real, &Facts) -> Option<Plan>,
    ) -> Result<ExitCode> {
        let Facts { system, init, .. } = &self.facts;
        print(&format!("{system}, {init}\n"))?;
        let may = Uid::effective().is_root() || self.facts.is_tree;
        if config.install.dry_run || !may {
            let steps = plan.rehearse(&self.host);
            for (action, step) in &steps {
                print(&line(action, step))?;
            }
            told(plan)?;
            if config.install.dry_run {
                return Ok(ExitCode::SUCCESS);
            }
            let is_to_do = |(_, step): &&(&Action, Step)| matches!(step, Step::ToDo(_));
            error!(
                "nothing was done: what is to do above ({} of {}) needs root; call this as root, \
                 with sudo for instance",
                steps.iter().filter(is_to_do).count(),
                steps.len()
            );
            return Ok(ExitCode::FAILURE);
        }
        let mut is_open = Ok(());
        let done = carry_out(plan, &mut self.host, &mut |action, step| {
            // A reader that went away must not end the work half-way.
            let printed = print(&line(action, &step));
            if is_open.is_ok() {
                is_open = printed;
            }
        });
        told(after(&self.host, &self.facts).as_ref().unwrap_or(plan))?;
        is_open?;
        if done.failed == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        if done.left == 0 {
            error!("{} failed, the rest was done", many(done.failed));
        } else {
            error!(
                "{} failed; {} done, {} left: call this again once that is mended, and it goes on \
                 from there",
                many(done.failed),
                many(done.done),
                many(done.left)
            );
        }
        Ok(ExitCode::FAILURE)
    }
}

fn many(number: usize) -> String {
    match number {
        1 => "1 action".to_owned(),
        many => format!("{many} actions"),
    }
}

fn told(plan: &Plan) -> Result<()> {
    for left in &plan.later {
        print(&format!("{:8}{left}\n", "later"))?;
    }
    for note in &plan.notes {
        print(&format!("{:8}{note}\n", "note"))?;
    }
    Ok(())
}

/// What an operator sees of an action; what a command printed stands below it.
fn line(action: &Action, step: &Step) -> String {
    let (word, told) = match step {
        Step::Begins => ("…", ""),
        Step::WasSo => ("is so", ""),
        Step::Kept(why) => ("kept", why.as_str()),
        Step::ToDo(told) => ("to do", told.as_str()),
        Step::Done(told) => ("done", told.as_str()),
        Step::Failed(why) => ("FAILED", why.as_str()),
        Step::Left => ("left", ""),
    };
    let mut text = format!("{word:8}{action}\n");
    for line in told.lines().filter(|line| !line.trim().is_empty()) {
        let _ = writeln!(text, "{:10}{line}", "");
    }
    text
}
