//! Each thing that is looked at.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::Finding;
use super::access::permissions;
use super::turns::{Call, last_turn, turns};
use crate::apply::reload::{Context, Probe, SERVICE as HAPROXY, choose};
use crate::config::{Config, ReloadMethod, redact, redact_value};
use crate::disk::{self, folder_of, user_name};
use crate::haproxy::child::Child;
use crate::haproxy::global::Global;
use crate::haproxy::{Info, Role, master, program, socket};
use crate::install::{Facts, Look as _, PROGRAM, Real, in_use, selinux};
use crate::marathon::{Client, Cluster};
use crate::run::block_on;

/// For each question to a program.
pub(super) const ASK: Duration = Duration::from_secs(10);
/// For `haproxy -c`: a file of 50,000 servers takes it seconds.
const CHECK: Duration = Duration::from_secs(60);

/// All of them, in the order in which they build on each other.
pub(super) fn all(config: &Config, no_marathon: Option<String>) -> Result<Vec<Finding>> {
    let host = Real::below(None)?;
    let own = env::current_exe().unwrap_or_default();
    let facts = Facts::of(&host, false, &own, &config.haproxy.program);
    let in_use = in_use(&host, &facts);
    let call = Call::of(config, &host, &facts, &in_use);
    let mut found = vec![installed(&facts, &own, &call)];
    found.extend(installed_twice(&host));
    if let Some(mistakes) = no_marathon {
        let fix = format!("{} {} HOST:PORT", call.program, call.words);
        found.push(Finding::bad("marathon", mistakes, fix));
    }
    found.extend(block_on(async {
        let mut found = haproxy(config, &facts).await;
        found.extend(sockets(config).await);
        found.extend(permissions(config, &host, &in_use));
        found.extend(marathons(config).await);
        Ok(found)
    })?);
    found.extend(starts_with_the_host(&host, &facts));
    found.extend(selinux(&host));
    found.extend(turns(config, &host, &call, &in_use));
    found.push(last_turn(config));
    Ok(found)
}

/// A package and `install` each brought one.
fn installed_twice(host: &Real) -> Option<Finding> {
    const PACKAGED: &str = "/usr/bin/haproxy-marathon-bridge";
    let is_it = |path: &str| host.is_there(Path::new(path)) && host.link(Path::new(path)).is_none();
    (is_it(PROGRAM) && is_it(PACKAGED)).then(|| {
        Finding::note(
            "program",
            format!("a package brought `{PACKAGED}`, before which `{PROGRAM}` stands in PATH"),
            format!("{PACKAGED} install, and rm {PROGRAM}"),
        )
    })
}

/// A HAProxy that runs now may not after the next start of the host.
fn starts_with_the_host(host: &Real, facts: &Facts) -> Option<Finding> {
    let is_managed =
        facts.haproxy_unit.is_some() || host.is_there(Path::new("/etc/init.d/haproxy"));
    let starts = facts.init.typed_start(facts.has_chkconfig, HAPROXY)?;
    (facts.haproxy && is_managed && !facts.init.is_enabled(host, HAPROXY)).then(|| {
        let says = format!("{} does not start `{HAPROXY}` with the host", facts.init);
        Finding::note("process", says, starts)
    })
}

fn selinux(host: &Real) -> Option<Finding> {
    let confines = selinux::confines_haproxy(host);
    confines.then(|| Finding::bad("selinux", selinux::SAYS, selinux::MEND))
}

fn installed(facts: &Facts, own: &Path, call: &Call) -> Finding {
    const ABOUT: &str = "program";
    let place = facts.program();
    let shown = place.display();
    let again = format!("{} {}", own.display(), call.words);
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

pub(super) fn owner(path: &Path) -> String {
    fs::metadata(path).map_or_else(|_| "root".to_owned(), |facts| user_name(facts.uid()))
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
