//! Clusters that a seed decides, with labels as owners write them: every label, every form of
//! network, deployments of two colours, tasks in all states.

use serde_json::{Map, Value, json};

use super::random::Random;

/// Answers in pieces that may stand in any order.
pub(crate) struct Generated {
    /// Apps; those of one deployment stand together.
    pub(crate) units: Vec<Vec<Value>>,
    /// Ports are given by hash, and thus by the order of the apps.
    pub(crate) has_auto_ports: bool,
    /// An owner replaces a template.
    pub(crate) has_template_labels: bool,
}

impl Generated {
    /// As Marathon answers.
    pub(crate) fn answer(&self) -> String {
        let apps: Vec<&Value> = self.units.iter().flatten().collect();
        json!({ "apps": apps }).to_string()
    }

    /// The same cluster in another order.
    pub(crate) fn shuffled(mut self, random: &mut Random) -> Self {
        let ordered = self.has_auto_ports;
        for app in self.units.iter_mut().flatten() {
            if let Some(tasks) = app.get_mut("tasks").and_then(Value::as_array_mut) {
                shuffle(tasks, random);
            }
        }
        if !ordered {
            shuffle(&mut self.units, random);
        }
        self
    }
}

fn shuffle<T>(list: &mut [T], random: &mut Random) {
    for end in (1..list.len()).rev() {
        list.swap(end, random.below(end + 1));
    }
}

/// What is given out only once.
struct Writer<'r> {
    random: &'r mut Random,
    certificate: &'r str,
    native: bool,
    next_port: u16,
    has_auto_ports: bool,
    has_template_labels: bool,
}

/// A cluster whose owners made no mistake; `native` ones write the forms of the native commands, and
/// labels of that set. `certificate` is the path of one that exists.
pub(crate) fn generate(random: &mut Random, certificate: &str, native: bool) -> Generated {
    let wants_templates = random.percent(15);
    let mut writer = Writer {
        random,
        certificate,
        native,
        next_port: 10_000,
        has_auto_ports: false,
        has_template_labels: false,
    };
    let count = 1 + writer.random.below(12);
    let units = (0..count).map(|number| writer.unit(number, wants_templates));
    let units = units.collect();
    Generated {
        units,
        has_auto_ports: writer.has_auto_ports,
        has_template_labels: writer.has_template_labels,
    }
}

impl Writer<'_> {
    fn unit(&mut self, number: usize, wants_templates: bool) -> Vec<Value> {
        let folder = self.random.pick(&["", "/shop", "/team-1/eu", "/a.b"]);
        let id = format!("{folder}/app-{number}");
        let ports = self.ports();
        let mut labels = self.app_labels();
        for index in 0..ports.len() {
            self.service_labels(&mut labels, index, ports.len());
            if wants_templates && self.random.percent(50) {
                self.template_label(&mut labels, index);
            }
        }
        let form = self.random.pick(&Form::ALL);
        if form == Form::AutoPorts {
            self.has_auto_ports = true;
        }
        let checks = self.checks(ports.len());
        if self.random.percent(85) {
            return vec![self.app(&id, form, &ports, &labels, &checks)];
        }
        labels.insert("HAPROXY_DEPLOYMENT_GROUP".into(), json!(id));
        let both_count = self.random.percent(60);
        let started = ["2017-01-02T03:04:05", "2017-01-02T04:04:05.678Z"];
        let mut colour = |name: &str, started: &str| {
            let mut labels = labels.clone();
            let mut label = |name: &str, value: &str| {
                labels.insert(format!("HAPROXY_DEPLOYMENT_{name}"), json!(value));
            };
            label("COLOUR", name);
            label("STARTED_AT", started);
            label("ALT_PORT", "10999");
            if both_count {
                label("NEW_INSTANCES", "0");
                label("TARGET_INSTANCES", "4");
            }
            self.app(&format!("{id}-{name}"), form, &ports, &labels, &checks)
        };
        vec![colour("blue", started[0]), colour("green", started[1])]
    }

    fn port(&mut self) -> u16 {
        // Now and then two claim one port, and one of them is served.
        if !self.random.percent(1) {
            self.next_port += 1;
        }
        self.next_port
    }

    fn ports(&mut self) -> Vec<u16> {
        let count = self.random.pick(&[1, 1, 1, 2, 2, 3]);
        (0..count).map(|_| self.port()).collect()
    }

    fn app_labels(&mut self) -> Map<String, Value> {
        let mut labels = Map::new();
        labels.insert("owner".into(), json!("team \"a\"\nand b"));
        if self.random.percent(85) {
            let group = self
                .random
                .pick(&["external", "external,internal", "internal"]);
            labels.insert("HAPROXY_GROUP".into(), json!(group));
        }
        labels
    }

    fn service_labels(&mut self, labels: &mut Map<String, Value>, index: usize, ports: usize) {
        let mut label = |name: &str, value: &str| {
            labels.insert(format!("HAPROXY_{index}_{name}"), json!(value));
        };
        let random = &mut *self.random;
        let native = self.native;
        let is_routed = random.percent(60);
        if is_routed {
            let hosts = 1 + random.below(4).saturating_sub(1);
            let host = |_| {
                let before = if native && random.percent(30) {
                    "*."
                } else {
                    ""
                };
                format!("{before}H{}.example.com", random.below(12))
            };
            label("VHOST", &(0..hosts).map(host).collect::<Vec<_>>().join(","));
        } else if random.percent(30) {
            label("MODE", random.pick(&["tcp", "http", "HTTP"]));
        }
        let words: [(&str, usize, &[&str]); 19] = [
            ("GROUP", 15, &["external", "internal", "external,other"]),
            ("PATH", 30, &["/", "/shop", "/a /b", "-i /Docs"]),
            (
                "BACKEND_WEIGHT",
                25,
                if native {
                    &["5", "-1", "-7", " 12 ", "0"]
                } else {
                    &["5", "-1", "-7", " 12 ", "+3", "1_0", "0"]
                },
            ),
            ("ENABLED", 25, &["true", "T", "yes", "false", "1", "no"]),
            (
                "BALANCE",
                25,
                &["leastconn", "source", "first", "roundrobin"],
            ),
            ("BIND_ADDR", 10, &["127.0.0.1", "10.0.0.42", "*", "::1"]),
            (
                "BIND_OPTIONS",
                10,
                &["accept-proxy", "maxconn 2000", "backlog 50"],
            ),
            ("SSL_CERT", 10, &[self.certificate]),
            ("STICKY", 25, &["true", "YES", "on"]),
            ("REDIRECT_TO_HTTPS", 25, &["true", "y"]),
            ("USE_HSTS", 15, &["true"]),
            (
                "AUTH",
                15,
                &["team:user:rlR4XJ1i8.hsE", "My Realm:ann:rlR4XJ1i8.hsE"],
            ),
            ("HTTP_BACKEND_PROXYPASS_PATH", 10, &["/shop", "/"]),
            ("HTTP_BACKEND_REVPROXY_PATH", 10, &["/shop"]),
            ("HTTP_BACKEND_REDIR", 10, &["/shop/index.html"]),
            (
                "BACKEND_NETWORK_ALLOWED_ACL",
                15,
                &["10.0.0.0/8", "127.0.0.1  192.168.0.0/16", ""],
            ),
            ("BACKEND_HEALTHCHECK_PORT_INDEX", 0, &[]),
            ("PORT", 0, &[]),
            ("NOBODY_KNOWS_IT", 5, &["{ %[x] }"]),
        ];
        for (name, percent, values) in words {
            if random.percent(percent) {
                label(name, random.pick(values));
            }
        }
        for (name, percent, values) in OF_NATIVE {
            if native && random.percent(percent) {
                label(name, random.pick(values));
            }
        }
        if random.percent(12) {
            let index = random.below(ports + 1).saturating_sub(1);
            label("BACKEND_HEALTHCHECK_PORT_INDEX", &index.to_string());
        }
        if random.percent(7) {
            label("PORT", &self.port().to_string());
        }
    }

    fn template_label(&mut self, labels: &mut Map<String, Value>, index: usize) {
        self.has_template_labels = true;
        let (name, text) = self.random.pick(&[
            (
                "BACKEND_HEAD",
                "\nbackend {backend}\n  balance {balance!s:>12}\n  mode {mode}\n",
            ),
            (
                "FRONTEND_HEAD",
                "\nfrontend {backend}\r\n  bind *:{servicePort:05d}\r\n  mode {mode}\r\n",
            ),
            (
                "HTTP_FRONTEND_ACL",
                "  acl is_{cleanedUpHostname} hdr_end(host) {hostname}\n",
            ),
            (
                "HTTPS_FRONTEND_ACL",
                "  use_backend {backend} if {{ ssl_fc_sni {hostname} }}\n",
            ),
            (
                "BACKEND_HTTP_OPTIONS",
                "  http-request set-header A %[src] if { ssl_fc }\n",
            ),
            ("BACKEND_STICKY_OPTIONS", "  cookie other insert\n"),
            (
                "BACKEND_SERVER_OPTIONS",
                "  server {serverName} {host_ipv4}:{port} weight 3{otherOptions}\n",
            ),
            (
                "BACKEND_HTTP_HEALTHCHECK_OPTIONS",
                "  option httpchk HEAD {healthCheck[path]}\n",
            ),
            (
                "BACKEND_SERVER_HTTP_HEALTHCHECK_OPTIONS",
                "  check fall {healthCheckFalls} \n",
            ),
            ("BACKEND_SERVER_TCP_HEALTHCHECK_OPTIONS", ""),
            ("BACKEND_HEAD", "\nbackend {nobody_knows_it}\n"),
        ]);
        labels.insert(format!("HAPROXY_{index}_{name}"), json!(text));
    }

    fn checks(&mut self, ports: usize) -> Vec<Value> {
        let count = self.random.pick(&[0, 0, 1, 1, 1, 2]);
        let check = |_| {
            let protocol = self.random.pick(&[
                "HTTP",
                "HTTP",
                "HTTP",
                "HTTPS",
                "TCP",
                "COMMAND",
                "MESOS_HTTP",
                "MESOS_HTTPS",
                "MESOS_TCP",
            ]);
            let mut check = json!({
                "protocol": protocol,
                "gracePeriodSeconds": 10 * self.random.below(30),
                "intervalSeconds": 1 + self.random.below(60),
                "timeoutSeconds": 1 + self.random.below(20),
                "maxConsecutiveFailures": self.random.below(5),
            });
            if protocol == "COMMAND" {
                check["command"] = json!({"value": "curl {x} | grep '%'"});
            } else if self.random.percent(10) {
                check["port"] = json!(8081);
            } else {
                check["portIndex"] = json!(self.random.below(ports));
            }
            if self.random.percent(70) {
                check["path"] = json!("/health/live");
            }
            check
        };
        (0..count).map(check).collect()
    }

    fn app(
        &mut self,
        id: &str,
        form: Form,
        ports: &[u16],
        labels: &Map<String, Value>,
        checks: &[Value],
    ) -> Value {
        let count = self.random.pick(&[0, 1, 1, 2, 2, 3, 4]);
        let tasks: Vec<Value> = (0..count)
            .map(|task| self.task(id, task, form, ports.len(), !checks.is_empty()))
            .collect();
        let day = 1 + self.random.below(28);
        let mut app = json!({
            "id": id, "labels": labels, "tasks": tasks, "healthChecks": checks, "instances": count,
            "env": {"A": "b", "SECRET": {"secret": "s"}},
            "versionInfo": {
                "lastScalingAt": format!("2017-03-{:02}T10:00:00.000Z", 1 + self.random.below(28)),
                "lastConfigChangeAt": format!("2017-02-{day:02}T10:00:00.000Z"),
            },
        });
        form.describe(&mut app, ports);
        app
    }

    fn task(&mut self, app: &str, task: usize, form: Form, ports: usize, checked: bool) -> Value {
        let random = &mut *self.random;
        let agent = random.below(40);
        let host = match random.below(10) {
            0 => String::new(),
            1 | 2 => format!("agent-{agent}.dc.example.com"),
            _ => format!("10.0.{}.{}", agent / 8, 1 + agent),
        };
        let address = match random.below(8) {
            0 => format!("fd01:b::{:x}", 1 + random.below(250)),
            _ => format!("9.0.{}.{}", random.below(4), 1 + random.below(250)),
        };
        let state = match random.below(10) {
            0 => random.pick(&["TASK_STAGING", "TASK_KILLING", "TASK_FAILED"]),
            1 => random.pick(&["TASK_UNREACHABLE", "TASK_LOST"]),
            _ => "TASK_RUNNING",
        };
        let first = 31_000 + 8 * random.below(120);
        let on_agent = form.is_on_agent();
        let ports: Vec<usize> = (0..ports).filter(|_| on_agent).map(|n| first + n).collect();
        let mut told = json!({
            "id": format!("{}.{task}", app[1..].replace('/', "_")), "appId": app, "host": host,
            "ports": ports, "state": state, "startedAt": "2017-01-01T00:00:00.000Z",
        });
        if !random.percent(5) {
            told["ipAddresses"] = json!([{"ipAddress": address, "protocol": "IPv4"}]);
        }
        if checked && random.percent(80) {
            let alive = random.percent(80);
            told["healthCheckResults"] = json!([null, {"alive": alive, "consecutiveFailures": 1}]);
        }
        told
    }
}

/// Labels that only the native set knows.
const OF_NATIVE: [(&str, usize, &[&str]); 13] = [
    ("HEADER", 10, &["X-Canary: yes", "X-Canary", "A: } or {"]),
    ("METHOD", 10, &["GET", "POST, PUT"]),
    ("MERGE", 20, &["one", "two", " one "]),
    ("WEIGHT", 20, &["0", "1", "5", "1000000"]),
    ("TIMEOUT_CONNECT", 10, &["500ms"]),
    ("TIMEOUT_SERVER", 10, &["5m"]),
    ("TIMEOUT_QUEUE", 10, &["5s"]),
    ("TIMEOUT_TUNNEL", 10, &["8h"]),
    ("MAXCONN", 10, &["200"]),
    ("SERVER_SLOTS", 10, &["2", "0"]),
    ("SEND_PROXY", 10, &["v1", "v2"]),
    ("COMPRESSION", 10, &["true", "False"]),
    ("SNI_PASSTHROUGH", 10, &["true", "False"]),
];

/// How Marathon wrote networks and ports over the years.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Ports,
    PortDefinitions,
    DockerBridge,
    Bridge,
    DockerUser,
    Container,
    Discovery,
    AutoPorts,
}

impl Form {
    const ALL: [Self; 8] = [
        Self::Ports,
        Self::PortDefinitions,
        Self::DockerBridge,
        Self::Bridge,
        Self::DockerUser,
        Self::Container,
        Self::Discovery,
        Self::AutoPorts,
    ];

    fn is_on_agent(self) -> bool {
        matches!(
            self,
            Self::Ports | Self::PortDefinitions | Self::DockerBridge | Self::Bridge
        )
    }

    fn describe(self, app: &mut Value, ports: &[u16]) {
        let definitions = || -> Vec<Value> {
            let define = |port| json!({"port": port, "protocol": "tcp", "labels": {}});
            ports.iter().map(define).collect()
        };
        let mappings = |host_port: Value| -> Vec<Value> {
            let map = |(port, n)| json!({"containerPort": 8080 + n, "servicePort": port, "hostPort": host_port});
            ports.iter().zip(0_u16..).map(map).collect()
        };
        match self {
            Self::Ports => app["ports"] = json!(ports),
            Self::PortDefinitions => {
                app["networks"] = json!([{"mode": "host"}]);
                app["portDefinitions"] = json!(definitions());
            }
            Self::DockerBridge => {
                let mappings = mappings(json!(0));
                app["container"] =
                    json!({"docker": {"network": "BRIDGE", "portMappings": mappings}});
            }
            Self::Bridge => {
                app["networks"] = json!([{"mode": "container/bridge"}]);
                app["container"] = json!({"portMappings": mappings(json!(0))});
            }
            Self::DockerUser => {
                app["ipAddress"] = json!({"networkName": "dcos"});
                let mappings = mappings(Value::Null);
                app["container"] = json!({"docker": {"network": "USER", "portMappings": mappings}});
            }
            Self::Container => {
                app["networks"] = json!([{"mode": "container", "name": "dcos"}]);
                app["container"] = json!({"portMappings": mappings(Value::Null)});
            }
            Self::Discovery => {
                let number = |n| json!({"number": 8080 + n, "name": "p", "protocol": "tcp"});
                let discovered: Vec<Value> = (0..ports.len()).map(number).collect();
                app["ipAddress"] = json!({"discovery": {"ports": discovered}});
                app["portDefinitions"] = json!(definitions());
            }
            Self::AutoPorts => {
                app["networks"] = json!([{"name": "dcos"}]);
                let map = |n| json!({"containerPort": 8080 + n});
                let mappings: Vec<Value> = (0..ports.len()).map(map).collect();
                app["container"] = json!({"portMappings": mappings});
            }
        }
    }
}
