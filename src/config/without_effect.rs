//! Options that do nothing as things are: without another one, or beside one.
//!
//! In come the places in which options stand and what was decided; out goes a warning for each such
//! option. They stop nothing: whoever turns one thing off need not hunt for all that went with it.

use super::build::Layers;
use super::{Config, LogDestination, TemplateSet, option};

/// When an option does nothing, though it asks for something.
struct Rule {
    option: &'static str,
    /// Whether its value asks for anything.
    asks: fn(&Config) -> bool,
    /// Whether it does so in vain.
    is_in_vain: fn(&Config) -> bool,
    /// The other option, as it was found.
    found: &'static str,
    expected: &'static str,
    effect: &'static str,
}

/// Of an option, the first that holds is told.
const RULES: &[Rule] = &[
    of_native("serve-scaled-to-zero", |c| c.apps.serve_scaled_to_zero),
    of_native("no-service-ports", |c| !c.frontends.service_ports),
    of_native("spare-backends", has_spare_backends),
    of_native("default-backend", |c| c.frontends.default_backend.is_some()),
    of_native("accept-proxy", |c| c.frontends.accept_proxy),
    of_native("server-slots", |c| c.frontends.server_slots > 0),
    of_native("slots-everywhere", |c| c.frontends.slots_everywhere),
    of_native(option::EXTRA_CONFIG, |c| c.templates.extra.is_some()),
    of_shared_ports("ssl-certs", |c| !c.frontends.ssl_certs.is_empty()),
    of_shared_ports("no-service-ports", |c| !c.frontends.service_ports),
    of_shared_ports("default-backend", |c| c.frontends.default_backend.is_some()),
    of_shared_ports("accept-proxy", |c| c.frontends.accept_proxy),
    of_shared_ports("group-https-by-vhost", |c| c.frontends.group_https_by_vhost),
    Rule {
        option: "spare-backends",
        asks: has_spare_backends,
        is_in_vain: |c| c.frontends.service_ports,
        found: "without `no-service-ports`",
        expected: "both or none of them",
        effect: "no backends are kept for apps that come",
    },
    Rule {
        option: "spare-backends",
        asks: has_spare_backends,
        is_in_vain: |c| !c.frontends.maps,
        found: "beside `no-maps`",
        expected: "only one of them",
        effect: "backends are kept, but only a reload can lead requests to them",
    },
    Rule {
        option: "spare-backends",
        asks: has_spare_backends,
        is_in_vain: |c| !c.reload.runtime_api,
        found: "beside `runtime-api` off",
        expected: "`runtime-api` to be auto",
        effect: "backends are kept, but each app that comes is a reload all the same",
    },
    Rule {
        option: "slots-everywhere",
        asks: |c| c.frontends.slots_everywhere,
        is_in_vain: |c| c.frontends.server_slots == 0,
        found: "without `server-slots`",
        expected: "both or none of them",
        effect: "only what a label SERVER_SLOTS asks for is kept free",
    },
    Rule {
        option: "server-slots",
        asks: |c| c.frontends.server_slots > 0,
        is_in_vain: |c| !c.reload.runtime_api,
        found: "beside `runtime-api` off",
        expected: "`runtime-api` to be auto",
        effect: "lines are kept free, but each task that comes is a reload all the same",
    },
    Rule {
        option: "reloads-apart",
        asks: |c| !c.reload.apart.is_zero(),
        is_in_vain: |c| !c.reload.runtime_api,
        found: "beside `runtime-api` off",
        expected: "`runtime-api` to be auto",
        effect: "no reload waits for another",
    },
    Rule {
        option: "reload-interval",
        asks: |_| true,
        is_in_vain: |c| c.reload.max_retries == Some(0),
        found: "without `max-reload-retries`",
        expected: "both or none of them",
        effect: "a reload that failed is tried again in the next turn",
    },
    Rule {
        option: "max-backoff",
        asks: |_| true,
        is_in_vain: polls,
        found: "beside `poll`",
        expected: "only one of them",
        effect: "events are not followed",
    },
    Rule {
        option: "resync",
        asks: |_| true,
        is_in_vain: polls,
        found: "beside `poll`",
        expected: "only one of them",
        effect: "everything is asked as often as `poll` says",
    },
    Rule {
        option: "log-format",
        asks: |_| true,
        is_in_vain: |c| c.log.destination == LogDestination::Journald,
        found: "beside `log` journald",
        expected: "only one of them",
        effect: "the journal gets fields",
    },
];

/// What only one set of templates writes.
const fn of_native(option: &'static str, asks: fn(&Config) -> bool) -> Rule {
    Rule {
        option,
        asks,
        is_in_vain: |c| c.templates.set != TemplateSet::Native,
        found: "beside a `template-set` that does not have it",
        expected: "`template-set` to be native",
        effect: "the files are written as if it were not given",
    }
}

/// What is about ports 80 and 443, or about what they lead to.
const fn of_shared_ports(option: &'static str, asks: fn(&Config) -> bool) -> Rule {
    Rule {
        option,
        asks,
        is_in_vain: |c| !c.frontends.bind_http_https,
        found: "beside `dont-bind-http-https`",
        expected: "only one of them",
        effect: "the files are written as if it were not given",
    }
}

fn has_spare_backends(config: &Config) -> bool {
    config.frontends.spare_backends > 0
}

fn polls(config: &Config) -> bool {
    config.watch.poll.is_some()
}

/// What the options that do nothing were found beside, what was expected, and what becomes of it.
pub(super) fn without_effect(config: &Config, layers: &Layers<'_>) -> Vec<String> {
    let mut told = Vec::new();
    let mut warnings = Vec::new();
    for rule in RULES {
        let Some(written) = layers.written(rule.option) else {
            continue;
        };
        let is_first = !told.contains(&rule.option);
        if is_first && (rule.asks)(config) && (rule.is_in_vain)(config) {
            told.push(rule.option);
            warnings.push(format!(
                "{} is given {}, expected {}; {}",
                written.origin.describe(rule.option),
                rule.found,
                rule.expected,
                rule.effect
            ));
        }
    }
    warnings
}
