//! Service ports on which another program of the host listens, or at addresses that it has not.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use haproxy_marathon_bridge::demo::client::Requests;
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task};
use serde_json::json;

use crate::host::{Host, SOON, Web, block_on};

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
        "app `{name}`: service port {port}: found port {port} is held by another process, expected \
         a port on which nobody listens; service port left out until it is free"
    )
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
            json!({
                "id": name,
                "labels": {
                    "HAPROXY_GROUP": "x",
                    "HAPROXY_0_MODE": "tcp",
                    "HAPROXY_0_BIND_ADDR": address,
                },
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
        &format!("--template-dir={}", folder.display()),
    ];
    host.refresh(&at("127.0.0.1"), &labelled).expect(0);
    for address in ["203.0.113.9", "fe80::1"] {
        let done = host.refresh(&at(address), &labelled).expect(0);
        let found = format!("found `{address}` is no address of this host");
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
