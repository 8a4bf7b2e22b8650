//! The port that Marathon sends its events to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::map_response;
use axum::response::IntoResponse;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tracing::debug;

use super::super::event::{self, Doubt, Meaning};
use super::super::frames::{Data, Frame};
use super::super::pending::Pending;
use super::super::plans::{Change, Plans};
use super::MARK;
use crate::door::{Door, last_word};

/// Connections at a time; Marathon sends events one after the other.
const SEATS: usize = 64;

/// For one event; Marathon itself waits no longer.
const STAY: Duration = Duration::from_secs(10);

/// Takes in what comes at `listen` for the address that ends in `secret`, on a task of its own. Has
/// to be called within a runtime of tokio.
///
/// # Errors
/// When it cannot listen there.
pub(in super::super) fn take_in(
    listen: SocketAddr,
    secret: &str,
    most_bytes: usize,
    pending: Arc<Pending>,
) -> Result<JoinHandle<()>> {
    let listener = std::net::TcpListener::bind(listen)
        .and_then(|listener| {
            listener.set_nonblocking(true)?;
            TcpListener::from_std(listener)
        })
        .with_context(|| {
            format!(
                "`{listen}`, where Marathon's events are to be taken in, cannot be listened on; \
                 expected an address of this host that nobody else listens on (--callback-listen)"
            )
        })?;
    let taker = Arc::new(Taker {
        end: format!("{MARK}{secret}"),
        most_bytes,
        plans: Mutex::default(),
        pending,
    });
    let pages = Router::new()
        .fallback(take)
        .layer(map_response(last_word))
        .with_state(taker);
    let door = Door::new(listener, SEATS, STAY);
    Ok(tokio::spawn(async move {
        // It never ends by itself.
        let _ = axum::serve(door, pages).await;
    }))
}

struct Taker {
    /// Of the path of whoever knows the secret; what stands before it, a proxy may change.
    end: String,
    /// Of one event.
    most_bytes: usize,
    plans: Mutex<Plans>,
    pending: Arc<Pending>,
}

impl Taker {
    /// Told in a time that says nothing of how much of it is right.
    fn knows(&self, path: &str) -> bool {
        let end = path.rsplit('/').next().unwrap_or_default();
        verify_slices_are_equal(end.as_bytes(), self.end.as_bytes()).is_ok()
    }

    fn hear(&self, data: Data<'_>) {
        self.pending.heard.event();
        let meaning = event::read(Frame { kind: b"", data });
        if let Meaning::Doubt(doubt) = &meaning {
            self.pending.heard.is_unread(doubt);
        }
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(change) = plans.change(meaning) {
            self.pending.changed(change);
        }
    }
}

async fn take(State(taker): State<Arc<Taker>>, request: Request) -> impl IntoResponse {
    let (head, body) = request.into_parts();
    if !taker.knows(head.uri.path()) {
        debug!("somebody who does not know the secret sent something where events are taken in");
        return (StatusCode::NOT_FOUND, "nothing is here\n");
    }
    if head.method != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, "expected POST\n");
    }
    if !is_json(&head.headers) {
        return (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "expected application/json\n",
        );
    }
    match to_bytes(body, taker.most_bytes).await {
        Ok(data) => {
            taker.hear(Data::Whole(&data));
            (StatusCode::OK, "")
        }
        // What it would have said is not known, be it too large or broken off.
        Err(_) => {
            let doubt = Doubt::TooLarge("event sent to the callback".into());
            taker.pending.heard.is_unread(&doubt);
            taker.pending.changed(Change::Doubt(doubt));
            (StatusCode::PAYLOAD_TOO_LARGE, "expected less\n")
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let given = headers.get(header::CONTENT_TYPE);
    let given = given
        .and_then(|given| given.to_str().ok())
        .unwrap_or_default();
    let kind = given.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cluster::AppId;
    use crate::marathon::events::Told;

    const EVENT: &str = r#"{"eventType":"status_update_event","appId":"/shop"}"#;

    fn scene() -> (String, Arc<Pending>) {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let pending = Arc::new(Pending::default());
        take_in(address, "5ec2e7", 1000, Arc::clone(&pending)).unwrap();
        (format!("http://{address}"), pending)
    }

    async fn post(url: String, kind: &str, body: String) -> u16 {
        let client = reqwest::Client::builder().no_proxy().tls_certs_only([]);
        let request = client.build().unwrap().post(url);
        let request = request.header("content-type", kind).body(body);
        request.send().await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn only_an_event_that_marathon_sends_is_heard() {
        let (base, pending) = scene();
        let json = "application/json";
        let large = format!("{EVENT}{}", " ".repeat(1000));
        for (path, kind, body, status) in [
            ("/", json, EVENT, 404),
            ("/hmb-", json, EVENT, 404),
            ("/hmb-5ec2e8", json, EVENT, 404),
            ("/hmb-5ec2e7/", json, EVENT, 404),
            ("/hmb-5ec2e7", "text/plain", EVENT, 415),
            ("/hmb-5ec2e8", json, large.as_str(), 404),
        ] {
            let said = post(format!("{base}{path}"), kind, body.to_owned()).await;
            assert_eq!(said, status, "{path} {kind}");
        }
        assert_eq!(pending.heard.events(), 0);
        let right = || format!("{base}/behind/a/proxy/hmb-5ec2e7");
        let kind = "application/json; charset=UTF-8";
        assert_eq!(post(right(), kind, EVENT.to_owned()).await, 200);
        let apps = BTreeSet::from([AppId::new("/shop")]);
        assert_eq!(pending.next().await, Told::Touched(apps));
        assert_eq!(pending.heard.events(), 1);
        // Whatever was said there was meant for us.
        assert_eq!(post(right(), kind, large).await, 413);
        assert!(matches!(pending.next().await, Told::Doubt(_)));
        assert_eq!(post(right(), kind, "{".to_owned()).await, 200);
        assert!(matches!(pending.next().await, Told::Doubt(_)));
    }
}
