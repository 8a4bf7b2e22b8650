//! Who the program is to Marathon: passwords, tokens and logins at DC/OS. What is secret must come
//! out nowhere, whatever happens.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant, SystemTime};

use haproxy_marathon_bridge::config::{self, Credentials};
use haproxy_marathon_bridge::demo::marathon::{
    App, Ending, Era, Fault, LOGIN_PATH, Marathon, Task, TokenPlace,
};
use haproxy_marathon_bridge::marathon::{Client, Clock, Moment};
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use serde_json::json;

use crate::host::{Host, block_on};
use crate::support::{Done, Test};

/// `joe:s3:cret`
pub(crate) const PASSWORD: &str = "joe:s3:cret";
pub(crate) const BASIC: &str = "Basic am9lOnMzOmNyZXQ=";
/// What stands in passwords, tokens and keys of these tests, and in nothing else.
const SECRETS: [&str; 5] = ["s3:cret", "am9lOnMz", "demo-token", "PRIVATE KEY", "s3cret"];

static KEY: LazyLock<KeyPair> =
    LazyLock::new(|| KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap());

pub(crate) fn cluster() -> Marathon {
    let marathon = Marathon::start(Era::V1_8).unwrap();
    let app = App::new("/web").service_port(10001);
    marathon.deploy(app.task(Task::new("10.0.0.1").port(31000)));
    marathon
}

/// A file that only its owner may read.
pub(crate) fn secret(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

/// The account `lb`, as DC/OS stores it.
pub(crate) fn account(login: &str) -> String {
    json!({
        "scheme": "RS256",
        "uid": "lb",
        "private_key": KEY.serialize_pem(),
        "login_endpoint": login,
    })
    .to_string()
}

pub(crate) fn require_login(marathon: &Marathon, place: TokenPlace) {
    marathon
        .require_login("lb", &KEY.public_key_pem(), place)
        .unwrap();
}

#[track_caller]
pub(crate) fn assert_silent(done: &Done) {
    for secret in SECRETS {
        let said = [&done.stdout, &done.stderr];
        assert!(!said.iter().any(|said| said.contains(secret)), "{done:#?}");
    }
}

/// The last `Authorization` header that `marathon` was sent with the question for apps.
fn proof(marathon: &Marathon) -> Option<String> {
    let seen = marathon.seen();
    let last = seen.iter().rfind(|seen| seen.path == "/v2/apps")?;
    last.header("authorization").map(str::to_owned)
}

#[test]
fn a_password_comes_from_a_file_a_variable_or_the_file_of_options() {
    let marathon = cluster();
    marathon.require_authorization(Some(BASIC));
    let url = marathon.url();
    let test = Test::bridge();
    let file = secret(test.path(), "password", &format!("{PASSWORD}\n"));
    let options = format!("auth-credentials = \"{PASSWORD}\"\nmarathon = \"{url}\"\n");
    let options = secret(test.path(), "config.toml", &options);
    for words in [
        vec!["generate", "-m", &url, "--auth-credentials-file", &file],
        vec!["generate", "--config", &options],
    ] {
        let done = test.call(words).expect(0);
        assert!(done.stdout.contains("listen web-10001"), "{done:#?}");
        assert_eq!(done.stderr, "");
    }
    let by_variable = test.env("HMB_AUTH_CREDENTIALS", PASSWORD);
    let done = by_variable.call(["generate", "-m", &url]).expect(0);
    assert_eq!(done.stderr, "");
    // The calls of the bash bridge have no options, but the same variables.
    by_variable.call(["config", &url]).expect(0);
}

#[test]
fn a_refusal_says_what_to_do_and_no_secret() {
    let marathon = cluster();
    marathon.require_authorization(Some(BASIC));
    let url = marathon.url();
    let test = Test::bridge();
    let wrong = secret(test.path(), "wrong", "joe:s3cret\n");
    let token = secret(test.path(), "token", "s3cret\n");
    for (words, told) in [
        (vec![], "expected them from --auth-credentials-file, "),
        (
            vec!["--auth-credentials-file", &wrong],
            "the credentials were refused",
        ),
        (
            vec!["--auth-token-file", &token],
            "the credentials were refused",
        ),
    ] {
        let words = [vec!["generate", "-m", &url], words].concat();
        let done = test.call(&words).expect(1).says(&["401", told, &url]);
        assert_eq!(done.stdout, "");
        assert_silent(&done);
    }
    assert_eq!(proof(&marathon).unwrap(), "token=s3cret");
}

#[test]
fn a_password_is_no_option() {
    for words in [
        vec!["--auth-credentials", PASSWORD],
        vec!["--auth-credentials=joe:s3:cret"],
    ] {
        let words = [vec!["generate", "-m", "m:80"], words].concat();
        let done = Test::bridge().call(&words).expect(2).says(&[
            "process list",
            "HMB_AUTH_CREDENTIALS",
            "--auth-credentials-file",
        ]);
        assert_silent(&done);
    }
    let test = Test::bridge().env("HMB_AUTH_CREDENTIALS", "s3cret");
    let done = test.call(["generate", "-m", "m:80"]).expect(2);
    assert_silent(&done.says(&["environment variable `HMB_AUTH_CREDENTIALS`"]));
}

#[test]
fn a_password_that_everybody_can_read_is_one_warning() {
    let marathon = cluster();
    marathon.require_authorization(Some(BASIC));
    let test = Test::bridge().file("password", PASSWORD);
    let path = test.path().join("password");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let words = ["--auth-credentials-file", "password", "-m", &marathon.url()];
    let done = test.call([&["generate"], &words[..]].concat()).expect(0);
    assert_eq!(done.stderr.lines().count(), 1, "{done:#?}");
    assert_silent(&done.says(&["warn: `password` holds a secret and has mode 0644"]));
}

#[test]
fn nobody_but_the_given_hosts_sees_credentials() {
    let (given, stranger) = (cluster(), cluster());
    let (given_url, stranger_url) = (given.url(), stranger.url());
    given.inject(Fault::Redirect(format!("{stranger_url}/v2/apps")));
    let test = Test::bridge();
    let file = secret(test.path(), "password", PASSWORD);
    let words = ["generate", "--auth-credentials-file", &file];
    let one = [&words[..], &["-m", &given_url]].concat();
    test.call(&one).expect(0);
    assert_eq!(proof(&given).unwrap(), BASIC);
    assert_eq!(proof(&stranger), None);
    // As soon as somebody names it, it is no stranger.
    let both = [&one[..], &["-m", &stranger_url]].concat();
    test.call(&both).expect(0);
    assert_eq!(proof(&stranger).unwrap(), BASIC);
    // An address with credentials of its own keeps them.
    let own = stranger_url.replace("://", "://u:p@");
    test.call([&words[..], &["-m", &own]].concat()).expect(0);
    assert_eq!(proof(&stranger).unwrap(), "Basic dTpw");
}

#[test]
fn a_node_that_refuses_does_not_keep_the_others_from_answering() {
    let (first, second) = (cluster(), cluster());
    let test = Test::bridge();
    let file = secret(test.path(), "password", PASSWORD);
    for fault in [Fault::Unauthorized, Fault::Html(502), Fault::Garbage] {
        first.clear_faults();
        first.inject(fault);
        let urls = ["-m", &first.url(), "-m", &second.url()];
        let words = [&["generate", "--auth-credentials-file", &file], &urls[..]].concat();
        let done = test.call(words).expect(0).says(&["answered instead"]);
        assert_silent(&done);
    }
}

#[test]
fn a_service_account_logs_in_and_a_one_shot_asks_with_its_token() {
    let marathon = cluster();
    let test = Test::bridge();
    let file = secret(test.path(), "account.json", &account(&marathon.login_url()));
    let url = marathon.url();
    let words = [
        "generate",
        "-m",
        &url,
        "--dcos-auth-credentials-file",
        &file,
    ];
    for (turn, place) in [TokenPlace::Cookie, TokenPlace::Body, TokenPlace::Both]
        .into_iter()
        .enumerate()
    {
        require_login(&marathon, place);
        let done = test.call(words).expect(0);
        assert_eq!(done.stderr, "");
        assert_eq!(proof(&marathon).unwrap(), "token=demo-token-1");
        assert_eq!(marathon.requests(LOGIN_PATH), turn as u64 + 1);
    }
}

/// Neither the log, nor the state, nor the installed file.
#[test]
fn no_failure_of_a_login_tells_a_secret() {
    let marathon = cluster();
    require_login(&marathon, TokenPlace::Both);
    let host = Host::new();
    let login = marathon.login_url().replace("://", "://u:s3cret@");
    let login = format!("{login}?s3cret");
    let file = secret(host.root(), "account.json", &account(&login));
    let words = [
        "--dcos-auth-credentials-file",
        &file,
        "--reload",
        "none",
        "--read-timeout",
        "300ms",
        "--log-level",
        "trace",
    ];
    let refresh = || {
        let mut command = host.refresh_command(&[marathon.url()], &words);
        command.env("HMB_LOG_FORMAT", "json");
        Done::of(command)
    };
    for (fault, told) in [
        (Fault::Status(500), "status 500"),
        (Fault::Html(503), "status 503"),
        (Fault::Unauthorized, "the service account was refused"),
        (Fault::Garbage, "cookie"),
        (Fault::Empty, "nor a `token`"),
        (Fault::Hang, "nothing came for 300ms"),
        (Fault::Reset, "broke off"),
        (Fault::HangInBody { after_bytes: 3 }, ""),
        (
            Fault::Truncated {
                at_bytes: 3,
                ending: Ending::ShortOfLength,
            },
            "",
        ),
        (Fault::Redirect("http://127.0.0.1:1/".into()), "status 302"),
        (Fault::Huge { bytes: 1 << 20 }, "more than 65536 bytes"),
    ] {
        marathon.clear_faults();
        marathon.inject(fault.clone().on(LOGIN_PATH));
        let done = refresh();
        // A token in the cookie is had before the body breaks.
        let code = i32::from(!told.is_empty());
        assert_eq!(done.status.code(), Some(code), "{fault:?} {done:#?}");
        assert_silent(&done);
        if code == 1 {
            done.says(&[told, "the login at `http://127.0.0.1:", LOGIN_PATH]);
        }
    }
    marathon.clear_faults();
    for fault in [Fault::Unauthorized, Fault::Status(500), Fault::Garbage] {
        marathon.inject(fault.on("/v2/apps").times(2));
        assert_silent(&refresh().expect(1));
        marathon.clear_faults();
    }
    assert_silent(&refresh().expect(0));
    let mut files = 0;
    for path in host.footprint("").keys().filter(|path| path.is_file()) {
        if path.ends_with("account.json") {
            continue;
        }
        let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        files += 1;
        assert!(
            !SECRETS.iter().any(|secret| text.contains(secret)),
            "{}",
            path.display()
        );
    }
    assert!(files > 3, "only {files} files were read");
}

#[test]
fn a_command_that_reloads_sees_our_environment_without_the_password() {
    let marathon = cluster();
    let host = Host::new();
    let seen = host.path("seen");
    let reload = format!("env > {}", seen.display());
    let words = ["--reload", "command", "--reload-command", &reload];
    let mut command = host.refresh_command(&[marathon.url()], &words);
    command
        .env("HMB_AUTH_CREDENTIALS", PASSWORD)
        .env("MINE", "kept");
    // Nothing proves a reload that reloads nothing.
    command.args(["--reload-timeout", "100ms"]);
    assert_silent(&Done::of(command));
    let seen = fs::read_to_string(seen).unwrap();
    assert!(seen.contains("MINE=kept"), "{seen}");
    assert!(!seen.contains("s3:cret"), "{seen}");
}

#[test]
fn a_token_that_is_revoked_or_too_old_is_renewed_without_a_failed_question() {
    let marathon = cluster();
    require_login(&marathon, TokenPlace::Both);
    let gone = Arc::new(Mutex::new(Duration::ZERO));
    let clock = {
        let (gone, began, wall) = (Arc::clone(&gone), Instant::now(), SystemTime::now());
        Clock::new(move || {
            let gone = *gone.lock().unwrap();
            Moment {
                // The clock of the built-in Marathon cannot be moved.
                wall,
                steady: began + gone,
            }
        })
    };
    let mut client = client(&marathon, clock);
    let mut asked = || {
        let result = block_on(client.apps());
        (result.is_ok(), proof(&marathon).unwrap())
    };
    let with = |token: &str| (true, format!("token=demo-token-{token}"));
    assert_eq!(asked(), with("1"));
    marathon.revoke_tokens();
    assert_eq!(asked(), with("2"));
    assert_eq!(asked(), with("2"));
    let go = |seconds| *gone.lock().unwrap() += Duration::from_secs(seconds);
    go(3539);
    assert_eq!(asked(), with("2"));
    go(1);
    assert_eq!(asked(), with("3"));
    // Renewal fails: the old token serves to its end, and then nothing does.
    marathon.inject(Fault::Status(503).on(LOGIN_PATH));
    go(3599);
    assert_eq!(asked(), with("3"));
    go(1);
    assert!(!asked().0);
    marathon.clear_faults();
    go(1);
    assert_eq!(asked(), with("4"));
}

fn client(marathon: &Marathon, clock: Clock) -> Client {
    let second = Duration::from_secs(10);
    let config = config::Marathon {
        urls: vec![marathon.url()],
        ca_cert: None,
        insecure: false,
        client_cert: None,
        client_key: None,
        credentials: Credentials::from_dcos_json(&account(&marathon.login_url())).unwrap(),
        proxy_from_environment: false,
        connect_timeout: second,
        read_timeout: second,
        fetch_timeout: second,
        max_body: 1 << 20,
        max_backoff: second,
    };
    Client::with_clock(&config, clock).unwrap()
}

/// As marathon-lb was told who it is. What it writes is of no interest here.
fn marathon_lb(marathon: &Marathon, flags: &[&str]) -> Test {
    let url = marathon.url();
    let always = [
        "marathon-lb",
        "-m",
        &url,
        "--group=*",
        "--haproxy-config=haproxy.cfg",
        "--skip-validation",
        "--haproxy-version=2.6",
        "--command=true",
        "--syslog-socket=/dev/null",
    ];
    Test::bridge().args(always.iter().chain(flags))
}

#[test]
fn marathon_lb_users_name_themselves_as_before() {
    let marathon = cluster();
    marathon.require_authorization(Some("Basic am9lOnMzY3JldA=="));
    marathon_lb(&marathon, &[]).run().expect(1);
    marathon_lb(&marathon, &["--auth-credentials=joe:wrong"])
        .run()
        .expect(1);
    let done = marathon_lb(&marathon, &["--auth-credentials", "joe:s3cret"])
        .run()
        .expect(0);
    assert!(!done.stderr.contains("s3cret"), "{done:#?}");
    let by_file = marathon_lb(&marathon, &["--marathon-auth-credential-file=credentials"])
        .file("credentials", "joe:s3cret\nmore\n");
    by_file.run().expect(0);
}

#[test]
fn marathon_lb_users_log_in_at_dcos_as_before() {
    let marathon = cluster();
    require_login(&marathon, TokenPlace::Cookie);
    let account = account(&marathon.login_url());
    marathon_lb(&marathon, &[]).run().expect(1);
    let done = marathon_lb(&marathon, &["--dcos-auth-credentials", &account])
        .run()
        .expect(0);
    assert!(!done.stderr.contains("PRIVATE KEY"), "{done:#?}");
    marathon_lb(&marathon, &[])
        .env("DCOS_SERVICE_ACCOUNT_CREDENTIAL", &account)
        .run()
        .expect(0);
}
