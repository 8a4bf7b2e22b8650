//! What each era writes.

use std::net::IpAddr;

use serde_json::json;

use super::*;

async fn text_of(era: Era, apps: impl IntoIterator<Item = App>) -> String {
    let marathon = Marathon::start(era).unwrap();
    for app in apps {
        marathon.deploy(app);
    }
    raw(&marathon, "/v2/tasks", "Accept: text/plain\r\n")
        .await
        .text()
}

async fn app_of(era: Era, app: App) -> Value {
    let marathon = Marathon::start(era).unwrap();
    marathon.deploy(app);
    get(&marathon, "/v2/apps?embed=apps.tasks").await["apps"][0].clone()
}

#[tokio::test]
async fn text_has_a_line_for_each_app_and_service_port() {
    let frontend = App::new("/product/frontend")
        .service_port(10001)
        .service_port(10002)
        .task(Task::new("b").port(31003).port(31004))
        .task(Task::new("a").port(31001).port(31002))
        .task(Task::new("c").port(1).in_state(TaskState::Staging));
    let old = "product_frontend\t10001\tb:31003\ta:31001\t\n\
               product_frontend\t10002\tb:31004\ta:31002\t\n";
    let sorted = "product_frontend\t10001\ta:31001\tb:31003\t\n\
                  product_frontend\t10002\ta:31002\tb:31004\t\n";
    for (era, text) in [
        (Era::V0_7, old),
        (Era::V0_15, old),
        (Era::V1_4, old),
        (Era::V1_5, sorted),
        (Era::V1_8, sorted),
    ] {
        assert_eq!(text_of(era, [frontend.clone()]).await, text, "{era:?}");
    }
}

#[tokio::test]
async fn text_of_apps_without_tasks_or_ports() {
    let idle = App::new("/idle").service_port(10001);
    let batch = App::new("/batch").task(Task::new("b")).task(Task::new("a"));
    let apps = [idle, batch];
    let old = text_of(Era::V1_4, apps.clone()).await;
    assert_eq!(old, "idle\t10001\t\nbatch\t \tb a \n");
    let new = text_of(Era::V1_5, apps).await;
    assert_eq!(new, "idle\t10001\t\nbatch\t \ta\tb\t\n");
}

#[tokio::test]
async fn text_of_container_networks() {
    let app = App::new("/own")
        .container_network("dcos")
        .port(Port::new(10001).without_host_port())
        .task(Task::new("a").address(IpAddr::from([10, 0, 0, 5])));
    assert_eq!(text_of(Era::V0_15, [app.clone()]).await, "");
    assert_eq!(text_of(Era::V1_4, [app.clone()]).await, "");
    assert_eq!(text_of(Era::V1_8, [app]).await, "own\t10001\ta:0\t\n");
}

#[tokio::test]
async fn text_needs_its_exact_media_type_and_an_era_that_has_it() {
    let marathon = Marathon::start(Era::V1_8).unwrap();
    for accept in [
        "",
        "Accept: */*\r\n",
        "Accept: text/*\r\n",
        "Accept: application/json\r\n",
    ] {
        let answer = raw(&marathon, "/v2/tasks", accept).await;
        assert_eq!(answer.json(), json!({"tasks": []}), "{accept}");
    }
    let text = raw(&marathon, "/v2/tasks", "Accept: text/plain\r\n").await;
    assert_eq!(
        text.header("content-type"),
        Some("text/plain; charset=utf-8")
    );
    for era in [Era::V1_10, Era::V1_11] {
        let marathon = Marathon::start(era).unwrap();
        let text = raw(&marathon, "/v2/tasks", "Accept: text/plain\r\n").await;
        assert_eq!(text.status(), "406", "{era:?}");
    }
}

#[tokio::test]
async fn ports_of_host_networking() {
    let app = || web().port(Port::new(10002).udp().named("dns"));
    let definitions = json!([
        {"port": 10001, "protocol": "tcp", "labels": {}},
        {"port": 10002, "protocol": "udp", "labels": {}, "name": "dns"},
    ]);
    for era in Era::ALL {
        let app = app_of(era, app()).await;
        let ports = (era < Era::V1_5).then(|| json!([10001, 10002]));
        assert_eq!(app.get("ports"), ports.as_ref(), "{era:?}");
        let defined = (era >= Era::V1_1).then_some(&definitions);
        assert_eq!(app.get("portDefinitions"), defined, "{era:?}");
        let networks = (era >= Era::V1_5).then(|| json!([{"mode": "host"}]));
        assert_eq!(app.get("networks"), networks.as_ref(), "{era:?}");
    }
}

#[tokio::test]
async fn ports_of_bridge_networking() {
    let mapping = json!([{
        "containerPort": 80, "hostPort": 0, "servicePort": 10001, "protocol": "tcp", "labels": {},
    }]);
    for era in Era::ALL {
        let port = Port::new(10001).container_port(80);
        let app = app_of(era, App::new("/web").bridge().port(port)).await;
        if era < Era::V1_5 {
            assert_eq!(app["container"]["docker"]["network"], "BRIDGE", "{era:?}");
            assert_eq!(
                app["container"]["docker"]["portMappings"], mapping,
                "{era:?}"
            );
            assert_eq!(app["ports"], json!([10001]), "{era:?}");
        } else {
            assert_eq!(
                app["networks"],
                json!([{"mode": "container/bridge"}]),
                "{era:?}"
            );
            assert_eq!(app["container"]["portMappings"], mapping, "{era:?}");
            assert_eq!(app.get("ports"), None, "{era:?}");
            assert_eq!(app.get("portDefinitions"), None, "{era:?}");
        }
    }
}

#[tokio::test]
async fn ports_of_container_networks() {
    let app = |era| {
        let port = Port::new(10001).container_port(80).without_host_port();
        let app = App::new("/web").container_network("dcos").port(port);
        app_of(era, app)
    };
    let ip_per_task = app(Era::V0_15).await;
    assert_eq!(ip_per_task["ports"], json!([]));
    assert_eq!(
        ip_per_task["ipAddress"]["discovery"]["ports"][0]["number"],
        80
    );
    let user = app(Era::V1_4).await;
    assert_eq!(user["ipAddress"]["networkName"], "dcos");
    assert_eq!(user["container"]["docker"]["network"], "USER");
    assert_eq!(user["ports"], json!([10001]));
    let mode = app(Era::V1_5).await;
    assert_eq!(
        mode["networks"],
        json!([{"mode": "container", "name": "dcos"}])
    );
    let mapping = &mode["container"]["portMappings"][0];
    assert_eq!(mapping["hostPort"], Value::Null);
    assert_eq!(mapping["servicePort"], 10001);
}

#[tokio::test]
async fn fields_of_apps_come_and_go() {
    for era in Era::ALL {
        let bare = app_of(era, App::new("/bare")).await;
        let labels = match era {
            Era::V0_7 => None,
            era if era >= Era::V1_5 => None,
            _ => Some(json!({})),
        };
        assert_eq!(bare.get("labels"), labels.as_ref(), "{era:?}");
        assert_eq!(bare.get("env").is_some(), era < Era::V1_5, "{era:?}");
        let rich = App::new("/rich")
            .label("A", "b")
            .env("C", "d")
            .http_check("/up");
        let rich = app_of(era, rich.field("requirePorts", json!("odd"))).await;
        assert_eq!(rich.get("labels").is_some(), era > Era::V0_7, "{era:?}");
        assert_eq!(rich["env"]["C"], "d");
        assert_eq!(rich["healthChecks"][0]["path"], "/up");
        assert_eq!(rich["requirePorts"], "odd");
    }
}

#[tokio::test]
async fn fields_of_tasks_come_and_go() {
    for era in Era::ALL {
        let task = Task::local(31001)
            .address(IpAddr::from([10, 0, 0, 5]))
            .in_health(Health::Failing(2));
        let staging = Task::local(31002).in_state(TaskState::Staging);
        let dead = Task::local(31003).in_state(TaskState::Failed);
        let app = App::new("/web").service_port(10001).http_check("/");
        let app = app_of(era, app.task(task).task(staging).task(dead)).await;
        let [task, staging, dead] = [&app["tasks"][0], &app["tasks"][1], &app["tasks"][2]];
        let since = |first| era >= first;
        assert_eq!(task.get("state").is_some(), since(Era::V1_1), "{era:?}");
        assert_eq!(task.get("appId").is_some(), since(Era::V0_10), "{era:?}");
        assert_eq!(
            task.get("ipAddresses").is_some(),
            since(Era::V0_15),
            "{era:?}"
        );
        assert_eq!(task.get("servicePorts"), None, "{era:?}");
        let result = &task["healthCheckResults"][0];
        assert_eq!(result["alive"], false, "{era:?}");
        assert_eq!(
            result.get("instanceId").is_some(),
            since(Era::V1_4),
            "{era:?}"
        );
        assert!(task["startedAt"].is_string(), "{era:?}");
        assert!(staging["startedAt"].is_null(), "{era:?}");
        let no_results = staging.get("healthCheckResults").is_none();
        assert_eq!(no_results, since(Era::V1_5), "{era:?}");
        let dead_ports = if since(Era::V1_5) {
            json!([])
        } else {
            json!([31003])
        };
        assert_eq!(dead["ports"], dead_ports, "{era:?}");
        let id = task["id"].as_str().unwrap();
        let instance = id.starts_with("web.instance-") && id.ends_with("._app.1");
        assert_eq!(instance, since(Era::V1_8), "{id}");
        assert_eq!(app["tasksRunning"], 1);
        assert_eq!(app["tasksUnhealthy"], 1);
    }
}

#[tokio::test]
async fn only_the_list_of_tasks_tells_service_ports() {
    let marathon = Marathon::start(Era::V0_7).unwrap();
    marathon.deploy(web());
    let tasks = get(&marathon, "/v2/tasks").await;
    assert_eq!(tasks["tasks"][0]["servicePorts"], json!([10001]));
    assert_eq!(tasks["tasks"][0]["appId"], "/web");
}

#[tokio::test]
async fn scaling_makes_a_version_and_leaves_the_last_change_alone() {
    let marathon = Marathon::start(Era::V1_8).unwrap();
    let first = marathon.deploy(web());
    let started = marathon.scale_up("/web", [Task::local(31002)]).unwrap();
    let app = get(&marathon, "/v2/apps/web").await["app"].clone();
    assert_eq!(app["instances"], 2);
    assert_eq!(app["versionInfo"]["lastConfigChangeAt"], *first);
    assert_eq!(app["versionInfo"]["lastScalingAt"], app["version"]);
    assert!(app["version"].as_str().unwrap() > &*first);
    assert_eq!(marathon.scale_down("/web", 1).unwrap(), started);
    let app = get(&marathon, "/v2/apps/web").await["app"].clone();
    assert_eq!(app["instances"], 1);
    assert_eq!(app["tasks"][1]["state"], "TASK_KILLING");
    marathon.end_task(&started[0], TaskState::Killed).unwrap();
    assert_eq!(marathon.app("/web").unwrap().tasks().len(), 1);
}

#[tokio::test]
async fn a_changed_app_keeps_its_tasks_of_the_old_version() {
    let marathon = Marathon::start(Era::V1_4).unwrap();
    let old = marathon.deploy(web());
    let new = marathon
        .change_app("/web", |app| app.label("A", "b"))
        .unwrap();
    let app = get(&marathon, "/v2/apps/web").await["app"].clone();
    assert_eq!(app["version"], *new);
    assert_eq!(app["labels"]["A"], "b");
    assert_eq!(app["tasks"].as_array().unwrap().len(), 1);
    assert_eq!(app["tasks"][0]["version"], *old);
    assert_eq!(app["instances"], 1);
}

#[tokio::test]
async fn readiness_is_told_from_1_1_to_those_who_ask_while_a_deployment_goes_on() {
    for era in Era::ALL {
        let marathon = Marathon::start(era).unwrap();
        let app = App::new("/a").service_port(10_000).readiness_check();
        let task = marathon.roll_out(app.task(Task::local(1))).remove(0);
        marathon.set_ready(&task, Some(false)).unwrap();
        let whole = "/v2/apps?embed=apps.tasks&embed=apps.deployments&embed=apps.readiness";
        let one = "/v2/apps/a?embed=app.readiness";
        let knows = Era::V1_1 <= era;
        let of = |app: &Value| app["readinessCheckResults"].clone();
        let first = get(&marathon, whole).await["apps"][0].clone();
        assert_eq!(first["tasks"][0]["id"], task);
        assert_eq!(first["deployments"].as_array().unwrap().len(), 1);
        assert_eq!(first.get("readinessChecks").is_some(), knows);
        for app in [first, get(&marathon, one).await["app"].clone()] {
            if knows {
                let result = &of(&app)[0];
                assert_eq!(
                    (&result["taskId"], &result["ready"]),
                    (&json!(task), &json!(false))
                );
            } else {
                assert_eq!(of(&app), Value::Null);
            }
        }
        let unasked = get(&marathon, "/v2/apps?embed=apps.tasks").await;
        assert_eq!(of(&unasked["apps"][0]), Value::Null);
        marathon.lead();
        let later = get(&marathon, whole).await["apps"][0].clone();
        assert_eq!(of(&later), if knows { json!([]) } else { Value::Null });
        marathon.finish("/a").unwrap();
        let over = get(&marathon, whole).await["apps"][0].clone();
        assert_eq!(over["deployments"], json!([]));
    }
}
