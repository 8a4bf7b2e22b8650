//! What the command line of marathon-lb writes really serves: requests go through the real HAProxy
//! to backends that say who they are and what reached them.
//!
//! Nothing but addresses differs from what a user gets: the texts with the fixed ports 80, 443,
//! 9090 and 9091 are replaced by variables of the environment, as marathon-lb's users do, with the
//! shipped texts on free ports of loopback.

mod backends;
mod default_head;
mod documented;
pub(crate) mod echo;
mod grouped;
mod https;
mod isolated;
mod maps;
pub(crate) mod request;
mod rewrites;
mod routes;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;

use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::haproxy::Proc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use self::echo::Echo;
use self::request::{Answer, Ask};
use crate::host::{APP_ID, HTTP, here, on_port, wait_until};
use crate::support::{Done, Test, haproxy};

/// The shipped texts whose ports are fixed.
const HTTPS: &str =
    include_str!("../../../templates/marathon-lb/fragments/https_frontend_head.cfg.tera");
const HTTPS_GROUPED: &str =
    include_str!("../../../templates/marathon-lb/fragments/https_grouped_frontend_head.cfg.tera");

/// Apps with backends that answer, and the host that they are to be served on.
struct Scene {
    test: Test,
    flags: Vec<String>,
    apps: Vec<Value>,
    echoes: Vec<Echo>,
    ports: Ports,
}

/// What stands for the ports that marathon-lb's templates name.
#[derive(Clone, Copy)]
struct Ports {
    http: u16,
    https: u16,
    stats: u16,
    app_id: u16,
}

impl Scene {
    fn new() -> Self {
        let free = free_ports(4).unwrap();
        let ports = Ports {
            http: free[0],
            https: free[1],
            stats: free[2],
            app_id: free[3],
        };
        let at = |text: &str, from: &str, port: u16| {
            on_port(text, from, port).replace("{{ sslCerts }}", "{sslCerts}")
        };
        let test = Test::new().file("etc/.keep", "").file("run/.keep", "");
        let head = here(&default_head(&test, &[]), &test, ports.stats);
        let test = test
            .env("HAPROXY_HEAD", head)
            .env("HAPROXY_HTTP_FRONTEND_HEAD", at(HTTP, "*:80", ports.http))
            .env(
                "HAPROXY_HTTPS_FRONTEND_HEAD",
                at(HTTPS, "*:443", ports.https),
            )
            .env(
                "HAPROXY_HTTPS_GROUPED_FRONTEND_HEAD",
                at(HTTPS_GROUPED, "*:443", ports.https),
            )
            .env(
                "HAPROXY_HTTP_FRONTEND_APPID_HEAD",
                at(APP_ID, "*:9091", ports.app_id),
            );
        certificate(&test, "default", "default.test");
        let default = test.path().join("default.pem").display().to_string();
        Self {
            flags: vec!["--ssl-certs".to_owned(), default],
            test,
            apps: Vec::new(),
            echoes: Vec::new(),
            ports,
        }
    }

    fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|&flag| flag.to_owned()));
        self
    }

    /// A self-signed certificate in the private folder: its path.
    fn certificate(&self, host: &str) -> String {
        certificate(&self.test, host, host);
        self.path(&format!("{host}.pem")).display().to_string()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.test.path().join(name)
    }

    /// An app on a service port of its own, with a backend of each of these names: the port.
    fn app(&mut self, id: &str, backends: &[&str], labels: &[(&str, &str)]) -> u16 {
        self.app_with(id, backends, labels, &json!({}))
    }

    /// The same, with other fields of its definition.
    fn app_with(
        &mut self,
        id: &str,
        backends: &[&str],
        labels: &[(&str, &str)],
        fields: &Value,
    ) -> u16 {
        let port = free_ports(1).unwrap()[0];
        self.app_on(port, id, backends, labels, fields);
        port
    }

    /// The same on a given service port.
    fn app_on(
        &mut self,
        service_port: u16,
        id: &str,
        backends: &[&str],
        labels: &[(&str, &str)],
        fields: &Value,
    ) {
        let echoes: Vec<Echo> = backends.iter().map(|name| Echo::start(name)).collect();
        let tasks: Vec<Value> = echoes
            .iter()
            .map(|echo| task(id, echo.name(), echo.port()))
            .collect();
        let mut all = json!({"HAPROXY_0_BIND_ADDR": "127.0.0.1"});
        for (name, value) in labels {
            all[name] = json!(value);
        }
        let mut app = json!({
            "id": id,
            "instances": tasks.len(),
            "ports": [service_port],
            "labels": all,
            "tasks": tasks,
        });
        for (name, value) in fields.as_object().unwrap() {
            app[name] = value.clone();
        }
        self.apps.push(app);
        self.echoes.extend(echoes);
    }

    /// Has the program write the files.
    fn write(&self) -> Done {
        let apps = json!({"apps": self.apps}).to_string();
        fs::write(self.path("apps.json"), apps).unwrap();
        let mut command = self.test.command();
        command.args(["marathon-lb", "--group", "*", "-m", "file:apps.json"]);
        command.arg("--haproxy-config").arg(self.cfg());
        command.args(["--command", "true", "--syslog-socket", "/dev/null"]);
        command.args(&self.flags);
        Done::of(command)
    }

    fn cfg(&self) -> PathBuf {
        self.path("etc/haproxy.cfg")
    }

    /// Has the files written, which the program has checked, and HAProxy serve them.
    #[track_caller]
    fn serve(self) -> Served {
        self.write().expect(0);
        let cfg = fs::read_to_string(self.cfg()).unwrap();
        Served {
            haproxy: Haproxy::start(&self.test),
            scene: self,
            cfg,
        }
    }
}

/// A HAProxy that serves what was written.
struct Served {
    haproxy: Haproxy,
    scene: Scene,
    cfg: String,
}

impl Served {
    fn http(&self) -> Ask {
        Ask::http(at(self.scene.ports.http))
    }

    fn https(&self) -> Ask {
        Ask::https(at(self.scene.ports.https))
    }

    fn app_id(&self, id: &str) -> Answer {
        let ask = Ask::http(at(self.scene.ports.app_id));
        ask.header("X-Marathon-App-Id", id).get("lb", "/")
    }

    /// Stops HAProxy; what it was to serve can be changed then.
    fn end(self) -> Scene {
        let Self { haproxy, scene, .. } = self;
        drop(haproxy);
        let cfg = scene.cfg();
        wait_until("HAProxy's end", || Proc::default().using(&cfg).is_empty());
        scene
    }

    /// Of the backend with this name.
    fn echo(&self, name: &str) -> &Echo {
        let mut echoes = self.scene.echoes.iter();
        echoes.find(|echo| echo.name() == name).unwrap()
    }

    /// What HAProxy's socket says of the servers of a backend: `name status` each.
    fn servers(&self, backend: &str) -> Vec<String> {
        let stats = Ask::http(at(self.scene.ports.stats)).get("stats", "/haproxy?stats;csv");
        let stats = stats.expect(200);
        let of_backend = |line: &&str| line.split(',').next() == Some(backend);
        let rows = stats.body.lines().filter(of_backend);
        rows.map(|row| row.split(',').collect::<Vec<_>>())
            .filter(|row| !matches!(row[1], "FRONTEND" | "BACKEND"))
            .map(|row| format!("{} {}", row[1], row[17]))
            .collect()
    }
}

/// A process of the real HAProxy; it ends with this.
pub(crate) struct Haproxy {
    pid_file: PathBuf,
}

impl Haproxy {
    /// It goes into the background once it listens.
    #[track_caller]
    pub(crate) fn start(test: &Test) -> Self {
        let pid_file = test.path().join("run/pid");
        let output = Command::new(haproxy())
            .arg("-D")
            .arg("-f")
            .arg(test.path().join("etc/haproxy.cfg"))
            .arg("-p")
            .arg(&pid_file)
            .current_dir(test.path())
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "HAProxy does not start: {told}");
        Self { pid_file }
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        let text = fs::read_to_string(&self.pid_file).unwrap_or_default();
        for pid in text.lines().filter_map(|line| line.trim().parse().ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

pub(crate) fn at(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

pub(crate) fn task(app: &str, name: &str, port: u16) -> Value {
    json!({
        "id": format!("{}.{name}", &app[1..]),
        "appId": app,
        "host": "127.0.0.1",
        "ports": [port],
        "state": "TASK_RUNNING",
        "startedAt": "2016-01-01T00:00:00.000Z",
    })
}

/// HEAD as it is shipped, with the default options of this environment.
fn default_head(test: &Test, more: &[&str]) -> String {
    fs::write(test.path().join("none.json"), r#"{"apps": []}"#).unwrap();
    let words = [
        "marathon-lb",
        "--dry",
        "--group=*",
        "--syslog-socket=/dev/null",
        "-mfile:none.json",
        "--haproxy-config=etc/none.cfg",
        "--dont-bind-http-https",
    ];
    let done = test.call([&words[..], more].concat()).expect(0);
    let (head, _) = done.stdout.split_once("\n\n").unwrap();
    format!("{head}\n")
}

/// A self-signed certificate for `host` with its key, as HAProxy reads it, in `NAME.pem`; the
/// certificate alone in `NAME.der`.
pub(crate) fn certificate(test: &Test, name: &str, host: &str) {
    let of = |ending: &str| test.path().join(format!("{name}.{ending}"));
    let names = format!("DNS:{}", host.replace(',', ",DNS:"));
    let made = openssl(
        Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-nodes", "-days", "2"])
            .args(["-pkeyopt", "ec_paramgen_curve:prime256v1"])
            .args(["-subj", &format!("/CN={}", host.split(',').next().unwrap())])
            .args(["-addext", &format!("subjectAltName={names}")])
            .args(["-keyout", "-"]),
    );
    fs::write(of("pem"), made).unwrap();
    let mut convert = Command::new("openssl");
    convert
        .args(["x509", "-outform", "DER", "-in"])
        .arg(of("pem"));
    fs::write(of("der"), openssl(&mut convert)).unwrap();
}

fn openssl(command: &mut Command) -> Vec<u8> {
    let output = command.output().expect("openssl runs: see tests/needs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    output.stdout
}
