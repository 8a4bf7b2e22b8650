//! From what was given to what counts: options over environment over file over defaults.
//!
//! In come a request of the command line and the system it runs on; out goes a complete `Config`,
//! or all that is wrong with what was given, at once. Nothing outside of `System` is looked at, but for
//! the folder in which the program works.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::defaults::defaults;
use super::layers::{Layer, Mistake, Mistakes, Origin, Written};
use super::option::{self, Definition};
use super::without_effect::without_effect;
use super::{
    AutoPorts, CommandLine, Config, GroupRule, Install, Policy, ReloadCommand, ReloadMethod,
    access, environment, file,
};
use crate::disk;

/// The file that is read when none is named.
pub const DEFAULT_FILE: &str = "/etc/haproxy-marathon-bridge/config.toml";
/// The list of Marathons, where the bash bridge kept it.
pub const MARATHONS: &str = "/etc/haproxy-marathon-bridge/marathons";
/// Set by systemd for a unit with `StateDirectory=`; several are parted by colons.
const STATE_DIRECTORY: &str = "STATE_DIRECTORY";
/// Under DC/OS, the name of marathon-lb's own app.
const FRAMEWORK_NAME: &str = "FRAMEWORK_NAME";
/// What the variables begin with that replace templates.
const TEMPLATE_PREFIX: &str = "HAPROXY_";

/// What a command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The row of the command line that spoke.
    pub policy: &'static Policy,
    /// Whether a run without any Marathon makes no sense.
    pub needs_marathon: bool,
    /// What the command line itself gave.
    pub flags: Layer,
}

impl Request {
    /// The Marathons that the command line itself named.
    pub fn marathons(&self) -> impl Iterator<Item = &str> {
        self.flags
            .of(option::MARATHON)
            .iter()
            .map(|written| written.text.as_str())
    }

    /// The file of options that the command line or the environment names.
    #[must_use]
    pub fn file_named(&self, system: &System) -> Option<String> {
        let environment = environment::read(&system.environment).layer;
        let named = [&self.flags, &environment];
        let mut named = named
            .into_iter()
            .filter_map(|layer| layer.of(option::CONFIG).last());
        named.next().map(|written| written.text.clone())
    }
}

/// The permissions of a file.
pub type ModeOf = dyn Fn(&Path) -> Option<u32>;

/// Reads a whole file.
pub type ReadFile = dyn Fn(&Path) -> io::Result<String>;

/// All of the system that decisions depend on.
pub struct System {
    /// All variables.
    pub environment: BTreeMap<OsString, OsString>,
    /// Reads a whole file. One that is read again and again may be anything some day, so that this
    /// neither waits nor goes on without end.
    pub read: Box<ReadFile>,
    /// The permissions of a file that can be looked at.
    pub mode: Box<ModeOf>,
    /// [`DEFAULT_FILE`].
    pub default_file: PathBuf,
    /// [`MARATHONS`].
    pub marathons: PathBuf,
}

impl System {
    /// The one that this process runs on.
    #[must_use]
    pub fn host() -> Self {
        Self {
            environment: std::env::vars_os().collect(),
            read: Box::new(|path| disk::read_text(path, disk::LARGEST)),
            mode: Box::new(|path| Some(std::fs::metadata(path).ok()?.permissions().mode())),
            default_file: DEFAULT_FILE.into(),
            marathons: MARATHONS.into(),
        }
    }

    /// A variable, if it is text.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(&OsString::from(name))?.to_str()
    }
}

/// What was decided.
#[derive(Debug)]
pub struct Built {
    /// What counts.
    pub config: Config,
    /// What looks wrong but stops nothing, to be said once the log is set up.
    pub warnings: Vec<String>,
}

/// Decides.
///
/// # Errors
///
/// All that is wrong in options, environment and files, in this order of places: file,
/// environment, options.
pub fn build(request: &Request, system: &System) -> Result<Built, Mistakes> {
    let environment = environment::read(&system.environment);
    let mut mistakes = Vec::new();
    let file = read_file(&request.flags, &environment.layer, system, &mut mistakes);
    mistakes.extend(file.mistakes);

    let mut config = defaults(request.policy);
    if let Some(dir) = state_directory(system) {
        config.state.dir = dir;
    }
    let layers = Layers {
        weakest_first: [&file.layer, &environment.layer, &request.flags],
    };
    mistakes.extend(file.layer.apply(&mut config));
    // By line, whether the key, the type or the value is wrong.
    mistakes.sort_by_key(Mistake::line);
    mistakes.extend(environment.mistakes);
    mistakes.extend(environment.layer.apply(&mut config));
    mistakes.extend(request.flags.apply(&mut config));

    let may_lack_keys = !file.is_complete;
    if request.needs_marathon && !layers.have(option::MARATHON) && !may_lack_keys {
        mistakes.extend(read_marathons(&mut config, system));
    }
    config.install.file_names_marathons = file.layer.has(option::MARATHON);
    decide_reload(&mut config, &layers, &mut mistakes);
    decide_trust(&mut config, &layers);
    mistakes.extend(decide_schedule(&mut config, &layers));
    mistakes.extend(wrong_callbacks(&config, &layers));
    let mut warnings = environment.warnings;
    // The predecessors ask one whether it was named or not.
    let is_predecessor = !option::of_predecessor(request.policy.command_line).is_empty();
    if request.needs_marathon || is_predecessor {
        mistakes.extend(access::decide(&mut config, &layers, system, &mut warnings));
    }
    if request.policy.groups == GroupRule::Everything {
        config.groups = vec!["*".to_owned()];
    }
    mistakes.extend(wrong_auto_ports(config.apps.auto_ports));
    take_variables(&mut config, system);
    make_absolute(&mut config);
    // What asks no Marathon writes no file, and follows nobody. The predecessors have sets of templates of
    // their own, and may well find a file of options that is for another call.
    if request.needs_marathon && request.policy.command_line == CommandLine::Native {
        warnings.extend(without_effect(&config, &layers));
    }

    if !mistakes.is_empty() {
        return Err(Mistakes(mistakes));
    }
    Ok(Built { config, warnings })
}

/// What is said of an option in the strongest place that says anything of it, as it is written there,
/// whatever is wrong with others: for a look at how another call would decide.
#[must_use]
pub fn said(option: &str, request: &Request, system: &System) -> Option<String> {
    let environment = environment::read(&system.environment).layer;
    let file = read_file(&request.flags, &environment, system, &mut Vec::new());
    let layers = Layers {
        weakest_first: [&file.layer, &environment, &request.flags],
    };
    layers.text(option).map(str::to_owned)
}

/// A later layer wins over an earlier one.
pub(super) struct Layers<'a> {
    weakest_first: [&'a Layer; 3],
}

impl Layers<'_> {
    /// How strong the layer is that decides `option`.
    pub(super) fn strength(&self, option: &str) -> Option<usize> {
        self.weakest_first
            .iter()
            .rposition(|layer| layer.has(option))
    }

    fn have(&self, option: &str) -> bool {
        self.strength(option).is_some()
    }

    /// What the deciding layer says, and where.
    pub(super) fn written(&self, option: &str) -> Option<&Written> {
        self.weakest_first[self.strength(option)?].of(option).last()
    }

    /// What the deciding layer says.
    fn text(&self, option: &str) -> Option<&str> {
        Some(self.written(option)?.text.as_str())
    }
}

/// The first folder that systemd names.
fn state_directory(system: &System) -> Option<PathBuf> {
    system
        .variable(STATE_DIRECTORY)?
        .split(':')
        .find(|folder| !folder.is_empty())
        .map(PathBuf::from)
}

/// The file that is named, or the one at the usual place if it is there.
fn read_file(
    flags: &Layer,
    environment: &Layer,
    system: &System,
    mistakes: &mut Vec<Mistake>,
) -> file::Read {
    let named = [flags, environment]
        .iter()
        .find_map(|layer| layer.of(option::CONFIG).last());
    let path = named.map_or(system.default_file.as_path(), |written| {
        Path::new(&written.text)
    });
    let is_wrong_name = path.as_os_str().is_empty();
    match (system.read)(path) {
        Ok(text) => file::read(&text, path),
        Err(error) => {
            let may_be_missing = named.is_none() && error.kind() == io::ErrorKind::NotFound;
            // An empty name is reported by its own layer.
            if !may_be_missing && !is_wrong_name {
                let path = path.display();
                mistakes.push(Mistake::general(format!(
                    "{path}: cannot be read as the file of options: {error}"
                )));
            }
            file::Read {
                layer: Layer::default(),
                mistakes: Vec::new(),
                // What is missing may well stand in the file that cannot be read.
                is_complete: may_be_missing,
            }
        }
    }
}

/// The list that the bash bridge left: one Marathon a line, or several parted by blanks; `#` begins
/// a comment where a word could begin.
fn read_marathons(config: &mut Config, system: &System) -> Vec<Mistake> {
    let path = &system.marathons;
    let text = match (system.read)(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return vec![no_marathon(system, "which does not exist")];
        }
        Err(error) => {
            return vec![no_marathon(
                system,
                &format!("which cannot be read: {error}"),
            )];
        }
    };
    let option = option::named(option::MARATHON).expect("the table has it");
    let mut layer = Layer::default();
    for (index, line) in text.lines().enumerate() {
        let words = line
            .split_whitespace()
            .take_while(|word| !word.starts_with('#'));
        for word in words {
            let origin = Origin::List {
                path: path.clone(),
                line: index + 1,
            };
            layer.add(option, word.to_owned(), origin);
        }
    }
    if !layer.has(option::MARATHON) {
        return vec![no_marathon(system, "which is empty")];
    }
    layer.apply(config)
}

fn no_marathon(system: &System, state_of_list: &str) -> Mistake {
    let option: &Definition = option::named(option::MARATHON).expect("the table has it");
    Mistake::general(format!(
        "no Marathon given, expected one of: option `--marathon URL` (`HOST:PORT` for the calls of \
         the bash bridge), environment variable `{}`, key `marathon` in {} or the file of \
         `--config`, or the list {} {state_of_list}",
        option.variable(),
        system.default_file.display(),
        system.marathons.display(),
    ))
}

/// A command means that it shall be run, unless a stronger place names a method.
fn decide_reload(config: &mut Config, layers: &Layers<'_>, mistakes: &mut Vec<Mistake>) {
    // What a predecessor's command line says always counts.
    if matches!(config.reload.command, Some(ReloadCommand::Words(_))) {
        config.reload.method = ReloadMethod::Command;
        return;
    }
    let method = layers.strength(option::RELOAD);
    let command = layers.strength(option::RELOAD_COMMAND);
    if method < command {
        config.reload.method = ReloadMethod::Command;
        return;
    }
    let is_command = config.reload.method == ReloadMethod::Command;
    let is_known = layers
        .text(option::RELOAD)
        .is_none_or(option::is_reload_method);
    if !is_known {
        // Reported already, and what was meant cannot be told.
        return;
    }
    if is_command && command.is_none() {
        mistakes.push(Mistake::general(
            "`reload` is command, but no `reload-command` is given, expected what to run"
                .to_owned(),
        ));
    }
    if method == command && method.is_some() && !is_command {
        mistakes.push(Mistake::general(
            "`reload-command` is given beside a `reload` that does not run it, expected \
             `reload` to be command, or only one of them"
                .to_owned(),
        ));
    }
}

/// Who names the certificates to be trusted wants them to count.
fn decide_trust(config: &mut Config, layers: &Layers<'_>) {
    if layers.have(option::MARATHON_CA_CERT) && !layers.have(option::INSECURE) {
        config.marathon.insecure = false;
    }
}

/// Of those that are asked for, the ones of the strongest place count.
fn decide_schedule(config: &mut Config, layers: &Layers<'_>) -> Option<Mistake> {
    let Install {
        cron,
        timer,
        service,
        ..
    } = &mut config.install;
    let mut asked = [
        (option::CRON, cron),
        (option::TIMER, timer),
        (option::SERVICE, service),
    ];
    let strength = |name, is_on: bool| layers.strength(name).filter(|_| is_on);
    let strongest = asked.iter().filter_map(|(name, on)| strength(name, **on));
    let strongest = strongest.max();
    let mut names = Vec::new();
    for (name, on) in &mut asked {
        **on &= strength(name, **on) == strongest;
        if **on {
            names.push(format!("`{name}`"));
        }
    }
    (1 < names.len()).then(|| {
        Mistake::general(format!(
            "{} are given, expected one of them at most",
            names.join(" and ")
        ))
    })
}

/// Each of these would go without effect.
fn wrong_callbacks(config: &Config, layers: &Layers<'_>) -> Option<Mistake> {
    let has_url = config.watch.callback_url.is_some() || layers.have(option::CALLBACK_URL);
    // servicerouter gives it by another name, or takes one turn.
    let needs_url = config.policy.command_line != CommandLine::Servicerouter;
    let problem = if has_url && layers.have(option::POLL) {
        "`callback-url` is given beside `poll`, which follows no events, expected only one of them"
    } else if !has_url && needs_url && layers.have(option::CALLBACK_LISTEN) {
        "`callback-listen` is given, but no `callback-url`, expected the address that Marathon is \
         told"
    } else {
        return None;
    };
    Some(Mistake::general(problem.to_owned()))
}

/// Both or none: half of a range is a typing error.
fn wrong_auto_ports(ports: AutoPorts) -> Option<Mistake> {
    let AutoPorts { low, high } = ports;
    let is_right = (low == 0) == (high == 0) && low <= high;
    (!is_right).then(|| {
        Mistake::general(format!(
            "`{}` is {low} and `{}` is {high}, expected the first not to be above the second, and \
             both of them or none to be 0",
            option::MIN_AUTO_PORT,
            option::MAX_AUTO_PORT,
        ))
    })
}

/// Places that HAProxy is told of as well, or that are looked for again later: it works in another
/// folder.
fn make_absolute(config: &mut Config) {
    let places = [&mut config.state.dir, &mut config.haproxy.pid_file];
    let sockets = [
        &mut config.state.lock_file,
        &mut config.haproxy.stats_socket,
        &mut config.haproxy.master_socket,
        &mut config.watch.admin_socket,
    ];
    for place in places.into_iter().chain(sockets.into_iter().flatten()) {
        if let Ok(absolute) = std::path::absolute(&place) {
            *place = absolute;
        }
    }
}

/// What stands in the environment under other names than ours.
fn take_variables(config: &mut Config, system: &System) {
    if !config.policy.template_variables {
        return;
    }
    config.templates.variables = system
        .environment
        .iter()
        .filter_map(|(name, text)| Some((name.to_str()?, text.to_str()?)))
        .filter(|(name, _)| name.starts_with(TEMPLATE_PREFIX))
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect();
    config.apps.own_app = system
        .variable(FRAMEWORK_NAME)
        .filter(|name| !name.is_empty())
        .map(str::to_owned);
}

#[cfg(test)]
#[path = "build_tests/mod.rs"]
mod tests;
