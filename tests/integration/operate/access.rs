//! What is remembered belongs to whoever `refresh` runs as; others are told so.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::Uid;

use super::{Host, assert_says, done};

const NOBODY: u32 = 65_534;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The program where everybody may run it. Another process copies it: what tests beside this one
/// start would hold a file that we write, and then it cannot be run.
fn public_program(host: &Host) -> PathBuf {
    let program = host.path("program");
    let mut copy = Command::new("cp");
    copy.arg(env!("CARGO_BIN_EXE_haproxy-marathon-bridge"));
    done(copy.arg(&program)).expect(0);
    set_mode(&program, 0o755);
    set_mode(host.test.path(), 0o755);
    program
}

/// Somebody else, who gets as far as the state: as root another user, else we without a permission.
fn stranger(host: &Host, program: &Path, word: &str) -> Command {
    let own = host.command(&[word]);
    let mut command = Command::new(program);
    command.arg(word).current_dir(host.test.path()).env_clear();
    for (name, value) in own.get_envs() {
        command.env(name, value.unwrap());
    }
    if Uid::effective().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    } else {
        set_mode(&host.path("state"), 0);
    }
    command
}

#[test]
fn who_may_not_use_the_state_is_told_which_folder_whose_it_is_and_what_to_do() {
    let host = Host::serving(&[("/web", 10001, 1)]);
    host.call(&["refresh"]).expect(0);
    let program = public_program(&host);
    for (word, what) in [
        ("status", "read"),
        ("pause", "write"),
        ("resume", "write"),
        ("rollback", "write"),
    ] {
        let told = done(&mut stranger(&host, &program, word));
        set_mode(&host.path("state"), 0o700);
        let told = told.expect(1);
        let folder = format!(
            "`{}`, which holds what is remembered",
            host.path("state").display()
        );
        let missing = format!("may not {what} it");
        let parts = [
            &folder,
            "belongs to ",
            "(mode 0",
            &missing,
            "name another --state-dir",
        ];
        assert_says(&told.stderr, &parts);
        assert_eq!(told.stdout, "", "{word}");
    }
    assert!(host.status().1["paused"].is_null());
}

#[test]
fn a_refresh_that_meets_the_lock_of_another_user_does_nothing_and_names_him() {
    if !Uid::effective().is_root() {
        return;
    }
    let host = Host::serving(&[("/web", 10001, 1)]);
    host.call(&["refresh"]).expect(0);
    let program = public_program(&host);
    let told = done(&mut stranger(&host, &program, "refresh")).expect(1);
    let folder = format!("`{}` belongs to `root`", host.path("state").display());
    let parts = ["cannot lock ", &folder, "nothing was done", "--state-dir"];
    assert_says(&told.stderr, &parts);
}
