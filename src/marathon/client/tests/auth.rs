//! Credentials: what is sent to whom, and the life of a token that a login gave.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::{Value, json};

use super::fake::{APPS, Fake, Reply, config, html, json as as_json, redirect, response, said};
use crate::config::{self, Credentials, DcosAccount, Secret};
use crate::marathon::{Client, Clock, Moment};

static KEY: LazyLock<KeyPair> =
    LazyLock::new(|| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap());

/// Seconds since 1970, when all tests begin.
const START: u64 = 1_000_000_000;

/// A clock that goes when it is told to.
#[derive(Clone)]
struct Hands {
    began: Instant,
    gone: Arc<Mutex<Duration>>,
}

impl Hands {
    fn new() -> Self {
        Self {
            began: Instant::now(),
            gone: Arc::default(),
        }
    }

    fn go(&self, seconds: u64) {
        *self.gone.lock().unwrap() += Duration::from_secs(seconds);
    }

    fn clock(&self) -> Clock {
        let Self { began, gone } = self.clone();
        Clock::new(move || {
            let gone = *gone.lock().unwrap();
            Moment {
                wall: UNIX_EPOCH + Duration::from_secs(START) + gone,
                steady: began + gone,
            }
        })
    }
}

fn with(credentials: Credentials, urls: &[&str]) -> config::Marathon {
    config::Marathon {
        credentials,
        ..config(urls.iter().copied())
    }
}

fn account(login: &Fake) -> Credentials {
    Credentials::Dcos(DcosAccount {
        uid: "lb".to_owned(),
        private_key: Secret::new(KEY.serialize_pem()),
        login_endpoint: format!("http://u:s3cret@{}/login?x=s3cret#s3cret", login.address),
    })
}

fn cookie(token: &str) -> Reply {
    response(
        "200 OK",
        &format!("Set-Cookie: other=1\r\nset-cookie: dcos-acs-auth-cookie={token}; Path=/\r\n"),
        "{}",
    )
}

/// The `Authorization` headers that `fake` was sent.
fn proofs(fake: &Fake) -> Vec<String> {
    let of = |request: &String| {
        let mut lines = request.lines();
        let header = lines.find_map(|line| line.strip_prefix("authorization: "));
        header.unwrap_or("none").to_owned()
    };
    fake.requests().iter().map(of).collect()
}

async fn fault(client: &mut Client) -> String {
    let error = client.apps().await.unwrap_err();
    assert!(!format!("{error}{error:?}").contains("s3cret"), "{error}");
    error.failures[0].fault.to_string()
}

#[tokio::test]
async fn every_marathon_gets_the_credentials_unless_its_address_has_its_own() {
    let basic = Credentials::from_user_pass("joe:s3:cret").unwrap();
    let token = Credentials::from_token("s3cret").unwrap();
    for (credentials, proof) in [
        (basic, "Basic am9lOnMzOmNyZXQ="),
        (token, "token=s3cret"),
        (Credentials::None, "none"),
    ] {
        let first = Fake::new([html("503 Service Unavailable")]).await;
        let second = Fake::new([as_json(APPS)]).await;
        let own = format!("u:p@{}", first.address);
        for (url, first_proof) in [(&first.address, proof), (&own, "Basic dTpw")] {
            let config = with(credentials.clone(), &[url, &second.address]);
            let mut client = Client::new(&config).unwrap();
            assert_eq!(said(&client.apps().await.unwrap()), "apps /a");
            assert_eq!(proofs(&first).pop().unwrap(), first_proof);
            assert_eq!(proofs(&second).pop().unwrap(), proof);
        }
    }
}

#[tokio::test]
async fn nobody_else_gets_them_wherever_a_redirect_leads() {
    let stranger = Fake::new([html("401 Unauthorized")]).await;
    let known = Fake::new([redirect(&format!("http://{}/x", stranger.address))]).await;
    let standby = Fake::new([redirect(&format!("http://{}/y", known.address))]).await;
    let login = Fake::new([cookie("s3cret")]).await;
    for (credentials, proof) in [
        (
            Credentials::from_user_pass("joe:s3cret").unwrap(),
            "Basic am9lOnMzY3JldA==",
        ),
        (account(&login), "token=s3cret"),
    ] {
        let config = with(credentials, &[&standby.address, &known.address]);
        let mut client = Client::new(&config).unwrap();
        assert_eq!(
            fault(&mut client).await,
            "found status 401 Unauthorized, expected 200 OK: no credentials were sent after a \
             redirect to a host that was not given, or away from TLS; expected the address of the \
             leader as another --marathon"
        );
        assert_eq!(proofs(&standby).pop().unwrap(), proof);
        assert_eq!(proofs(&known).pop().unwrap(), proof);
        assert_eq!(proofs(&stranger).pop().unwrap(), "none");
    }
}

#[tokio::test]
async fn a_login_is_a_signed_statement_and_its_token_is_kept() {
    let login = Fake::new([cookie("abc")]).await;
    let marathon = Fake::new([as_json(APPS)]).await;
    let config = with(account(&login), &[&marathon.address]);
    let mut client = Client::with_clock(&config, Hands::new().clock()).unwrap();
    for _ in 0..3 {
        client.apps().await.unwrap();
    }
    assert_eq!(proofs(&marathon), ["token=abc"; 3]);
    assert_eq!(login.count(), 1);

    let request = login.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(
        head.starts_with("POST /login?x=s3cret HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(head.contains("content-type: application/json"), "{head}");
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["uid"], "lb");
    assert_eq!(body["exp"], START + 3600);
    let key = DecodingKey::from_rsa_pem(KEY.public_key_pem().as_bytes()).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    // The clock of the test stands long ago.
    validation.validate_exp = false;
    let token = body["token"].as_str().unwrap();
    let statement = jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap();
    assert_eq!(statement.claims, json!({"uid": "lb", "exp": START + 60}));
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_the_old_one_serves_until_then() {
    let broken = || html("503 Service Unavailable");
    let login = Fake::new([
        cookie("first"),
        broken(),
        broken(),
        broken(),
        broken(),
        cookie("second"),
    ])
    .await;
    let marathon = Fake::new([as_json(APPS)]).await;
    let hands = Hands::new();
    let config = with(account(&login), &[&marathon.address]);
    let mut client = Client::with_clock(&config, hands.clock()).unwrap();
    for (seconds, logins) in [
        (0, 1),
        (3539, 1),
        // A minute before the end.
        (1, 2),
        // Not at every question.
        (9, 2),
        (1, 3),
        (49, 4),
    ] {
        hands.go(seconds);
        client.apps().await.unwrap();
        assert_eq!(login.count(), logins, "after {seconds} more seconds");
    }
    assert_eq!(proofs(&marathon), ["token=first"; 6]);
    hands.go(1);
    let want = format!(
        "the login at `http://{}/login`: found status 503 Service Unavailable, expected 200 OK",
        login.address
    );
    assert_eq!(fault(&mut client).await, want);
    assert_eq!((login.count(), marathon.count()), (5, 6));
    hands.go(1);
    client.apps().await.unwrap();
    assert_eq!(proofs(&marathon).pop().unwrap(), "token=second");
}

#[tokio::test]
async fn a_login_that_never_ends_does_not_use_up_the_time_of_the_answer() {
    let endless = "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n".to_owned();
    let login = Fake::new([cookie("first"), Reply::Trickle(endless)]).await;
    let marathon = Fake::new([as_json(APPS)]).await;
    let hands = Hands::new();
    let config = config::Marathon {
        fetch_timeout: Duration::from_secs(2),
        ..with(account(&login), &[&marathon.address])
    };
    let mut client = Client::with_clock(&config, hands.clock()).unwrap();
    client.apps().await.unwrap();
    hands.go(3540);
    client.apps().await.unwrap();
    assert_eq!(login.count(), 2);
    assert_eq!(proofs(&marathon), ["token=first"; 2]);
    hands.go(60);
    let want = format!(
        "the login at `http://{}/login`: the answer was not complete after 1s",
        login.address
    );
    assert_eq!(fault(&mut client).await, want);
}

#[tokio::test]
async fn a_token_that_marathon_refuses_is_renewed_once() {
    let refused = || html("401 Unauthorized");
    let login = Fake::new([cookie("first"), cookie("second"), cookie("third")]).await;
    let marathon = Fake::new([
        as_json(APPS),
        refused(),
        as_json(APPS),
        refused(),
        refused(),
        html("403 Forbidden"),
    ])
    .await;
    let config = with(account(&login), &[&marathon.address]);
    let mut client = Client::new(&config).unwrap();
    client.apps().await.unwrap();
    client.apps().await.unwrap();
    assert_eq!(
        proofs(&marathon),
        ["token=first", "token=first", "token=second"]
    );
    let want = "expected 200 OK: the credentials were refused, expected those of somebody who may \
                see all apps";
    assert_eq!(
        fault(&mut client).await,
        format!("found status 401 Unauthorized, {want}")
    );
    assert_eq!((login.count(), marathon.count()), (3, 5));
    // To be known and not allowed is no reason to log in again.
    assert_eq!(
        fault(&mut client).await,
        format!("found status 403 Forbidden, {want}")
    );
    assert_eq!((login.count(), marathon.count()), (3, 6));
}

/// Whoever is known and asks for ever is no reason to log in as often.
#[tokio::test]
async fn logins_whose_tokens_are_refused_are_further_and_further_apart() {
    let tokens = (0..9).map(|number| cookie(&format!("t{number}")));
    let login = Fake::new(tokens).await;
    let no = || html("401 Unauthorized");
    let replies = (0..323).map(|_| no()).chain([as_json(APPS), no()]);
    let marathon = Fake::new(replies).await;
    let hands = Hands::new();
    let config = with(account(&login), &[&marathon.address]);
    let mut client = Client::with_clock(&config, hands.clock()).unwrap();
    let mut logins = Vec::new();
    for _ in 0..316 {
        let _ = fault(&mut client).await;
        logins.push(login.count());
        hands.go(1);
    }
    // The first is made up for at once, the others after 10, 20, 40, 80 and 160 s.
    for (second, count) in [
        (0, 2),
        (9, 2),
        (10, 3),
        (29, 3),
        (30, 4),
        (70, 5),
        (150, 6),
        (310, 7),
    ] {
        assert_eq!(logins[second], count, "{second} s");
    }
    assert_eq!((logins[315], marathon.count()), (7, 322));
    let _ = fault(&mut client).await;
    // One that was good is renewed at once again.
    client.apps().await.unwrap();
    let _ = fault(&mut client).await;
    assert_eq!(login.count(), 8);
}

#[tokio::test]
async fn the_token_may_stand_in_the_body_too() {
    let login = Fake::new([as_json(r#"{"token":"abc","more":1}"#)]).await;
    let marathon = Fake::new([as_json(APPS)]).await;
    let config = with(account(&login), &[&marathon.address]);
    Client::new(&config).unwrap().apps().await.unwrap();
    assert_eq!(proofs(&marathon), ["token=abc"]);
}

#[tokio::test]
async fn a_login_that_fails_says_where_and_why_and_asks_no_marathon() {
    let no_token =
        "found neither the cookie `dcos-acs-auth-cookie` nor a `token`, expected one".to_owned();
    let status = |status: &str| format!("found status {status}, expected 200 OK");
    let refused = "the service account was refused, expected the uid and key of one that exists";
    for (reply, reason) in [
        (html("200 OK"), no_token.clone()),
        (as_json("{\"token\":\"\"}"), no_token.clone()),
        (as_json("{\"token\":\"s3cret\\n\"}"), no_token.clone()),
        (as_json("{\"token\":7}"), no_token.clone()),
        (cookie(""), no_token),
        (
            html("401 Unauthorized"),
            format!("{}: {refused}", status("401 Unauthorized")),
        ),
        (redirect("http://127.0.0.1:1/?s3cret"), status("302 Found")),
        (
            as_json(&" ".repeat(65537)),
            "the answer has more than 65536 bytes".to_owned(),
        ),
        (
            Reply::Hang(String::new()),
            "nothing came for 50ms".to_owned(),
        ),
    ] {
        let login = Fake::new([reply]).await;
        let nodes = [
            Fake::new([as_json(APPS)]).await,
            Fake::new([as_json(APPS)]).await,
        ];
        let config = config::Marathon {
            read_timeout: Duration::from_millis(50),
            ..with(account(&login), &[&nodes[0].address, &nodes[1].address])
        };
        let mut client = Client::with_clock(&config, Hands::new().clock()).unwrap();
        let want = format!("the login at `http://{}/login`: {reason}", login.address);
        assert_eq!(fault(&mut client).await, want);
        // The second node need not wait for another failure.
        assert_eq!(
            (login.count(), nodes[0].count(), nodes[1].count()),
            (1, 0, 0)
        );
    }
}

/// DC/OS stores either form; a client that can be made has signed with the key.
#[test]
fn a_key_may_come_in_both_forms_of_pem() {
    let envelope = KEY.serialize_der();
    // The head of PKCS#8 around a key of 2048 bits.
    let bare = pem::encode(&pem::Pem::new("RSA PRIVATE KEY", &envelope[26..]));
    for key in [
        KEY.serialize_pem(),
        bare,
        format!("\n{}\n", KEY.serialize_pem()),
    ] {
        let account = DcosAccount {
            uid: "lb".to_owned(),
            private_key: Secret::new(&key),
            login_endpoint: "http://m/login".to_owned(),
        };
        let config = with(Credentials::Dcos(account), &["http://a"]);
        let header = key.trim().lines().next().unwrap();
        assert!(Client::new(&config).is_ok(), "{header}");
    }
}

#[test]
fn an_account_that_cannot_log_in_is_refused_before_anything_is_asked() {
    let elliptic = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
        .unwrap()
        .serialize_pem();
    let key = KEY.serialize_pem();
    let cut = &key[..key.len() / 2];
    let good = "https://m/login";
    let wrong_key = "the service account of DC/OS: found a `private_key` that cannot sign, \
                     expected an RSA key of at least 2048 bits in PEM";
    let wrong_endpoint = "the service account of DC/OS: found a `login_endpoint` that is no \
                          address, expected https://HOST/acs/api/v1/auth/login";
    for (key, endpoint, want) in [
        ("s3cret", good, wrong_key),
        (elliptic.as_str(), good, wrong_key),
        (cut, good, wrong_key),
        (&key, "s3cret", wrong_endpoint),
        (&key, "ftp://s3cret/", wrong_endpoint),
    ] {
        let config = with(
            Credentials::Dcos(DcosAccount {
                uid: "lb".to_owned(),
                private_key: Secret::new(key),
                login_endpoint: endpoint.to_owned(),
            }),
            &["http://a"],
        );
        let Err(error) = Client::new(&config) else {
            panic!("{want}");
        };
        assert_eq!(format!("{error:#}"), want);
        let shown = format!("{config:?}");
        assert!(shown.contains("private_key: ***"), "{shown}");
        assert!(!shown.contains("PRIVATE"), "{shown}");
    }
}
