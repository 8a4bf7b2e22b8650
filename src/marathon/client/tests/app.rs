//! One app, asked for by its id.

use super::fake::{Fake, client, config, html, json, redirect, refusing, response};
use crate::cluster::AppId;
use crate::marathon::Client;

const APP: &str = r#"{"app":{"id":"/a/b","tasks":[{"id":"t","host":"h","ports":[31000]}]}}"#;

fn id() -> AppId {
    AppId::new("/a/b")
}

fn absent(status: &str, body: &str) -> super::Reply {
    response(status, "Content-Type: application/json\r\n", body)
}

#[tokio::test]
async fn one_app_is_asked_for_by_its_path() {
    let fake = Fake::new([json(APP)]).await;
    let url = format!("http://{}/prefix/", fake.address);
    let mut client = Client::new(&config([url])).unwrap();
    let answer = client.app(&id()).await.unwrap();
    let app = answer.app.unwrap();
    assert_eq!((app.id, app.tasks.len()), (id(), 1));
    assert_eq!(answer.warnings.len(), 0);
    assert_eq!(answer.from, format!("http://{}/prefix", fake.address));
    let request = fake.requests().remove(0).to_ascii_lowercase();
    let line = "get /prefix/v2/apps/a/b?embed=app.tasks http/1.1\r\n";
    assert!(request.starts_with(line), "{request}");
    assert!(
        request.contains("\r\naccept: application/json\r\n"),
        "{request}"
    );
}

#[tokio::test]
async fn readiness_is_asked_for_where_it_is_heeded_and_behind_what_old_marathons_heed() {
    let fake = Fake::new([json(r#"{"apps":[]}"#), json(APP)]).await;
    let mut client = client(&[&fake]);
    client.ask_for_readiness();
    client.apps().await.unwrap();
    client.app(&id()).await.unwrap();
    let requests = fake.requests();
    for (request, target) in requests.iter().zip([
        "/v2/apps?embed=apps.tasks&embed=apps.deployments&embed=apps.readiness",
        "/v2/apps/a/b?embed=app.tasks&embed=app.deployments&embed=app.readiness",
    ]) {
        assert!(request.starts_with(&format!("GET {target} ")), "{request}");
    }
}

#[tokio::test]
async fn an_app_is_gone_when_marathon_says_so() {
    for message in [
        r#"{"message":"App '/a/b' does not exist"}"#,
        // Before 0.11.
        r#"{"message":"App 'a/b' does not exist"}"#,
    ] {
        let fake = Fake::new([absent("404 Not Found", message)]).await;
        let answer = client(&[&fake]).app(&id()).await.unwrap();
        assert!(answer.app.is_none() && answer.warnings.is_empty());
    }
}

#[tokio::test]
async fn no_other_answer_means_that_an_app_is_gone() {
    let status = "found status 404 Not Found, expected 200 OK";
    for (reply, reason) in [
        (html("404 Not Found"), status),
        (absent("404 Not Found", ""), status),
        (
            absent("404 Not Found", r#"{"message":"HTTP 404 Not Found"}"#),
            status,
        ),
        (
            absent("404 Not Found", r#"{"message":"App '/c' does not exist"}"#),
            status,
        ),
        (
            absent("404 Not Found", &" ".repeat(70_000)),
            "the answer has more than 65536 bytes",
        ),
        (
            html("503 Service Unavailable"),
            "found status 503 Service Unavailable, expected 200 OK",
        ),
        (
            html("200 OK"),
            "found text/html;charset=utf-8, expected application/json",
        ),
        (
            json("{}"),
            "found no `app`, expected an object with the object `app`",
        ),
        (
            json(r#"{"app":null}"#),
            "found no `app`, expected an object with the object `app`",
        ),
        (
            json(r#"{"tasks":[]}"#),
            "found no `app`, expected an object with the object `app`",
        ),
        (
            json(r#"{"app":{"id":"/c"}}"#),
            "found the app `/c`, expected the app that was asked for",
        ),
        (
            json(&APP[..20]),
            "found a body that is no complete JSON (EOF",
        ),
        (json(""), "the answer is empty"),
        (
            json(&" ".repeat(1001)),
            "the answer has more than 1000 bytes",
        ),
        (redirect("/again"), "found more than 5 redirects"),
    ] {
        let bad = Fake::new([reply]).await;
        let good = Fake::new([json(APP)]).await;
        let mut both = client(&[&bad, &good]);
        let answer = both.app(&id()).await.unwrap();
        assert!(answer.app.is_some(), "{reason}");
        assert_eq!(answer.from, format!("http://{}", good.address));
        // The one that answered is asked first from now on, whatever it is asked for.
        let asked = bad.count();
        both.app(&id()).await.unwrap();
        assert_eq!(bad.count(), asked);

        let error = client(&[&bad]).app(&id()).await.unwrap_err();
        let fault = error.failures[0].fault.to_string();
        assert!(fault.starts_with(reason), "{fault}\n{reason}");
    }
}

#[tokio::test]
async fn an_app_that_cannot_be_read_is_left_out_with_a_warning() {
    let fake = Fake::new([json(r#"{"app":{"id":"/a/b","ports":7}}"#)]).await;
    let answer = client(&[&fake]).app(&id()).await.unwrap();
    assert!(answer.app.is_none());
    assert_eq!(answer.warnings[0].app, Some(id()));
}

#[tokio::test]
async fn when_all_fail_each_tells_its_reason() {
    let urls = [refusing().await, "file:/nowhere/apps.json".to_owned()];
    let mut client = Client::new(&config(urls)).unwrap();
    let error = client.app(&id()).await.unwrap_err();
    assert_eq!(error.failures.len(), 2);
}

#[tokio::test]
async fn a_moved_answer_is_followed_whatever_kind_of_move_it_is() {
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "307 Temporary Redirect",
    ] {
        let leader = Fake::new([json(APP)]).await;
        let location = format!("Location: http://{}/v2/apps/a/b\r\n", leader.address);
        let standby = Fake::new([response(status, &location, "")]).await;
        let answer = client(&[&standby]).app(&id()).await.unwrap();
        assert!(answer.app.is_some(), "{status}");
    }
}

#[tokio::test]
async fn an_id_that_would_lead_elsewhere_is_not_asked_for() {
    let fake = Fake::new([json(APP)]).await;
    for text in ["/..", "/../info", "/a/./b", "/a//b", "/a?x", "/"] {
        let error = client(&[&fake]).app(&AppId::new(text)).await.unwrap_err();
        let fault = error.failures[0].fault.to_string();
        let want = format!("found the id `{text}`, expected one that an address can name");
        assert_eq!(fault, want);
    }
    assert_eq!(fake.count(), 0);
}

#[tokio::test]
async fn a_file_stands_in_for_one_app_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("apps.json");
    let apps = r#"{"apps":[{"id":"/a","ports":7},{"id":"/a/b"},{"id":"/c"}]}"#;
    std::fs::write(&path, apps).unwrap();
    let mut client = Client::new(&config([format!("file:{}", path.display())])).unwrap();
    for (app, found, warnings) in [("/a/b", true, 0), ("/a", false, 1), ("/d", false, 0)] {
        let answer = client.app(&AppId::new(app)).await.unwrap();
        assert_eq!(answer.app.is_some(), found, "{app}");
        assert_eq!(answer.warnings.len(), warnings, "{app}");
    }
}
