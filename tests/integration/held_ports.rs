//! Service ports on which another program of the host listens, or at addresses that it has not.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::process::Command;
use std::time::Duration;

use haproxy_marathon_bridge::demo::client::Requests;
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task};
use haproxy_marathon_bridge::haproxy::listen::first_unprivileged;
use nix::unistd::Uid;
use serde_json::json;

use crate::host::{Host, SOON, Web, block_on};
use crate::support::Done;

/// Another program's listener.
fn held() -> (TcpListener, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

fn deploy(web: &Web, name: &str, port: u16) {
    let app = App::new(name).service_port(port);
    web.marathon.deploy(app.task(Task::local(31000)));
}

fn says_held(name: &str, port: u16) -> String {
    format!(
        "app `{name}`: service port {port}: found port {port} is held by {}, expected a port on which \
         nobody listens; service port left out until it is free",
        own_name()
    )
}

/// As which process we are shown.
fn own_name() -> String {
    let name = fs::read_to_string("/proc/self/comm").unwrap();
    format!("`{}`, process {}", name.trim(), std::process::id())
}

/// HAProxy tries to listen for seconds, and meanwhile the old listeners refuse: with a held port
/// that was new, every change of anything did that to every client.
#[test]
fn a_held_port_costs_no_request_and_appears_once_it_is_free() {
    let mut web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let requests = Requests::tcp(web.target()).workers(4);
    let client = requests.pause(Duration::from_millis(1)).start().unwrap();
    block_on(client.answered_more(10, SOON)).unwrap();

    let (other, port) = held();
    deploy(&web, "/late", port);
    let done = host.untouched(|| host.refresh(&web.url(), &[]).expect(0));
    done.says(&[&says_held("/late", port)]);
    let done = host.untouched(|| host.refresh(&web.url(), &[]).expect(0));
    assert_eq!(done.stderr, "", "it was said before");
    // The rest is applied.
    web.scale_up();
    let done = host.refresh(&web.url(), &[]).expect(0);
    done.says(&["a new process took over"]);
    assert!(host.installed().contains("server web-2 "));
    assert!(!host.installed().contains("late"));
    block_on(client.answered_more(20, SOON)).unwrap();

    drop(other);
    let done = host.refresh(&web.url(), &[]).expect(0);
    done.says(&["a new process took over", "over: app `/late`"]);
    assert!(host.installed().contains(&format!("listen late-{port}")));
    block_on(client.answered_more(20, SOON)).unwrap();
    let report = block_on(client.stop());
    assert_eq!(report.failed(), 0, "{report} {:?}", report.incidents);
    let done = host.untouched(|| host.refresh(&web.url(), &[]).expect(0));
    assert_eq!(done.stderr, "");
}

/// What would be left out is left out of what is shown, too.
#[test]
fn those_who_only_look_are_told_of_a_held_port_as_well() {
    let web = Web::start();
    let host = Host::new();
    host.refresh(&web.url(), &[]).expect(0);
    let (_other, port) = held();
    deploy(&web, "/late", port);
    let told = says_held("/late", port);
    let looked = host.look("diff", &web.url()).expect(0).says(&[&told]);
    assert_eq!(looked.stdout, "");
    let looked = host.look("check", &web.url()).expect(1).says(&[&told]);
    assert!(looked.stdout.contains("1 service ports"), "{looked:?}");
}

#[test]
fn a_first_start_leaves_out_what_is_held_and_serves_the_rest() {
    let web = Web::start();
    let host = Host::new();
    let (other, port) = held();
    deploy(&web, "/late", port);
    let done = host.refresh(&web.url(), &[]).expect(0);
    done.says(&[&says_held("/late", port), "HAProxy was started"]);
    web.connect();
    drop(other);
    host.refresh(&web.url(), &[]).expect(0);
    assert!(host.installed().contains(&format!("listen late-{port}")));
}

/// Who lost the quarrel for a port does not get it because the winner is out.
#[test]
fn every_claim_on_a_held_port_is_left_out() {
    let web = Web::start();
    let host = Host::new();
    let (_other, port) = held();
    deploy(&web, "/first", port);
    deploy(&web, "/second", port);
    let done = host.refresh(&web.url(), &[]).expect(0);
    done.says(&[&says_held("/first", port), &says_held("/second", port)]);
    assert!(!host.installed().contains(&format!(":{port}\n")));
}

/// A file that somebody wrote by hand, or that nobody remembers, may have it listen there.
#[test]
fn a_port_that_our_own_haproxy_holds_is_not_held() {
    let web = Web::start();
    let host = Host::new();
    let port = free_ports(1).unwrap()[0];
    deploy(&web, "/late", port);
    host.refresh(&web.url(), &[]).expect(0);
    let (installed, pid) = (host.installed(), host.pid());
    let (without, _) = installed.split_once("\nlisten late").unwrap();
    host.write("etc/haproxy.cfg", without);
    std::fs::remove_dir_all(host.path("state")).unwrap();
    let done = host.refresh(&web.url(), &[]).expect(0);
    assert!(!done.stderr.contains("is held"), "{done:#?}");
    assert!(host.installed().contains(&format!("listen late-{port}")));
    assert_ne!(host.pid(), pid);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    std::net::TcpStream::connect(address).unwrap();
}

/// What only this host could tell is not asked where the file is for another, or for nobody yet.
#[test]
fn nothing_is_left_out_where_nobody_is_told_or_nothing_is_checked() {
    let web = Web::start();
    let (_other, port) = held();
    deploy(&web, "/late", port);
    let ways: [&[&str]; 3] = [
        &["--reload", "none"],
        &["--reload", "command", "--reload-command", "true"],
        &["--reload", "sf", "--skip-validation"],
    ];
    for more in ways {
        let host = Host::new();
        let done = host.refresh(&web.url(), more);
        assert!(!done.stderr.contains("is held"), "{more:?}: {done:#?}");
        if more.contains(&"sf") {
            done.expect(1).says(&["annot bind socket"]);
        } else {
            done.expect(0);
            assert!(host.installed().contains(&format!("listen late-{port}")));
        }
    }
}

/// HAProxy finds out when it starts, and meanwhile refuses connections to all others.
#[test]
fn an_address_that_this_host_has_not_takes_out_its_own_service_alone() {
    let host = Host::new();
    let ports = free_ports(2).unwrap();
    let at = |address: &str| {
        let app = |name: &str, port: u16, address: &str| {
            // As none of IP it has to be a text of the owner's.
            let bind =
                format!("frontend {{backend}}\n  bind {address}:{{servicePort}}\n  mode tcp\n");
            let label = if address.parse::<IpAddr>().is_ok() {
                ("HAPROXY_0_BIND_ADDR", address)
            } else {
                ("HAPROXY_0_FRONTEND_HEAD", &*bind)
            };
            json!({
                "id": name,
                "labels": {"HAPROXY_GROUP": "x", "HAPROXY_0_MODE": "tcp", label.0: label.1},
                "ports": [port],
                "tasks": [{"id": "t", "host": "127.0.0.1", "ports": [31000], "state": "TASK_RUNNING"}],
            })
        };
        let apps = [
            app("/a", ports[0], address),
            app("/b", ports[1], "127.0.0.1"),
        ];
        let file = host.write("apps.json", &json!({"apps": apps}).to_string());
        [format!("file:{}", file.display())]
    };
    let frame = "global\n  stats timeout 1m\n\ndefaults\n  timeout connect 3s\n  timeout client 9s\n  \
                 timeout server 9s\n";
    host.write("labelled/fragments/head.cfg.tera", frame);
    let folder = host.path("labelled");
    let labelled = [
        "--template-set=native",
        "--group=x",
        "--dont-bind-http-https",
        "--template-labels=all",
        &format!("--template-dir={}", folder.display()),
    ];
    host.refresh(&at("127.0.0.1"), &labelled).expect(0);
    for (address, means) in [
        ("203.0.113.9", "203.0.113.9"),
        ("fe80::1", "fe80::1"),
        ("203.9", "203.0.0.9"),
    ] {
        let done = host.refresh(&at(address), &labelled).expect(0);
        let found = format!("found `{means}` is no address of this host");
        done.says(&["app `/a`: ", &found, "left out", "a new process took over"]);
        let cfg = host.installed();
        assert!(
            !cfg.contains("backend a_") && cfg.contains("backend b_"),
            "{cfg}"
        );
        let done = host.untouched(|| host.refresh(&at(address), &labelled).expect(0));
        assert_eq!(done.stderr, "");
        host.refresh(&at("127.0.0.1"), &labelled).expect(0);
        assert!(host.installed().contains("backend a_"));
    }
}

/// Ports below the first that anybody may have need rights, which a HAProxy that we start has from us.
#[test]
fn a_port_that_needs_rights_is_left_out_before_haproxy_tries_and_only_where_we_start_it() {
    let first = first_unprivileged();
    if first < 2 {
        // The kernel of this host forbids none.
        return;
    }
    let web = Web::start();
    deploy(&web, "/low", first - 1);
    let without_rights = |host: &Host, more: &[&str]| {
        let command = host.refresh_command(&web.url(), more);
        Done::of(without_rights(&command))
    };
    let host = Host::new();
    let done = without_rights(&host, &[]).expect(0).says(&[
        &format!(
            "app `/low`: service port {}: found port {}, for which HAProxy has no rights when we \
             start it, expected one from {first} on, or the right to lower ones \
             (CAP_NET_BIND_SERVICE); service port left out",
            first - 1,
            first - 1
        ),
        "HAProxy was started",
    ]);
    assert!(!done.stderr.contains("did not start"), "{done:#?}");
    web.connect();
    // Somebody else may have them.
    for reload in [
        &["--reload", "none"][..],
        &["--reload", "command", "--reload-command", "true"],
    ] {
        let host = Host::new();
        without_rights(&host, reload).expect(0);
        assert!(host.installed().contains("listen low-"), "{reload:?}");
    }
}

/// The same command, with nothing but its own user.
fn without_rights(command: &Command) -> Command {
    let mut bare = Command::new("env");
    if Uid::effective().is_root() {
        bare.args(["setpriv", "--bounding-set=-all", "--inh-caps=-all"]);
    }
    bare.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bare.env(name, value),
            None => bare.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        bare.current_dir(folder);
    }
    bare
}
