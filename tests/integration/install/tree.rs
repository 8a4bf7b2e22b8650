//! `--root`: files alone, in a tree, and none outside of it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::Uid;

use crate::support::{Done, Test};

/// A tree of Debian with systemd and HAProxy, of which nothing could run.
fn debian() -> Test {
    Test::new()
        .file(
            "tree/usr/lib/os-release",
            "PRETTY_NAME=\"Debian of a test\"\nID=debian\n",
        )
        .file("tree/usr/lib/systemd/systemd", "")
        .file("tree/usr/lib/systemd/system/haproxy.service", "")
        .file("tree/usr/sbin/haproxy", "")
        .file("tree/etc/haproxy/haproxy.cfg", "of the package\n")
        .file("tree/etc/group", "root:x:0:\nhaproxy:x:104:\n")
}

fn tree(test: &Test) -> PathBuf {
    test.path().join("tree")
}

fn at(test: &Test, words: &[&str]) -> Done {
    let root = format!("--root={}", tree(test).display());
    let words = [&words[..1], &[&root], &words[1..]].concat();
    test.call(words)
}

/// Every file and link of a tree, with what would change if somebody touched it.
fn footprint(root: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let facts = fs::symlink_metadata(&path).unwrap();
            if facts.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path, (facts.ino(), facts.ctime(), facts.ctime_nsec()));
        }
    }
    found
}

#[test]
fn a_tree_gets_the_files_and_is_told_what_is_left_to_it() {
    let test = debian();
    let tree = tree(&test);
    let done = at(&test, &["install", "m1:8080", "m2:8080"]).expect(0);
    done.prints(&[
        "Debian of a test, systemd\n",
        "done    copy this program to `/usr/local/bin/haproxy-marathon-bridge`\n",
        "later   the first turn, which comes by itself\n",
    ]);
    let read = |path: &str| fs::read_to_string(tree.join(path)).unwrap();
    assert_eq!(
        read("etc/haproxy-marathon-bridge/marathons"),
        "m1:8080\nm2:8080\n"
    );
    let backup = "etc/haproxy/haproxy.cfg.before-haproxy-marathon-bridge";
    assert_eq!(read(backup), "of the package\n");
    assert!(read("etc/haproxy-marathon-bridge/config.toml").contains("\nreload = \"systemd\"\n"));
    let program = tree.join("usr/local/bin/haproxy-marathon-bridge");
    assert_eq!(
        program.metadata().unwrap().permissions().mode() & 0o7777,
        0o755
    );
    let links = tree.join("etc/systemd/system/multi-user.target.wants");
    for (name, unit) in [
        (
            "haproxy-marathon-bridge.service",
            "/etc/systemd/system/haproxy-marathon-bridge.service",
        ),
        ("haproxy.service", "/usr/lib/systemd/system/haproxy.service"),
    ] {
        assert_eq!(fs::read_link(links.join(name)).unwrap(), Path::new(unit));
    }
}

#[test]
fn a_second_call_and_a_dry_run_touch_nothing() {
    let test = debian();
    let before = footprint(&tree(&test));
    let told = at(&test, &["install", "--dry-run", "m1:8080"]).expect(0);
    assert!(told.stdout.contains("to do   write the unit"), "{told:#?}");
    assert_eq!(footprint(&tree(&test)), before);

    at(&test, &["install", "m1:8080"]).expect(0);
    let before = footprint(&tree(&test));
    for words in [
        &["install", "m1:8080"][..],
        &["install"],
        &["install", "--dry-run"],
    ] {
        let told = at(&test, words).expect(0);
        for word in ["done ", "to do "] {
            assert!(
                !told.stdout.lines().any(|line| line.starts_with(word)),
                "{told:#?}"
            );
        }
        assert_eq!(footprint(&tree(&test)), before, "{words:?}");
    }
}

#[test]
fn uninstall_leaves_the_tree_as_it_was_but_for_what_people_wrote() {
    let test = debian();
    let before: Vec<PathBuf> = footprint(&tree(&test)).into_keys().collect();
    at(&test, &["install", "m1:8080"]).expect(0);
    let left = |test: &Test| -> Vec<String> {
        let now = footprint(&tree(test)).into_iter();
        let new = now.filter(|(path, _)| !before.contains(path) && !path.is_dir());
        let names = new.map(|(path, _)| path.file_name().unwrap().to_str().unwrap().to_owned());
        names.collect()
    };
    at(&test, &["uninstall"]).expect(0).prints(&[
        "--purge",
        "note    HAProxy and `/etc/haproxy/haproxy.cfg` stay",
    ]);
    // HAProxy goes on as it was started, with the host too.
    let kept = [
        "marathons",
        "haproxy-marathon-bridge.conf",
        "haproxy.cfg.before-haproxy-marathon-bridge",
        "haproxy.service",
    ];
    let mut found = left(&test);
    found.sort_unstable();
    let mut wanted = kept.to_vec();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
    at(&test, &["uninstall", "--purge"]).expect(0);
    assert!(!left(&test).contains(&"marathons".to_owned()));
    assert!(!tree(&test).join("etc/haproxy-marathon-bridge").exists());
}

/// An absolute link of a tree means a place in the tree.
#[test]
fn links_do_not_lead_out_of_the_tree() {
    let test = debian().file("outside/.keep", "");
    let outside = test.path().join("outside");
    let etc = tree(&test).join("etc");
    symlink(&outside, etc.join("haproxy-marathon-bridge")).unwrap();
    symlink("../../../../../..", etc.join("cron.d")).unwrap();
    at(&test, &["install", "--cron", "m1:8080"]).expect(0);
    let names = fs::read_dir(&outside).unwrap();
    assert_eq!(
        names.count(),
        1,
        "something was written outside of the tree"
    );
    let inside = tree(&test).join(outside.strip_prefix("/").unwrap());
    assert!(inside.join("marathons").exists());
    assert!(tree(&test).join("haproxy-marathon-bridge").exists());
    assert!(etc.join("haproxy-marathon-bridge").is_symlink());
}

#[test]
fn what_cannot_be_is_said_and_nothing_is_done() {
    let test = debian();
    let before = footprint(&tree(&test));
    for (words, code, says) in [
        (&["install"][..], 1, "no Marathon is known"),
        (&["install", "not a host"], 2, "expected one Marathon"),
        (
            &["install", "--cron", "--timer", "m1:8080"],
            2,
            "`cron` and `timer` are given",
        ),
        (&["install", "--lock-file=/x", "m1:8080"], 2, "--lock-file"),
        (&["install", "--config=/x", "m1:8080"], 2, "put it there"),
    ] {
        at(&test, words).expect(code).says(&[says]);
        assert_eq!(footprint(&tree(&test)), before, "{words:?}");
    }
    let missing = test.path().join("missing").display().to_string();
    let done = test
        .call(["install", "--root", &missing, "m1:8080"])
        .expect(1);
    done.says(&["--root", "cannot be used"]);
    // The options of a tree are its own.
    let options = tree(&test).join("etc/haproxy-marathon-bridge/config.toml");
    fs::create_dir(options.parent().unwrap()).unwrap();
    fs::write(&options, "reload = \"sf\"\nmarathon = \"m1:8080\"\n").unwrap();
    at(&test, &["install"])
        .expect(1)
        .says(&["a child of our unit"]);
}

/// Those of the file of options win, whatever the list says.
#[test]
fn marathons_that_the_file_of_options_names_are_told_of() {
    let test = debian();
    let options = "tree/etc/haproxy-marathon-bridge/config.toml";
    let test = test.file(options, "marathon = \"m1:8080\"\n");
    at(&test, &["install", "--cron", "m2:8080"])
        .expect(0)
        .prints(&["names Marathons itself, which win over the list"]);
    let done = at(&test, &["install", "--cron"]).expect(0);
    assert!(!done.stdout.contains("names Marathons"), "{done:#?}");
}

/// What is told needs root, since this is about the host itself.
#[test]
fn who_is_not_root_is_told_what_needs_root() {
    let test = Test::new();
    let program = test.path().join("program");
    fs::copy(env!("CARGO_BIN_EXE_haproxy-marathon-bridge"), &program).unwrap();
    fs::set_permissions(test.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let call = |words: &[&str]| {
        let mut command = Command::new(&program);
        command.args(words).env_clear().current_dir("/");
        if Uid::effective().is_root() {
            // Nobody.
            command.uid(65534).gid(65534);
        }
        Done::of(command)
    };
    for words in [
        &["install", "--cron", "m1:8080"][..],
        &["install_cronjob", "m1:8080"],
    ] {
        let done = call(words).expect(1);
        let done = done.says(&["nothing was done", "needs root"]);
        done.prints(&["to do   copy this program to `/usr/local/bin/haproxy-marathon-bridge`"]);
    }
    call(&["install", "--cron", "--dry-run", "m1:8080"]).expect(0);
    call(&["uninstall", "--dry-run"]).expect(0);
}

/// A state folder that nobody remembers would stay for good.
#[test]
fn a_broken_file_of_options_still_says_where_the_state_lies() {
    for text in [
        "frobnicate = 1\nstate-dir = \"/srv/state\"\n",
        "\"state-dir\" = '/srv/state' # = here\nfrobnicate [\nreload = 'state-dir = 1'\n",
    ] {
        let test = debian().file("tree/etc/haproxy-marathon-bridge/config.toml", text);
        let state = tree(&test).join("srv/state/haproxy.cfg-0123456789abcdef");
        fs::create_dir_all(&state).unwrap();
        let done = at(&test, &["uninstall", "--purge"]).expect(0);
        assert!(!state.exists(), "{done:#?}");
        done.says(&["`/srv/state` count"]);
    }
}
