//! The login of DC/OS for service accounts: a statement that its key signed, for a token.
//!
//! In comes what somebody posted, out goes the answer that DC/OS gives.

use std::collections::BTreeSet;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::json;

use super::fault::as_json;

/// Where it is, on every node.
pub const LOGIN_PATH: &str = "/acs/api/v1/auth/login";

/// Where an answer has the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenPlace {
    /// In the cookie `dcos-acs-auth-cookie` alone.
    Cookie,
    /// In the field `token` of the body alone.
    Body,
    /// In both, as most versions do.
    Both,
}

/// One service account, and the tokens that were given to it.
pub(super) struct Account {
    uid: String,
    key: DecodingKey,
    place: TokenPlace,
    given: u32,
    good: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Posted {
    uid: String,
    token: String,
}

#[derive(Deserialize)]
struct Claims {
    uid: String,
}

impl Account {
    pub(super) fn new(
        uid: &str,
        public_key: &str,
        place: TokenPlace,
    ) -> Result<Self, jsonwebtoken::errors::Error> {
        Ok(Self {
            uid: uid.to_owned(),
            key: DecodingKey::from_rsa_pem(public_key.as_bytes())?,
            place,
            given: 0,
            good: BTreeSet::new(),
        })
    }

    /// Whether this header has a token that still counts.
    pub(super) fn knows(&self, authorization: &[u8]) -> bool {
        let token = authorization.strip_prefix(b"token=");
        token.is_some_and(|token| self.good.iter().any(|good| good.as_bytes() == token))
    }

    /// No token counts any more.
    pub(super) fn revoke(&mut self) {
        self.good.clear();
    }

    /// Answers a login.
    pub(super) fn login(&mut self, posted: &[u8]) -> Response {
        if !self.is_signed(posted) {
            let refusal = json!({
                "title": "Unauthorized",
                "description": "Login failed.",
                "code": "ERR_INVALID_CREDENTIALS",
            });
            return (StatusCode::UNAUTHORIZED, as_json(refusal.to_string())).into_response();
        }
        self.given += 1;
        let token = format!("demo-token-{}", self.given);
        self.good.insert(token.clone());
        let cookie = format!("dcos-acs-auth-cookie={token}; Path=/; HttpOnly");
        let in_body = as_json(json!({"token": token}).to_string());
        match self.place {
            TokenPlace::Cookie => ([(header::SET_COOKIE, cookie)], as_json("{}")).into_response(),
            TokenPlace::Body => in_body.into_response(),
            TokenPlace::Both => ([(header::SET_COOKIE, cookie)], in_body).into_response(),
        }
    }

    /// Whether the account signed this, for now.
    fn is_signed(&self, posted: &[u8]) -> bool {
        let Ok(Posted { uid, token }) = serde_json::from_slice(posted) else {
            return false;
        };
        let rules = Validation::new(Algorithm::RS256);
        let statement = jsonwebtoken::decode::<Claims>(&token, &self.key, &rules);
        uid == self.uid && statement.is_ok_and(|statement| statement.claims.uid == self.uid)
    }
}
