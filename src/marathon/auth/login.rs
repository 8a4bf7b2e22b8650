//! The login of a service account at DC/OS: a statement signed by its key, for a token.
//!
//! In come the account and the time; out goes a proof, or the fault, which names the endpoint and
//! never the key.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use reqwest::header::{ACCEPT, CONTENT_TYPE, SET_COOKIE};
use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::{LIFE, Proof};
use crate::config::DcosAccount;
use crate::marathon::address::without_credentials;
use crate::marathon::transport::Transport;
use crate::marathon::{Fault, Sent};

/// How long the statement may be on its way.
const STATEMENT_LIFE: Duration = Duration::from_secs(60);
/// Tokens have a few hundred bytes.
const MOST_BYTES: u64 = 64 * 1024;
/// Where DC/OS leaves the token; newer ones say it in the body too.
const COOKIE: &str = "dcos-acs-auth-cookie=";

/// Who logs in, and where.
pub(super) struct Account {
    uid: String,
    key: EncodingKey,
    endpoint: Url,
}

/// What the body of the answer says.
#[derive(Deserialize)]
struct Said {
    token: String,
}

impl Account {
    /// # Errors
    /// When the key is no RSA key, or the endpoint no address.
    pub(super) fn new(account: &DcosAccount) -> anyhow::Result<Self> {
        let endpoint = Url::parse(&account.login_endpoint)
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"));
        let Some(endpoint) = endpoint else {
            bail!(
                "the service account of DC/OS: found a `login_endpoint` that is no address, \
                 expected https://HOST/acs/api/v1/auth/login"
            );
        };
        let pem = account.private_key.expose().trim();
        // Reasons of the library are left out: they might tell of the key.
        let Ok(key) = EncodingKey::from_rsa_pem(pem.as_bytes()) else {
            bail!("the service account of DC/OS: {WRONG_KEY}");
        };
        let account = Self {
            uid: account.uid.clone(),
            key,
            endpoint,
        };
        account
            .statement(0)
            .context("the service account of DC/OS")?;
        Ok(account)
    }

    pub(super) fn is_https(&self) -> bool {
        self.endpoint.scheme() == "https"
    }

    /// Gets a token that lasts for [`LIFE`].
    pub(super) async fn login(
        &self,
        transport: &Transport,
        now: SystemTime,
    ) -> Result<Proof, Fault> {
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let limit = limit(transport);
        timeout(limit, self.exchange(transport, seconds))
            .await
            .unwrap_or(Err(Fault::TooSlow(limit)))
            .map_err(|fault| Fault::Login {
                endpoint: shown(&self.endpoint),
                fault: Box::new(fault),
            })
    }

    async fn exchange(&self, transport: &Transport, seconds: u64) -> Result<Proof, Fault> {
        let statement = self
            .statement(seconds)
            .map_err(|error| Fault::BrokeOff(error.to_string()))?;
        let question = json!({
            "uid": self.uid,
            "token": statement,
            "exp": seconds + LIFE.as_secs(),
        });
        let request = transport
            .client(&self.endpoint)?
            .post(self.endpoint.clone())
            .header(ACCEPT, "application/json")
            .header(CONTENT_TYPE, "application/json")
            .body(question.to_string());
        let response = transport.send(request).await?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(Fault::Status {
                status,
                sent: Sent::Account,
            });
        }
        if let Some(proof) = cookie(&response) {
            return Ok(proof);
        }
        let body = transport.body(response, MOST_BYTES).await?;
        serde_json::from_slice(&body)
            .ok()
            .and_then(|Said { token }| Proof::token(&token).filter(|_| !token.is_empty()))
            .ok_or(Fault::NoToken)
    }

    /// Says who logs in, signed with RS256.
    fn statement(&self, seconds: u64) -> anyhow::Result<String> {
        let claims = json!({
            "uid": self.uid,
            "exp": seconds + STATEMENT_LIFE.as_secs(),
        });
        jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &self.key)
            .map_err(|_| anyhow::anyhow!(WRONG_KEY))
    }
}

/// A login is one small exchange, and must leave time for the answer that it is for.
fn limit(transport: &Transport) -> Duration {
    let config = &transport.config;
    (config.connect_timeout + config.read_timeout).min(config.fetch_timeout / 2)
}

const WRONG_KEY: &str = "found a `private_key` that cannot sign, expected an RSA key of at least \
                         2048 bits in PEM";

fn cookie(response: &Response) -> Option<Proof> {
    let cookies = response.headers().get_all(SET_COOKIE).iter();
    let values = cookies.filter_map(|cookie| cookie.to_str().ok()?.trim().strip_prefix(COOKIE));
    values
        .map(|value| value.split(';').next().unwrap_or_default())
        .map(|value| value.trim().trim_matches('"'))
        .find(|value| !value.is_empty())
        .and_then(Proof::token)
}

/// For messages.
fn shown(endpoint: &Url) -> String {
    let mut url = without_credentials(endpoint);
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}
