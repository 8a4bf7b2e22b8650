//! Profiles: named `defaults` that say all that some backends say, but for their servers.
//!
//! From 3.4 on HAProxy can be told of a backend that takes everything from one, so that an app that
//! comes with a host of its own needs no reload. The name of a profile stands for what it says: nothing
//! but what it says decides whether it is the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::disk::Digest;
use crate::haproxy::SPARE;
use crate::proxy::marathon_lb::Service;

/// Stands for the profiles in HEAD, until the backends are known.
pub(super) const PROFILES: &str = "\u{3}profiles\u{3}";

/// The `defaults` of HEAD, with which profiles begin.
const BASE: &str = "marathon";

/// The same for sections that name none: HAProxy wants the last ones named by nobody.
const REST: &str = "marathon-rest";

/// Begins the name of a profile.
const PREFIX: &str = "profile-";

/// What our own set says of a backend that `defaults` can say, too. What templates of the operator's
/// say beside it may not be allowed there, and HAProxy would refuse the whole file.
const OF_DEFAULTS: [&str; 9] = [
    "balance",
    "compression",
    "cookie",
    "dynamic-cookie-key",
    "http-request",
    "http-response",
    "mode",
    "option",
    "timeout",
];

/// By name, what they say.
pub(super) type Profiles = BTreeMap<String, Arc<str>>;

/// Parts the section of a backend into its profile, by name, and what is left: servers. `None` where
/// it says what others hardly say too, or what its owner wrote: that stays where its owner is known.
pub(super) fn parted(service: &Service, section: &str) -> Option<((String, Arc<str>), String)> {
    let options = &service.options;
    let is_of_many = service.is_http()
        && !service.servers.is_empty()
        && options.overrides.is_empty()
        && options.auth.is_none()
        && options.networks_allowed.is_empty()
        && [
            &options.redir,
            &options.proxypass_path,
            &options.revproxy_path,
        ]
        .iter()
        .all(|path| path.is_none());
    let check = service.check.as_ref();
    let path = check.and_then(|check| check.health_check.path.as_deref());
    if !is_of_many || !path.is_none_or(is_plain) {
        return None;
    }
    let opening = format!("\nbackend {}\n", service.name);
    let rest = section.strip_prefix(&*opening)?;
    let is_server = |line: &str| line.split_ascii_whitespace().next() == Some("server");
    let lines = rest.split_inclusive('\n');
    let body: usize = lines
        .take_while(|line| !is_server(line))
        .map(str::len)
        .sum();
    let (body, servers) = rest.split_at(body);
    let is_of_defaults = |line: &str| {
        let word = line.split_ascii_whitespace().next();
        word.is_none_or(|word| OF_DEFAULTS.contains(&word))
    };
    if body.is_empty() || !body.lines().all(is_of_defaults) || !servers.lines().all(is_server) {
        return None;
    }
    let name = format!("{PREFIX}{}", Digest::of(body.as_bytes()).short(16));
    let left = format!("{} from {name}\n{servers}", opening.trim_end());
    Some(((name, body.into()), left))
}

/// The profile in which this line of a file stands, counted from 1.
#[must_use]
pub fn profile_at(cfg: &str, line: usize) -> Option<&str> {
    let opens = |line: &&str| line.starts_with(|c: char| c.is_ascii_alphabetic());
    let opening = cfg.lines().take(line).filter(opens).last()?;
    let name = opening
        .strip_prefix("defaults ")?
        .split_ascii_whitespace()
        .next();
    name.filter(|name| name.starts_with(PREFIX))
}

/// Whether the sections of an owner take what this profile says.
#[must_use]
pub fn takes_profile(sections: &str, profile: &str) -> bool {
    let mut opening = sections.lines().filter_map(|line| {
        let (_, taken) = line.strip_prefix("backend ")?.split_once(" from ")?;
        Some(taken)
    });
    opening.any(|taken| taken == profile)
}

/// The sections of all, in the place that HEAD has for them.
pub(super) fn text(profiles: &Profiles) -> String {
    if profiles.is_empty() {
        return String::new();
    }
    let each = profiles.iter();
    let each = each.map(|(name, body)| format!("defaults {name} from {BASE}\n{body}"));
    format!("{}defaults {REST} from {BASE}\n", each.collect::<String>())
}

/// Backends of these profiles that stand in for those that come: `number` of each.
pub(super) fn spares(profiles: &Profiles, number: usize) -> String {
    let of_each = |name: &String| {
        let own = name.strip_prefix(PREFIX).unwrap_or(name);
        let spare = |nth| format!("\nbackend {SPARE}{own}-{nth} from {name}\n");
        (1..=number).map(spare).collect::<String>()
    };
    profiles.keys().map(of_each).collect()
}

/// A path that HAProxy takes as it is, so that it never refuses a profile for one of many owners.
fn is_plain(path: &str) -> bool {
    let is_of_path = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~?&=+:@,".contains(&byte);
    path.bytes().all(is_of_path)
}
