//! Clients that are bound to their server stay there while tasks come and go, and nothing is reloaded.

use haproxy_marathon_bridge::demo::marathon::App;

use super::cluster::{Scene, TOLD};
use crate::serve::at;
use crate::serve::request::Ask;

/// A client whom the server of this name answered, and its cookie.
pub(super) fn bound_to(scene: &Scene, name: &str) -> Ask {
    // It takes turns.
    for _ in 0..20 {
        let answer = Ask::http(at(scene.http)).get("web.test", "/");
        if answer.by() == name {
            let set = answer.header("Set-Cookie").unwrap();
            let cookie = set.split(';').next().unwrap();
            assert!(cookie.len() > "mesosphere_server_id=".len(), "{set}");
            return Ask::http(at(scene.http)).header("Cookie", cookie);
        }
    }
    panic!("{name} answers nobody");
}

pub(super) fn stays_with(client: &Ask, name: &str) {
    for _ in 0..6 {
        assert_eq!(client.get("web.test", "/").expect(200).by(), name);
    }
}

#[test]
fn a_sticky_service_is_scaled_without_a_reload_and_its_clients_stay_where_they_are() {
    let mut scene = Scene::new(&[("HAPROXY_0_STICKY", "true")]);
    scene.refresh(&[]).expect(0);
    let pid = scene.host.pid();
    let first = bound_to(&scene, "t0");
    let (_, id) = scene.scale_up();
    scene.refresh(&[]).expect(0).says(&[TOLD]);
    scene.is_answered_by(&["t0", "t1"]);
    assert_eq!(scene.host.haproxies(), [pid]);
    let second = bound_to(&scene, "t1");
    stays_with(&first, "t0");
    stays_with(&second, "t1");

    // Whoever starts with the file knows the same cookies.
    let least = |app: App| app.label("HAPROXY_0_BALANCE", "leastconn");
    scene.marathon.change_app("/web", least).unwrap();
    scene.refresh(&[]).expect(0).says(&["took over"]);
    scene.is_answered_by(&["t0", "t1"]);
    stays_with(&first, "t0");
    stays_with(&second, "t1");

    let pid = scene.host.pid();
    scene.marathon.fail_task(&id).unwrap();
    scene.refresh(&[]).expect(0).says(&[TOLD]);
    assert_eq!(scene.host.pid(), pid);
    stays_with(&first, "t0");
    stays_with(&second, "t0");
}
