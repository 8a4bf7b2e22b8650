//! The text form, what is done where it is not spoken, and files that stand in for Marathon.

use super::fake::{APPS, Fake, client, config, html, json, response, said, text};
use crate::marathon::Client;

#[tokio::test]
async fn the_text_form_is_used_where_it_is_spoken() {
    let fake = Fake::new([text("a\t10001\th:1\n")]).await;
    let mut client = client(&[&fake]);
    for _ in 0..2 {
        let answer = client.tasks_as_text().await.unwrap();
        assert_eq!(said(&answer), "ports /a:10001");
        assert_eq!(answer.body, "a\t10001\th:1\n");
    }
    for request in fake.requests() {
        let request = request.to_ascii_lowercase();
        assert!(
            request.starts_with("get /v2/tasks http/1.1\r\n"),
            "{request}"
        );
        assert!(request.contains("\r\naccept: text/plain\r\n"), "{request}");
    }
}

#[tokio::test]
async fn json_is_asked_for_ever_where_the_text_form_is_gone() {
    for gone in [
        html("406 Not Acceptable"),
        html("404 Not Found"),
        json(r#"{"tasks":[]}"#),
        text(r#"{"tasks":[]}"#),
    ] {
        let fake = Fake::new([gone, json(APPS)]).await;
        let mut client = client(&[&fake]);
        for _ in 0..2 {
            assert_eq!(said(&client.tasks_as_text().await.unwrap()), "apps /a");
        }
        let paths: Vec<_> = fake.requests().iter().map(|r| r[..12].to_owned()).collect();
        assert_eq!(paths, ["GET /v2/task", "GET /v2/apps", "GET /v2/apps"]);
    }
}

#[tokio::test]
async fn a_text_that_names_no_port_is_no_proof_of_an_empty_cluster() {
    for nothing in ["", "\n", "a\t \th1\n", "the service is down\n"] {
        let fake = Fake::new([text(nothing), json(r#"{"apps":[]}"#), text("a\t10001\n")]).await;
        let mut client = client(&[&fake]);
        assert_eq!(said(&client.tasks_as_text().await.unwrap()), "apps ");
        assert_eq!(
            said(&client.tasks_as_text().await.unwrap()),
            "ports /a:10001"
        );

        let fake = Fake::new([text(nothing), html("503 Service Unavailable")]).await;
        let error = self::client(&[&fake]).tasks_as_text().await.unwrap_err();
        assert!(error.to_string().contains("status 503"), "{error}");
    }
}

#[tokio::test]
async fn a_node_that_speaks_neither_form_is_passed_over() {
    let proxy = Fake::new([html("404 Not Found")]).await;
    let page = Fake::new([html("200 OK")]).await;
    let untyped = Fake::new([response("200 OK", "", "<html>a 80 h:1")]).await;
    let other = Fake::new([response(
        "200 OK",
        "Content-Type: image/png\r\n",
        "a 80 h:1",
    )])
    .await;
    let good = Fake::new([text("a\t10001\th:1\n")]).await;
    for bad in [proxy, page, untyped, other] {
        let mut client = client(&[&bad, &good]);
        assert_eq!(
            said(&client.tasks_as_text().await.unwrap()),
            "ports /a:10001"
        );
    }
}

#[tokio::test]
async fn a_file_stands_in_for_marathon_in_either_form() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("my apps.json");
    let mut client = Client::new(&config([format!("file:{}", path.display())])).unwrap();
    for (content, want) in [
        (APPS, "apps /a"),
        ("\n {\"apps\":[]}", "apps "),
        ("a\t10001\th:1\n", "ports /a:10001"),
    ] {
        std::fs::write(&path, content).unwrap();
        assert_eq!(said(&client.apps().await.unwrap()), want);
        let answer = client.tasks_as_text().await.unwrap();
        assert_eq!(said(&answer), want);
        assert_eq!(
            (answer.body.as_str(), answer.from),
            (content, format!("file:{}", path.display()))
        );
    }
    for (content, want) in [
        (Vec::new(), "the answer is empty"),
        (vec![b' '; 1001], "the answer has more than 1000 bytes"),
        (vec![0xff], "the answer is no UTF-8 text"),
        (
            b"<html>".to_vec(),
            "found a body that is no complete JSON (",
        ),
        (b"[]".to_vec(), "found "),
        (
            b"it is down\n".to_vec(),
            "found a text that names no service port, expected the JSON of",
        ),
    ] {
        std::fs::write(&path, content).unwrap();
        let fault = client.apps().await.unwrap_err().failures.remove(0).fault;
        assert!(fault.to_string().starts_with(want), "{fault}");
    }
}
