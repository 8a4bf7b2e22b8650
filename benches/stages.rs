//! Parse, build and render, each alone.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use haproxy_marathon_bridge::cluster::{App, ServingTasks, Snapshot, service_ports};
use haproxy_marathon_bridge::config::TemplateSet;
use haproxy_marathon_bridge::haproxy::{Dialect, Version};
use haproxy_marathon_bridge::marathon;
use haproxy_marathon_bridge::proxy::{Proxies, bridge};
use haproxy_marathon_bridge::render::{Renderer, Site};

use super::{TASKS, cluster};

const RUNS: usize = 5;

/// Prints a row for every size.
pub(crate) fn measure(sizes: &[usize]) {
    println!("stages, ms (best of {RUNS}), apps x {TASKS} tasks");
    println!(
        "{:>7} {:>9} {:>8} {:>8} {:>8} {:>9} {:>9}",
        "apps", "json MB", "parse", "build", "render", "re-render", "cfg MB"
    );
    let site = Site::new(TemplateSet::Bridge, Dialect::of(Version::NEWEST));
    for &apps in sizes {
        let body = cluster::answer(apps, TASKS);
        let (parse, parsed) = best(|| marathon::apps(&body).expect("the answer is well formed").0);
        let snapshot = Snapshot::new(parsed);
        let (build, proxies) = best(|| build(&snapshot));
        let (render, text) = best(|| {
            let mut renderer = Renderer::new(&site).expect("own templates");
            renderer
                .render(&proxies)
                .expect("own templates")
                .rendered
                .text()
        });
        let mut renderer = Renderer::new(&site).expect("own templates");
        renderer.render(&proxies).expect("own templates");
        let (again, _) = best(|| {
            renderer
                .render(&proxies)
                .expect("own templates")
                .rendered
                .text()
        });
        println!(
            "{apps:>7} {:>9.1} {:>8.2} {:>8.2} {:>8.2} {:>9.2} {:>9.2}",
            megabytes(body.len()),
            milliseconds(parse),
            milliseconds(build),
            milliseconds(render),
            milliseconds(again),
            megabytes(text.len()),
        );
    }
    println!();
}

fn build(snapshot: &Snapshot) -> Proxies {
    let ports = |app: &Arc<App>| service_ports(app, ServingTasks::Running).0;
    let listens = snapshot
        .apps()
        .iter()
        .flat_map(ports)
        .filter_map(|port| bridge::listen(&port).0);
    bridge::arrange(listens.map(Arc::new), &BTreeMap::new()).0
}

fn best<T>(mut work: impl FnMut() -> T) -> (Duration, T) {
    let mut run = || {
        let start = Instant::now();
        let made = work();
        (start.elapsed(), made)
    };
    let first = run();
    (1..RUNS).fold(first, |best, _| {
        let next = run();
        if next.0 < best.0 { next } else { best }
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
