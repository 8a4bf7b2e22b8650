//! Help, the man page and completions.

use super::*;

#[test]
fn help_and_man_page_tell_of_every_option_with_its_default() {
    let one_line = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let man = one_line(
        &man()
            .unwrap()
            .replace("\\-", "-")
            .replace("\\fR", "")
            .replace("\\fB", ""),
    );
    for option in option::all() {
        let long = format!("--{}", option.name);
        let default = option.default_text();
        assert!(man.contains(&long), "{long} is not in the man page");
        if let Some(default) = default {
            let sentence = format!("Default: {default}.");
            assert!(
                man.contains(&sentence),
                "{long}: {sentence} is not in the man page"
            );
        }
        assert!(man.contains(&option.variable()), "{long}");
        for command in option.commands {
            for flag in ["-h", "--help"] {
                let Ok(Invocation::Print { text, .. }) = read(&[command.name(), flag]) else {
                    panic!("no help of {}", command.name());
                };
                let text = one_line(&text);
                assert!(text.contains(&long), "{long} is not in {command:?} {flag}");
                if let Some(default) = default {
                    let note = format!("[default: {default}]");
                    assert!(
                        text.contains(&note),
                        "{long}: {note} is not in {command:?} {flag}"
                    );
                }
            }
        }
    }
}

/// Also of those that the table of options does not have.
#[test]
fn every_flag_of_every_command_is_told_with_its_default() {
    let man = man().unwrap().replace("\\-", "-");
    for command in native::command().get_subcommands() {
        let name = command.get_name();
        for argument in command.get_arguments() {
            let Some(flag) = argument.get_long() else {
                continue;
            };
            let long = format!("--{flag}");
            for word in ["-h", "--help"] {
                let Ok(Invocation::Print { text, .. }) = read(&[name, word]) else {
                    panic!("no help of {name}");
                };
                assert!(text.contains(&long), "{long} is not in {name} {word}");
            }
            let Some(at) = man.find(&long) else {
                panic!("{long} of {name} is not in the man page");
            };
            if option::named(flag).is_none() {
                let help = argument.get_help().map(ToString::to_string);
                let help = help.unwrap_or_default();
                let (_, default) = help.split_once("[default: ").expect("it has a default");
                let default = default.trim_end_matches(']');
                let told = man[at..].chars().take(200).collect::<String>();
                let sentence = format!("default: {default}.");
                assert!(
                    told.contains(&sentence),
                    "{long}: {sentence} is not in {told}"
                );
            }
        }
    }
}

#[test]
fn the_man_page_tells_of_every_command_and_call() {
    let man = man().unwrap().replace("\\-", "-");
    for command in commands() {
        assert!(man.contains(command), "{command}");
    }
}

#[test]
fn completions_know_commands_calls_options_and_choices() {
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        let script = completions(shell);
        for word in [
            "generate",
            "refresh_system_haproxy",
            "haproxy-config",
            "systemd",
        ] {
            assert!(script.contains(word), "{word} is not completed in {shell}");
        }
    }
}

#[test]
fn clap_finds_no_fault_with_the_command_line() {
    native::command().debug_assert();
}

#[test]
fn the_help_reads_well() {
    let help = native::command().term_width(100).render_help().to_string();
    insta::assert_snapshot!(help, @"
    Keeps HAProxy in step with Mesos Marathon: renders, checks, installs and reloads its configuration

    Usage: haproxy-marathon-bridge <COMMAND> [OPTIONS]
           haproxy-marathon-bridge HOST:PORT...

    Commands:
      generate     Print what would be installed, or write it into a folder; changes nothing else
      refresh      Bring HAProxy in step once: ask, render, check, install, reload
      watch        Keep HAProxy in step: a turn as of refresh whenever Marathon tells of a change
      diff         Show what refresh would change, and why; exit 0 nothing, 1 something, 2 trouble
      check        Have HAProxy judge what refresh would install; exit 1 where something is left out
      explain      Tell what becomes of an app, or where a request is led, and why
      compare      Show what differs from a predecessor's file; exit 0 nothing, 1 something, 2 trouble
      status       Tell what came of the last turn; exit 1 where something is wrong
      doctor       Look for what keeps HAProxy from being kept in step, and tell what mends it
      rollback     Go back to the good files before those that are installed, and pause
      pause        Let refresh apply nothing and only tell what it would do
      resume       Let refresh apply again what it finds
      drain        Let a host, a task or a server get no new requests
      undrain      Let what was drained get requests again
      install      Put this program on the host, with HAProxy and what has turns taken
      uninstall    Take back what install did; HAProxy and its file stay
      demo         Show it at work on this host, with a Marathon and backends of its own
      completions  Print completions for a shell
      man          Print the man page
      help         Print this message or the help of the given subcommand(s)

    Options:
      -h, --help     Print help
      -V, --version  Print version

    Calls of the bash bridge:
      HOST:PORT...                          Print the whole configuration
      config [HOST:PORT...]                 Print the whole configuration
      header                                Print what stands before the apps
      apps [HOST:PORT...]                   Print the sections of the apps only
      refresh_system_haproxy [HOST:PORT...] Bring the HAProxy of this host in step once
      install_haproxy_system [HOST:PORT...] Install HAProxy, this program and its cron job
      install_cronjob [HOST:PORT...]        Install this program and its cron job
      cronjob                               Print the line for cron
      logged CALL...                        Make one of these calls with output to syslog
      Options reach them as variables HMB_<OPTION> and in the TOML file. Without hosts they
      read /etc/haproxy-marathon-bridge/marathons.

    Command lines of predecessors, with options of their own:
      marathon-lb OPTIONS                   As marathon_lb.py of marathon-lb 1.15
      servicerouter OPTIONS                 As servicerouter.py
      Their own --help tells of them.

    Examples:
      haproxy-marathon-bridge generate -m http://leader.mesos:8080
          see what would be installed
      haproxy-marathon-bridge refresh -m m1:8080 -m m2:8080 --reload systemd
          keep HAProxy in step, from cron
      haproxy-marathon-bridge leader.mesos:8080 > haproxy.cfg
          as the bash bridge did
      haproxy-marathon-bridge demo
          see it at work without a cluster

    Exit status: 0 done, 1 something could not be done, 2 wrong usage
    ");
}
