//! Options, variables and the file from the outside: who wins, what is told of mistakes, and what
//! people can read about all of it.

use std::process::{Command, Stdio};

use crate::support::{Done, Test};

/// A saved answer with one app of this name.
fn apps(name: &str) -> String {
    format!(r#"{{"apps": [{{"id": "/{name}", "ports": [10001], "tasks": []}}]}}"#)
}

fn three_places() -> Test {
    Test::bridge()
        .file("by-file.json", apps("by-file"))
        .file("by-variable.json", apps("by-variable"))
        .file("by-option.json", apps("by-option"))
}

#[track_caller]
fn assert_serves(done: &Done, app: &str) {
    let found = done.stdout.matches("\nlisten ").count();
    let name = format!("\nlisten {app}-10001\n");
    assert!(found == 2 && done.stdout.contains(&name), "{done:#?}");
}

#[test]
fn options_win_over_variables_and_those_over_the_file() {
    let test = three_places().file("c.toml", "marathon = \"file:by-file.json\"\n");
    let by_file = ["generate", "--config", "c.toml"];
    assert_serves(&test.call(by_file).expect(0), "by-file");
    let test = test.env("HMB_MARATHON", "file:by-variable.json");
    assert_serves(&test.call(by_file).expect(0), "by-variable");
    let by_option = [&by_file[..], &["-m", "file:by-option.json"]].concat();
    assert_serves(&test.call(&by_option).expect(0), "by-option");
    // The file itself may be named by a variable.
    let test = three_places()
        .file(
            "c.toml",
            "marathon = [\"file:none\", \"file:by-file.json\"]\n",
        )
        .env("HMB_CONFIG", "c.toml");
    let done = test.call(["generate"]).expect(0).says(&["file:none"]);
    assert_serves(&done, "by-file");
    // The calls of the bash bridge read the same places.
    assert_serves(&test.call(["config"]).expect(0), "by-file");
}

#[test]
fn an_answer_may_come_by_a_pipe() {
    let test = three_places();
    let mut curl = Command::new("cat")
        .arg(test.path().join("by-file.json"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut command = test.command();
    command.args([
        "generate",
        "--template-set",
        "bridge",
        "-m",
        "file:/dev/stdin",
    ]);
    command.stdin(curl.stdout.take().unwrap());
    assert_serves(&Done::of(command).expect(0), "by-file");
    assert!(curl.wait().unwrap().success());
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let file = "reload = \"fast\"\nhaproxy-confg = \"/x\"\nmax-body = true\n";
    let test = Test::new()
        .file("c.toml", file)
        .env("HMB_READ_TIMEOUT", "soon")
        .env("HMB_LOG_LEVEL", "loud");
    let done = test.call([
        "refresh",
        "--config=c.toml",
        "--marathon=ftp://joe:s3cret@m1",
        "--connect-timeout=-1",
    ]);
    let done = done.expect(2).says(&[
        "c.toml:1: key `reload`",
        "c.toml:2: key `haproxy-confg`",
        "did you mean `haproxy-config`?",
        "c.toml:3: key `max-body`",
        "environment variable `HMB_READ_TIMEOUT`",
        "environment variable `HMB_LOG_LEVEL`",
        "option `--marathon`",
        "option `--connect-timeout`",
    ]);
    assert_eq!(done.stderr.lines().count(), 7, "{}", done.stderr);
    assert_eq!(done.stdout, "");
    assert!(!done.stderr.contains("s3cret"), "{}", done.stderr);
    assert!(!test.path().join("state").exists());
}

#[test]
fn a_file_that_is_named_must_be_there() {
    let done = Test::new().call(["generate", "--config", "none.toml", "-m", "m:80"]);
    done.expect(2).says(&["none.toml", "No such file"]);
}

#[test]
fn a_variable_that_is_nearly_one_of_ours_is_a_warning() {
    let test = three_places().env("HMB_MARATON", "x");
    let done = test.call(["generate", "-m", "file:by-option.json"]);
    done.expect(0)
        .says(&["warn: ", "HMB_MARATON", "`HMB_MARATHON`"]);
}

#[test]
fn wrong_options_are_wrong_usage() {
    for (words, told) in [
        (vec!["generate", "--no-such"], "--no-such"),
        (vec!["refresh", "--reload", "fast"], "fast"),
        (vec!["generate", "stray"], "stray"),
        (vec!["completions", "tcsh"], "tcsh"),
        (vec!["refrsh"], "did you mean `refresh`"),
    ] {
        let done = Test::new().call(&words).expect(2).says(&[told]);
        assert_eq!(done.stdout, "", "{words:?}");
    }
}

/// They work on a host that has neither Marathon nor HAProxy, and with settings that are broken.
#[test]
fn what_is_to_be_read_needs_nothing() {
    let test = Test::new()
        .env("HMB_RELOAD", "fast")
        .env("HMB_CONFIG", "/none");
    for (words, part) in [
        (vec!["--help"], "Exit status"),
        (vec!["help"], "Exit status"),
        (vec!["--version"], env!("CARGO_PKG_VERSION")),
        (vec!["refresh", "--help"], "HMB_RELOAD_COMMAND"),
        (vec!["refresh", "-h"], "--allow-removal"),
        (vec!["help", "generate"], "--out-dir"),
        (vec!["man"], ".TH "),
        (vec!["completions", "bash"], "complete "),
        (
            vec!["completions", "zsh"],
            "#compdef haproxy-marathon-bridge",
        ),
        (
            vec!["completions", "fish"],
            "complete -c haproxy-marathon-bridge",
        ),
    ] {
        let done = test.call(&words).expect(0);
        assert!(done.stdout.contains(part), "{words:?}: {}", done.stdout);
        assert_eq!(done.stderr, "", "{words:?}");
    }
}

#[test]
fn completions_are_scripts_that_their_shells_can_read() {
    let mut read = 0;
    for shell in ["bash", "zsh", "fish"] {
        let done = Test::new().call(["completions", shell]).expect(0);
        let test = Test::new().file("script", done.stdout);
        let mut command = Command::new(shell);
        command.arg("-n").arg(test.path().join("script"));
        // Not every shell is everywhere, but bash is.
        let Ok(output) = command.stdin(Stdio::null()).output() else {
            assert_ne!(shell, "bash", "bash is not installed");
            continue;
        };
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && told.is_empty(),
            "{shell}: {told}"
        );
        read += 1;
    }
    assert!(read > 0);
}

#[test]
fn the_log_is_lines_for_people_or_objects_for_machines() {
    let test = Test::bridge().file("tasks.txt", "a\t10001\th:1\t\nb\t10001\th:1\t\n");
    let call = |more: &[&str]| {
        let words = [&["generate", "-m", "file:tasks.txt"], more].concat();
        test.call(&words).expect(0).stderr
    };
    let lines = call(&[]);
    assert!(lines.contains(" warn: app `/b`: "), "{lines}");
    let object: serde_json::Value = serde_json::from_str(&call(&["--log-format", "json"])).unwrap();
    assert_eq!(object["level"], "WARN");
    assert!(object["message"].as_str().unwrap().contains("app `/b`"));
    assert_eq!(call(&["--log-level", "error"]), "");
}
