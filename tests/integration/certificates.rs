//! Who Marathon is to the program, and the program to Marathon, by certificates.

use haproxy_marathon_bridge::demo::marathon::{Fault, LOGIN_PATH, TokenPlace};
use rcgen::ExtendedKeyUsagePurpose;

use crate::access::{BASIC, PASSWORD, account, assert_silent, cluster, require_login, secret};
use crate::support::Test;
use crate::tls::{Authority, Door};

/// A host without certificates, as a slim container is.
fn bare() -> Test {
    Test::bridge()
        .env("SSL_CERT_FILE", "/nonexistent/ca.pem")
        .env("SSL_CERT_DIR", "/nonexistent")
}

#[test]
fn the_certificate_of_marathon_is_verified_unless_told_otherwise() {
    let marathon = cluster();
    let (authority, other) = (Authority::new(), Authority::new());
    let door = Door::open(marathon.address(), &authority, None);
    let url = door.url();
    let test = bare()
        .file("ca.pem", authority.pem())
        .file("other.pem", other.pem())
        .file("both.pem", other.pem() + &authority.pem());
    for (words, code, told) in [
        (vec!["--marathon-ca-cert", "ca.pem"], 0, ""),
        (vec!["--marathon-ca-cert", "both.pem"], 0, ""),
        (
            vec!["--marathon-ca-cert", "other.pem"],
            1,
            "no connection (invalid peer certificate",
        ),
        (
            vec!["--insecure"],
            0,
            "certificates of Marathon are not verified",
        ),
        (vec![], 1, "--marathon-ca-cert"),
    ] {
        let words = [vec!["generate", "-m", &url], words].concat();
        let done = test.call(&words).expect(code).says(&[told]);
        assert_eq!(done.stderr.is_empty(), told.is_empty(), "{done:#?}");
    }
    // Whose certificate is for another name is somebody else.
    let elsewhere = url.replace("127.0.0.1", "localhost");
    let words = ["generate", "-m", &elsewhere, "--marathon-ca-cert", "ca.pem"];
    test.call(words).expect(1).says(&["not valid for name"]);
}

#[test]
fn plain_http_needs_no_certificates_on_the_host_and_neither_does_its_login() {
    let marathon = cluster();
    let url = marathon.url();
    let test = bare();
    assert_eq!(test.call(["generate", "-m", &url]).expect(0).stderr, "");
    require_login(&marathon, TokenPlace::Both);
    let file = secret(test.path(), "account.json", &account(&marathon.login_url()));
    let words = [
        "generate",
        "-m",
        &url,
        "--dcos-auth-credentials-file",
        &file,
    ];
    assert_eq!(test.call(words).expect(0).stderr, "");
}

#[test]
fn marathon_and_the_login_may_ask_for_a_certificate() {
    let marathon = cluster();
    require_login(&marathon, TokenPlace::Both);
    let (authority, clients) = (Authority::new(), Authority::new());
    let door = Door::open(marathon.address(), &authority, Some(&clients));
    let url = door.url();
    let usage = || ExtendedKeyUsagePurpose::ClientAuth;
    let known = clients.issue("lb", usage());
    let unknown = authority.issue("lb", usage());
    let test = bare().file("ca.pem", authority.pem());
    let file = |name: &str, text: &str| secret(test.path(), name, text);
    let login = account(&format!("{url}{LOGIN_PATH}"));
    let login = file("account.json", &login);
    let both = file("both.pem", &(known.certificate.clone() + &known.key));
    let stranger = file("stranger.pem", &(unknown.certificate + &unknown.key));
    let certificate = file("cert.pem", &known.certificate);
    let key = file("key.pem", &known.key);
    for (words, code) in [
        (vec!["--marathon-client-cert", &both], 0),
        (
            vec![
                "--marathon-client-cert",
                &certificate,
                "--marathon-client-key",
                &key,
            ],
            0,
        ),
        (vec!["--marathon-client-cert", &both, "--insecure"], 0),
        (vec!["--marathon-client-cert", &stranger], 1),
        (vec!["--marathon-client-cert", &certificate], 1),
        (vec!["--marathon-client-cert", "none.pem"], 1),
        (vec![], 1),
    ] {
        let common = vec![
            "generate",
            "-m",
            &url,
            "--marathon-ca-cert",
            "ca.pem",
            "--dcos-auth-credentials-file",
            &login,
        ];
        let done = test.call([common, words].concat()).expect(code);
        assert_silent(&done);
        if code == 0 {
            assert!(done.stdout.contains("listen web-10001"), "{done:#?}");
        }
    }
}

#[test]
fn credentials_never_follow_a_redirect_from_tls_to_none() {
    let marathon = cluster();
    let authority = Authority::new();
    let door = Door::open(marathon.address(), &authority, None);
    let test = bare().file("ca.pem", authority.pem());
    let file = secret(test.path(), "password", PASSWORD);
    let url = door.url();
    // Both are given, and yet the way from the one to the other is none for a password.
    let words = [
        "generate",
        "--marathon-ca-cert",
        "ca.pem",
        "--auth-credentials-file",
        &file,
        "-m",
        &url,
        "-m",
        &marathon.url(),
    ];
    let plain = format!("{}/v2/apps", marathon.url());
    marathon.inject(Fault::Redirect(plain).times(1));
    test.call(words).expect(0);
    let proofs: Vec<_> = marathon
        .seen()
        .iter()
        .map(|seen| seen.header("authorization").map(str::to_owned))
        .collect();
    assert_eq!(proofs, [Some(BASIC.to_owned()), None]);
}
