//! An edit that cannot be served costs nobody anything: what counted before it does, tasks are followed
//! all the while, and it is told once, and once when it is over.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Fault, Task};
use nix::sys::signal::Signal;

use super::{NEVER, Watcher, fetches};
use crate::host::{Host, SOON, Web, block_on, wait_until};
use crate::support::{count, haproxy, swap_in};

const LISTEN: &str = "templates/listen.cfg.tera";
const HEADER: &str = "templates/header.cfg.tera";
const UNUSED: &str = "what was changed is not put to use, what counted before does";

/// A file of a host, and what stood in it.
struct Edited {
    path: PathBuf,
    good: String,
}

impl Edited {
    fn of(host: &Host, name: &str) -> Self {
        let path = host.path(name);
        let good = fs::read_to_string(&path).unwrap_or_default();
        Self { path, good }
    }

    fn with(&self, more: &str) {
        swap_in(&self.path, &format!("{}{more}", self.good));
    }
}

/// Two tasks come while it is broken, it is broken in the same way once more, and mended.
fn outlive(host: &Host, web: &mut Web, watcher: &Watcher, file: &Edited, bad: &str, words: &str) {
    file.with(bad);
    let mut said = watcher.says(UNUSED);
    assert!(said[said.len() - 1].contains(words), "{bad:?}: {said:#?}");
    for again in [false, true] {
        if again {
            file.with(bad);
        }
        web.scale_up();
        said.extend(watcher.says("installed `"));
        let installed = host.installed();
        assert!(
            installed.contains(&web.newest_address()),
            "{bad:?}: {installed}"
        );
        assert!(!installed.contains("nonsense"), "{bad:?}: {installed}");
    }
    assert!(web.connect().ask().starts_with("web-"));
    let mended = format!("\n# mended after {}\n", bad.len());
    file.with(&mended);
    said.extend(watcher.says("the templates were read again"));
    wait_until("the mended one", || {
        host.installed().contains(mended.trim())
    });
    assert_eq!(count(&said, "Z error: "), 1, "{bad:?}: {said:#?}");
    assert_eq!(
        count(&said, &format!("over: {UNUSED}")),
        1,
        "{bad:?}: {said:#?}"
    );
    assert_eq!(count(&said, "were read again"), 1, "{bad:?}: {said:#?}");
}

#[test]
fn templates_that_are_refused_keep_no_task_out() {
    let host = Host::new();
    let mut web = Web::start();
    let watcher = Watcher::serving(&host, &web, NEVER);
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    let (listen, header) = (Edited::of(&host, LISTEN), Edited::of(&host, HEADER));
    let refused = "`haproxy -c` refuses what comes of it";
    let unwritable = "the templates cannot be rendered";
    // HAProxy would have no file left for a connection, which `haproxy -c` does not know.
    let few = "HAProxy may open 50 files, too few for what is served already";
    let rows: [(&Edited, &str, &str); 5] = [
        (&listen, "\n  nonsense of a listen\n", refused),
        (&header, "\nnonsense\n", refused),
        (&listen, "{{ listen.nothing.here }}", unwritable),
        (&header, "{{ nothing }}", unwritable),
        (&header, "\nglobal\n  ulimit-n 50\n", few),
    ];
    for (file, bad, words) in rows {
        outlive(&host, &mut web, &watcher, file, bad, words);
    }
}

#[test]
fn files_of_extra_config_that_are_refused_keep_no_task_out() {
    let host = Host::native(free_ports(1).unwrap()[0]);
    let mut web = Web::start();
    let extra = host.write("extra/a.cfg", "# mine\n");
    let words = [
        NEVER,
        &["--extra-config", extra.parent().unwrap().to_str().unwrap()],
    ]
    .concat();
    let watcher = Watcher::serving(&host, &web, &words);
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    let file = Edited::of(&host, "extra/a.cfg");
    // HAProxy is not started with the others, which would cost its listeners some seconds.
    let held = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let there = held.local_addr().unwrap();
    let on_held = format!("\nlisten x\n  bind {there}\n");
    for (bad, words) in [
        (&*on_held, "of `listen x` is held by"),
        ("\nlisten x\n  nonsense\n", "nonsense"),
        (
            "\nlisten x\n  bind 192.0.2.7:8088\n",
            "`192.0.2.7`, where `listen x` listens, is no address of this host",
        ),
    ] {
        outlive(&host, &mut web, &watcher, &file, bad, words);
    }
}

/// One service alone would go, and nothing says that it is not its own fault but that it was served a
/// moment ago.
#[test]
fn a_template_that_fails_for_one_service_costs_it_nothing() {
    let host = Host::new();
    let mut web = Web::start();
    let other = free_ports(1).unwrap()[0];
    web.marathon
        .deploy(App::new("/other").service_port(other).task(Task::local(1)));
    let watcher = Watcher::serving(&host, &web, NEVER);
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    let listen = Edited::of(&host, LISTEN);
    for text in ["nonsense", "{{ nothing }}"] {
        let only = format!("{{% if listen.bind.port == {other} %}}\n  {text}\n{{% endif %}}");
        outlive(&host, &mut web, &watcher, &listen, &only, "/other");
        assert!(host.installed().contains("listen other-"));
    }
}

/// Whichever is seen first.
#[test]
fn an_edit_that_is_refused_does_not_take_with_it_what_marathon_says_at_the_same_time() {
    let host = Host::new();
    let mut web = Web::start();
    let watcher = Watcher::serving(&host, &web, NEVER);
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    let listen = Edited::of(&host, LISTEN);
    for edits_first in [true, false] {
        if edits_first {
            listen.with("\n  nonsense\n");
            web.scale_up();
        } else {
            web.scale_up();
            listen.with("\n  nonsense\n");
        }
        let address = web.newest_address();
        wait_until("the task", || host.installed().contains(&address));
        let mut said = watcher.said();
        if !said.iter().any(|line| line.contains(UNUSED)) {
            said.extend(watcher.says(UNUSED));
        }
        assert_eq!(count(&said, "Z error: "), 1, "{said:#?}");
        listen.with("");
        watcher.says("over: ");
    }
}

/// HAProxy names the app either way; who is to blame is told by what counted before.
#[test]
fn an_app_that_is_refused_at_the_time_of_an_edit_answers_for_itself() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let web = Web::start();
    let all = ["--template-labels=all", "--log-level=debug"];
    let watcher = Watcher::serving(&host, &web, &[NEVER, &all].concat());
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    let head = Edited::of(&host, "templates/fragments/head.cfg.tera");
    let label = "HAPROXY_0_BACKEND_HEAD";
    let bad = "backend {backend}\n  balance {balance}\n  mode {mode}\n  nonsense\n";

    // Nothing is asked while both come.
    web.marathon.inject(Fault::Status(503).on("/v2/apps"));
    watcher.send(Signal::SIGHUP);
    watcher.says("error: Marathon gave no usable answer");
    web.marathon
        .change_app("/web", |app| app.label(label, bad))
        .unwrap();
    head.with("# edited\n");
    // What Marathon said last does for the edit.
    let mut said = watcher.says("the templates were read again");
    web.marathon.clear_faults();
    watcher.send(Signal::SIGHUP);
    said.extend(watcher.says("is served as it was before"));
    let kept = "is served as it was before";
    assert_eq!(count(&said, kept), 1, "{said:#?}");
    wait_until("the edit", || host.installed().contains("# edited"));
    let installed = host.installed();
    assert!(!installed.contains("nonsense"), "{installed}");
    assert_eq!(host.state()["quarantined"][0]["app"], "/web");
    assert!(web.connect().ask().starts_with("web-"));
}

#[test]
fn options_whose_files_are_refused_are_not_put_to_use_nor_is_anything_that_came_with_them() {
    let host = Host::native(free_ports(1).unwrap()[0]);
    let mut web = Web::start();
    let other = Web::start();
    let file = host.path("config.toml");
    let toml = |web: &Web, more: &str| {
        let marathon = web.url();
        swap_in(&file, &format!("marathon = {marathon:?}\n{more}"));
    };
    toml(&web, "");
    host.write("extra/a.cfg", "nonsense\n");
    let words = [NEVER, &["--config", file.to_str().unwrap()]].concat();
    let watcher = Watcher::start(host.watch_command::<&str>(&[], &words));
    watcher.says("installed `");
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();

    let extra = format!("extra-config = {:?}\n", host.path("extra"));
    for (more, words) in [
        (extra.as_str(), "nonsense"),
        ("ssl-certs = \"/nonexistent/web.pem\"\n", "web.pem"),
        (
            "haproxy = \"/nonexistent/haproxy\"\n",
            "/nonexistent/haproxy",
        ),
    ] {
        toml(&other, more);
        let mut said = watcher.says(UNUSED);
        assert!(said[said.len() - 1].contains(words), "{said:#?}");
        let asked = fetches(&other);
        web.scale_up();
        said.extend(watcher.says("installed `"));
        assert!(host.installed().contains(&web.newest_address()));
        assert_eq!(fetches(&other), asked);
        // Fewer of them may go at once.
        web.marathon.scale_down("/web", 1).unwrap();
        said.extend(watcher.says("installed `"));
        assert_eq!(count(&said, "Z error: "), 1, "{said:#?}");
        assert_eq!(count(&said, "were read again"), 0, "{said:#?}");
        // Once it is mended, all of it counts.
        toml(&other, "");
        said.extend(watcher.says("the options were read again"));
        assert_eq!(count(&said, &format!("over: {UNUSED}")), 1, "{said:#?}");
        wait_until("the other cluster", || {
            host.installed().contains(&other.port.to_string())
        });
        toml(&web, "");
        watcher.says("the options were read again");
        wait_until("the cluster of before", || {
            host.installed().contains(&web.port.to_string())
        });
    }
}

/// What an edit was refused for may be mended without another edit.
#[test]
fn an_edit_that_was_refused_is_tried_again_at_a_resync_that_is_asked_for() {
    let host = Host::new();
    let mut web = Web::start();
    let watcher = Watcher::serving(&host, &web, NEVER);
    block_on(web.marathon.wait_event_streams(1, SOON)).unwrap();
    let errors = host.path("503.http");
    let listen = Edited::of(&host, LISTEN);
    listen.with(&format!("\n  errorfile 503 {}\n", errors.display()));
    watcher.says(UNUSED);
    web.scale_up();
    watcher.says("installed `");
    fs::write(&errors, "HTTP/1.0 503 Gone\r\nContent-Length: 0\r\n\r\n").unwrap();
    watcher.send(Signal::SIGHUP);
    let said = watcher.says("the templates were read again");
    assert_eq!(count(&said, &format!("over: {UNUSED}")), 1, "{said:#?}");
    wait_until("the edit", || host.installed().contains("errorfile 503"));
}

/// It is tried with what Marathon said last.
#[test]
fn an_edit_counts_at_once_though_marathon_is_gone() {
    let host = Host::native(free_ports(1).unwrap()[0]);
    let mut web = Web::start();
    let (file, url) = (host.path("config.toml"), web.url());
    let toml = |more: &str| swap_in(&file, &format!("marathon = {url:?}\n{more}"));
    toml("");
    let words = ["--reloads-apart", "1s", "--config", file.to_str().unwrap()];
    let words = [NEVER, &words].concat();
    let watcher = Watcher::start(host.watch_command::<&str>(&[], &words));
    watcher.says("installed `");
    web.marathon.down();
    watcher.send(Signal::SIGHUP);
    let mut said = watcher.says("error: Marathon gave no usable answer");
    let as_of = host.state()["as_of"].clone();

    let head = Edited::of(&host, "templates/fragments/head.cfg.tera");
    head.with("# edited\n");
    said.extend(watcher.says("the templates were read again"));
    assert!(host.installed().contains("# edited"));
    toml("accept-proxy = true\n");
    said.extend(watcher.says("the options were read again"));
    assert!(host.installed().contains(" accept-proxy"));
    head.with("nonsense\n");
    said.extend(watcher.says(UNUSED));
    assert!(!host.installed().contains("nonsense"));
    head.with("# mended\n");
    said.extend(watcher.says("the templates were read again"));
    assert!(host.installed().contains("# mended"));

    assert!(host.installed().contains(&web.newest_address()));
    // Marathon has said nothing new.
    assert_eq!(host.state()["as_of"], as_of);
    assert_eq!(count(&said, "wait for Marathon"), 0, "{said:#?}");
    let gone = "error: Marathon gave no usable answer";
    assert_eq!(count(&said, gone), 1, "it is told once: {said:#?}");
    host.status()
        .expect(1)
        .prints(&["Marathon gave no usable answer"]);
}

/// A removal takes answers that agree, and there are none.
#[test]
fn an_edit_that_takes_most_away_waits_for_a_marathon_that_is_gone() {
    let host = Host::native(free_ports(1).unwrap()[0]);
    let mut web = Web::start();
    for (name, port) in ["/b", "/c", "/d"].into_iter().zip(free_ports(3).unwrap()) {
        let app = App::new(name).service_port(port);
        web.marathon.deploy(app.task(Task::local(1)));
    }
    let (file, url) = (host.path("config.toml"), web.url());
    let toml = |more: &str| swap_in(&file, &format!("marathon = {url:?}\n{more}"));
    toml("");
    let words = [NEVER, &["--config", file.to_str().unwrap()]].concat();
    let watcher = Watcher::start(host.watch_command::<&str>(&[], &words));
    watcher.says("installed `");
    let before = host.installed();
    web.marathon.down();
    toml("group = [\"nobodys\"]\n");
    watcher.says("the options were changed, and wait for Marathon");
    assert_eq!(host.installed(), before);
    toml("");
    watcher.says("over: the options were changed, and wait for Marathon");
    assert_eq!(host.installed(), before);
}

/// Of another Marathon nothing is known.
#[test]
fn an_edit_waits_for_another_marathon_that_does_not_answer_and_is_told_to() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let (web, other) = (Web::start(), Web::start());
    let file = host.path("config.toml");
    let toml = |web: &Web, more: &str| {
        swap_in(&file, &format!("marathon = {:?}\n{more}", web.url()));
    };
    toml(&web, "");
    let words = [NEVER, &["--config", file.to_str().unwrap()]].concat();
    let watcher = Watcher::start(host.watch_command::<&str>(&[], &words));
    watcher.says("installed `");
    other.marathon.inject(Fault::Status(503).on("/v2/apps"));
    toml(&other, "group = [\"*\", \"more\"]\n");
    let waits = "the options were changed, and wait for Marathon";
    let mut said = watcher.says(waits);
    host.status().expect(1).prints(&["not in use", waits]);
    other.marathon.clear_faults();
    watcher.send(Signal::SIGHUP);
    said.extend(watcher.says("the options were read again"));
    wait_until("the edit", || {
        host.installed().contains(&other.port.to_string())
    });
    said.extend(watcher.said());
    assert_eq!(count(&said, waits), 2, "{said:#?}");
    assert_eq!(count(&said, &format!("over: {waits}")), 1, "{said:#?}");
    wait_until("a good status", || host.status().status.success());
}

/// Nothing was made of them yet.
#[test]
fn templates_are_not_told_to_count_before_they_do() {
    let host = Host::labelled(free_ports(1).unwrap()[0]);
    let web = Web::start();
    let link = host.path("haproxy");
    symlink(haproxy(), &link).unwrap();
    let program = ["--haproxy", link.to_str().unwrap()];
    let watcher = Watcher::serving(&host, &web, &[NEVER, &program].concat());
    fs::remove_file(&link).unwrap();
    let head = Edited::of(&host, "templates/fragments/head.cfg.tera");
    head.with("# edited\n");
    let mut said = watcher.says("error: HAProxy is not installed");
    assert_eq!(count(&said, "were read again"), 0, "{said:#?}");
    symlink(haproxy(), &link).unwrap();
    said.extend(watcher.says("the templates were read again"));
    wait_until("the edit", || host.installed().contains("# edited"));
    assert_eq!(count(&said, "Z error: "), 1, "{said:#?}");
}

/// There is nothing to go back to in memory; the files of before are.
#[test]
fn after_a_start_with_broken_templates_the_installed_files_stay_until_they_are_mended() {
    let host = Host::new();
    let mut web = Web::start();
    host.refresh(&web.url(), &[]).expect(0);
    let before = host.installed();
    let listen = Edited::of(&host, LISTEN);
    listen.with("\n  nonsense\n");
    let watcher = Watcher::of(&host, &web, NEVER);
    watcher.says("stays as it is");
    web.scale_up();
    assert_eq!(host.installed(), before);
    assert_eq!(web.connect().ask(), "web-0");
    listen.with("");
    watcher.says("installed `");
    assert!(host.installed().contains(&web.newest_address()));
}

/// It is rendered before the first turn, too.
#[test]
fn a_head_that_cannot_be_rendered_at_the_start_is_waited_for() {
    let host = Host::native(free_ports(1).unwrap()[0]);
    let web = Web::start();
    let head = Edited::of(&host, "templates/fragments/head.cfg.tera");
    head.with("{{ nothing }}");
    let watcher = Watcher::of(&host, &web, NEVER);
    let said = watcher.says("nothing");
    assert!(said[said.len() - 1].contains("error"), "{said:#?}");
    head.with("");
    watcher.says("installed `");
}
