//! Whatever is wrong with the host: what is in service stays, it is said once, and what was missed is
//! made up for without a signal.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task};
use nix::sys::signal::Signal;

use super::Watcher;
use super::load::Load;
use crate::host::{Host, SOON, Web, block_on, wait_until};
use crate::support::{count, haproxy, swap_in_program};

/// `program` in front of it, which leaves signals and the environment as they are.
fn under(mut program: Command, watch: &Command) -> Command {
    program.arg(watch.get_program()).args(watch.get_args());
    program.env_clear();
    for (name, value) in watch.get_envs() {
        program.env(name, value.unwrap());
    }
    program.current_dir(watch.get_current_dir().unwrap());
    program
}

#[test]
fn a_haproxy_that_is_gone_is_awaited() {
    let host = Host::new();
    let mut web = Web::start();
    let link = host.path("haproxy");
    symlink(haproxy(), &link).unwrap();
    let watcher = Watcher::serving(&host, &web, &["--haproxy", link.to_str().unwrap()]);
    let load = Load::on(web.target());
    fs::remove_file(&link).unwrap();
    web.scale_up();
    let mut said = watcher.says("error: ");
    assert!(said[said.len() - 1].contains("haproxy"), "{said:#?}");
    symlink(haproxy(), &link).unwrap();
    said.extend(watcher.says_within("installed `", SOON * 2));
    assert_eq!(
        (count(&said, "error: "), count(&said, "over: ")),
        (1, 1),
        "{said:#?}"
    );
    load.assert_lossless();
}

/// Its version decides how the file is written.
#[test]
fn before_a_haproxy_is_there_nothing_is_written_for_another_one() {
    let host = Host::native(free_ports(1).unwrap()[0]);
    let web = Web::start();
    let link = host.path("haproxy");
    let watcher = Watcher::of(&host, &web, &["--haproxy", link.to_str().unwrap()]);
    let mut said = watcher.says("error: HAProxy is not installed");
    symlink(haproxy(), &link).unwrap();
    // Before anybody has looked at the program.
    watcher.send(Signal::SIGHUP);
    said.extend(watcher.says("installed `"));
    assert_eq!(count(&said, "refuses"), 0, "{said:#?}");
    let done = host.look("diff", &web.url());
    assert_eq!(done.expect(0).stdout, "");
    wait_until("a good status", || host.status().status.success());
}

#[test]
fn a_haproxy_that_refuses_all_is_told_of_once() {
    let host = Host::new();
    let mut web = Web::start();
    let refuses = host.path("refuses");
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *\" -c \"*) if [ -e {} ]; then\n\
         echo '[ALERT]    (1) : config : out of luck' >&2; exit 1; fi;; esac\n\
         exec {} \"$@\"\n",
        refuses.display(),
        haproxy().display()
    );
    let program = host.write("haproxy", &script);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let watcher = Watcher::serving(&host, &web, &["--haproxy", program.to_str().unwrap()]);
    let load = Load::on(web.target());
    let before = host.installed();
    fs::write(&refuses, "").unwrap();
    web.scale_up();
    let mut said = watcher.says("stays as it is");
    assert_eq!(host.installed(), before);
    fs::remove_file(&refuses).unwrap();
    web.scale_up();
    said.extend(watcher.says("installed `"));
    said.extend(watcher.says("over: `haproxy -c` refuses the new file"));
    assert_eq!(count(&said, "out of luck"), 2, "{said:#?}");
    load.assert_lossless();
}

/// Its file is watched, and what it refuses is not asked again much later either.
#[test]
fn a_program_that_is_put_right_is_noticed() {
    let host = Host::new();
    let mut web = Web::start();
    let program = host.path("haproxy");
    let put = |script: &str| swap_in_program(&program, script);
    let good = format!("exec {} \"$@\"", haproxy().display());
    put(&good);
    let flags = ["--haproxy", program.to_str().unwrap(), "--log-level=debug"];
    let watcher = Watcher::serving(&host, &web, &flags);
    put(&format!(
        "case \" $* \" in *\" -c \"*) echo no library >&2; exit 127;; esac\n{good}"
    ));
    watcher.says("changed={Program}");
    web.scale_up();
    let mut said = watcher.says("stays as it is");
    let refused = "`haproxy -c` refuses the new file: ";
    assert_eq!(count(&said, refused), 1, "{said:#?}");
    for part in ["exit status: 127", "no library"] {
        let is_told = |line: &&String| line.contains(refused) && line.contains(part);
        assert_eq!(said.iter().filter(is_told).count(), 1, "{part}: {said:#?}");
    }
    put(&good);
    // An event that came late can lead to the turn before.
    said = watcher.says("installed `");
    for part in [
        "changed={Program}",
        "over: `haproxy -c` refuses the new file",
    ] {
        if count(&said, part) == 0 {
            said.extend(watcher.says(part));
        }
    }
}

/// One fault, one line.
#[test]
fn a_program_that_tells_no_version_is_one_trouble_with_its_reason() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let web = Web::start();
    let program = host.path("haproxy");
    let put = |script: &str| swap_in_program(&program, script);
    let good = format!("exec {} \"$@\"", haproxy().display());
    put(&good);
    let watcher = Watcher::serving(&host, &web, &["--haproxy", program.to_str().unwrap()]);
    put("kill -9 $$");
    let mut said = watcher.says("error: ");
    for part in [
        "-v` told no version of HAProxy (signal: 9 (SIGKILL))",
        "printed nothing",
    ] {
        assert_eq!(count(&said, part), 1, "{part}: {said:#?}");
    }
    fs::remove_file(&program).unwrap();
    said.extend(watcher.says("error: HAProxy is not installed"));
    put(&good);
    said.extend(watcher.says("over: HAProxy is not installed"));
    assert_eq!(count(&said, "Z error: "), 2, "{said:#?}");
    // Nobody has edited anything, and nothing was written.
    for part in ["read again", "is written for"] {
        assert_eq!(count(&said, part), 0, "{part}: {said:#?}");
    }
}

/// As halfway through an upgrade, or without a library that it needs.
#[test]
fn a_program_that_tells_no_version_is_awaited_from_the_start() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let web = Web::start();
    let program = host.path("haproxy");
    swap_in_program(&program, "exit 127");
    let flags = ["--resync", "1h", "--haproxy", program.to_str().unwrap()];
    let watcher = Watcher::of(&host, &web, &flags);
    let mut said = watcher.says("nothing is applied until that is mended");
    let version = "-v` told no version of HAProxy (exit status: 127)";
    assert_eq!(count(&said, version), 1, "{said:#?}");
    swap_in_program(&program, &format!("exec {} \"$@\"", haproxy().display()));
    said.extend(watcher.says("installed `"));
    assert_eq!(
        (count(&said, "Z error: "), count(&said, "over: ")),
        (1, 1),
        "{said:#?}"
    );
    assert_eq!(web.connect().ask(), "web-0");
}

/// A HAProxy that checks nothing while the file `hangs` is there, and notes each time that it is asked.
fn that_hangs(host: &Host) -> PathBuf {
    let script = format!(
        "#!/bin/sh\ncase \" $* \" in *\" -c \"*) echo >> {}; while [ -e {} ]; do sleep 0.1; done;; esac\n\
         exec {} \"$@\"\n",
        host.path("checks").display(),
        host.path("hangs").display(),
        haproxy().display()
    );
    let program = host.write("haproxy", &script);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    program
}

/// Whether a process of this host has `program` among its words.
fn is_run(program: &Path) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut words = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let program = program.to_str().unwrap().as_bytes();
    words.any(|words| words.split(|&byte| byte == 0).any(|word| word == program))
}

fn checks(host: &Host) -> usize {
    fs::read_to_string(host.path("checks")).unwrap().len()
}

#[test]
fn a_check_that_takes_long_is_told_of_while_it_lasts_and_ends_with_the_watcher() {
    let host = Host::new();
    let mut web = Web::start();
    let program = that_hangs(&host);
    let flags = ["--resync", "1h", "--haproxy", program.to_str().unwrap()];
    let mut watcher = Watcher::serving(&host, &web, &flags);
    let load = Load::on(web.target());
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    host.write("hangs", "");
    web.scale_up();
    let slow = "-c` takes more than 10s to check the files";
    let mut said = watcher.says(slow);
    let told = host.status();
    told.prints(&["checking      `haproxy -c` looks at the new file since "]);
    fs::remove_file(host.path("hangs")).unwrap();
    said.extend(watcher.says("installed `"));
    assert_eq!(count(&said, slow), 1, "{said:#?}");
    // The next one is quick again.
    web.scale_up();
    said.extend(watcher.says("installed `"));
    assert_eq!(count(&said, slow), 2, "{said:#?}");
    assert_eq!(count(&said, "over: "), 1, "{said:#?}");

    let (before, asked) = (host.installed(), checks(&host));
    host.write("hangs", "");
    web.scale_up();
    wait_until("the check", || asked < checks(&host));
    watcher.send(Signal::SIGTERM);
    let (status, words) = watcher.ended();
    assert_eq!(status.code(), Some(0), "{words:#?}");
    // The turn had come to its end.
    assert_eq!(count(&words, "is broken off"), 0, "{words:#?}");
    wait_until("the end of the check", || !is_run(&program));
    assert_eq!(host.installed(), before);
    load.assert_lossless();
}

/// It takes more than a minute to find out.
#[test]
fn a_check_that_never_ends_names_nobody_and_is_not_asked_for_again_and_again() {
    if std::env::var_os("HMB_TEST_ALL").is_none() {
        return;
    }
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let web = Web::start();
    let program = that_hangs(&host);
    let flags = ["--resync", "1h", "--haproxy", program.to_str().unwrap()];
    let watcher = Watcher::serving(&host, &web, &flags);
    let before = (host.installed(), checks(&host));
    host.write("hangs", "");
    let [port] = free_ports(1).unwrap()[..] else {
        unreachable!("one was asked for")
    };
    web.marathon.deploy(
        App::new("/other")
            .service_port(port)
            .task(Task::local(port)),
    );
    watcher.says("-c` takes more than 10s");
    let began = Instant::now();
    while host.status().status.success() {
        assert!(began.elapsed() < SOON * 4, "all seems well");
        thread::sleep(Duration::from_millis(500));
    }
    host.status()
        .prints(&["what is wanted waits for `haproxy -c`, which does not come to an end"]);
    let said = watcher.says_within("stays as it is", SOON * 4);
    assert_eq!(count(&said, "did not end within 1m"), 1, "{said:#?}");
    assert_eq!(count(&said, "app `"), 0, "{said:#?}");
    assert_eq!((host.installed(), checks(&host)), (before.0, before.1 + 2));
}

#[test]
fn a_full_disk_is_told_of_once_and_made_up_for() {
    let host = Host::new();
    let mut web = Web::start();
    let mut strace = Command::new("strace");
    // The tracer is no parent, so that the end of the test reaches the watcher.
    strace.args(["-D", "-qq", "-o", "/dev/null", "-e", "trace=fsync"]);
    strace.args(["-e", "inject=fsync:error=ENOSPC:when=2..3", "-P"]);
    let folder = host.state_folder();
    let id = folder.to_str().unwrap().rsplit_once('-').unwrap().1;
    let staged = format!("etc/.haproxy.cfg.hmb-{}-0", &id[..8]);
    strace.arg(host.path(&staged));
    let watch = host.watch_command(&web.url(), &["--resync", "1h"]);
    let watcher = Watcher::start(under(strace, &watch));
    watcher.says("installed `");
    let load = Load::on(web.target());
    let before = host.installed();
    web.scale_up();
    let mut said = watcher.says("No space left on device");
    assert_eq!(host.installed(), before);
    said.extend(watcher.says("installed `"));
    assert_eq!(count(&said, "error: "), 1, "{said:#?}");
    assert_eq!(count(&said, "over: "), 1, "{said:#?}");
    load.assert_lossless();
}

/// Neither does a wait become endless, nor are events missed.
#[test]
fn the_clock_may_jump_either_way() {
    let host = Host::new();
    let mut web = Web::start();
    let clock = host.write("clock", "+0\n");
    let set = |text: &str| {
        let new = host.write("clock.new", text);
        fs::rename(new, &clock).unwrap();
    };
    let mut watch = host.watch_command(&web.url(), &["--resync", "1h"]);
    watch
        .env("LD_PRELOAD", faketime())
        .env("FAKETIME_TIMESTAMP_FILE", &clock)
        .env("FAKETIME_NO_CACHE", "1")
        .env("DONT_FAKE_MONOTONIC", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    let blocker = host.block_starts();
    let watcher = Watcher::start(watch);
    watcher.says("the reload failed");
    set("-10h\n");
    drop(blocker);
    watcher.says_within("HAProxy was yet to be brought to it", SOON * 2);
    set("+1d\n");
    web.scale_up();
    watcher.says("installed `");
    let at = host.state()["applied"]["at"].as_str().unwrap().to_owned();
    set("-1d\n");
    web.scale_up();
    watcher.says("installed `");
    let then = host.state()["applied"]["at"].as_str().unwrap().to_owned();
    assert!(then < at, "the clock was not set back: {at}, then {then}");
    assert!(web.connect().ask().starts_with("web-"));
}

fn faketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().flatten();
    let mut places = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let found = places.find(|place| place.exists());
    found.unwrap_or_else(|| panic!("faketime is not installed: run tests/needs"))
}
