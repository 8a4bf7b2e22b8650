//! What the native set really serves: requests go through the real HAProxy to backends that say who
//! they are and what reached them. Nothing but addresses differs from what a user gets.

mod claims;
mod consent;
mod crt_list;
mod documented;
mod http_2;
mod led;
mod measured;
mod open_files;
mod port_443;
mod protects;
mod routes;
mod starts;
mod tunes;
mod turns;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::haproxy::down;
use serde_json::{Value, json};

use crate::host::on_port;
use crate::serve::echo::Echo;
use crate::serve::request::{Answer, Ask};
use crate::serve::{Haproxy, at, certificate, task};
use crate::support::{Done, Test, haproxy};

const HEAD: &str = include_str!("../../../templates/native/fragments/head.cfg.tera");
const HTTP: &str = include_str!("../../../templates/native/http_in.cfg.tera");
const HTTPS: &str = include_str!("../../../templates/native/https_in.cfg.tera");
const TLS: &str = include_str!("../../../templates/native/tls_in.cfg.tera");
const APP_ID: &str = include_str!("../../../templates/native/appid_in.cfg.tera");

/// Apps with backends that answer, and the host that they are to be served on.
struct Scene {
    test: Test,
    flags: Vec<String>,
    apps: Vec<Value>,
    echoes: Vec<Echo>,
    http: u16,
    https: u16,
    app_id: u16,
}

impl Scene {
    fn new() -> Self {
        let free = free_ports(4).unwrap();
        let (http, https, app_id, stats) = (free[0], free[1], free[2], free[3]);
        let test = Test::new().file("etc/.keep", "");
        // As it lies there after a reload: HAProxy warns of one that is missing.
        let test = test.file("run/server-state", down::NONE);
        let head = on_port(HEAD, "127.0.0.1:9090", stats);
        let run = format!("{}/run/", test.path().display());
        let head = head.replace("/run/haproxy/", &run);
        assert!(head.contains(&run), "{head}");
        // Its socket is one of the host, not of this folder.
        let own = |text: &str| {
            let moved = on_port(text, "*:443", https);
            moved.replace("abns@marathon_https", &format!("abns@test_{https}"))
        };
        let test = test
            .file("templates/fragments/head.cfg.tera", head)
            .file("templates/http_in.cfg.tera", on_port(HTTP, "*:80", http))
            .file("templates/https_in.cfg.tera", own(HTTPS))
            .file("templates/tls_in.cfg.tera", own(TLS))
            .file(
                "templates/appid_in.cfg.tera",
                on_port(APP_ID, "*:9091", app_id),
            );
        Self {
            test,
            flags: Vec::new(),
            apps: Vec::new(),
            echoes: Vec::new(),
            http,
            https,
            app_id,
        }
    }

    fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    /// With a certificate for all hosts: port 443 is opened.
    fn with_https(mut self) -> Self {
        let path = self.certificate("default.test");
        self.flags.extend(["--ssl-certs".to_owned(), path]);
        self
    }

    /// A self-signed certificate in the private folder: its path.
    fn certificate(&self, host: &str) -> String {
        certificate(&self.test, host, host);
        let path = self.test.path().join(format!("{host}.pem"));
        path.display().to_string()
    }

    /// An app with one backend, named like the app, on a service port of its own: the port.
    fn app(&mut self, id: &str, labels: &[(&str, &str)]) -> u16 {
        let echo = Echo::start(&id[1..]);
        let port = self.app_at(id, echo.port(), labels);
        self.echoes.push(echo);
        port
    }

    /// The same with a backend that is there already.
    fn app_at(&mut self, id: &str, backend: u16, labels: &[(&str, &str)]) -> u16 {
        let port = free_ports(1).unwrap()[0];
        let mut all = json!({"HAPROXY_0_BIND_ADDR": "127.0.0.1"});
        for (name, value) in labels {
            all[format!("HAPROXY_0_{name}")] = json!(value);
        }
        self.apps.push(json!({
            "id": id,
            "ports": [port],
            "labels": all,
            "tasks": [task(id, &id[1..], backend)],
        }));
        port
    }

    fn cfg(&self) -> PathBuf {
        self.test.path().join("etc/haproxy.cfg")
    }

    /// With a HAProxy that refuses, and does not say whom, what has the words that it `grudges`; of all
    /// else the real one judges first.
    fn grudge(&mut self) {
        let real = haproxy().display().to_string();
        let file = self.test.path().join("grudge");
        let words = self.test.path().join("grudged");
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = -c ] || exec {real} \"$@\"\n{real} \"$@\" || exit 1\n\
             for cfg; do :; done\ngrep -q -f {} \"$cfg\" || exit 0\n\
             echo '[ALERT] (1) : config : out of luck' >&2; exit 1\n",
            words.display()
        );
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let test = std::mem::replace(&mut self.test, Test::new());
        self.test = test.env("HMB_HAPROXY", file);
    }

    fn grudges(&self, words: &str) {
        fs::write(self.test.path().join("grudged"), format!("{words}\n")).unwrap();
    }

    /// Has the program write the file; with maps, or with rules in their place.
    #[track_caller]
    fn write(&self, maps: bool) -> Done {
        let done = self.try_write(maps).expect(0);
        if !maps {
            fs::write(self.cfg(), &done.stdout).unwrap();
        }
        done
    }

    fn try_write(&self, maps: bool) -> Done {
        let apps = json!({"apps": self.apps}).to_string();
        fs::write(self.test.path().join("apps.json"), apps).unwrap();
        let mut command = self.test.command();
        command.args(["generate", "-m", "file:apps.json"]);
        command.args(["--template-dir", "templates"]);
        command.arg("--haproxy-config").arg(self.cfg());
        command.args(&self.flags);
        if maps {
            command.args(["--out-dir", "etc"]);
        }
        Done::of(command)
    }

    #[track_caller]
    fn serve(&self, maps: bool) -> Served<'_> {
        let done = self.write(maps);
        let cfg = fs::read_to_string(self.cfg()).unwrap();
        assert_eq!(cfg.contains("map("), maps, "{cfg}");
        Served {
            _haproxy: Haproxy::start(&self.test),
            scene: self,
            told: done.stderr,
            maps,
        }
    }
}

/// A HAProxy that serves what was written.
struct Served<'s> {
    _haproxy: Haproxy,
    scene: &'s Scene,
    told: String,
    maps: bool,
}

impl Served<'_> {
    fn http(&self) -> Ask {
        Ask::http(at(self.scene.http))
    }

    fn https(&self) -> Ask {
        Ask::https(at(self.scene.https))
    }

    fn app_id(&self, id: &str) -> Ask {
        Ask::http(at(self.scene.app_id)).header("X-Marathon-App-Id", id)
    }

    fn cfg(&self) -> String {
        fs::read_to_string(self.scene.cfg()).unwrap()
    }

    /// Who answers on port 80.
    #[track_caller]
    fn leads(&self, host: &str, path: &str, app: &str) {
        let answer = self.http().get(host, path);
        assert_eq!(answer.by(), app, "{host}{path}, maps: {}", self.maps);
    }

    #[track_caller]
    fn leads_nowhere(&self, host: &str, path: &str) -> Answer {
        self.http().get(host, path).expect(503)
    }
}

/// With maps, and with rules in their place: both have to do the same. One HAProxy ends before the
/// next one takes its ports.
fn both(scene: &Scene, test: impl Fn(&Served<'_>)) {
    for maps in [true, false] {
        let served = scene.serve(maps);
        test(&served);
        drop(served);
        crate::host::wait_until("HAProxy's end", || {
            let proc = haproxy_marathon_bridge::haproxy::Proc::default();
            proc.using(&scene.cfg()).is_empty()
        });
    }
}
