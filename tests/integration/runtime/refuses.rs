//! Whom nothing is told, and what is left to a reload.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

use haproxy_marathon_bridge::apply::runtime::Fallback;
use haproxy_marathon_bridge::haproxy::servers::ServerState;
use haproxy_marathon_bridge::haproxy::structure_hash;
use tokio::time::timeout;

use super::{LONG, Scene, instance, line};
use crate::support::{Done, haproxy};

fn names(states: &[ServerState]) -> Vec<&str> {
    states.iter().map(|state| state.name.as_str()).collect()
}

/// For a moment after a reload, the old process may answer on a socket that is the new one's.
#[tokio::test]
async fn another_process_than_the_one_that_serves_is_told_nothing() {
    let [a, b] = ["a", "b"].map(instance);
    let mut scene = Scene::start(&[line(&a, 1)]);
    let old = scene.pid;
    let mut reload = Command::new(haproxy());
    reload.arg("-D").arg("-f").arg(scene.path("haproxy.cfg"));
    reload.arg("-p").arg(scene.path("pid"));
    reload.arg("-x").arg(scene.socket());
    reload.args(["-sf", &old.to_string()]);
    Done::of(reload).expect(0);
    let is_old = format!("Pid: {old}\n");
    let other_answers = async {
        while scene.say("show info").await.contains(&is_old) {
            tokio::task::yield_now().await;
        }
    };
    timeout(LONG, other_answers).await.unwrap();
    let error = scene.bring(&[line(&a, 1), line(&b, 2)]).await.unwrap_err();
    assert!(
        matches!(error, Fallback::OtherProcess { expected, .. } if expected == old),
        "{error}"
    );
    assert_eq!(names(&scene.states().await), ["a"]);
    let pid = fs::read_to_string(scene.path("pid")).unwrap();
    scene.pid = pid.trim().parse().unwrap();
    scene.bring(&[line(&a, 1), line(&b, 2)]).await.unwrap();
    assert_eq!(names(&scene.states().await), ["a", "b"]);
}

/// A process that says what it is told to say.
fn fake(scene: &Scene, replies: &'static [&'static str]) -> thread::JoinHandle<Vec<String>> {
    fs::remove_file(scene.socket()).unwrap();
    let listener = UnixListener::bind(scene.socket()).unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut commands = BufReader::new(stream.try_clone().unwrap()).lines();
        let mut heard = Vec::new();
        let mut replies = replies.iter();
        while let Some(Ok(command)) = commands.next() {
            heard.push(command);
            let Some(reply) = replies.next() else { break };
            (&stream).write_all(reply.as_bytes()).unwrap();
        }
        heard
    })
}

#[tokio::test]
async fn a_process_that_ends_is_told_nothing() {
    let a = instance("a");
    let mut scene = Scene::start(&[line(&a, 1)]);
    scene.pid = 7;
    let process = fake(
        &scene,
        &["\n> ", "Version: 2.6.12\nPid: 7\nStopping: 1\n\n> "],
    );
    let error = scene.bring(&[]).await.unwrap_err();
    assert!(matches!(error, Fallback::Ends { pid: 7 }), "{error}");
    assert_eq!(process.join().unwrap(), ["prompt", "show info"]);
    let pid = fs::read_to_string(scene.path("pid")).unwrap();
    scene.pid = pid.trim().parse().unwrap();
}

#[tokio::test]
async fn a_process_that_runs_another_structure_is_told_nothing() {
    let [a, b] = ["a", "b"].map(instance);
    let scene = Scene::start(&[line(&a, 1)]);
    let other = |text: String| {
        let text = text.replace("timeout client 60s", "timeout client 61s");
        let old = text.split_ascii_whitespace().nth(2).unwrap().to_owned();
        text.replace(&old, &structure_hash(&text))
    };
    let text = other(scene.text(&[line(&a, 1), line(&b, 2)]));
    let error = scene.told(&text, None).await.unwrap_err();
    assert!(matches!(error, Fallback::OtherStructure { .. }), "{error}");
    let unmarked = text.replace("  description ", "  # ");
    let error = scene.told(&unmarked, None).await.unwrap_err();
    assert!(matches!(error, Fallback::Unmarked), "{error}");
    assert_eq!(names(&scene.states().await), ["a"]);
}

#[tokio::test]
async fn a_socket_that_cannot_be_used_is_told_apart_and_costs_no_time() {
    let [a, b] = ["a", "b"].map(instance);
    let mut scene = Scene::start(&[line(&a, 1)]);
    let both = [line(&a, 1), line(&b, 2)];
    let hidden = scene.path("hidden");
    fs::rename(scene.socket(), &hidden).unwrap();
    let error = scene.bring(&both).await.unwrap_err();
    assert!(
        matches!(&error, Fallback::Ask(error) if error.nobody_listens()),
        "{error}"
    );
    fs::write(scene.socket(), "").unwrap();
    let error = scene.bring(&both).await.unwrap_err();
    assert!(matches!(error, Fallback::Ask(_)), "{error}");
    fs::remove_file(scene.socket()).unwrap();

    // Silence ends too.
    let _silent = UnixListener::bind(scene.socket()).unwrap();
    scene.limits.command = Duration::from_millis(100);
    let error = scene.bring(&both).await.unwrap_err();
    assert!(error.to_string().contains("not answered within"), "{error}");
}

/// A socket of the level `user` shows no servers.
#[tokio::test]
async fn who_may_not_tell_is_refused() {
    let [a, b] = ["a", "b"].map(instance);
    let mut scene = Scene::start(&[line(&a, 1)]);
    let text = scene
        .text(&[line(&a, 1)])
        .replace("level admin", "level user");
    let old = text.split_ascii_whitespace().nth(2).unwrap().to_owned();
    let text = text.replace(&old, &structure_hash(&text));
    scene.install(&text);
    let mut reload = Command::new(haproxy());
    reload.arg("-D").arg("-f").arg(scene.path("haproxy.cfg"));
    reload.arg("-p").arg(scene.path("pid"));
    reload.args(["-sf", &scene.pid.to_string()]);
    Done::of(reload).expect(0);
    let pid = fs::read_to_string(scene.path("pid")).unwrap();
    scene.pid = pid.trim().parse().unwrap();
    let more = text.replace(&line(&a, 1), &format!("{}\n{}", line(&a, 1), line(&b, 2)));
    let error = scene.told(&more, None).await.unwrap_err();
    assert!(error.to_string().contains("Permission denied"), "{error}");
}

/// HAProxy has the last word.
#[tokio::test]
async fn what_haproxy_refuses_is_left_to_a_reload() {
    let [a, b] = ["a", "b"].map(instance);
    let mut scene = Scene::start(&[line(&a, 1)]);
    scene.say("add server b/x 127.0.0.1:9 id 2").await;
    let error = scene.bring(&[line(&a, 1), line(&b, 2)]).await.unwrap_err();
    let Fallback::Surprise { command, reply } = &error else {
        panic!("{error}")
    };
    assert!(command.starts_with("add server b/b "), "{command}");
    assert!(reply.contains("already used"), "{reply}");
    scene.is_the_same_process().await;
}
