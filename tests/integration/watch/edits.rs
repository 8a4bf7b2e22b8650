//! Files that the watcher depends on are heeded when they change, and mistakes in them cost nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use haproxy_marathon_bridge::demo::free_ports;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use rcgen::ExtendedKeyUsagePurpose;

use super::{NEVER, Watcher, fetches};
use crate::access::secret;
use crate::host::{Host, Web, wait_until};
use crate::support::{count, swap_in};
use crate::tls::Authority;

const LISTEN: &str = "templates/listen.cfg.tera";

#[test]
fn a_template_counts_as_soon_as_it_is_saved_and_a_broken_one_is_told_once() {
    let host = Host::new();
    let mut web = Web::start();
    let watcher = Watcher::serving(&host, &web, NEVER);
    let good = fs::read_to_string(host.path(LISTEN)).unwrap();
    swap_in(&host.path(LISTEN), &format!("{good}  # first\n"));
    watcher.says("installed `");
    assert!(host.installed().contains("# first"));

    fs::write(host.path(LISTEN), format!("{good}{{% if %}}")).unwrap();
    let said = watcher.says("what was changed is not put to use");
    let last = &said[said.len() - 1];
    assert!(last.contains("listen.cfg.tera"), "in one line: {said:#?}");
    let told = || host.status();
    wait_until("a bad status", || !told().status.success());
    told().prints(&["something is wrong", "not in use", "listen.cfg.tera"]);
    let before = host.installed();
    fs::write(host.path(LISTEN), format!("{good}{{% if %}} ")).unwrap();
    // What tasks do is followed all the same.
    web.scale_up();
    watcher.says("installed `");
    assert_ne!(host.installed(), before);
    assert!(host.installed().contains("# first"));
    assert!(web.connect().ask().starts_with("web-"));

    swap_in(&host.path(LISTEN), &format!("{good}  # second\n"));
    let said = watcher.says("installed `");
    assert_eq!(count(&said, "over: what was changed"), 1, "{said:#?}");
    assert!(host.installed().contains("# second"));
    wait_until("a good status", || told().status.success());
}

/// As Kubernetes does it.
#[test]
fn a_folder_may_be_swapped_by_a_link() {
    let host = Host::new();
    let web = Web::start();
    let (first, second) = (host.path("v1"), host.path("v2"));
    fs::rename(host.path("templates"), &first).unwrap();
    fs::create_dir(&second).unwrap();
    for name in ["header.cfg.tera", "listen.cfg.tera"] {
        fs::copy(first.join(name), second.join(name)).unwrap();
    }
    let listen = fs::read_to_string(first.join("listen.cfg.tera")).unwrap();
    let listen = format!("{listen}  # of the second\n");
    fs::write(second.join("listen.cfg.tera"), listen).unwrap();
    symlink("v1", host.path("templates")).unwrap();
    let watcher = Watcher::serving(&host, &web, NEVER);

    symlink("v2", host.path("new")).unwrap();
    fs::rename(host.path("new"), host.path("templates")).unwrap();
    watcher.says("installed `");
    assert!(host.installed().contains("# of the second"));
}

#[test]
fn a_folder_may_be_gone_for_a_while() {
    let host = Host::new();
    let web = Web::start();
    let watcher = Watcher::serving(&host, &web, NEVER);
    let (templates, away) = (host.path("templates"), host.path("away"));
    fs::rename(&templates, &away).unwrap();
    watcher.says("--template-dir");
    let listen = away.join("listen.cfg.tera");
    let text = fs::read_to_string(&listen).unwrap();
    fs::write(&listen, format!("{text}  # back\n")).unwrap();
    fs::rename(&away, &templates).unwrap();
    let said = watcher.says("installed `");
    assert_eq!(count(&said, "over: "), 1, "{said:#?}");
    assert!(host.installed().contains("# back"));
}

#[test]
fn options_are_read_again_and_mistakes_in_them_change_nothing() {
    let host = Host::new();
    let (web, other) = (Web::start(), Web::start());
    let file = host.path("config.toml");
    let toml = |marathon: &[String; 1], more: &str| format!("marathon = {marathon:?}\n{more}");
    fs::write(&file, toml(&web.url(), "")).unwrap();
    let words = [NEVER, &["--config", file.to_str().unwrap()]].concat();
    let watcher = Watcher::start(host.watch_command::<&str>(&[], &words));
    watcher.says("installed `");
    let before = host.installed();

    fs::write(&file, toml(&other.url(), "reload-timeout = \"soon\"\n")).unwrap();
    let said = watcher.says("the options were changed and are not put to use");
    assert!(said[said.len() - 1].contains("config.toml:2"), "{said:#?}");
    let told = || {
        let mut status = host.status_command();
        let done = status.arg("--json").output().unwrap();
        serde_json::from_slice::<serde_json::Value>(&done.stdout).unwrap()
    };
    wait_until("what status tells", || told()["ok"] == false);
    let unused = told()["unused"][0]["why"].clone();
    assert!(
        unused.as_str().unwrap().contains("config.toml:2"),
        "{unused}"
    );
    fs::remove_file(&file).unwrap();
    watcher.says("it was there, and is gone");
    assert_eq!(host.installed(), before);
    watcher.send(Signal::SIGHUP);
    let asked = fetches(&web);
    wait_until("a turn", || asked < fetches(&web));
    assert_eq!(fetches(&other), 0);

    let state = host.path("elsewhere");
    let more = format!("state-dir = {state:?}\n");
    swap_in(&file, &toml(&other.url(), &more));
    let said = watcher.says("installed `");
    assert_eq!(count(&said, "over: the options"), 1, "{said:#?}");
    assert!(host.installed().contains(&other.port.to_string()));
    other.marathon.remove_app("/web").unwrap();
    watcher.says("installed `");
    assert!(!state.exists());
}

#[test]
fn what_cannot_change_in_a_run_is_named_and_kept() {
    let host = Host::new();
    let web = Web::start();
    let file = host.path("config.toml");
    let socket = format!("admin-socket = {:?}\n", host.path("run/one.sock"));
    fs::write(&file, format!("pid-file = \"/nonexistent\"\n{socket}")).unwrap();
    let words = [NEVER, &["--config", file.to_str().unwrap()]].concat();
    let mut command = host.watch_command(&web.url(), &words);
    command.env_remove("HMB_ADMIN_SOCKET");
    let watcher = Watcher::start(command);
    watcher.says("installed `");
    fs::write(
        &file,
        "lock-file = \"/nonexistent\"\nadmin-socket = \"none\"\nlog-level = \"debug\"\n",
    )
    .unwrap();
    let said = watcher.says("cannot change before the next start");
    let last = &said[said.len() - 1];
    assert!(last.contains("`lock-file` (now `/nonexistent`") && last.contains("logged"));
    assert!(last.contains("`admin-socket` (now `none`"), "{last}");
    fs::write(&file, &socket).unwrap();
    watcher.says("over: the new options count, but");
}

#[test]
fn another_password_ends_a_refusal() {
    let host = Host::new();
    let mut web = Web::start();
    web.marathon
        .require_authorization(Some("Basic am9lOm5ldw=="));
    let file = secret(host.root(), "password", "joe:old\n");
    let words = [NEVER, &["--auth-credentials-file", &file]].concat();
    let watcher = Watcher::of(&host, &web, &words);
    watcher.says("401");
    fs::write(&file, "joe\n").unwrap();
    watcher.says("found no colon");
    fs::write(&file, "joe:new\n").unwrap();
    watcher.says("installed `");
    web.scale_up();
    watcher.says("installed `");
}

#[test]
fn a_certificate_that_haproxy_has_read_is_read_again_when_it_changes() {
    let host = Host::new();
    let mut web = Web::start();
    let authority = Authority::new();
    let issue = || {
        let new = authority.issue("web", ExtendedKeyUsagePurpose::ServerAuth);
        new.certificate + &new.key
    };
    let port = free_ports(1).unwrap()[0];
    let certificate = host.write("certs/web.pem", &issue());
    let header = fs::read_to_string(host.path("templates/header.cfg.tera")).unwrap();
    let section = format!(
        "\nlisten tls\n  bind 127.0.0.1:{port} ssl crt {}\n  mode tcp\n",
        certificate.display()
    );
    host.write("templates/header.cfg.tera", &(header + &section));
    let watcher = Watcher::serving(&host, &web, NEVER);
    let (pid, installed) = (host.pid(), host.installed());

    // Nobody has read these.
    host.write("certs/other.pem", &issue());
    swap_in(&certificate, &issue());
    let said = watcher.says("HAProxy was reloaded, since its certificates were changed");
    assert_eq!(said.len(), 1, "{said:#?}");
    assert!(said[0].contains("web.pem"), "{said:#?}");
    let new = host.pid();
    assert_ne!(new, pid);
    assert_eq!(host.installed(), installed);

    for (is_pipe, found) in [
        (false, "web.pem"),
        (true, "web.pem` is a pipe, expected what has an end"),
    ] {
        let served = host.pid();
        if is_pipe {
            pipe_in(&certificate);
        } else {
            fs::write(&certificate, "no certificate").unwrap();
        }
        let said = watcher.says("HAProxy goes on with those that it has read");
        assert!(said[said.len() - 1].contains(found), "{said:#?}");
        assert!(web.connect().ask().starts_with("web-"));
        assert_eq!(host.pid(), served);
        // HAProxy takes no file that names it, and is asked again as soon as it is another one.
        web.scale_up();
        watcher.says("stays as it is");
        swap_in(&certificate, &issue());
        let mut said = watcher.says("over: certificates were changed");
        assert_eq!(count(&said, "HAProxy was reloaded"), 1, "{said:#?}");
        assert_ne!(host.pid(), served);
        said.extend(watcher.says("installed `"));
        assert!(host.installed().contains(&web.newest_address()));
    }
}

/// What has no end, and would be waited for.
fn pipe_in(path: &Path) {
    let new = path.with_extension("new");
    mkfifo(&new, Mode::S_IRWXU).unwrap();
    fs::rename(new, path).unwrap();
}

/// It ends with its test, and so does what is done to it.
fn traced(host: &Host, watch: &Command, what: &[&str]) -> Watcher {
    // The tracer is no parent, so that signals reach the watcher.
    let mut command = Command::new("strace");
    command.args(["-D", "-qq", "-o", "/dev/null"]).args(what);
    command.arg(watch.get_program()).args(watch.get_args());
    command.env_clear();
    for (name, value) in watch.get_envs() {
        command.env(name, value.unwrap());
    }
    command.current_dir(host.root());
    Watcher::start(command)
}

/// What it could not be read for leaves no trace in the file when it is over.
#[test]
fn options_that_could_not_be_read_once_are_read_again() {
    let host = Host::new();
    let web = Web::start();
    let file = host.write("config.toml", "");
    let config = file.to_str().unwrap();
    let watch = host.watch_command(&web.url(), &[NEVER, &["--config", config]].concat());
    // They are read thrice at the start.
    let fault = "inject=openat:error=EIO:when=4";
    let watcher = traced(
        &host,
        &watch,
        &["-P", config, "-e", "trace=openat", "-e", fault],
    );
    watcher.says("installed `");
    fs::write(&file, "reload-timeout = \"20s\"\n").unwrap();
    watcher.says("the options were changed and are not put to use");
    watcher.send(Signal::SIGHUP);
    let said = watcher.says("the options were read again");
    assert_eq!(
        count(&said, "over: the options were changed"),
        1,
        "{said:#?}"
    );
}

#[test]
fn where_the_kernel_tells_nothing_files_are_looked_at_and_that_is_said_once() {
    let host = Host::new();
    let web = Web::start();
    let watch = host.watch_command(&web.url(), NEVER);
    let deaf = "inject=inotify_init1:error=EMFILE";
    let watcher = traced(&host, &watch, &["-e", "trace=inotify_init1", "-e", deaf]);
    let mut said = watcher.says("installed `");
    let good = fs::read_to_string(host.path(LISTEN)).unwrap();
    fs::write(host.path(LISTEN), format!("{good}  # first\n")).unwrap();
    said.extend(watcher.says("installed `"));
    assert!(host.installed().contains("# first"));
    let told = "the kernel does not tell of changed files";
    assert_eq!(count(&said, told), 1, "{said:#?}");
}
