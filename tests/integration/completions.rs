//! What a shell offers to whoever types.

use std::fs;
use std::process::Command;

use crate::support::{Done, Test};

/// As bash calls it when Tab is pressed behind these words.
const PRESS_TAB: &str = r#"
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
_haproxy__marathon__bridge "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
printf '%s\n' "${COMPREPLY[@]}"
"#;

#[test]
fn bash_offers_what_fits_behind_each_command() {
    let test = Test::new();
    let script = test.path().join("completions.bash");
    let completions = test.call(["completions", "bash"]).expect(0);
    fs::write(&script, completions.stdout).unwrap();
    for (words, expected) in [
        (&["inst"][..], &["install", "install_cronjob"][..]),
        (&["install", "--"], &["--cron", "--service", "--root"]),
        (&["refresh", "--reload", ""], &["auto", "systemd", "sf"]),
        (&["marathon-lb", "--haproxy"], &["--haproxy-config"]),
        (&["doctor", "--js"], &["--json"]),
        (&["completions", ""], &["bash", "zsh", "fish"]),
        (&["help", "marathon"], &["marathon-lb"]),
    ] {
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", PRESS_TAB, "bash"])
            .arg(&script)
            .arg("haproxy-marathon-bridge")
            .args(words);
        let done = Done::of(bash).expect(0);
        let offered: Vec<&str> = done.stdout.lines().collect();
        for word in expected {
            assert!(offered.contains(word), "{words:?}: {offered:?}");
        }
        let typed = words.last().unwrap();
        let fits = |word: &&str| word.starts_with(typed);
        assert!(offered.iter().all(fits), "{words:?}: {offered:?}");
    }
}
