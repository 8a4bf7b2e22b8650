//! More certificates than the line of port 443 has room for: those beyond it stand in a list, which is
//! checked, installed, put back and taken away with the file that names it.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::turns::{Ending, quarantined, refresh};
use super::{Ask, Scene, at};
use crate::serve::echo::Echo;
use crate::support::{Done, Test, haproxy};

/// Apps `/a00`, `/a01` … of the host `a00.test` …, each with a certificate of its own, in this order, and
/// one backend for all.
struct Many {
    scene: Scene,
    backend: u16,
    ders: Vec<Vec<u8>>,
}

impl Many {
    fn new(count: usize) -> Self {
        Self::in_scene(Scene::new(), count)
    }

    fn in_scene(mut scene: Scene, count: usize) -> Self {
        let echo = Echo::start("all");
        let backend = echo.port();
        scene.echoes.push(echo);
        let mut many = Self {
            scene,
            backend,
            ders: Vec::new(),
        };
        for _ in 0..count {
            many.one_more();
        }
        many
    }

    fn one_more(&mut self) {
        let nth = self.ders.len();
        let path = self.path(nth).display().to_string();
        let der = self.issue(nth);
        self.ders.push(der);
        let labels = [("VHOST", &*host(nth)), ("SSL_CERT", &*path)];
        self.scene
            .app_at(&format!("/a{nth:02}"), self.backend, &labels);
        let date = format!("2020-01-01T00:{:02}:{:02}.000Z", nth / 60, nth % 60);
        let last = self.scene.apps.last_mut().unwrap();
        last["versionInfo"] = json!({"lastConfigChangeAt": date});
    }

    fn path(&self, nth: usize) -> PathBuf {
        self.scene.test.path().join(format!("a{nth:02}.pem"))
    }

    /// Puts another certificate in place.
    fn issue(&self, nth: usize) -> Vec<u8> {
        let made = rcgen::generate_simple_self_signed(vec![host(nth)]).unwrap();
        let text = made.cert.pem() + &made.signing_key.serialize_pem();
        let beside = self.path(nth).with_extension("new");
        fs::write(&beside, text).unwrap();
        fs::rename(&beside, self.path(nth)).unwrap();
        made.cert.der().to_vec()
    }

    fn label(&mut self, nth: usize, name: &str, value: &str) {
        self.scene.apps[nth]["labels"][format!("HAPROXY_0_{name}")] = value.into();
    }

    fn shown(&self, name: &str) -> Option<Vec<u8>> {
        let https = Ask::https(at(self.scene.https));
        https.sni(name).get(name, "/").certificate
    }

    #[track_caller]
    fn shows_its_own(&self, all: &[usize]) {
        for &nth in all {
            let own = self.shown(&host(nth));
            assert!(own.as_ref() == Some(&self.ders[nth]), "of {}", host(nth));
        }
    }

    fn pid(&self) -> String {
        fs::read_to_string(self.scene.test.path().join("run/pid")).unwrap()
    }

    /// The words of the line of port 443 that name certificates.
    fn line(&self) -> Vec<String> {
        line_of(&fs::read_to_string(self.scene.cfg()).unwrap())
    }

    /// The lists that lie beside the file.
    fn lists(&self) -> BTreeSet<PathBuf> {
        lists_in(&self.scene.test.path().join("etc"))
    }

    /// With a HAProxy that counts how often it checks.
    fn counts_checks(&mut self) {
        let real = haproxy().display().to_string();
        let file = self.scene.test.path().join("counting");
        let count = self.scene.test.path().join("checks");
        let script = format!(
            "#!/bin/sh\n[ \"$1\" = -c ] && echo >> {}\nexec {real} \"$@\"\n",
            count.display()
        );
        fs::write(&file, script).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        let test = std::mem::replace(&mut self.scene.test, Test::new());
        self.scene.test = test.env("HMB_HAPROXY", file);
    }

    /// Since the last time.
    fn checks(&self) -> usize {
        let file = self.scene.test.path().join("checks");
        let count = fs::read_to_string(&file).unwrap_or_default();
        fs::write(&file, "").unwrap();
        count.lines().count()
    }

    fn call(&self, words: &[&str]) -> Done {
        let mut command = self.scene.test.command();
        command.args(words);
        command.args(["-m", "file:apps.json", "--template-dir", "templates"]);
        command.arg("--haproxy-config").arg(self.scene.cfg());
        command.args(&self.scene.flags);
        Done::of(command)
    }
}

fn host(nth: usize) -> String {
    format!("a{nth:02}.test")
}

fn line_of(cfg: &str) -> Vec<String> {
    let (_, shared) = cfg.split_once("\nfrontend marathon_https_in\n").unwrap();
    let line = shared.lines().next().unwrap();
    let (_, line) = line.split_once(" ssl ").unwrap();
    let (line, _) = line.split_once(" alpn ").unwrap();
    line.split(' ').map(str::to_owned).collect()
}

fn lists_in(folder: &std::path::Path) -> BTreeSet<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let is_list = |path: &PathBuf| path.extension().is_some_and(|end| end == "crt-list");
    paths.filter(is_list).collect()
}

#[test]
fn a_hundred_services_have_each_its_own_certificate_on_port_443() {
    let mut many = Many::new(100);
    let _ending = Ending(many.scene.cfg());
    let done = refresh(&many.scene).expect(0);
    assert!(!done.stderr.contains("not shown"), "{done:#?}");
    let sample = [0, 1, 27, 28, 29, 57, 98, 99];
    many.shows_its_own(&sample);
    // Who names no host of theirs gets the first, as before.
    assert!(many.shown("other.test").as_ref() == Some(&many.ders[0]));
    let lists = many.lists();
    assert_eq!(lists.len(), 1, "{lists:?}");
    let list = lists.first().unwrap().display().to_string();
    let line = many.line();
    assert_eq!(line.len(), 58, "{line:?}");
    assert_eq!(line[56..], ["crt-list".to_owned(), list.clone()]);
    let text = fs::read_to_string(&list).unwrap();
    let want = (28..100).map(|nth| format!("{}\n", many.path(nth).display()));
    assert_eq!(text, want.collect::<String>());

    // Nothing is done twice, and who only looks finds nothing to do.
    let pid = many.pid();
    assert_eq!(refresh(&many.scene).expect(0).stderr, "");
    assert_eq!(many.pid(), pid);
    assert_eq!(many.call(&["diff"]).expect(0).stdout, "");
    many.call(&["check"]).expect(0);

    // One that was renewed is shown without a reload, as those in the line are.
    for nth in [0, 99] {
        many.ders[nth] = many.issue(nth);
        let done = refresh(&many.scene).expect(0);
        done.says(&["HAProxy was told, since its certificates were changed"]);
        many.shows_its_own(&[0, 99]);
        assert_eq!(many.pid(), pid);
    }

    // With one more or less another list takes its place.
    let gone = many.scene.apps.pop().unwrap();
    let diff = many_diff(&many);
    let row = format!("-{}\n", many.path(99).display());
    assert!(diff.contains(&row), "{diff}");
    assert_eq!(diff.matches("/dev/null").count(), 0, "{diff}");
    refresh(&many.scene).expect(0);
    let after = many.lists();
    assert_eq!((after.len(), after.is_disjoint(&lists)), (1, true));
    assert!(many.shown(&host(99)).as_ref() == Some(&many.ders[0]));
    many.shows_its_own(&[0, 28, 98]);
    many.scene.apps.push(gone);
    refresh(&many.scene).expect(0);
    assert_eq!(many.lists(), lists);
    many.shows_its_own(&sample);

    // A list that somebody takes away or writes over is put back.
    for text in [None, Some("# nothing\n")] {
        match text {
            None => fs::remove_file(&list).unwrap(),
            Some(text) => fs::write(&list, text).unwrap(),
        }
        refresh(&many.scene).expect(0);
        assert_eq!(many.lists(), lists);
        many.shows_its_own(&sample);
    }

    // An operator goes back to a set with the list of then.
    many.scene.apps.truncate(90);
    refresh(&many.scene).expect(0);
    assert!(many.lists().is_disjoint(&lists));
    let mut back = many.scene.test.command();
    back.args(["rollback", "--pid-file", "run/pid", "--reload", "sf"]);
    back.arg("--haproxy-config").arg(many.scene.cfg());
    Done::of(back).expect(0);
    assert_eq!(many.lists(), lists);
    many.shows_its_own(&sample);
}

fn many_diff(many: &Many) -> String {
    let apps = json!({"apps": many.scene.apps}).to_string();
    fs::write(many.scene.test.path().join("apps.json"), apps).unwrap();
    many.call(&["diff"]).expect(1).stdout
}

#[test]
fn up_to_29_stand_in_the_line_and_no_list_is_there() {
    let mut many = Many::new(29);
    let _ending = Ending(many.scene.cfg());
    refresh(&many.scene).expect(0);
    let words: Vec<String> = (0..29)
        .flat_map(|nth| ["crt".to_owned(), many.path(nth).display().to_string()])
        .collect();
    assert_eq!(many.line(), words);
    assert_eq!(many.lists(), BTreeSet::new());
    many.one_more();
    refresh(&many.scene).expect(0);
    let line = many.line();
    assert_eq!(line[..56], words[..56]);
    assert_eq!((line.len(), &*line[56]), (58, "crt-list"));
    let text = fs::read_to_string(&line[57]).unwrap();
    let want = [28, 29].map(|nth| format!("{}\n", many.path(nth).display()));
    assert_eq!(text, want.concat());
    many.shows_its_own(&[0, 27, 28, 29]);
    // The list goes with what needed it.
    many.scene.apps.pop();
    refresh(&many.scene).expect(0);
    assert_eq!(many.line(), words);
    assert_eq!(many.lists(), BTreeSet::new());
    many.shows_its_own(&[0, 27, 28]);
}

/// It goes when another takes its place, and HAProxy could not start for anybody.
#[test]
fn no_owner_names_a_list_of_ours() {
    let mut many = Many::new(30);
    let _ending = Ending(many.scene.cfg());
    refresh(&many.scene).expect(0);
    let list = many.lists().first().unwrap().clone();
    let (folder, name) = (list.parent().unwrap(), list.file_name().unwrap());
    let round = folder.join("../etc").join(name).display().to_string();
    many.label(3, "BIND_OPTIONS", &format!("ssl crt-list {round}"));
    let done = refresh(&many.scene).expect(0);
    done.says(&[
        "app `/a03`: label `HAPROXY_0_BIND_OPTIONS`",
        "a list that this program writes and takes away",
    ]);
    assert!(
        !fs::read_to_string(many.scene.cfg())
            .unwrap()
            .contains(&round)
    );
    many.shows_its_own(&[0, 28, 29]);
}

/// Of several in one line HAProxy names the first alone.
#[test]
fn many_broken_certificates_of_one_app_keep_nobody_else_waiting() {
    let scene = Scene::new().flags(&["--no-service-ports"]);
    let mut many = Many::in_scene(scene, 30);
    let _ending = Ending(many.scene.cfg());
    refresh(&many.scene).expect(0);
    let before = many.scene.apps.len();
    for nth in 0..10 {
        let (id, host) = (format!("/evil/{nth}"), format!("evil{nth}.test"));
        let labels = [
            ("VHOST", &*host),
            ("SSL_CERT", &*format!("/nowhere/{nth}.pem")),
        ];
        many.scene.app_at(&id, many.backend, &labels);
    }
    many.one_more();
    refresh(&many.scene).expect(0);
    many.shows_its_own(&[0, 29, 30]);
    let cfg = fs::read_to_string(many.scene.cfg()).unwrap();
    assert!(!cfg.contains("/nowhere/"), "{cfg}");
    assert_eq!(many.scene.apps.len(), before + 11);
}

/// HAProxy never comes to the end of a folder that a list names.
#[test]
fn a_folder_of_certificates_stays_a_word_of_the_line_in_its_place() {
    let mut many = Many::new(60);
    let folder = many.scene.test.path().join("folder");
    fs::create_dir(&folder).unwrap();
    fs::rename(many.path(40), folder.join("one.pem")).unwrap();
    many.label(40, "SSL_CERT", &folder.display().to_string());
    let _ending = Ending(many.scene.cfg());
    refresh(&many.scene).expect(0);
    let line = many.line();
    let keywords: Vec<&str> = line.iter().step_by(2).map(String::as_str).collect();
    let mut want = vec!["crt"; 29];
    (want[26], want[28]) = ("crt-list", "crt-list");
    assert_eq!(keywords, want);
    assert_eq!(line[55], folder.display().to_string());
    assert_eq!(many.lists().len(), 2);
    many.shows_its_own(&[0, 25, 26, 39, 40, 41, 59]);
    // A file whose place a folder takes leaves its list before HAProxy reads that.
    let file = many.path(50);
    fs::rename(&file, many.scene.test.path().join("moved.pem")).unwrap();
    fs::create_dir(&file).unwrap();
    fs::rename(
        many.scene.test.path().join("moved.pem"),
        file.join("one.pem"),
    )
    .unwrap();
    many.one_more();
    refresh(&many.scene).expect(0);
    assert!(many.line().contains(&file.display().to_string()));
    many.shows_its_own(&[0, 39, 40, 41, 50, 51, 60]);
}

#[test]
fn a_broken_certificate_in_the_list_costs_its_own_service_and_few_checks() {
    for flags in [&[][..], &["--no-service-ports"]] {
        let mut many = Many::in_scene(Scene::new().flags(flags), 100);
        many.counts_checks();
        let _ending = Ending(many.scene.cfg());
        let broken = many.scene.test.path().join("broken.pem");
        fs::write(&broken, "no certificate\n").unwrap();
        let broken = broken.display().to_string();
        many.label(70, "SSL_CERT", &broken);
        let done = refresh(&many.scene).expect(0);
        let told = "app `/a70`: label `HAPROXY_0_SSL_CERT`: found what `haproxy -c` refuses: ";
        let done = done.says(&[told]);
        let warned = done.stderr.matches("app `/").count();
        assert_eq!(warned, 1, "{done:#?}");
        assert!(many.checks() <= 2);
        many.shows_its_own(&[0, 27, 28, 69, 71, 99]);
        let places = places_of(&quarantined(&many.scene));
        assert_eq!(places, ["/a70"]);

        // Nobody is asked again while nothing is new, and nothing is said again.
        assert_eq!(refresh(&many.scene).expect(0).stderr, "");
        assert_eq!(many.checks(), 0);

        // One that was served goes on with the certificate of before.
        many.label(99, "SSL_CERT", "/nowhere/a.pem");
        let done = refresh(&many.scene).expect(0);
        let done = done.says(&["app `/a99`: label `HAPROXY_0_SSL_CERT`", "/nowhere/a.pem"]);
        assert!(many.checks() <= 3, "{done:#?}");
        many.shows_its_own(&[0, 69, 98, 99]);
    }
}

fn places_of(quarantined: &Value) -> Vec<String> {
    let all = quarantined.as_array().unwrap().iter();
    all.map(|one| one["app"].as_str().unwrap().to_owned())
        .collect()
}

/// The file alone would name what nobody has.
#[test]
fn what_is_printed_has_no_list_and_what_is_written_into_a_folder_does() {
    let many = Many::new(31);
    let done = many.scene.write(true);
    assert_eq!(done.stderr.matches("not shown on port 443").count(), 0);
    let lists = many.lists();
    assert_eq!(
        many.line()[57],
        lists.first().unwrap().display().to_string()
    );
    let done = many.scene.try_write(false).expect(0);
    let line = line_of(&done.stdout);
    assert!(!line.contains(&"crt-list".to_owned()), "{line:?}");
    assert_eq!(line.len(), 58);
    assert_eq!(done.stderr.matches("not shown on port 443").count(), 2);
}

/// It was written when there were no lists.
#[test]
fn a_template_of_before_shows_those_that_fit_the_line_and_it_is_told() {
    let many = Many::new(40);
    let path = many.scene.test.path().join("templates/https_in.cfg.tera");
    let text = fs::read_to_string(&path).unwrap();
    let new = "{% for words in certificate_words %} {{ words[0] }} {{ words[1] }}{% endfor %}";
    assert!(text.contains(new), "{text}");
    let old = "{% for path in certificates %} crt {{ path }}{% endfor %}";
    fs::write(&path, text.replace(new, old)).unwrap();
    let _ending = Ending(many.scene.cfg());
    let told =
        "template `https_in.cfg`: found no place for the list in which 12 certificates stand";
    refresh(&many.scene).expect(0).says(&[told]);
    assert_eq!(many.line().len(), 56);
    assert_eq!(many.lists(), BTreeSet::new());
    many.shows_its_own(&[0, 27]);
}
