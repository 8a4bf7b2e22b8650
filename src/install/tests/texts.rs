//! What is written reads as it should.

use std::collections::BTreeMap;
use std::io;

use crate::config::{self, CommandLine, Layer, Policy, ReloadMethod, Request, System};
use crate::install::settings;

fn build(text: String) -> config::Config {
    let request = Request {
        policy: Policy::of(CommandLine::Native),
        needs_marathon: false,
        flags: Layer::default(),
    };
    let system = System {
        environment: BTreeMap::new(),
        read: Box::new(move |path| {
            if path.ends_with("config.toml") {
                Ok(text.clone())
            } else {
                Err(io::ErrorKind::NotFound.into())
            }
        }),
        mode: Box::new(|_| None),
        default_file: "/config.toml".into(),
        marathons: "/marathons".into(),
    };
    config::build(&request, &system).unwrap().config
}

#[test]
fn the_file_of_options_changes_nothing_but_what_it_is_for() {
    let plain = format!("{:?}", build(String::new()));
    assert_eq!(format!("{:?}", build(settings(&[]))), plain);
    let config = build(settings(&[("reload", "systemd")]));
    assert_eq!(config.reload.method, ReloadMethod::Systemd);
}

/// Every default that stands there is the one that counts.
#[test]
fn the_file_of_options_tells_the_defaults() {
    let text = settings(&[]);
    let defaults: String = text
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| !line.starts_with([' ', '#']))
        // What stands for a value is in capitals, and a switch by rule is no value either.
        .filter(|line| !line.contains(|c: char| c.is_ascii_uppercase()))
        .map(|line| format!("{line}\n"))
        .collect();
    assert!(defaults.lines().count() > 20, "{defaults}");
    let plain = format!("{:?}", build(String::new()));
    assert_eq!(format!("{:?}", build(defaults)), plain);
}
