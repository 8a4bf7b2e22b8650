mod app;
mod auth;
mod fake;
mod forms;
mod subscriptions;

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use self::fake::{
    APPS, APPS_GZIP, BLANKS_GZIP, Fake, GZIP, Reply, client, config, html, json, redirect,
    refusing, response, said,
};
use super::Client;
use crate::config;

#[tokio::test]
async fn the_question_is_the_one_that_every_marathon_understands() {
    let fake = Fake::new([json(APPS)]).await;
    let url = format!("http://user:p%40ss@{}/prefix/", fake.address);
    let answer = Client::new(&config([url])).unwrap().apps().await.unwrap();
    assert_eq!(said(&answer), "apps /a");
    assert_eq!(answer.body, APPS);
    assert_eq!(answer.from, format!("http://***@{}/prefix", fake.address));

    let request = fake.requests().remove(0).to_ascii_lowercase();
    for line in [
        "get /prefix/v2/apps?embed=apps.tasks http/1.1\r\n",
        "\r\naccept: application/json\r\n",
        "\r\naccept-encoding: gzip\r\n",
        // user:p@ss
        "\r\nauthorization: basic dxnlcjpwqhnz\r\n",
        concat!(
            "\r\nuser-agent: haproxy-marathon-bridge/",
            env!("CARGO_PKG_VERSION"),
            "\r\n"
        ),
    ] {
        assert!(request.contains(line), "{line} {request}");
    }
}

#[tokio::test]
async fn whatever_a_node_does_the_next_one_answers_and_the_reason_is_kept() {
    let cut = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}",
        APPS.len(),
        &APPS[..9]
    );
    let cut_chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{\"ap\r\n";
    // HTTP/1.0 in spirit: the end of the connection is the end of the body.
    let cut_without_length = format!("HTTP/1.1 200 OK\r\n\r\n{}", &APPS[..9]);
    for (reply, reason) in [
        (
            html("500 Server Error"),
            "found status 500 Internal Server Error, expected 200 OK",
        ),
        (
            html("503 Service Unavailable"),
            "found status 503 Service Unavailable, expected 200 OK",
        ),
        (
            html("404 Not Found"),
            "found status 404 Not Found, expected 200 OK",
        ),
        (
            response("206 Partial Content", "", APPS),
            "found status 206 Partial Content, expected",
        ),
        (
            response("204 No Content", "", ""),
            "found status 204 No Content, expected 200 OK",
        ),
        (
            html("200 OK"),
            "found text/html;charset=utf-8, expected application/json",
        ),
        (
            response("200 OK", "", "<html></html>"),
            "found a body that is no complete JSON (",
        ),
        (json("garbage"), "found a body that is no complete JSON ("),
        (
            json(&APPS[..9]),
            "found a body that is no complete JSON (EOF",
        ),
        (
            json(r#"{"message":"x"}"#),
            "found no `apps`, expected an object with the list `apps`",
        ),
        (json(""), "the answer is empty"),
        (json(" \r\n"), "the answer is empty"),
        (
            json(&" ".repeat(1001)),
            "the answer has more than 1000 bytes",
        ),
        (
            response("200 OK", GZIP, BLANKS_GZIP),
            "the answer has more than 1000 bytes",
        ),
        (
            response("200 OK", GZIP, &APPS_GZIP[..30]),
            "the answer broke off (",
        ),
        (response("200 OK", GZIP, APPS), "the answer broke off ("),
        (
            response("200 OK", "", b"{\"apps\":[\"\xff\"]}"),
            "the answer is no UTF-8 text",
        ),
        (Reply::Send(cut.into_bytes()), "the answer broke off ("),
        (Reply::Send(cut_chunks.into()), "the answer broke off ("),
        (
            Reply::Send(cut_without_length.into()),
            "found a body that is no complete JSON (EOF",
        ),
        (
            Reply::Send(b"not HTTP at all\r\n\r\n".to_vec()),
            "the answer broke off (",
        ),
        (Reply::Send(Vec::new()), "the answer broke off ("),
        (
            response("302 Found", "", ""),
            "found status 302 Found, expected 200 OK",
        ),
        (redirect("ftp://x/"), "found a redirect to no HTTP address"),
    ] {
        let bad = Fake::new([reply]).await;
        let good = Fake::new([json(APPS)]).await;
        let answer = client(&[&bad, &good]).apps().await.unwrap();
        assert_eq!(said(&answer), "apps /a", "{reason}");
        assert_eq!(answer.from, format!("http://{}", good.address), "{reason}");

        let error = client(&[&bad]).apps().await.unwrap_err().to_string();
        let start = format!(
            "Marathon gave no usable answer: `http://{}`: {reason}",
            bad.address
        );
        assert!(error.starts_with(&start), "{error}\n{start}");
    }
}

#[tokio::test]
async fn silence_and_slowness_have_limits() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n";
    let ms = Duration::from_millis;
    for (reply, read_timeout, fetch_timeout, reason) in [
        (
            Reply::Hang(String::new()),
            ms(30),
            ms(40_000),
            "nothing came for 30ms",
        ),
        (
            Reply::Hang(head.to_owned()),
            ms(30),
            ms(40_000),
            "nothing came for 30ms",
        ),
        (
            Reply::Hang(format!("{head}{{")),
            ms(30),
            ms(40_000),
            "nothing came for 30ms",
        ),
        (
            Reply::Hang(String::new()),
            ms(20_000),
            ms(50),
            "the answer was not complete after 50ms",
        ),
        (
            Reply::Trickle(head.to_owned()),
            ms(20_000),
            ms(50),
            "the answer was not complete after 50ms",
        ),
    ] {
        let bad = Fake::new([reply]).await;
        let config = config::Marathon {
            read_timeout,
            fetch_timeout,
            ..config([bad.address.clone()])
        };
        let error = Client::new(&config).unwrap().apps().await.unwrap_err();
        assert_eq!(error.failures[0].fault.to_string(), reason);
    }
}

#[tokio::test]
async fn compressed_answers_are_read() {
    let fake = Fake::new([response("200 OK", GZIP, APPS_GZIP)]).await;
    let answer = client(&[&fake]).apps().await.unwrap();
    assert_eq!(
        (said(&answer).as_str(), answer.body.as_str()),
        ("apps /a", APPS)
    );
}

#[tokio::test]
async fn a_body_of_just_the_limit_is_read() {
    let body = format!("{APPS:1000}");
    let fake = Fake::new([json(&body)]).await;
    assert_eq!(client(&[&fake]).apps().await.unwrap().body.len(), 1000);
}

#[tokio::test]
async fn when_all_fail_each_tells_its_reason() {
    let refusing = refusing().await;
    let broken = Fake::new([html("503 Service Unavailable")]).await;
    let mut client = Client::new(&config([
        format!("http://u:s3cret@{refusing}"),
        broken.address.clone(),
        "file:/nowhere/apps.json".to_owned(),
    ]))
    .unwrap();
    let error = client.apps().await.unwrap_err();
    let want = format!(
        "Marathon gave no usable answer: `http://***@{refusing}`: no connection (Connection \
         refused (os error 111)); `http://{}`: found status 503 Service Unavailable, expected \
         200 OK; `file:/nowhere/apps.json`: No such file or directory (os error 2)",
        broken.address
    );
    assert_eq!(error.to_string(), want);
    assert!(!format!("{error:?}").contains("s3cret"));
}

#[tokio::test]
async fn the_last_good_node_is_asked_first_and_the_others_in_their_order() {
    let first = Fake::new([html("500 Server Error"), json(APPS)]).await;
    let second = Fake::new([json(APPS), html("500 Server Error")]).await;
    let third = Fake::new([json(APPS)]).await;
    let mut client = client(&[&first, &second, &third]);
    let mut counts = Vec::new();
    for _ in 0..3 {
        client.apps().await.unwrap();
        counts.push([first.count(), second.count(), third.count()]);
    }
    assert_eq!(counts, [[1, 1, 0], [2, 2, 0], [3, 2, 0]]);
}

#[tokio::test]
async fn a_remembered_node_is_asked_first() {
    let first = Fake::new([json(APPS)]).await;
    let second = Fake::new([json(APPS)]).await;
    let mut client = client(&[&first, &second]);
    client.prefer(&format!("http://{}", second.address));
    client.prefer("http://gone:8080");
    let answer = client.apps().await.unwrap();
    assert_eq!(answer.from, format!("http://{}", second.address));
    assert_eq!(first.count(), 0);
}

#[tokio::test]
async fn refused_credentials_are_told_from_missing_ones() {
    for status in ["401 Unauthorized", "403 Forbidden"] {
        let fake = Fake::new([html(status)]).await;
        for (user, reason) in [
            (
                "",
                "credentials are missing, expected them from --auth-credentials-file, \
                 --auth-token-file, --dcos-auth-credentials-file or the address; in marathon-lb's \
                 command line from --marathon-auth-credential-file, --auth-credentials or \
                 --dcos-auth-credentials",
            ),
            (
                "u:p@",
                "the credentials were refused, expected those of somebody who may see all apps",
            ),
        ] {
            let url = format!("{user}{}", fake.address);
            let error = Client::new(&config([url]))
                .unwrap()
                .apps()
                .await
                .unwrap_err();
            let want = format!("found status {status}, expected 200 OK: {reason}");
            assert_eq!(error.failures[0].fault.to_string(), want);
        }
    }
}

#[tokio::test]
async fn redirects_are_followed_but_credentials_stay_with_configured_hosts() {
    let stranger = Fake::new([json(APPS)]).await;
    let to_stranger = format!("http://x:y@{}/apps", stranger.address);
    let leader = Fake::new([json(APPS)]).await;
    let to_leader = format!("http://{}/apps", leader.address);
    let standby = Fake::new([
        redirect("/moved?to=x"),
        redirect(&to_leader),
        redirect(&to_stranger),
    ])
    .await;
    let mut client = Client::new(&config([
        format!("u:p@{}", standby.address),
        format!("v:q@{}", leader.address),
    ]))
    .unwrap();

    assert_eq!(said(&client.apps().await.unwrap()), "apps /a");
    assert!(standby.requests()[1].starts_with("GET /moved?to=x HTTP/1.1\r\n"));
    // u:p, twice to the host that was configured with it
    for request in standby.requests() {
        assert!(request.contains("Basic dTpw\r\n"), "{request}");
    }
    // v:q
    let request = leader.requests().remove(0);
    assert!(request.starts_with("GET /apps HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("Basic djpx\r\n"), "{request}");

    assert_eq!(said(&client.apps().await.unwrap()), "apps /a");
    let request = stranger.requests().remove(0).to_ascii_lowercase();
    assert!(!request.contains("authorization"), "{request}");
}

#[tokio::test]
async fn a_dead_host_after_a_redirect_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = listener.local_addr().unwrap();
    drop(listener);
    let fake = Fake::new([redirect(&format!("http://{dead}/v2/apps?token=s3cret"))]).await;
    let error = client(&[&fake]).apps().await.unwrap_err().to_string();
    let want = format!(
        "`http://{}`: it sends on to `http://{dead}`: no connection (",
        fake.address
    );
    assert!(error.contains(&want), "{error}");
    assert!(!error.contains("s3cret"), "{error}");
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let fake = Fake::new([redirect("/again?token=s3cret")]).await;
    let error = client(&[&fake]).apps().await.unwrap_err();
    let want = format!(
        "found more than 5 redirects, the last to `http://{}/again`",
        fake.address
    );
    assert_eq!(error.failures[0].fault.to_string(), want);
    assert_eq!(fake.count(), 6);
}

#[tokio::test]
async fn a_bad_app_costs_itself_and_not_the_node() {
    let fake = Fake::new([json(
        r#"{"apps":[{"id":"/a"},{"id":"/b","ports":7},{"id":"/c"}]}"#,
    )])
    .await;
    let answer = client(&[&fake]).apps().await.unwrap();
    assert_eq!(said(&answer), "apps /a /c");
    assert_eq!(answer.warnings.len(), 1);
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("absent.pem");
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "no certificate\n").unwrap();
    let https = |ca_cert: &std::path::Path| config::Marathon {
        ca_cert: Some(ca_cert.to_owned()),
        ..config(["http://a", "https://b"])
    };
    for (config, want) in [
        (
            config([""; 0]),
            "no address of Marathon was given, expected at least one".to_owned(),
        ),
        (
            config(["a", "zk://b"]),
            "Marathon's address `zk://b`: the scheme `zk` is unknown".to_owned(),
        ),
        (
            https(&absent),
            format!(
                "Marathon by https: certificates of --marathon-ca-cert `{}`: No such file",
                absent.display()
            ),
        ),
        (
            https(&empty),
            format!(
                "Marathon by https: certificates of --marathon-ca-cert `{}`: found none, expected a \
                 PEM bundle",
                empty.display()
            ),
        ),
    ] {
        let Err(error) = Client::new(&config) else {
            panic!("{want}");
        };
        let error = format!("{error:#}");
        assert!(error.starts_with(&want), "{error}");
    }
}

#[test]
fn plain_http_needs_no_certificates() {
    let config = config::Marathon {
        ca_cert: Some("/nowhere/ca.pem".into()),
        ..config(["http://a"])
    };
    assert!(Client::new(&config).is_ok());
}

#[tokio::test]
async fn https_is_not_spoken_with_a_node_that_does_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = config::Marathon {
        insecure: true,
        ..config([format!("https://{}", listener.local_addr().unwrap())])
    };
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let error = Client::new(&config).unwrap().apps().await.unwrap_err();
    let fault = error.failures[0].fault.to_string();
    assert!(
        fault.starts_with("no connection (received corrupt message"),
        "{fault}"
    );
}
