//! Answers of Marathon of any size, in the shape and bulk that real ones have: about 5 kB an app.

use std::fmt::Write as _;

/// The answer of `GET /v2/apps?embed=apps.tasks` for `apps` apps with `tasks` tasks each.
pub(crate) fn answer(apps: usize, tasks: usize) -> String {
    let group = |_| r#""HAPROXY_GROUP":"external","#.to_owned();
    answer_with(group, apps, tasks)
}

/// The same, with labels as owners write them: a host each, for some several hosts, a path, a
/// password, a redirect or a cookie.
pub(crate) fn labelled_answer(apps: usize, tasks: usize) -> String {
    answer_with(labels, apps, tasks)
}

fn labels(app: usize) -> String {
    let group = ["external", "internal", "external,internal", "partners"][app % 4];
    let mut labels = format!(r#""HAPROXY_GROUP":"{group}","#);
    let mut label = |name: &str, value: &str| {
        write!(labels, r#""HAPROXY_0_{name}":"{value}","#).expect("a String takes all text");
    };
    match app % 20 {
        0 | 1 => label("PATH", &format!("/app-{app}")),
        2 | 3 => label("STICKY", "true"),
        4 | 5 => label("REDIRECT_TO_HTTPS", "true"),
        6 => label("BALANCE", "leastconn"),
        7 => label("BACKEND_WEIGHT", "5"),
        8 => label("USE_HSTS", "true"),
        9 => label("BACKEND_NETWORK_ALLOWED_ACL", "10.0.0.0/8 192.168.1.0/24"),
        // HAProxy tries each password when it reads the file, which for a strong one costs more
        // than all else of a service: so this is a weak one.
        10 => label("AUTH", "team:user:rlR4XJ1i8.hsE"),
        _ => (),
    }
    labels
}

fn answer_with(labels: impl Fn(usize) -> String, apps: usize, tasks: usize) -> String {
    let mut text = String::with_capacity(apps * 1300 * (tasks + 1));
    text.push_str("{\"apps\":[");
    for app in 0..apps {
        if app > 0 {
            text.push(',');
        }
        write_app(&mut text, &labels(app), app, tasks);
    }
    text.push_str("]}");
    text
}

fn write_app(out: &mut String, labels: &str, app: usize, tasks: usize) {
    let id = format!("/team-{}/product-{}/app-{app}", app % 37, app % 211);
    let service_port = 10_000 + app % 50_000;
    write!(
        out,
        r#"{{"id":"{id}","cmd":"./bin/serve --listen $PORT0 --config /etc/app/config.yaml --verbose","args":null,"user":"app","env":{{"JAVA_OPTS":"-Xmx512m -XX:+UseG1GC","LOG_LEVEL":"info","DATABASE_URL":"postgres://db-{app}.internal:5432/app","FEATURES":"a,b,c"}},"instances":{tasks},"cpus":0.5,"mem":768,"disk":0,"gpus":0,"executor":"","constraints":[["hostname","UNIQUE"]],"uris":[],"fetch":[{{"uri":"https://artifacts.internal/app-{app}.tar.gz","extract":true,"executable":false,"cache":false}}],"storeUrls":[],"backoffSeconds":1,"backoffFactor":1.15,"maxLaunchDelaySeconds":3600,"container":{{"type":"DOCKER","volumes":[],"docker":{{"image":"registry.internal/team/app-{app}:1.2.{app}","network":"BRIDGE","portMappings":[{{"containerPort":8080,"hostPort":0,"servicePort":{service_port},"protocol":"tcp","labels":{{}}}}],"privileged":false,"parameters":[{{"key":"log-driver","value":"journald"}}],"forcePullImage":false}}}},"healthChecks":[{{"path":"/health","protocol":"HTTP","portIndex":0,"gracePeriodSeconds":300,"intervalSeconds":10,"timeoutSeconds":5,"maxConsecutiveFailures":3,"ignoreHttp1xx":false}}],"readinessChecks":[],"dependencies":[],"upgradeStrategy":{{"minimumHealthCapacity":1,"maximumOverCapacity":0.2}},"labels":{{{labels}"HAPROXY_0_VHOST":"app-{app}.example.org","owner":"team-{}","tier":"backend"}},"acceptedResourceRoles":null,"ipAddress":null,"version":"2016-10-20T09:12:55.{:03}Z","residency":null,"secrets":{{}},"taskKillGracePeriodSeconds":null,"ports":[{service_port}],"portDefinitions":[{{"port":{service_port},"protocol":"tcp","labels":{{}}}}],"requirePorts":false,"versionInfo":{{"lastScalingAt":"2016-10-20T09:12:55.000Z","lastConfigChangeAt":"2016-10-{:02}T09:12:55.{:03}Z"}},"tasksStaged":0,"tasksRunning":{tasks},"tasksHealthy":{tasks},"tasksUnhealthy":0,"deployments":[],"tasks":["#,
        app % 37,
        app % 1000,
        1 + app % 28,
        app % 1000,
    )
    .expect("a String takes all text");
    for task in 0..tasks {
        if task > 0 {
            out.push(',');
        }
        let agent = (app * tasks + task) % 65_000;
        let task_id = format!(
            "{}.{app:08x}-96a1-11e6-8b3c-{task:012x}",
            id[1..].replace('/', "_")
        );
        write!(
            out,
            r#"{{"id":"{task_id}","slaveId":"2f1b4c52-0f0a-4b1c-9b64-0f1b9a3d9c1a-S{agent}","host":"10.{}.{}.{}","state":"TASK_RUNNING","startedAt":"2016-10-20T09:13:05.{:03}Z","stagedAt":"2016-10-20T09:12:56.{:03}Z","ports":[{}],"version":"2016-10-20T09:12:55.{:03}Z","ipAddresses":[{{"ipAddress":"172.17.{}.{}","protocol":"IPv4"}}],"appId":"{id}","healthCheckResults":[{{"alive":true,"consecutiveFailures":0,"firstSuccess":"2016-10-20T09:13:11.{:03}Z","lastFailure":null,"lastSuccess":"2016-10-21T11:02:31.{:03}Z","lastFailureCause":null,"taskId":"{task_id}"}}]}}"#,
            agent / 62_500,
            agent / 250 % 250,
            1 + agent % 250,
            task % 1000,
            app % 1000,
            31_000 + (app * 7 + task * 131) % 1000,
            app % 1000,
            app % 250,
            2 + task % 250,
            task % 1000,
            app % 1000,
        )
        .expect("a String takes all text");
    }
    out.push_str("]}");
}
