//! What HAProxy is told, and what becomes of it.

use std::time::{Duration, Instant};

use haproxy_marathon_bridge::demo::backend::Instance;
use haproxy_marathon_bridge::haproxy::servers::Op;

use super::tunnel::Tunnel;
use super::{LONG, Scene, checked, instance, line, names};

#[tokio::test]
async fn servers_come_and_go_while_the_process_stays() {
    let [a, b] = ["a", "b"].map(instance);
    let mut scene = Scene::start(&[checked(&a, 1)]);
    let client = scene.client();
    client.answered_by_each(&["a"], LONG).await.unwrap();

    let told = scene
        .bring(&[checked(&a, 1), checked(&b, 2)])
        .await
        .unwrap();
    assert_eq!(names(&told.added), ["b"]);
    assert_eq!(told.to_string(), "1 server changed at runtime");
    client.answered_by_each(&["a", "b"], LONG).await.unwrap();

    let told = scene.bring(&[checked(&b, 2)]).await.unwrap();
    assert_eq!(names(&told.removed), ["a"]);
    assert_eq!(scene.states().await.len(), 1);
    let load = a.load();
    client.answered_by_each(&["b"], LONG).await.unwrap();
    client.answered_more(50, LONG).await.unwrap();
    assert_eq!(a.load().served, load.served, "it is gone");

    scene.is_the_same_process().await;
    assert!(scene.audit().await.unwrap().is_nothing());
    let report = client.stop().await;
    assert_eq!(report.failed(), 0, "{report}");
}

#[tokio::test]
async fn a_request_under_way_is_answered_by_the_server_that_goes() {
    let slow = Instance::http("slow").delay(Duration::from_millis(600));
    let (slow, quick) = (slow.start().unwrap(), instance("quick"));
    let mut scene = Scene::start(&[line(&slow, 1)]);
    let client = scene.client();
    slow.wait_in_flight(4, LONG).await.unwrap();
    // Who takes it away waits for none of them.
    let told = scene.bring(&[line(&quick, 2)]).await.unwrap();
    assert_eq!(names(&told.tombstones), ["slow"]);
    client.answered_by_each(&["quick"], LONG).await.unwrap();
    let report = client.stop().await;
    assert_eq!(report.failed(), 0, "{report}");
    assert_eq!(report.answers_of("slow"), slow.load().served);
    assert!(report.answers_of("slow") >= 4, "{report}");
}

#[tokio::test]
async fn who_comes_gets_nothing_before_its_check_succeeds() {
    let a = instance("a");
    let mut late = Instance::http("late").warm_up().unwrap();
    let mut scene = Scene::start(&[checked(&a, 1)]);
    let client = scene.client();
    scene
        .bring(&[checked(&a, 1), checked(&late, 2)])
        .await
        .unwrap();
    client.answered_more(200, LONG).await.unwrap();
    assert_eq!(scene.state("late").await.op, Op::Stopped);
    // It waits for its check, which is nothing to be mended.
    assert!(scene.audit().await.unwrap().is_nothing());
    late.serve().unwrap();
    client.answered_by_each(&["late"], LONG).await.unwrap();
    let report = client.stop().await;
    assert_eq!(report.failed(), 0, "{report}");
}

/// Else nobody would serve until the checks of the new one have succeeded.
#[tokio::test]
async fn who_takes_the_place_of_all_others_serves_at_once() {
    let [a, b, c] = ["a", "b", "c"].map(instance);
    let seldom = |b, id| format!("{} check inter 1h", line(b, id));
    let mut scene = Scene::start(&[seldom(&a, 1)]);
    let client = scene.client();
    scene.bring(&[seldom(&b, 2)]).await.unwrap();
    client.answered_by_each(&["b"], LONG).await.unwrap();
    // One that waits for checks is up when the others go.
    scene.bring(&[seldom(&b, 2), seldom(&c, 3)]).await.unwrap();
    scene.bring(&[seldom(&c, 3)]).await.unwrap();
    client.answered_by_each(&["c"], LONG).await.unwrap();
    let report = client.stop().await;
    assert_eq!(report.failed(), 0, "{report}");
    scene.is_the_same_process().await;
}

#[tokio::test]
async fn weight_and_disabled_are_told_too() {
    let [a, b] = ["a", "b"].map(instance);
    let mut scene = Scene::start(&[line(&a, 1), line(&b, 2)]);
    let heavy = format!("{} weight 9", line(&b, 2));
    let told = scene.bring(&[line(&a, 1), heavy]).await.unwrap();
    assert_eq!(names(&told.changed), ["b"]);
    assert_eq!(scene.state("b").await.weight, 9);

    let disabled = format!("{} disabled", line(&b, 2));
    scene.bring(&[line(&a, 1), disabled]).await.unwrap();
    assert!(scene.state("b").await.admin.is_in_maintenance());
    let client = scene.client();
    client.answered_more(50, LONG).await.unwrap();
    assert_eq!(client.report().answers_of("b"), 0);
    scene.bring(&[line(&a, 1), line(&b, 2)]).await.unwrap();
    assert_eq!(scene.state("b").await.weight, 1);
    client.answered_by_each(&["b"], LONG).await.unwrap();
    let report = client.stop().await;
    assert_eq!(report.failed(), 0, "{report}");
    scene.is_the_same_process().await;
}

#[tokio::test]
async fn a_server_that_moves_gets_nothing_meanwhile() {
    let [a, b, moved] = ["a", "b", "moved"].map(instance);
    let mut scene = Scene::start(&[line(&a, 1), line(&b, 2)]);
    let client = scene.client();
    client.answered_by_each(&["a", "b"], LONG).await.unwrap();
    let elsewhere = format!("  server b 127.0.0.1:{} id 2", moved.port());
    let told = scene.bring(&[line(&a, 1), elsewhere]).await.unwrap();
    assert_eq!(names(&told.changed), ["b"]);
    let load = b.load();
    client.answered_by_each(&["moved"], LONG).await.unwrap();
    assert_eq!(b.load().served, load.served);
    let report = client.stop().await;
    assert_eq!(report.failed(), 0, "{report}");
}

/// In maintenance its requests would be cut: so it rests only once they had their time.
#[tokio::test]
async fn a_request_that_maintenance_would_cut_has_its_time() {
    let slow = Instance::http("slow").delay(Duration::from_millis(600));
    let (slow, quick) = (slow.start().unwrap(), instance("quick"));
    let cut = format!("{} on-marked-down shutdown-sessions", line(&slow, 1));
    let mut scene = Scene::start(&[cut]);
    scene.limits.moves = LONG;
    let client = scene.client();
    slow.wait_in_flight(4, LONG).await.unwrap();
    let told = scene.bring(&[line(&quick, 2)]).await.unwrap();
    assert_eq!(names(&told.removed), ["slow"]);
    client.answered_by_each(&["quick"], LONG).await.unwrap();
    let report = client.stop().await;
    assert_eq!(report.failed(), 0, "{report}");
}

/// A tunnel can last for hours: nothing waits for it, and nothing cuts it.
#[tokio::test]
async fn a_server_with_a_long_connection_is_taken_away_when_that_has_ended() {
    let [a, b] = ["a", "b"].map(|name| Instance::tcp(name).start().unwrap());
    let mut scene = Scene::speaking("tcp", &[line(&a, 1)]);
    let mut tunnel = Tunnel::open(scene.front());
    let mut ask = || {
        let answer = tunnel.ask();
        assert!(answer.contains('a'), "{answer:?}");
    };
    ask();
    // Whoever waited for it would find no end.
    scene.limits.moves = 1000 * LONG;
    let told = scene.bring(&[line(&b, 2)]).await.unwrap();
    assert_eq!(names(&told.tombstones), ["a"]);
    assert!(scene.state("a").await.admin.is_in_maintenance());
    ask();
    // Still there; it costs no time again.
    let told = scene.audit().await.unwrap();
    assert_eq!(names(&told.tombstones), ["a"]);
    assert!(told.is_nothing(), "{told:?}");
    ask();
    // Its name may come again meanwhile.
    let told = scene.bring(&[line(&a, 1), line(&b, 2)]).await.unwrap();
    assert_eq!(names(&told.changed), ["a"]);
    scene.bring(&[line(&b, 2)]).await.unwrap();
    ask();
    drop(tunnel);
    let deadline = Instant::now() + LONG;
    loop {
        let told = scene.audit().await.unwrap();
        if names(&told.ended) == ["a"] {
            break;
        }
        assert!(Instant::now() < deadline, "{told:?}");
    }
    assert_eq!(scene.states().await.len(), 1);
    scene.is_the_same_process().await;
}

#[tokio::test]
async fn what_somebody_else_told_haproxy_is_found_and_undone() {
    let [a, b, c] = ["a", "b", "c"].map(instance);
    let scene = Scene::start(&[line(&a, 1), line(&b, 2), line(&c, 3)]);
    assert!(scene.audit().await.unwrap().is_nothing());
    for command in [
        "set server b/a state maint",
        "set server b/b weight 50",
        "set server b/c state drain",
        "add server b/x 127.0.0.1:9 id 99",
        "enable server b/x",
    ] {
        scene.say(command).await;
    }
    let told = scene.audit().await.unwrap();
    assert_eq!(names(&told.changed), ["a", "b", "c"]);
    assert_eq!(names(&told.removed), ["x"]);
    scene.say("set server b/a state maint").await;
    scene.say("del server b/a").await;
    let told = scene.audit().await.unwrap();
    assert_eq!(names(&told.added), ["a"]);
    assert!(scene.audit().await.unwrap().is_nothing());
    let client = scene.client();
    client
        .answered_by_each(&["a", "b", "c"], LONG)
        .await
        .unwrap();
    let report = client.stop().await;
    assert_eq!(report.failed(), 0, "{report}");
}
