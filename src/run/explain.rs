//! `explain`: what becomes of an app, or where a request is led, and why. Nothing is written.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Result, bail};

use super::look::{Look, seen};
use super::print;
use super::turn::version;
use crate::apply::LocalHaproxy;
use crate::cluster::AppId;
use crate::config::Config;
use crate::cycle::{Explained, ExplainedPort, Fate, Plan};
use crate::disk::OsDisk;
use crate::haproxy::program;
use crate::labels::{self, NOT_SHOWN};
use crate::proxy::marathon_lb::Service;
use crate::proxy::native::{Layout, Way};

/// `what` is the id of an app, or a host with or without a path. Exit 1 where an app is not served as
/// its owner says, or nobody gets the request.
pub(super) async fn explain(config: &Config, what: &str) -> Result<ExitCode> {
    let look = match program::find(&config.haproxy.program) {
        Ok(program) => {
            let version = version(config, &program).await?;
            let local = LocalHaproxy::new(program, version, config, &OsDisk);
            seen(config, Some(&local)).await?
        }
        Err(_) => seen(config, None).await?,
    };
    let (text, is_well) = if what.starts_with('/') {
        of_app(&look, &AppId::new(what))?
    } else {
        of_request(&look.plan, what)?
    };
    print(&text)?;
    Ok(ExitCode::from(u8::from(!is_well)))
}

fn of_app(look: &Look, app: &AppId) -> Result<(String, bool)> {
    let plan = &look.plan;
    let Some(explained) = plan.explained(app) else {
        bail!("Marathon ({}) has no app `{app}`", plan.from);
    };
    let mut text = format!("app `{app}`, as {} has it\n", plan.from);
    if let Some(held) = plan.held_back() {
        _ = writeln!(text, "{held}");
    }
    if explained.ports.is_empty() {
        text += "  it has no service port\n";
    }
    if explained.waiting > 0 {
        _ = writeln!(
            text,
            "  {} of its tasks wait until they are ready",
            explained.waiting
        );
    }
    for port in &explained.ports {
        text += &of_port(look, app, &explained, port);
    }
    for remark in plan.remarks() {
        if remark.app == *app || remark.other == *app {
            _ = writeln!(text, "note: {}", remark.text);
        }
    }
    for warning in &explained.warnings {
        _ = writeln!(text, "warning: {warning}");
    }
    Ok((text, explained.warnings.is_empty()))
}

fn of_port(look: &Look, app: &AppId, explained: &Explained, port: &ExplainedPort) -> String {
    let number = port.service_port.map(|number| format!(" {number}"));
    let mut text = format!(
        "service port{}, at position {}: {}\n",
        number.unwrap_or_default(),
        port.index,
        fate(&port.fate)
    );
    for (name, value) in &port.labels {
        let value = shown(name, value);
        let subject = format!("label `{name}`");
        let told = explained.warnings.iter().any(|w| w.subject == subject);
        let told = if told { ", see the warning" } else { "" };
        _ = writeln!(text, "  label {name}: {value}{told}");
    }
    if !port.merged_with.is_empty() {
        let apps: Vec<String> = port.merged_with.iter().map(|a| format!("`{a}`")).collect();
        _ = writeln!(text, "  one service with {}", apps.join(", "));
    }
    if let Some(native) = &look.plan.proxies.native {
        for (host, path) in &port.requests {
            let ways = native.ways(host, path);
            for line in requests(native, (host, path), &ways, Some(app)).lines() {
                _ = writeln!(text, "  {line}");
            }
        }
    }
    for (map, key, backend) in &port.rows {
        let file = look.at.cfg.with_file_name(map);
        _ = writeln!(text, "  {}: {key} {backend}", file.display());
    }
    if !port.lines.is_empty() {
        _ = writeln!(text, "  {}:", look.at.cfg.display());
    }
    for (number, line) in &port.lines {
        _ = writeln!(text, "{number:>7} {}", without_password(line));
    }
    text
}

pub(super) fn fate(fate: &Fate) -> String {
    match fate {
        Fate::Served {
            name,
            servers,
            is_last_good,
        } => {
            let servers = match servers {
                1 => "1 server".to_owned(),
                many => format!("{many} servers"),
            };
            let before = if *is_last_good {
                ", as it was before, since what is said of it now is refused"
            } else {
                ""
            };
            format!("served as `{name}` by {servers}{before}")
        }
        Fate::LeftOut => "left out, for what the warnings say".to_owned(),
        Fate::WithoutTasks => "not served: none of its tasks can be reached yet".to_owned(),
        Fate::ScaledToZero => "not served: the app is scaled to zero".to_owned(),
        Fate::NotAsked => "not served: this balancer serves other groups (--group, HAPROXY_GROUP, \
                           HAPROXY_{n}_GROUP), or a label or --strict-mode turns it off \
                           (HAPROXY_{n}_ENABLED)"
            .to_owned(),
    }
}

/// A text in the place of a template can be long, and hold anything.
fn shown(name: &str, value: &str) -> String {
    if labels::is_known(name) && !labels::is_value(name) {
        let length = value.chars().count();
        return format!("a text of {length} characters in the place of a template");
    }
    if labels::is_secret(name, value) {
        return NOT_SHOWN.to_owned();
    }
    format!("`{}`", value.escape_debug())
}

/// Users of a list have theirs in the file.
fn without_password(line: &str) -> String {
    let mut words: Vec<&str> = line.split(' ').collect();
    for at in 1..words.len() {
        if matches!(words[at - 1], "password" | "insecure-password") {
            words[at] = NOT_SHOWN;
        }
    }
    words.join(" ")
}

fn of_request(plan: &Plan, what: &str) -> Result<(String, bool)> {
    let Some(native) = &plan.proxies.native else {
        bail!("requests can be followed in the native set of templates alone (--template-set)");
    };
    if what.is_empty() {
        bail!("found nothing, expected the id of an app, which begins with `/`, or a host");
    }
    let as_app = AppId::new(&format!("/{what}"));
    let what = what
        .trim_start_matches("http://")
        .trim_start_matches("https://");
    let (host, path) = match what.find('/') {
        Some(at) => what.split_at(at),
        None => (what, "/"),
    };
    let ways = native.ways(host, path);
    let passed_on_to = native.passed_on_to(host);
    let mut text = requests(native, (host, path), &ways, None);
    if plan.explained(&as_app).is_some() {
        _ = writeln!(
            text,
            "note: an id of an app begins with `/`: `explain {as_app}` tells of that one"
        );
    }
    let is_served = |way: &Way<'_>| service(native, way).is_none_or(|s| !s.servers.is_empty());
    let is_led = !ways.is_empty() || passed_on_to.is_some();
    let has_servers = passed_on_to.is_none_or(|to| !to.servers.is_empty());
    let is_well = is_led && has_servers && ways.iter().all(is_served);
    Ok((text, is_well))
}

/// Where requests for a host and path are led, a line for each port where it matters.
fn requests(
    native: &Layout,
    (host, path): (&str, &str),
    ways: &[Way<'_>],
    own: Option<&AppId>,
) -> String {
    let to = native.passed_on_to(host);
    let port = if to.is_some() { " on port 80" } else { "" };
    let led = led(native, ways, own);
    let tls = to.map_or_else(String::new, |to| passed_on(host, to, own));
    format!("requests for {host}{path}{port}: {led}\n{tls}")
}

/// A line on TLS that does not end here.
fn passed_on(host: &str, to: &Service, own: Option<&AppId>) -> String {
    let app = &to.owner.app;
    let of_app = if Some(app) == own {
        String::new()
    } else {
        format!(" of app `{app}`")
    };
    let idle = if to.servers.is_empty() {
        ", which has no servers"
    } else {
        ""
    };
    format!(
        "TLS for {host} on port 443: passed on to `{}`{of_app}{idle}\n",
        to.name
    )
}

fn service<'l>(native: &'l Layout, way: &Way<'_>) -> Option<&'l Service> {
    let mut services = native.services.iter();
    let service = services.find(|service| service.name == way.backend);
    service.map(|service| &**service)
}

fn led(native: &Layout, ways: &[Way<'_>], own: Option<&AppId>) -> String {
    if ways.is_empty() {
        return "nobody asks for them, and they are answered with 503".to_owned();
    }
    let words = ways.iter().map(|way| {
        let service = service(native, way);
        let idle = if service.is_some_and(|service| service.servers.is_empty()) {
            ", which has no servers and answers with 503"
        } else {
            ""
        };
        let app = service.map(|service| &service.owner.app);
        let app = match app {
            Some(app) if Some(app) != own => format!(" of app `{app}`"),
            _ => String::new(),
        };
        let by = match (way.rule, way.map) {
            (Some(rule), _) => {
                let header = rule.conditions.header.as_ref();
                let header = header.map(|(name, value)| match value {
                    Some(value) => format!("with `{name}: {value}`"),
                    None => format!("with `{name}`"),
                });
                let methods = &rule.conditions.methods;
                let methods = (!methods.is_empty()).then(|| methods.join(", "));
                let asked: Vec<String> = methods.into_iter().chain(header).collect();
                if asked.is_empty() {
                    "by a rule".to_owned()
                } else {
                    format!("{} by a rule", asked.join(" "))
                }
            }
            (None, Some(map)) => format!("by {map}"),
            (None, None) => "by --default-backend".to_owned(),
        };
        format!("`{}`{app}, {by}{idle}", way.backend)
    });
    words.collect::<Vec<_>>().join("; then ")
}
