//! Many changes under load.

use std::time::Duration;

use haproxy_marathon_bridge::demo::backend::Backend;

use super::{LONG, Scene, checked, instance};

/// Instances really end, as soon as HAProxy says that they are gone.
#[tokio::test]
async fn a_hundred_changes_under_load_lose_no_request_and_need_no_reload() {
    let mut serving: Vec<(usize, Backend)> =
        (1..=4).map(|n| (n, instance(&format!("t{n}")))).collect();
    let lines = |serving: &[(usize, Backend)]| -> Vec<String> {
        serving.iter().map(|(n, b)| checked(b, *n)).collect()
    };
    let mut scene = Scene::start(&lines(&serving));
    let clients = [scene.client(), scene.client()];
    for change in 0..100 {
        if change % 2 == 0 {
            let n = 10 + change;
            serving.push((n, instance(&format!("t{n}"))));
            let told = scene.bring(&lines(&serving)).await.unwrap();
            assert_eq!((told.added.len(), told.servers()), (1, 1), "{told:?}");
            let name = format!("t{n}");
            clients[0].answered_by_each(&[&name], LONG).await.unwrap();
        } else {
            let (_, mut gone) = serving.remove(0);
            let told = scene.bring(&lines(&serving)).await.unwrap();
            assert_eq!((told.removed.len(), told.servers()), (1, 1), "{told:?}");
            gone.drain(Duration::ZERO, LONG).await.unwrap();
            gone.stop();
        }
    }
    scene.is_the_same_process().await;
    assert!(scene.audit().await.unwrap().is_nothing());
    assert_eq!(scene.states().await.len(), serving.len());
    for client in clients {
        let report = client.stop().await;
        assert_eq!(report.failed(), 0, "{report}: {:?}", report.incidents);
        assert!(report.answered > 1000, "{report}");
    }
}

/// Nobody serves meanwhile but those that come, so that they serve before the first of the others rests.
#[tokio::test]
async fn all_servers_of_a_section_are_replaced_at_once_and_no_request_is_lost() {
    let mut serving: Vec<(usize, Backend)> =
        (1..=3).map(|n| (n, instance(&format!("t{n}")))).collect();
    let lines = |serving: &[(usize, Backend)]| -> Vec<String> {
        serving.iter().map(|(n, b)| checked(b, *n)).collect()
    };
    let mut scene = Scene::start(&lines(&serving));
    let clients = [scene.client(), scene.client()];
    for round in 1..=20 {
        let number = |n: usize| 10 * round + n;
        let next: Vec<(usize, Backend)> = (1..=3)
            .map(|n| (number(n), instance(&format!("t{}", number(n)))))
            .collect();
        let told = scene.bring(&lines(&next)).await.unwrap();
        assert_eq!((told.added.len(), told.removed.len()), (3, 3), "{told:?}");
        let names: Vec<&str> = next.iter().map(|(_, backend)| backend.name()).collect();
        clients[0].answered_by_each(&names, LONG).await.unwrap();
        for (_, mut gone) in std::mem::replace(&mut serving, next) {
            gone.drain(Duration::ZERO, LONG).await.unwrap();
            gone.stop();
        }
    }
    scene.is_the_same_process().await;
    for client in clients {
        let report = client.stop().await;
        assert_eq!(report.failed(), 0, "{report}: {:?}", report.incidents);
        assert!(report.answered > 100, "{report}");
    }
}
