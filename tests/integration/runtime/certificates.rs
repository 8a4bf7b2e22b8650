//! Certificates that are renewed on the disk are shown by the same process.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use haproxy_marathon_bridge::apply::runtime::{Fallback, Renewed};
use haproxy_marathon_bridge::demo::free_ports;
use haproxy_marathon_bridge::demo::marathon::App;
use rcgen::ExtendedKeyUsagePurpose;

use super::cluster::{Scene, TOLD, Watcher};
use super::maps::between;
use crate::host::wait_until;
use crate::support::swap_in;
use crate::tls::{Authority, Identity};

/// A cluster whose host also answers with TLS, and who issues its certificates.
struct Tls {
    scene: Scene,
    port: u16,
    certificate: PathBuf,
    authority: Authority,
}

impl Tls {
    /// The first certificate lies there as `write` puts it.
    fn new(write: impl FnOnce(&Path, &Identity)) -> (Self, Identity) {
        let scene = Scene::new(&[]);
        let port = free_ports(1).unwrap()[0];
        let certificate = scene.host.write("certs/web.pem", "");
        let tls = Self {
            scene,
            port,
            certificate,
            authority: Authority::new(),
        };
        let first = tls.issue();
        write(&tls.certificate, &first);
        let head = "templates/fragments/head.cfg.tera";
        let text = fs::read_to_string(tls.scene.host.path(head)).unwrap();
        let section = format!(
            "\nlisten tls\n  bind 127.0.0.1:{port} ssl crt {}\n  mode tcp\n",
            tls.certificate.display()
        );
        tls.scene.host.write(head, &(text + &section));
        (tls, first)
    }

    fn issue(&self) -> Identity {
        self.authority
            .issue("web.test", ExtendedKeyUsagePurpose::ServerAuth)
    }

    fn watch(&self) -> Watcher {
        Watcher::start(&self.scene, &["--resync", "1h", "--log-level", "trace"])
    }

    /// The certificate that a client is shown.
    fn shown(&self) -> String {
        let mut client = Command::new("openssl");
        client.args(["s_client", "-servername", "web.test"]);
        client.args(["-connect", &format!("127.0.0.1:{}", self.port)]);
        client.stdin(Stdio::null()).stderr(Stdio::null());
        let output = client.output().expect("openssl runs: see tests/needs");
        let text = String::from_utf8(output.stdout).unwrap();
        let from = text.find("-----BEGIN CERTIFICATE").expect("a certificate");
        bare(&text[from..])
    }

    fn shows(&self, issued: &Identity) -> bool {
        self.shown() == bare(&issued.certificate)
    }
}

/// The first certificate, without its line ends.
fn bare(pem: &str) -> String {
    let lines = pem.lines().take_while(|line| !line.starts_with("-----END"));
    lines.map(str::trim).collect()
}

/// As certificates are renewed: with a blank line between, which would end what HAProxy takes.
fn both(path: &Path, issued: &Identity) {
    swap_in(path, &format!("{}\n{}\n", issued.certificate, issued.key));
}

/// No line of a key is in the log.
#[track_caller]
fn hides(said: &[String], keys: &[&Identity]) {
    for issued in keys {
        let mut lines = issued.key.lines().filter(|line| !line.starts_with("-----"));
        assert!(
            lines.all(|line| said.iter().all(|said| !said.contains(line))),
            "a key is in the log"
        );
    }
}

const RENEWED: &str = "HAProxy was told, since its certificates were changed";

#[test]
fn a_certificate_that_was_renewed_is_shown_by_the_same_process() {
    let (mut tls, first) = Tls::new(both);
    let watcher = tls.watch();
    let pid = tls.scene.host.pid();
    assert!(tls.shows(&first));
    for _ in 0..2 {
        let next = tls.issue();
        both(&tls.certificate, &next);
        let said = watcher.says(RENEWED);
        let last = said.last().unwrap();
        assert!(last.contains("web.pem"), "{last}");
        assert!(last.contains("1 certificate changed at runtime"), "{last}");
        assert!(tls.shows(&next));
        hides(&said, &[&first, &next]);
    }
    assert_eq!(tls.scene.host.haproxies(), [pid]);
    // Everything else goes on as before.
    tls.scene.scale_up();
    watcher.says(TOLD);
    assert_eq!(tls.scene.host.haproxies(), [pid]);
}

#[test]
fn one_that_was_renewed_while_nobody_watched_is_shown_by_whoever_comes_next() {
    let (tls, first) = Tls::new(both);
    tls.watch().end();
    let pid = tls.scene.host.pid();
    let next = tls.issue();
    both(&tls.certificate, &next);
    assert!(tls.shows(&first));
    let watcher = tls.watch();
    watcher.says(RENEWED);
    assert!(tls.shows(&next));
    watcher.end();

    // Nothing else asks for a turn, and the one after it finds nothing to do.
    let last = tls.issue();
    both(&tls.certificate, &last);
    for is_renewed in [true, false] {
        let done = tls.scene.refresh(&[]).expect(0);
        assert_eq!(done.stderr.contains(RENEWED), is_renewed, "{}", done.stderr);
        assert!(tls.shows(&last));
    }
    assert_eq!(tls.scene.host.haproxies(), [pid]);

    // A broken one is told of, and the good one is shown.
    both(
        &tls.certificate,
        &Identity {
            certificate: "none".to_owned(),
            ..tls.issue()
        },
    );
    let done = tls.scene.refresh(&[]).expect(1);
    assert!(
        done.stderr.contains("goes on with those that it has read"),
        "{}",
        done.stderr
    );
    assert!(tls.shows(&last));

    // The turn beside it is one like any other: it tells of what it found, and is remembered.
    let mistaken = |app: App| app.label("HAPROXY_0_BACKEND_WEIGHT", "heavy");
    tls.scene.marathon.change_app("/web", mistaken).unwrap();
    let done = tls.scene.refresh(&[]).expect(1);
    done.says(&["`heavy`", "goes on with those that it has read"]);
    let last = &tls.scene.host.state()["last_turn"];
    assert!(last["warnings"].to_string().contains("`heavy`"), "{last}");
    let why = last["detail"].as_str().unwrap();
    assert!(
        why.contains("goes on with those that it has read"),
        "{last}"
    );
}

#[test]
fn whoever_ends_in_the_midst_of_a_turn_remembers_what_haproxy_read_in_it() {
    let (tls, first) = Tls::new(both);
    Watcher::start_where(&tls.scene, &[], None, "observed").end();
    assert!(tls.shows(&first));
    let next = tls.issue();
    both(&tls.certificate, &next);
    let done = tls.scene.refresh(&[]).expect(0);
    done.says(&[RENEWED]);
    assert!(tls.shows(&next));
}

#[test]
fn one_that_is_renewed_while_a_reload_has_failed_is_shown_at_once() {
    let (tls, first) = Tls::new(both);
    tls.watch().end();
    let pid = tls.scene.host.pid();
    let fails = ["--reload", "command", "--reload-command", "exit 1"];
    let watcher = Watcher::start(&tls.scene, &[&["--resync", "1h"][..], &fails].concat());
    let least = |app: App| app.label("HAPROXY_0_BALANCE", "leastconn");
    tls.scene.marathon.change_app("/web", least).unwrap();
    watcher.says("the reload failed");
    assert!(tls.shows(&first));
    let next = tls.issue();
    both(&tls.certificate, &next);
    watcher.says(RENEWED);
    assert!(tls.shows(&next));
    assert_eq!(tls.scene.host.haproxies(), [pid]);
    assert_ne!(tls.scene.host.state()["pending"], serde_json::Value::Null);
    watcher.end();
}

#[test]
fn one_that_is_renewed_while_paused_is_shown_when_that_is_over() {
    let (mut tls, first) = Tls::new(both);
    let watcher = tls.watch();
    tls.scene.host.operate(&["pause"]).expect(0);
    tls.scene.scale_up();
    watcher.says("would be applied");
    let next = tls.issue();
    both(&tls.certificate, &next);
    watcher.says("changed={Certificates");
    assert!(tls.shows(&first));
    tls.scene.host.operate(&["resume"]).expect(0);
    watcher.says(RENEWED);
    assert!(tls.shows(&next));
    watcher.end();
}

#[test]
fn a_key_that_lies_beside_its_certificate_is_told_with_it() {
    let apart = |path: &Path, issued: &Identity| {
        fs::write(path.with_extension("pem.key"), &issued.key).unwrap();
        swap_in(path, &issued.certificate);
    };
    let (tls, first) = Tls::new(apart);
    let watcher = tls.watch();
    let pid = tls.scene.host.pid();
    let next = tls.issue();
    // Between the two, the one does not belong to the other.
    apart(&tls.certificate, &next);
    let mut said = Vec::new();
    wait_until("the new certificate", || tls.shows(&next));
    said.extend(watcher.says(RENEWED));
    hides(&said, &[&first, &next]);
    assert_eq!(tls.scene.host.haproxies(), [pid]);
}

#[test]
fn a_broken_certificate_is_told_of_and_the_old_one_is_shown() {
    let (tls, first) = Tls::new(both);
    let watcher = tls.watch();
    let pid = tls.scene.host.pid();
    let (other, next) = (tls.issue(), tls.issue());
    // The key of another.
    let broken = format!("{}{}", next.certificate, other.key);
    swap_in(&tls.certificate, &broken);
    let said = watcher.says("HAProxy goes on with those that it has read");
    hides(&said, &[&first, &other, &next]);
    assert!(tls.shows(&first));
    assert_eq!(tls.scene.host.haproxies(), [pid]);

    both(&tls.certificate, &next);
    let said = watcher.says("over: certificates were changed");
    assert!(said.iter().any(|line| line.contains(RENEWED)), "{said:#?}");
    assert!(tls.shows(&next));
    assert_eq!(tls.scene.host.haproxies(), [pid]);
}

/// What HAProxy has read with the old certificate would stay with the new one.
#[test]
fn what_cannot_be_told_is_read_anew_by_a_reload() {
    let (tls, _) = Tls::new(both);
    let issuer = tls.certificate.with_extension("pem.issuer");
    fs::write(&issuer, tls.authority.pem()).unwrap();
    let watcher = tls.watch();
    let pid = tls.scene.host.pid();
    let next = tls.issue();
    both(&tls.certificate, &next);
    let said = watcher.says("HAProxy was reloaded, since its certificates were changed");
    let why = "a reload is needed, since certificates cannot be changed at runtime";
    assert!(said.iter().any(|line| line.contains(why)), "{said:#?}");
    hides(&said, &[&next]);
    assert!(tls.shows(&next));
    assert_ne!(tls.scene.host.pid(), pid);
}

/// The file is larger than HAProxy has room for.
#[test]
fn a_large_certificate_is_read_anew_by_a_reload() {
    let (tls, _) = Tls::new(both);
    let watcher = tls.watch();
    let next = tls.issue();
    let remark = "# a remark, as some tools write them\n".repeat(500);
    swap_in(
        &tls.certificate,
        &format!("{remark}{}{}", next.certificate, next.key),
    );
    let said = watcher.says("HAProxy was reloaded, since its certificates were changed");
    let why = "it is larger than HAProxy has room for";
    assert!(said.iter().any(|line| line.contains(why)), "{said:#?}");
    assert!(tls.shows(&next));
}

/// Whatever it answers, since it may have taken a part of the key for something else.
#[tokio::test]
async fn what_is_refused_is_given_up_and_no_key_is_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.pem");
    let issued = Authority::new().issue("a.test", ExtendedKeyUsagePurpose::ServerAuth);
    both(&path, &issued);
    let renewed = Renewed::read(std::slice::from_ref(&path)).unwrap();
    let path = path.display();
    let listed = format!("# filename\n{path}\n");
    let secret = issued.key.lines().nth(1).unwrap();
    let created = format!("+ + Transaction created for certificate {path}!\n");
    let set = format!("set ssl cert {path}");
    let commit = format!("commit ssl cert {path}");
    let shown = "SHA1 FingerPrint: 00\n".to_owned();
    let success = format!("Committing {path}.\nSuccess!\n");
    let cases = [
        (
            vec!["# filename\n".to_owned()],
            vec![],
            "none that the process has read",
        ),
        (
            vec![listed.clone(), format!("+ + Unknown command: {secret}\n")],
            vec![&*set, "abort"],
            "does not take what it holds",
        ),
        (
            vec![
                listed.clone(),
                format!("+ Transaction updated for certificate {path}!\n"),
            ],
            vec![&*set, "abort"],
            "does not take what it holds",
        ),
        (
            vec![listed.clone(), created.clone(), "No room\n".to_owned()],
            vec![&*set, &*commit, "abort"],
            "`commit ssl cert` was answered with `No room`",
        ),
        (
            vec![listed, created, success, shown],
            vec![&*set, &*commit, "show ssl cert"],
            "another one is shown",
        ),
    ];
    for (replies, commands, why) in cases {
        let (result, heard) = between("2.2.0", replies, &[], &renewed).await;
        let error = result.unwrap_err();
        assert!(matches!(error, Fallback::Certificate(_)), "{error}");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(why) && !shown.contains(secret), "{shown}");
        assert_eq!(heard.len(), commands.len() + 1, "{why}");
        for (heard, command) in heard[1..].iter().zip(commands) {
            assert!(heard.starts_with(command), "{why}: not `{command}`");
        }
    }
}
