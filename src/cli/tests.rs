mod pages;

use super::*;
use crate::config::option::{self, Takes};
use crate::config::{CommandLine, Policy};

fn read(words: &[&str]) -> Result<Invocation, Usage> {
    parse(
        std::iter::once(PROGRAM)
            .chain(words.iter().copied())
            .map(OsString::from),
    )
}

fn usage(words: &[&str]) -> String {
    let told = read(words).unwrap_err().to_string();
    told.strip_prefix("haproxy-marathon-bridge: ")
        .unwrap()
        .to_owned()
}

/// The call, with what it was given for `marathon`.
fn call(words: &[&str]) -> String {
    fn show(call: &BridgeCall) -> String {
        let (name, request) = match call {
            BridgeCall::Config(request) => ("config", request),
            BridgeCall::Header(request) => ("header", request),
            BridgeCall::Apps(request) => ("apps", request),
            BridgeCall::Cronjob(request) => ("cronjob", request),
            BridgeCall::InstallCronjob(request) => ("install_cronjob", request),
            BridgeCall::InstallHaproxySystem(request) => ("install_haproxy_system", request),
            BridgeCall::RefreshSystemHaproxy(request) => ("refresh_system_haproxy", request),
            BridgeCall::Logged(call) => return format!("logged {}", show(call)),
        };
        assert_eq!(request.policy, Policy::of(CommandLine::Bridge));
        let hosts: Vec<&str> = request.marathons().collect();
        let needs = if request.needs_marathon {
            "needs"
        } else {
            "may have"
        };
        format!("{name} {needs} {hosts:?}")
    }
    match read(words).unwrap() {
        Invocation::Bridge(call) => show(&call),
        other => panic!("{words:?}: {other:?}"),
    }
}

#[test]
fn the_bridge_is_called_as_the_script_was() {
    for (words, what) in [
        (&["m1:8080"][..], r#"config needs ["m1:8080"]"#),
        (
            &["http://m1:8080/x", "m2"],
            r#"config needs ["http://m1:8080/x", "m2"]"#,
        ),
        (&["localhost"], r#"config needs ["localhost"]"#),
        (&["main", "marathon"], r#"config needs ["marathon"]"#),
        (&["config", "marathon"], r#"config needs ["marathon"]"#),
        (&["config"], "config needs []"),
        (
            &["apps", "m1:8080", "m2:8080"],
            r#"apps needs ["m1:8080", "m2:8080"]"#,
        ),
        (&["apps"], "apps needs []"),
        (&["header"], "header may have []"),
        (&["header", "m1:8080"], "header may have []"),
        (&["cronjob"], "cronjob may have []"),
        (&["install_cronjob"], "install_cronjob may have []"),
        (
            &["install_cronjob", "m1:8080"],
            r#"install_cronjob may have ["m1:8080"]"#,
        ),
        (
            &["install_haproxy_system", "z1:8080"],
            r#"install_haproxy_system may have ["z1:8080"]"#,
        ),
        (
            &["refresh_system_haproxy"],
            "refresh_system_haproxy needs []",
        ),
        (
            &["refresh_system_haproxy", "m1:8080"],
            r#"refresh_system_haproxy needs ["m1:8080"]"#,
        ),
        (
            &["logged", "refresh_system_haproxy", "m1:8080"],
            r#"logged refresh_system_haproxy needs ["m1:8080"]"#,
        ),
        (
            &["logged", "logged", "config"],
            "logged logged config needs []",
        ),
    ] {
        assert_eq!(call(words), what, "{words:?}");
    }
}

#[test]
fn a_first_word_is_a_host_only_if_it_looks_like_one_and_not_like_a_command() {
    for (word, is_host) in [
        ("m1:8080", true),
        ("leader.mesos", true),
        ("http://marathon", true),
        ("joe:secret@marathon:8080", true),
        ("[::1]:8080", true),
        ("file:apps.json", true),
        ("localhost", true),
        ("marathon", false),
        ("generat", false),
        ("refresh:", false),
        ("apps.", false),
        ("/man", false),
        ("watc", false),
        ("instal", false),
        ("marathon-lb", false),
        ("msg", false),
        ("", false),
    ] {
        match (read(&[word]), is_host) {
            (Ok(Invocation::Bridge(BridgeCall::Config(_))), true) | (Err(_), false) => (),
            (other, _) => panic!("{word}: {other:?}"),
        }
    }
}

#[test]
fn wrong_first_words_name_the_nearest_command() {
    for (word, message) in [
        (
            "generat",
            "unknown command `generat`, did you mean `generate`; see `haproxy-marathon-bridge --help`",
        ),
        (
            "refresh_sytem_haproxy",
            "unknown command `refresh_sytem_haproxy`, did you mean `refresh_system_haproxy`; see `haproxy-marathon-bridge --help`",
        ),
        (
            "demo:",
            "unknown command `demo:`, did you mean `demo`; see `haproxy-marathon-bridge --help`",
        ),
        (
            "marathon",
            "unknown command `marathon`, expected a command, or a Marathon as HOST:PORT; see `haproxy-marathon-bridge --help`",
        ),
    ] {
        assert_eq!(usage(&[word]), message);
    }
}

#[test]
fn options_and_strange_words_among_hosts_are_wrong_usage() {
    assert_eq!(
        usage(&["apps", "m1:8080", "--group"]),
        "`apps`: found `--group`, expected a Marathon as HOST:PORT; options reach the calls of the \
         bash bridge as variables HMB_<OPTION> or in the TOML file; see `haproxy-marathon-bridge \
         --help`"
    );
    assert!(usage(&["m1:8080", "-h"]).starts_with("found `-h`, expected a Marathon"));
    assert!(usage(&["logged"]).starts_with("`logged`: found nothing, expected a call"));
    assert!(usage(&["logged", "rm"]).starts_with("`logged`: found `rm`, expected a call"));
    assert!(usage(&["--group", "x", "refresh"]).contains("unexpected argument '--group'"));
}

#[cfg(unix)]
#[test]
fn words_that_are_no_text_are_wrong_usage() {
    use std::os::unix::ffi::OsStringExt as _;
    let broken = OsString::from_vec(b"m\xff:80".to_vec());
    for words in [
        vec![broken.clone()],
        vec!["config".into(), broken.clone()],
        vec!["refresh".into(), "-m".into(), broken],
    ] {
        let words = std::iter::once(PROGRAM.into()).chain(words);
        assert!(parse(words).unwrap_err().to_string().contains("UTF-8"));
    }
}

#[test]
fn nothing_at_all_is_usage_with_exit_1_and_help_is_exit_0() {
    for (words, expected) in [
        (&[][..], 1),
        (&["main"], 1),
        (&["-h"], 0),
        (&["--help"], 0),
        (&["help"], 0),
        (&["--version"], 0),
        (&["-V"], 0),
        (&["refresh", "--help"], 0),
        (&["help", "refresh"], 0),
    ] {
        let Ok(Invocation::Print { text, exit }) = read(words) else {
            panic!("{words:?} prints nothing");
        };
        assert_eq!(exit, expected, "{words:?}");
        assert!(
            text.contains(PROGRAM) && text.ends_with('\n'),
            "{words:?}: {text}"
        );
    }
}

#[test]
fn every_native_command_is_told_apart() {
    assert!(matches!(read(&["generate"]), Ok(Invocation::Generate(r)) if r.needs_marathon));
    assert!(matches!(read(&["refresh"]), Ok(Invocation::Refresh(r)) if r.needs_marathon));
    assert!(matches!(read(&["watch"]), Ok(Invocation::Watch(r)) if r.needs_marathon));
    assert!(matches!(read(&["diff"]), Ok(Invocation::Diff(r)) if r.needs_marathon));
    assert!(matches!(read(&["check"]), Ok(Invocation::Check(r)) if r.needs_marathon));
    let what = "/a".to_owned();
    assert!(
        matches!(read(&["explain", "/a"]), Ok(Invocation::Explain { request, what: w }) if request.needs_marathon && w == what)
    );
    assert!(matches!(read(&["status"]), Ok(Invocation::Status(r)) if !r.needs_marathon));
    let compared = read(&["compare", "x.cfg"]);
    assert!(
        matches!(compared, Ok(Invocation::Compare { request, other }) if request.needs_marathon && other == "x.cfg")
    );
    assert!(matches!(read(&["doctor"]), Ok(Invocation::Doctor(r)) if r.needs_marathon));
    assert!(matches!(read(&["rollback"]), Ok(Invocation::Rollback(r)) if !r.needs_marathon));
    assert!(matches!(read(&["pause"]), Ok(Invocation::Pause(r)) if !r.needs_marathon));
    assert!(matches!(read(&["resume"]), Ok(Invocation::Resume(r)) if !r.needs_marathon));
    assert!(
        matches!(read(&["drain", "agent-1", "web.2"]), Ok(Invocation::Drain { request, what })
            if !request.needs_marathon && what == ["agent-1", "web.2"])
    );
    assert!(matches!(
        read(&["undrain", "agent-1"]),
        Ok(Invocation::Undrain { .. })
    ));
    assert!(read(&["drain"]).is_err());
    assert!(matches!(read(&["install"]), Ok(Invocation::Install(r)) if !r.needs_marathon));
    let hosts = |words: &[&str]| match read(words) {
        Ok(Invocation::Install(request)) => request.marathons().map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    assert_eq!(
        hosts(&["install", "--cron", "m1", "m2:8080"]),
        ["m1", "m2:8080"]
    );
    assert!(matches!(read(&["uninstall"]), Ok(Invocation::Uninstall(r)) if !r.needs_marathon));
    for (words, expected) in [(&["demo"][..], false), (&["demo", "--stay"], true)] {
        let Ok(Invocation::Demo(request)) = read(words) else {
            panic!("{words:?} is no demo");
        };
        assert_eq!(!request.flags.of("stay").is_empty(), expected);
        assert!(!request.needs_marathon);
        assert_eq!(request.policy.command_line, CommandLine::Native);
    }
    assert_eq!(
        read(&["completions", "zsh"]),
        Ok(Invocation::Completions(Shell::Zsh))
    );
    assert_eq!(read(&["man"]), Ok(Invocation::Man));
    for words in [
        &["generate", "m1:8080"][..],
        &["completions"],
        &["explain"],
        &["completions", "tcsh"],
        &["man", "x"],
    ] {
        assert!(read(words).is_err(), "{words:?}");
    }
}

/// What a native command line gave for `option`.
fn given(words: &[&str], option: &str) -> Vec<String> {
    let (Invocation::Generate(request)
    | Invocation::Refresh(request)
    | Invocation::Watch(request)
    | Invocation::Diff(request)
    | Invocation::Check(request)
    | Invocation::Status(request)
    | Invocation::Compare { request, .. }
    | Invocation::Doctor(request)
    | Invocation::Rollback(request)
    | Invocation::Pause(request)
    | Invocation::Resume(request)
    | Invocation::Explain { request, .. }
    | Invocation::Drain { request, .. }
    | Invocation::Undrain { request, .. }
    | Invocation::Install(request)
    | Invocation::Uninstall(request)
    | Invocation::Demo(request)) = read(words).unwrap()
    else {
        panic!("{words:?} takes no options");
    };
    request
        .flags
        .of(option)
        .iter()
        .map(|written| written.text.clone())
        .collect()
}

#[test]
fn every_option_is_taken_by_its_commands_and_no_others() {
    for option in option::all() {
        let value = match &option.takes {
            Takes::Nothing(_) => "false",
            Takes::One(value, _) | Takes::Many(value, _) => match value.form {
                crate::config::option::Form::OneOf(words) => words[0],
                _ => "some text",
            },
        };
        let word = format!("--{}={value}", option.name);
        for command in crate::config::option::Command::ALL {
            use crate::config::option::Command::{Compare, Drain, Explain, Undrain};
            let mut words = vec![command.name(), &word];
            // They take a word besides.
            match command {
                Explain => words.push("/app"),
                Compare => words.push("x.cfg"),
                Drain | Undrain => words.push("agent-1"),
                _ => (),
            }
            if option.commands.contains(&command) {
                assert_eq!(given(&words, option.name), [value], "{words:?}");
            } else {
                assert!(read(&words).is_err(), "{words:?}");
            }
        }
    }
}

#[test]
fn options_repeat_shorten_and_switch_as_people_expect() {
    for (words, option, values) in [
        (
            &["refresh", "-m", "a", "--marathon=b", "-mc"][..],
            "marathon",
            &["a", "b", "c"][..],
        ),
        (
            &["refresh", "--reload", "sf", "--reload", "none"],
            "reload",
            &["none"],
        ),
        (&["refresh", "--insecure"], "insecure", &["true"]),
        (&["refresh", "--insecure=false"], "insecure", &["false"]),
        (
            &["refresh", "--insecure", "--insecure=false"],
            "insecure",
            &["false"],
        ),
        (
            &["refresh", "--haproxy-conf", "/x"],
            "haproxy-config",
            &["/x"],
        ),
        (&["refresh"], "insecure", &[]),
    ] {
        assert_eq!(given(words, option), values, "{words:?}");
    }
    assert!(usage(&["refresh", "--reload", "fast"]).contains("[possible values: auto, sf, "));
    assert!(usage(&["refresh", "--relaod", "sf"]).contains("--reload"));
}

#[test]
fn no_password_is_shown_in_wrong_usage() {
    for words in [
        &["generate", "http://joe:s3cret@m1"][..],
        &["generate", "http://joe:s3cret s3cret@m1"],
        &["generate", "joe:s3cret@m1"],
        &["refresh", "--marathn=http://joe:s3cret s3cret@m1"],
        &["refresh", "--reload", "http://joe:s3cret s3cret@m1"],
        &["refresh", "--reload=joe:s3cret s3cret@m1"],
        &["refresh", "-m", "x", "-xjoe:s3cret@m1"],
        &["--http://joe:s3cret@m1"],
        &["logged", "http://joe:s3cret@m1"],
        &["apps", "-http://joe:s3cret@m1"],
        &["man", "joe:s3cret@m1"],
        &["refresh", "--auth-credentials", "joe:s3cret"],
        &["marathon-lb", "--auth-credentals", "joe:s3cret"],
        &["marathon-lb", "http://joe:s3cret@m1"],
        &[
            "marathon-lb",
            "-m",
            "x",
            "--max-backoff",
            "http://joe:s3cret@m1",
        ],
        &["servicerouter", "--auth-credentials=joe:s3cret"],
    ] {
        let error = read(words).unwrap_err();
        assert!(
            !format!("{error} {error:?}").contains("s3cret"),
            "{words:?}: {error}"
        );
    }
    let right = read(&["generate", "-m", "http://joe:s3cret@m1"]);
    assert!(!format!("{right:?}").contains("s3cret"), "{right:?}");
    for words in [
        &["marathon-lb", "--group=*", "-m", "http://joe:s3cret@m1"][..],
        &[
            "marathon-lb",
            "--group=*",
            "--auth-credentials",
            "joe:s3cret",
        ],
        &[
            "marathon-lb",
            "--group=*",
            "--dcos-auth-credentials",
            "s3cret",
        ],
    ] {
        let right = read(words).unwrap();
        assert!(!format!("{right:?}").contains("s3cret"), "{right:?}");
    }
    let right = read(&["install_cronjob", "http://joe:s3cret@m1"]);
    assert!(!format!("{right:?}").contains("s3cret"), "{right:?}");
}
