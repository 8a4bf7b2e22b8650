//! Each thing that is looked at.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;
use nix::unistd::{AccessFlags, Uid, access};

use super::Finding;
use crate::apply::reload::{Context, Probe, SERVICE as HAPROXY, choose};
use crate::config::{Config, ReloadMethod, Schedule, redact, redact_value};
use crate::disk::{self, folder_of, user_name};
use crate::haproxy::child::Child;
use crate::haproxy::global::Global;
use crate::haproxy::{Info, Role, master, program, socket};
use crate::install::{Facts, InUse, Init, ONCE, Real, SERVICE, has_user, in_use};
use crate::marathon::{Client, Cluster};
use crate::run::{block_on, status};

/// For each question to HAProxy.
const ASK: Duration = Duration::from_secs(10);
/// For `haproxy -c`: a file of 50,000 servers takes it seconds.
const CHECK: Duration = Duration::from_secs(60);

/// All of them, in the order in which they build on each other.
pub(super) fn all(config: &Config) -> Result<Vec<Finding>> {
    let host = Real::below(None)?;
    let own = env::current_exe().unwrap_or_default();
    let facts = Facts::of(&host, false, &own, &config.haproxy.program);
    let in_use = in_use(&host, &facts);
    let mut found = vec![installed(&facts, &own)];
    found.extend(block_on(async {
        let mut found = haproxy(config, &facts).await;
        found.extend(sockets(config).await);
        found.extend(permissions(config, &host, &in_use));
        found.extend(marathons(config).await);
        Ok(found)
    })?);
    found.extend(turns(&facts, &in_use));
    found.push(last_turn(config));
    Ok(found)
}

fn installed(facts: &Facts, own: &Path) -> Finding {
    const ABOUT: &str = "program";
    let place = facts.program();
    let shown = place.display();
    let again = format!("{} install", own.display());
    match (fs::read(place), fs::read(own)) {
        (Err(_), _) => Finding::note(
            ABOUT,
            format!("it is not installed: nothing is at `{shown}`"),
            format!("{again} HOST:PORT"),
        ),
        (Ok(there), Ok(own)) if there != own => Finding::note(
            ABOUT,
            format!("`{shown}` is not the program that runs here"),
            again,
        ),
        _ => Finding::ok(ABOUT, format!("`{shown}`, {}", env!("CARGO_PKG_VERSION"))),
    }
}

async fn haproxy(config: &Config, facts: &Facts) -> Vec<Finding> {
    const ABOUT: &str = "haproxy";
    let path = match program::find(&config.haproxy.program) {
        Ok(path) => path,
        Err(missing) => {
            let fix = missing
                .package_command
                .unwrap_or("install the package `haproxy`");
            return vec![Finding::bad(ABOUT, missing.to_string(), fix)];
        }
    };
    let mut found = vec![version(&path).await];
    found.push(accepted(&path, &config.haproxy.config).await);
    found.extend(process(&path, config, facts).await);
    found
}

async fn version(path: &Path) -> Finding {
    let told = async {
        let version = program::version(path, ASK).await?;
        Ok::<_, program::VersionError>((version, program::features(path, ASK).await?))
    };
    match told.await {
        Err(error) => Finding::bad(
            "haproxy",
            error.to_string(),
            format!("{} -vv", path.display()),
        ),
        Ok((version, features)) => {
            let has = |name: &str| features.contains(name);
            let known: Vec<&str> = [("OPENSSL", "TLS"), ("LUA", "Lua"), ("PROMEX", "metrics")]
                .into_iter()
                .filter_map(|(feature, name)| has(feature).then_some(name))
                .collect();
            let with = match known.as_slice() {
                [] => String::new(),
                some => format!(", with {}", some.join(", ")),
            };
            let says = format!("HAProxy {version} at `{}`{with}", path.display());
            if has("OPENSSL") {
                return Finding::ok("haproxy", says);
            }
            Finding::note(
                "haproxy",
                format!("{says}, but without TLS: no certificate can be served"),
                "install a HAProxy that was built with OpenSSL",
            )
        }
    }
}

async fn accepted(program: &Path, file: &Path) -> Finding {
    const ABOUT: &str = "file";
    let shown = file.display();
    let command = format!("{} -c -f {shown}", program.display());
    if !file.exists() {
        return Finding::note(
            ABOUT,
            format!("`{shown}` is not there yet"),
            "haproxy-marathon-bridge refresh",
        );
    }
    let check = Child::new(program, CHECK).arg("-c").arg("-f").arg(file);
    match check.run().await {
        Ok(done) if done.status.success() => {
            Finding::ok(ABOUT, format!("HAProxy accepts `{shown}`"))
        }
        Ok(done) => Finding::bad(
            ABOUT,
            format!(
                "HAProxy refuses `{shown}`: {}",
                redact(done.output().trim())
            ),
            format!("haproxy-marathon-bridge refresh, or rollback; `{command}` tells more"),
        ),
        Err(error) => Finding::bad(ABOUT, error.to_string(), command),
    }
}

async fn process(program: &Path, config: &Config, facts: &Facts) -> Vec<Finding> {
    const ABOUT: &str = "process";
    let context = Context::new(
        program,
        &config.haproxy.config,
        &config.haproxy.pid_file,
        ASK,
    );
    let observed = Probe::of(&context, &config.haproxy).observe().await;
    let command = config.reload.command.as_ref();
    let choice = choose(config.reload.method, command, HAPROXY, &observed);
    let told = choice.as_ref().map_or_else(
        || "nobody would be told of a new file".to_owned(),
        |choice| {
            format!(
                "it is told of a new file by {} ({})",
                choice.method, choice.because
            )
        },
    );
    let starts = facts.init.typed_start(facts.has_chkconfig, HAPROXY);
    let starts = starts.unwrap_or_else(|| "haproxy-marathon-bridge refresh --reload sf".to_owned());
    let Some(pid) = context.serving() else {
        let file = config.haproxy.config.display();
        let others = others(&context);
        if others.is_empty() {
            return vec![Finding::bad(
                ABOUT,
                format!("no HAProxy runs `{file}`"),
                starts,
            )];
        }
        let says = format!("no HAProxy runs `{file}`, but {others}");
        let fix =
            format!("have HAProxy started with `{file}`, or give its file as --haproxy-config");
        return vec![Finding::bad(ABOUT, says, fix)];
    };
    let mut found = Vec::new();
    let says = format!("pid {pid} runs it, but {told}");
    let other = "choose another --reload";
    found.push(if config.reload.method == ReloadMethod::None {
        Finding::note(ABOUT, says, other)
    } else if choice.is_none() {
        Finding::bad(ABOUT, says, other)
    } else {
        Finding::ok(ABOUT, format!("pid {pid}; {told}"))
    });
    found.extend(as_root(&context));
    found
}

/// Which files any other HAProxy runs.
fn others(context: &Context) -> String {
    let all = context.proc.haproxies().into_iter();
    let all = all.filter(|process| !matches!(context.proc.role(process), Role::Worker { .. }));
    let told = all.map(|process| {
        let files = process.arguments.configs.iter();
        let files: Vec<String> = files.map(|file| format!("`{}`", file.display())).collect();
        format!("pid {} runs {}", process.pid, files.join(" and "))
    });
    told.collect::<Vec<_>>().join(", ")
}

/// A HAProxy that serves as root gives whoever takes it over all of the host.
fn as_root(context: &Context) -> Option<Finding> {
    let is_root = |pid: u32| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let uid = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
        // The second is the one that counts.
        Some(uid.split_ascii_whitespace().nth(1) == Some("0"))
    };
    let mut serving = context.our_processes().into_iter();
    let process = serving.find(|process| {
        context.proc.role(process) != Role::Master && is_root(process.pid) == Some(true)
    })?;
    Some(Finding::note(
        "process",
        format!("pid {} serves as root", process.pid),
        "`user haproxy` and `group haproxy` in a section `global`: in the native set in a file \
         NAME.cfg of the folder that --extra-config names, else in a template of your own",
    ))
}

/// Those that the file has HAProxy listen on, and those that were named.
async fn sockets(config: &Config) -> Vec<Finding> {
    const ABOUT: &str = "socket";
    let text = disk::read_text(&config.haproxy.config, disk::LARGEST_MADE).unwrap_or_default();
    let own = Global::read(&text);
    let told = own.stats_sockets.into_iter();
    let mut all: BTreeSet<PathBuf> = told.map(|socket| socket.path).collect();
    all.extend(config.haproxy.stats_socket.clone());
    let mut found = Vec::new();
    for path in all {
        found.push(match socket::show_info(&path, ASK).await {
            Ok(info) => answered(&path, &info, own.description.as_deref(), config),
            Err(error) if error.nobody_listens() => silent(
                &path,
                "haproxy.cfg",
                "haproxy-marathon-bridge refresh, which has HAProxy reloaded, or start HAProxy",
            ),
            Err(error) => Finding::bad(
                ABOUT,
                error.to_string(),
                format!("call this as {}", owner(&path)),
            ),
        });
    }
    if let Some(path) = &config.haproxy.master_socket {
        found.push(match master::show_proc(path, ASK).await {
            Ok(_) => Finding::ok(ABOUT, format!("`{}` answers: a master", path.display())),
            Err(error) if error.nobody_listens() => silent(
                path,
                "master-socket",
                "have HAProxy started with -S and this path, or give another --reload",
            ),
            Err(error) => Finding::bad(
                ABOUT,
                error.to_string(),
                format!("call this as {}", owner(path)),
            ),
        });
    }
    found
}

/// Whoever answers may run another file, which has the same socket.
fn answered(path: &Path, info: &Info, expected: Option<&str>, config: &Config) -> Finding {
    const ABOUT: &str = "socket";
    let (shown, pid) = (path.display(), info.pid);
    let Some(expected) = expected.filter(|expected| info.description.as_deref() != Some(expected))
    else {
        let version = &info.version;
        return Finding::ok(
            ABOUT,
            format!("`{shown}` answers: HAProxy {version}, pid {pid}"),
        );
    };
    let file = config.haproxy.config.display();
    let found = info.description.as_deref().unwrap_or("none");
    Finding::bad(
        ABOUT,
        format!(
            "`{shown}` answers, but pid {pid} does not run what is in `{file}`: its description is \
             `{found}`, expected `{expected}`"
        ),
        "haproxy-marathon-bridge refresh --retry-now, or have HAProxy started with this file",
    )
}

fn silent(path: &Path, named_by: &str, otherwise: &str) -> Finding {
    let folder = folder_of(path).display();
    let says = format!(
        "nobody answers at `{}`, which `{named_by}` names",
        path.display()
    );
    if folder_of(path).exists() {
        return Finding::bad("socket", says, otherwise);
    }
    Finding::bad(
        "socket",
        format!("{says}: there is no folder `{folder}`"),
        format!("install -d -o haproxy -g haproxy -m 2775 {folder}, and start HAProxy again"),
    )
}

fn owner(path: &Path) -> String {
    fs::metadata(path).map_or_else(|_| "root".to_owned(), |facts| user_name(facts.uid()))
}

/// What we may write, and what our units may.
fn permissions(config: &Config, host: &Real, in_use: &[InUse]) -> Vec<Finding> {
    const ABOUT: &str = "access";
    let folder = folder_of(&config.haproxy.config);
    let mut found = Vec::new();
    for path in [folder, &config.state.dir] {
        // What is missing is made.
        let there = path.ancestors().find(|path| path.exists()).unwrap_or(path);
        let shown = path.display();
        let may = access(there, AccessFlags::W_OK | AccessFlags::X_OK);
        found.push(match may {
            Ok(()) => Finding::ok(ABOUT, format!("`{shown}` can be written")),
            Err(error) => Finding::bad(
                ABOUT,
                format!(
                    "{} may not write to `{shown}`: {error}",
                    user_name(Uid::effective().as_raw())
                ),
                format!("call this as {}", owner(there)),
            ),
        });
    }
    let unit = in_use.iter().find_map(|one| match one.schedule {
        Schedule::Service => Some(SERVICE),
        Schedule::Timer => Some(ONCE),
        Schedule::Cron => None,
    });
    if let Some(unit) = unit
        && let Ok(facts) = fs::metadata(folder)
        && (facts.uid() != 0 || facts.mode() & 0o200 == 0)
        // Whose the folder then is.
        && !has_user(host, unit)
    {
        found.push(Finding::bad(
            ABOUT,
            format!(
                "`{}` belongs to {}: the unit `{unit}` may write to what is root's alone",
                folder.display(),
                user_name(facts.uid())
            ),
            format!("chown root {}", folder.display()),
        ));
    }
    found
}

async fn marathons(config: &Config) -> Vec<Finding> {
    const ABOUT: &str = "marathon";
    let mut found = Vec::new();
    for url in &config.marathon.urls {
        let mut alone = config.marathon.clone();
        alone.urls = vec![url.clone()];
        let shown = redact_value(url);
        let answer = match Client::new(&alone) {
            Ok(mut client) => client.apps().await.map_err(|error| error.to_string()),
            Err(error) => Err(format!("{error:#}")),
        };
        found.push(match answer {
            Ok(answer) => {
                let apps = match &answer.cluster {
                    Cluster::Apps(snapshot) => snapshot.apps().len(),
                    Cluster::Endpoints(_) | Cluster::AsBefore => 0,
                };
                Finding::ok(ABOUT, format!("`{shown}` answers, with {apps} apps"))
            }
            Err(error) => Finding::bad(
                ABOUT,
                error,
                format!("haproxy-marathon-bridge generate -m {shown}, once it is there"),
            ),
        });
    }
    found
}

fn turns(facts: &Facts, in_use: &[InUse]) -> Vec<Finding> {
    const ABOUT: &str = "turns";
    let name = |schedule| match schedule {
        Schedule::Cron => "cron",
        Schedule::Timer => "timer",
        Schedule::Service => "service",
    };
    if in_use.is_empty() {
        let how = if facts.init == Init::Systemd {
            "haproxy-marathon-bridge install"
        } else {
            "haproxy-marathon-bridge install --cron"
        };
        return vec![Finding::bad(ABOUT, "nobody takes any", how)];
    }
    let mut found: Vec<Finding> = Vec::new();
    for one in in_use {
        let (place, what) = (one.place.display(), name(one.schedule));
        found.push(if let Some((why, fix)) = &one.fault {
            let says = format!("by {what}, as `{place}` says, but {why}");
            Finding::bad(ABOUT, says, fix.as_str())
        } else if one.runs {
            Finding::ok(ABOUT, format!("by {what}, as `{place}` says"))
        } else {
            let says = format!("by {what}, as `{place}` says, but that does not run");
            Finding::bad(ABOUT, says, one.start.as_str())
        });
    }
    if let [one, _, ..] = in_use {
        let what = name(one.schedule);
        found.push(Finding::note(
            ABOUT,
            "several have them taken, where one would do",
            format!("haproxy-marathon-bridge install --{what}, which takes the others back"),
        ));
    }
    found
}

fn last_turn(config: &Config) -> Finding {
    const ABOUT: &str = "last turn";
    match status::verdict(config) {
        Ok((verdict, true)) => Finding::ok(ABOUT, verdict),
        Ok((verdict, false)) => Finding::bad(
            ABOUT,
            verdict,
            "haproxy-marathon-bridge status, which tells why",
        ),
        Err(error) => Finding::bad(
            ABOUT,
            format!("{error:#}"),
            "sudo haproxy-marathon-bridge doctor",
        ),
    }
}
