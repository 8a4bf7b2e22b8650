//! The login of DC/OS, and what its tokens open.

use std::time::UNIX_EPOCH;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;

use super::*;

fn key() -> KeyPair {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap()
}

fn signed(key: &KeyPair, uid: &str, exp: u64) -> String {
    let key = EncodingKey::from_rsa_pem(key.serialize_pem().as_bytes()).unwrap();
    let claims = json!({"uid": uid, "exp": exp});
    jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, &key).unwrap()
}

async fn log_in(marathon: &Marathon, uid: &str, token: &str) -> Raw {
    let body = json!({"uid": uid, "token": token}).to_string();
    let length = body.len();
    let request = format!(
        "POST {LOGIN_PATH} HTTP/1.1\r\nHost: m\r\nConnection: close\r\nContent-Length: \
         {length}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(marathon.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    read(stream, SOON).await
}

async fn status(marathon: &Marathon, token: &str) -> String {
    let header = format!("Authorization: token={token}\r\n");
    let answer = raw(marathon, "/v2/apps", &header).await;
    answer.status().to_owned()
}

#[tokio::test]
async fn a_login_wants_the_signature_of_the_account() {
    let (own, other) = (key(), key());
    let marathon = Marathon::start(Era::V1_8).unwrap();
    let refused = log_in(&marathon, "lb", "x").await;
    assert_eq!(refused.status(), "404", "nobody asked for logins");
    marathon
        .require_login("lb", &own.public_key_pem(), TokenPlace::Both)
        .unwrap();
    let now = UNIX_EPOCH.elapsed().unwrap().as_secs();
    let right = signed(&own, "lb", now + 60);
    for (uid, token, status) in [
        ("lb", signed(&other, "lb", now + 60), "401"),
        ("lb", signed(&own, "db", now + 60), "401"),
        ("lb", signed(&own, "lb", now - 600), "401"),
        ("db", right.clone(), "401"),
        ("lb", "x".to_owned(), "401"),
        ("lb", right, "200"),
    ] {
        let answer = log_in(&marathon, uid, &token).await;
        assert_eq!(answer.status(), status, "{uid} {token}");
        let has_cookie = answer.header("set-cookie").is_some();
        assert_eq!(has_cookie, status == "200");
    }
    assert_eq!(status(&marathon, "demo-token-1").await, "200");
    assert_eq!(status(&marathon, "demo-token-2").await, "401");
    marathon.revoke_tokens();
    assert_eq!(status(&marathon, "demo-token-1").await, "401");
}

#[tokio::test]
async fn the_token_stands_where_it_was_told_to_and_faults_hit_the_login() {
    let own = key();
    let marathon = Marathon::start(Era::V1_8).unwrap();
    let now = UNIX_EPOCH.elapsed().unwrap().as_secs();
    let token = signed(&own, "lb", now + 60);
    for (place, in_cookie, in_body) in [
        (TokenPlace::Cookie, true, false),
        (TokenPlace::Body, false, true),
        (TokenPlace::Both, true, true),
    ] {
        marathon
            .require_login("lb", &own.public_key_pem(), place)
            .unwrap();
        let answer = log_in(&marathon, "lb", &token).await;
        assert_eq!(answer.header("set-cookie").is_some(), in_cookie);
        assert_eq!(answer.text().contains("demo-token-1"), in_body);
    }
    marathon.inject(Fault::Status(503).on(LOGIN_PATH).times(1));
    assert_eq!(log_in(&marathon, "lb", &token).await.status(), "503");
    assert_eq!(log_in(&marathon, "lb", &token).await.status(), "200");
}
