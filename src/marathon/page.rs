//! A page of somebody else, asked for as Marathon is: within the same limits, and with the same
//! certificates trusted. Nothing that proves who asks goes there.

use reqwest::{Method, StatusCode, Url};
use tokio::time::timeout;

use super::transport::Transport;
use super::{Fault, Sent};
use crate::config;

/// The bytes at `url`. No redirect is followed.
///
/// # Errors
/// When certificates for `https:` cannot be loaded, or the page does not come whole.
pub async fn page(config: &config::Marathon, url: Url) -> anyhow::Result<Vec<u8>> {
    let transport = Transport::new(&config::Marathon {
        client_cert: None,
        client_key: None,
        ..config.clone()
    })?;
    if url.scheme() == "https" {
        transport.tls()?;
    }
    let limit = config.fetch_timeout;
    let asked = async {
        let request = transport.client(&url)?.request(Method::GET, url.clone());
        let response = transport.send(request).await?;
        let status = response.status();
        if status != StatusCode::OK {
            let sent = Sent::Nothing;
            return Err(Fault::Status { status, sent });
        }
        transport.body(response, config.max_body).await
    };
    let asked = timeout(limit, asked).await;
    asked
        .unwrap_or(Err(Fault::TooSlow(limit)))
        .map_err(|fault| anyhow::anyhow!("{fault}"))
}
