//! Where events are sent to, which only Marathon may know.

use super::fake::{Fake, config, json, redirect, response};
use crate::marathon::fetch::Form;
use crate::marathon::{Client, Fault, Node};

const CALLBACK: &str = "http://10.0.0.5:8000/hmb-s3cret";

/// What comes of telling the first of these nodes.
async fn told(nodes: &[&Fake], form: Form<'_>) -> Result<String, Fault> {
    let urls: Vec<String> = nodes.iter().map(|fake| fake.address.clone()).collect();
    let client = Client::new(&config(urls)).unwrap();
    let nodes: Vec<&Node> = super::super::nodes(&client.addresses).collect();
    let all = nodes.iter().copied();
    client.fetcher.subscriptions(nodes[0], all, form).await
}

#[tokio::test]
async fn it_is_told_by_the_right_method_and_only_to_who_was_named() {
    let leader = Fake::new([json("{}")]).await;
    let to_leader = format!("http://{}/elsewhere", leader.address);
    let standby = Fake::new([redirect(&to_leader)]).await;
    for (form, method) in [
        (Form::Subscribe(CALLBACK), "POST"),
        (Form::Unsubscribe(CALLBACK), "DELETE"),
        (Form::Subscriptions, "GET"),
    ] {
        told(&[&standby, &leader], form).await.unwrap();
        for fake in [&standby, &leader] {
            let request = fake.requests().pop().unwrap();
            assert!(request.starts_with(&format!("{method} /")), "{request}");
        }
    }
    let asked = &standby.requests()[0];
    let query = "?callbackUrl=http%3A%2F%2F10.0.0.5%3A8000%2Fhmb-s3cret HTTP/1.1";
    assert!(asked.contains(query), "{asked}");

    // A redirect could carry it along, and the next host would know it.
    let stranger = Fake::new([json("{}")]).await;
    let to_stranger = format!("http://{}/?callbackUrl=hmb-s3cret", stranger.address);
    let standby = Fake::new([redirect(&to_stranger)]).await;
    for form in [Form::Subscribe(CALLBACK), Form::Unsubscribe(CALLBACK)] {
        let fault = told(&[&standby], form).await.unwrap_err().to_string();
        assert!(fault.contains("was not told there"), "{fault}");
        assert!(!fault.contains("s3cret"), "{fault}");
    }
    assert_eq!(stranger.count(), 0);
}

#[tokio::test]
async fn a_marathon_that_takes_none_says_what_would_help() {
    for status in ["400 Bad Request", "404 Not Found"] {
        let fake = Fake::new([response(status, "", "{\"message\":\"no\"}")]).await;
        let fault = told(&[&fake], Form::Subscribe(CALLBACK)).await.unwrap_err();
        let told = fault.to_string();
        for part in [status, "--event_subscriber http_callback", "up to 1.4"] {
            assert!(told.contains(part), "{told}");
        }
    }
    let fake = Fake::new([response("500 Oops", "", "")]).await;
    let fault = told(&[&fake], Form::Subscribe(CALLBACK)).await.unwrap_err();
    assert!(matches!(fault, Fault::Status { .. }), "{fault}");
}
