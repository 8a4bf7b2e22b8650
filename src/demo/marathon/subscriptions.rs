//! `/v2/eventSubscriptions`: to whom events are sent, one `POST` for each.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{MethodRouter, get};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;

use super::events::{self, Event};
use super::fault::as_json;
use super::rest::{Node, UNKNOWN_PATH, not_found};

/// Marathon gives up on a listener that takes longer.
const LIMIT: Duration = Duration::from_secs(10);

pub(super) fn routes() -> MethodRouter<Arc<Node>> {
    get(list).post(subscribe).delete(unsubscribe)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    callback_url: String,
}

async fn list(State(node): State<Arc<Node>>) -> Response {
    let cluster = node.cluster();
    if !cluster.era.has_callbacks() {
        return not_found(UNKNOWN_PATH);
    }
    let urls: Vec<String> = cluster.bus.callbacks().borrow().keys().cloned().collect();
    as_json(json!({"callbackUrls": urls}).to_string()).into_response()
}

async fn subscribe(State(node): State<Arc<Node>>, Query(asked): Query<Asked>) -> Response {
    let mut cluster = node.cluster();
    if !cluster.era.has_callbacks() {
        return not_found(UNKNOWN_PATH);
    }
    let url = asked.callback_url;
    if let Some(received) = cluster.bus.subscribe(&url) {
        tokio::spawn(send(url.clone(), received));
    }
    let event = events::subscription("subscribe_event", &url);
    cluster.publish(&event);
    told(&event)
}

async fn unsubscribe(State(node): State<Arc<Node>>, Query(asked): Query<Asked>) -> Response {
    let mut cluster = node.cluster();
    cluster.bus.unsubscribe(&asked.callback_url);
    let event = events::subscription("unsubscribe_event", &asked.callback_url);
    cluster.publish(&event);
    told(&event)
}

fn told(event: &Event) -> Response {
    let body = json!(event.fields).to_string();
    (StatusCode::OK, as_json(body)).into_response()
}

/// What a listener does not take is lost.
async fn send(url: String, mut events: mpsc::Receiver<Bytes>) {
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([])
        .timeout(LIMIT)
        .build()
        .expect("plain HTTP needs nothing of the host");
    while let Some(event) = events.recv().await {
        let request = client.post(&url);
        let request = request.header("Content-Type", "application/json; charset=UTF-8");
        let _ = request.body(event).send().await;
    }
}
