//! What an event costs among many apps, beside a reload.

use std::time::Instant;

use haproxy_marathon_bridge::demo::backend::HEALTH_PATH;
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::{App, Task};

use super::super::cluster::{Scene, TOLD, Watcher};
use super::row::{quantile, shown};

/// Four servers each, which HAProxy checks.
fn deploy_others(scene: &Scene, apps: usize) {
    for (n, port) in free_ports(apps).unwrap().into_iter().enumerate() {
        let app = App::new(&format!("/other-{n}"))
            .service_port(port)
            .label("HAPROXY_0_VHOST", &format!("other-{n}.test"))
            .label("HAPROXY_0_BIND_ADDR", "127.0.0.1")
            .http_check(HEALTH_PATH);
        let task = |task: usize| {
            let host = format!("127.0.{}.{}", 1 + n / 250, 1 + n % 250);
            Task::new(&host).port(u16::try_from(31_000 + task).unwrap())
        };
        let app = (0..4).fold(app, |app, number| app.task(task(number)));
        scene.marathon.deploy(app);
    }
}

#[test]
fn an_event_among_many_apps_costs_less_than_a_reload() {
    let (apps, changes) = (100, 6);
    let mut scene = Scene::new(&[]);
    deploy_others(&scene, apps);
    let watcher = Watcher::start(&scene, &["--resync", "1h", "--reloads-apart", "0s"]);
    let all = scene.host.installed().matches("\n  server ").count();
    // And the watcher, behind the page.
    assert_eq!(all, 4 * apps + 2);
    let used = watcher.used();
    let mut took = Vec::new();
    let mut guest = None;
    for _ in 0..changes {
        let began = match guest.take() {
            None => {
                let (backend, task) = scene.come();
                let began = Instant::now();
                guest = Some(scene.marathon.scale_up("/web", [task]).unwrap().remove(0));
                scene.backends.push(backend);
                began
            }
            Some(id) => {
                let began = Instant::now();
                scene.marathon.fail_task(&id).unwrap();
                began
            }
        };
        watcher.says(TOLD);
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let used = watcher.used().saturating_sub(used) / changes;
    let began = Instant::now();
    scene.change_structure();
    watcher.says("took over");
    let reload = began.elapsed();
    let (half, most) = (quantile(&took, 0.5), quantile(&took, 0.95));
    println!(
        "{apps} apps with 4 servers each: event to HAProxy p50 {} / p95 {}, {} of processor time; \
         with a reload {}",
        shown(half),
        shown(most),
        shown(used),
        shown(reload),
    );
    assert!(half < reload, "{half:?}, {reload:?}");
}
