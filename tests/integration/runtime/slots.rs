//! Lines of servers that stay, and HAProxy is told who is in them: for versions that can add none, and
//! sections to which none can be added.

use std::fs;

use haproxy_marathon_bridge::demo::backend::{Backend, Instance};
use haproxy_marathon_bridge::demo::marathon::App;
use haproxy_marathon_bridge::haproxy::Version;
use haproxy_marathon_bridge::haproxy::servers::Op;

use super::cluster::{Scene, TOLD, Watcher, without_retries};
use super::sticky::{bound_to, stays_with};
use super::tunnel::Tunnel;
use super::{LONG, instance};
use crate::host::{block_on, wait_until};
use crate::support::haproxy_version;
use crate::watch::servers::{checks, counting, proved};

const FOUR: [&str; 2] = ["--server-slots", "4"];
const FIXED: (&str, &str) = ("HAPROXY_0_BALANCE", "static-rr");

/// Where nobody serves.
const FREE: u16 = 1;

/// Ports of those who are in the slots of the installed file, in their order.
fn slots(scene: &Scene) -> Vec<u16> {
    let text = scene.host.installed();
    let lines = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("server slot_"));
    let slot = |(place, line): (usize, &str)| {
        let mut words = line.split(' ');
        assert_eq!(words.next().unwrap(), (place + 1).to_string(), "{line}");
        let (address, port) = words.next().unwrap().rsplit_once(':').unwrap();
        assert_eq!(address, "127.0.0.1");
        let port = port.parse().unwrap();
        assert_eq!(line.ends_with(" disabled"), port == FREE, "{line}");
        port
    };
    lines.enumerate().map(slot).collect()
}

impl Scene {
    fn port(&self, nth: usize) -> u16 {
        self.backends[nth].port()
    }

    fn first_task(&self) -> String {
        let app = self.marathon.app("/web").unwrap();
        app.tasks()[0].id().to_owned()
    }
}

#[test]
fn tasks_come_and_go_in_slots_and_each_keeps_its_own() {
    let mut scene = Scene::new(&[FIXED]);
    scene.refresh(&FOUR).expect(0);
    let pid = scene.host.pid();
    assert_eq!(slots(&scene), [scene.port(0), FREE, FREE, FREE, FREE]);
    scene.scale_up();
    scene.refresh(&FOUR).expect(0).says(&[TOLD]);
    scene.is_answered_by(&["t0", "t1"]);
    let quiet = scene.host.untouched(|| scene.refresh(&FOUR).expect(0));
    assert_eq!(quiet.stderr, "");

    scene.marathon.fail_task(&scene.first_task()).unwrap();
    scene.refresh(&FOUR).expect(0).says(&[TOLD]);
    assert_eq!(slots(&scene), [FREE, scene.port(1), FREE, FREE, FREE]);
    scene.is_answered_by(&["t1"]);
    // Nothing but the file says who is where.
    fs::remove_dir_all(scene.host.state_folder()).unwrap();
    scene.refresh(&FOUR).expect(0);
    scene.scale_up();
    scene.refresh(&FOUR).expect(0).says(&[TOLD]);
    let (one, two) = (scene.port(1), scene.port(2));
    assert_eq!(slots(&scene), [two, one, FREE, FREE, FREE]);
    scene.is_answered_by(&["t1", "t2"]);
    assert_eq!(scene.host.haproxies(), [pid]);
    // Whoever starts HAProxy has the same.
    scene.host.kill();
    scene
        .refresh(&FOUR)
        .expect(0)
        .says(&["HAProxy was started"]);
    assert_eq!(slots(&scene), [two, one, FREE, FREE, FREE]);
    scene.is_answered_by(&["t1", "t2"]);
}

#[test]
fn slots_that_run_out_are_brought_by_a_reload_in_which_nobody_moves() {
    let mut scene = Scene::new(&[FIXED]);
    let one = ["--server-slots", "1"];
    scene.refresh(&one).expect(0);
    scene.scale_up();
    scene.refresh(&one).expect(0).says(&[TOLD]);
    let pid = scene.host.pid();
    scene.scale_up();
    let done = scene.refresh(&one).expect(0);
    done.says(&["a reload is needed", "needs 2 more slots", "took over"]);
    let [zero, one_, two] = [0, 1, 2].map(|nth| scene.port(nth));
    assert_eq!(slots(&scene), [zero, one_, two, FREE]);
    assert_ne!(scene.host.pid(), pid);
    scene.is_answered_by(&["t0", "t1", "t2"]);
    // They stay when they are not needed any more.
    let pid = scene.host.pid();
    scene.marathon.fail_task(&scene.first_task()).unwrap();
    scene.refresh(&one).expect(0).says(&[TOLD]);
    assert_eq!(slots(&scene), [FREE, one_, two, FREE]);
    assert_eq!(scene.host.pid(), pid);
}

#[test]
fn who_lacks_a_slot_waits_for_the_next_reload_and_nobody_waits_with_him() {
    let mut scene = Scene::new(&[FIXED]);
    let one = ["--server-slots", "1"];
    scene.refresh(&one).expect(0);
    let pid = scene.host.pid();
    let flags = |apart| [&one[..], &["--resync", "1h", "--reloads-apart", apart]].concat();
    let watcher = Watcher::start(&scene, &flags("1h"));
    scene.scale_up();
    watcher.says(TOLD);
    for lacking in ["needs 2 more slots", "needs 3 more slots"] {
        scene.scale_up();
        watcher.says(lacking);
        watcher.says("a reload or a refused start was not long before, and the next follows at");
    }
    scene.is_answered_by(&["t0", "t1"]);
    // One of those who wait comes in the place of one who goes.
    let gone = scene.port(0);
    scene.marathon.fail_task(&scene.first_task()).unwrap();
    watcher.says("servers alone, while the rest has to wait: 1 server changed at runtime");
    let there = slots(&scene);
    assert_eq!(there.len(), 2, "{there:?}");
    assert!(
        !there.contains(&gone) && there.contains(&scene.port(1)),
        "{there:?}"
    );
    assert_eq!(scene.host.haproxies(), [pid]);
    scene.host.status().expect(0);
    watcher.end();

    let watcher = Watcher::start(&scene, &flags("1s"));
    if scene.host.pid() == pid {
        watcher.says("took over");
    }
    scene.is_answered_by(&["t1", "t2", "t3"]);
    assert_eq!(slots(&scene).len(), 4);
    watcher.end();
}

/// By turns for servers alone, which do not have the file checked before.
#[test]
fn a_watcher_fills_and_leaves_slots_and_loses_no_request() {
    let mut scene = Scene::new(&[FIXED]);
    without_retries(&scene.host.path("templates/fragments/head.cfg.tera"));
    let haproxy = counting(&scene.host);
    let flags = [&FOUR[..], &["--haproxy", &haproxy, "--resync", "1h"]].concat();
    let watcher = Watcher::start(&scene, &flags);
    let pid = scene.host.pid();
    let client = scene.client();
    let mut ids = vec![scene.first_task()];
    for _ in 0..10 {
        let (checked, before) = (checks(&scene.host), proved(&scene.host));
        let (name, id) = scene.scale_up();
        watcher.says(TOLD);
        assert_eq!(checks(&scene.host), checked, "nothing runs on the way");
        block_on(client.answered_by_each(&[&name], LONG)).unwrap();
        ids.push(id);
        wait_until("the proof", || proved(&scene.host) != before);
        if ids.len() > 3 {
            let before = proved(&scene.host);
            scene.marathon.fail_task(&ids.remove(0)).unwrap();
            watcher.says(TOLD);
            wait_until("the proof", || proved(&scene.host) != before);
        }
    }
    assert_eq!(scene.host.haproxies(), [pid]);
    assert_eq!(slots(&scene).len(), 5);
    let report = block_on(client.stop());
    assert_eq!(report.failed(), 0, "{report}: {:?}", report.incidents);
    watcher.end();
    // A whole turn finds all of it as it left it.
    let quiet = scene.host.untouched(|| scene.refresh(&FOUR).expect(0));
    assert_eq!(quiet.stderr, "");
    assert_eq!(scene.host.haproxies(), [pid]);
}

/// What it told HAProxy of and did not come to prove is what HAProxy has, and not the last good file.
#[test]
fn a_watcher_that_ends_before_the_proof_leaves_everybody_in_place() {
    let mut scene = Scene::new(&[FIXED]);
    let flags = [&FOUR[..], &["--resync", "1h"]].concat();
    let watcher = Watcher::start(&scene, &flags);
    let pid = scene.host.pid();
    scene.scale_up();
    watcher.says(TOLD);
    scene.marathon.fail_task(&scene.first_task()).unwrap();
    watcher.says(TOLD);
    scene.scale_up();
    watcher.says(TOLD);
    watcher.end();
    let before = slots(&scene);
    assert_eq!(before[..2], [scene.port(2), scene.port(1)]);
    scene.refresh(&FOUR).expect(0);
    assert_eq!(slots(&scene), before);
    assert_eq!(scene.host.state()["told"], serde_json::Value::Null);
    assert_eq!(scene.host.haproxies(), [pid]);
    scene.is_answered_by(&["t1", "t2"]);
}

#[test]
fn sections_to_which_servers_can_be_added_have_slots_where_somebody_asks() {
    let mut scene = Scene::new(&[]);
    let adds = haproxy_version() >= Version::new(2, 6);
    scene.refresh(&FOUR).expect(0);
    assert_eq!(slots(&scene).is_empty(), adds);
    let all = [&FOUR[..], &["--slots-everywhere"]].concat();
    scene.refresh(&all).expect(0);
    assert_eq!(slots(&scene), [scene.port(0), FREE, FREE, FREE, FREE]);
    let pid = scene.host.pid();
    scene.scale_up();
    scene.refresh(&all).expect(0).says(&[TOLD]);
    assert_eq!(slots(&scene)[1], scene.port(1));
    scene.is_answered_by(&["t0", "t1"]);
    assert_eq!(scene.host.haproxies(), [pid]);
    // An owner asks for more, and then for none.
    for (asked, is_told) in [("1", true), ("0", false)] {
        let label = |app: App| app.label("HAPROXY_0_SERVER_SLOTS", asked);
        scene.marathon.change_app("/web", label).unwrap();
        scene.refresh(&[]).expect(0);
        let count = slots(&scene).len();
        assert_eq!(count > 0, is_told, "{asked}");
        assert_eq!(scene.servers(), if is_told { count } else { 2 });
        scene.is_answered_by(&["t0", "t1"]);
    }
}

#[test]
fn clients_stay_with_their_server_and_are_not_handed_on_with_its_slot() {
    let mut scene = Scene::new(&[FIXED, ("HAPROXY_0_STICKY", "true")]);
    scene.refresh(&FOUR).expect(0);
    let pid = scene.host.pid();
    scene.scale_up();
    scene.refresh(&FOUR).expect(0).says(&[TOLD]);
    scene.is_answered_by(&["t0", "t1"]);
    let (first, second) = (bound_to(&scene, "t0"), bound_to(&scene, "t1"));
    stays_with(&first, "t0");
    stays_with(&second, "t1");
    scene.marathon.fail_task(&scene.first_task()).unwrap();
    scene.refresh(&FOUR).expect(0).says(&[TOLD]);
    scene.scale_up();
    scene.refresh(&FOUR).expect(0).says(&[TOLD]);
    // In the slot of the first.
    assert_eq!(slots(&scene)[..2], [scene.port(2), scene.port(1)]);
    scene.is_answered_by(&["t1", "t2"]);
    let third = bound_to(&scene, "t2");
    stays_with(&second, "t1");
    stays_with(&third, "t2");
    let anew = first.get("web.test", "/").expect(200);
    assert!(
        anew.header("Set-Cookie").is_some(),
        "whom it was bound to is gone"
    );
    assert_eq!(scene.host.haproxies(), [pid]);
    // Whoever starts with the file knows the same cookies.
    let queue = |app: App| app.label("HAPROXY_0_TIMEOUT_QUEUE", "9s");
    scene.marathon.change_app("/web", queue).unwrap();
    scene.refresh(&FOUR).expect(0).says(&["took over"]);
    scene.is_answered_by(&["t1", "t2"]);
    stays_with(&second, "t1");
    stays_with(&third, "t2");
}

fn taken(number: u8, backend: &Backend) -> String {
    let port = backend.port();
    format!("  server slot_{number} 127.0.0.1:{port} id {number}")
}

fn free(number: u8) -> String {
    format!("  server slot_{number} 127.0.0.1:{FREE} id {number}")
}

fn checked(line: &str) -> String {
    format!("{line} check inter 20ms rise 2 fall 3")
}

fn rests(line: &str) -> String {
    format!("{line} disabled")
}

#[tokio::test]
async fn who_comes_to_a_slot_gets_nothing_before_its_check_succeeds() {
    let a = instance("a");
    let mut late = Instance::http("late").warm_up().unwrap();
    let nobody = rests(&checked(&free(2)));
    let mut scene = super::Scene::start(&[checked(&taken(1, &a)), nobody.clone()]);
    let client = scene.client();
    client.answered_more(20, LONG).await.unwrap();
    let there = [checked(&taken(1, &a)), checked(&taken(2, &late))];
    let told = scene.bring(&there).await.unwrap();
    assert_eq!(told.to_string(), TOLD);
    client.answered_more(200, LONG).await.unwrap();
    assert_eq!(scene.state("slot_2").await.op, Op::Stopped);
    assert!(scene.audit().await.unwrap().is_nothing());
    late.serve().unwrap();
    client.answered_by_each(&["late"], LONG).await.unwrap();
    // And none once it is gone.
    scene
        .bring(&[checked(&taken(1, &a)), nobody])
        .await
        .unwrap();
    let served = late.load().served;
    client.answered_more(50, LONG).await.unwrap();
    assert_eq!(late.load().served, served);
    assert!(scene.audit().await.unwrap().is_nothing());
    scene.is_the_same_process().await;
    let report = client.stop().await;
    assert_eq!(report.failed(), 0, "{report}");
}

#[tokio::test]
async fn a_slot_that_changes_hands_at_once_ends_its_requests_first() {
    let slow = Instance::http("slow").delay(std::time::Duration::from_millis(600));
    let (slow, quick, next) = (slow.start().unwrap(), instance("quick"), instance("next"));
    let mut scene = super::Scene::start(&[taken(1, &slow), taken(2, &quick)]);
    let client = scene.client();
    slow.wait_in_flight(1, LONG).await.unwrap();
    scene
        .bring(&[taken(1, &next), taken(2, &quick)])
        .await
        .unwrap();
    client
        .answered_by_each(&["next", "quick"], LONG)
        .await
        .unwrap();
    scene.is_the_same_process().await;
    let report = client.stop().await;
    assert_eq!(report.failed(), 0, "{report}");
    assert_eq!(report.answers_of("slow"), slow.load().served);
}

#[tokio::test]
async fn a_long_connection_outlasts_what_becomes_of_its_slot() {
    let [a, b, c] = ["a", "b", "c"].map(|name| Instance::tcp(name).start().unwrap());
    let mut scene = super::Scene::speaking("tcp", &[taken(1, &a), rests(&free(2))]);
    let mut tunnel = Tunnel::open(scene.front());
    let mut ask = || {
        let answer = tunnel.ask();
        assert!(answer.contains('a'), "{answer:?}");
    };
    ask();
    scene.bring(&[rests(&free(1)), taken(2, &b)]).await.unwrap();
    ask();
    scene.bring(&[taken(1, &c), taken(2, &b)]).await.unwrap();
    ask();
    let client = scene.client();
    client.answered_by_each(&["b", "c"], LONG).await.unwrap();
    assert_eq!(client.stop().await.failed(), 0);
    assert!(scene.audit().await.unwrap().is_nothing());
    scene.is_the_same_process().await;
}
