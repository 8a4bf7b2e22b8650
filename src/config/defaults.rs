//! What counts when nothing is given: the table's defaults, and what the row of a command line has in
//! their place.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::option::{self, Fallback};
use super::{
    Apps, AutoPorts, Config, Credentials, Frontends, Haproxy, Install, Log, Marathon, Policy,
    Reload, ReloadMethod, State, TemplateLabels, Templates, Validation, Watch,
};

/// Where the program remembers when neither an option nor systemd names a folder.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/haproxy-marathon-bridge";

/// What counts when nothing is given. The placeholders are those of options without a default
/// value, and of those that the table fills in.
pub(super) fn defaults(policy: &'static Policy) -> Config {
    let mut config = Config {
        policy,
        marathon: Marathon {
            urls: Vec::new(),
            ca_cert: None,
            insecure: !policy.verifies_tls,
            client_cert: None,
            client_key: None,
            credentials: Credentials::None,
            proxy_from_environment: false,
            connect_timeout: Duration::ZERO,
            read_timeout: Duration::ZERO,
            fetch_timeout: Duration::ZERO,
            max_body: 0,
            max_backoff: Duration::ZERO,
        },
        groups: Vec::new(),
        apps: Apps {
            health_check: false,
            strict_mode: false,
            serve_scaled_to_zero: false,
            settings_from: policy.settings_from,
            auto_ports: AutoPorts { low: 0, high: 0 },
            own_app: None,
        },
        frontends: frontends(policy),
        haproxy: nowhere(),
        templates: Templates {
            set: policy.template_set,
            dir: None,
            extra: None,
            files: policy.template_files.map(PathBuf::from),
            variables: BTreeMap::new(),
            labels: if policy.template_labels {
                TemplateLabels::All
            } else {
                TemplateLabels::None
            },
        },
        validation: Validation {
            skip: false,
            skip_cleanup: false,
        },
        out_dir: None,
        dry: false,
        reload: Reload {
            method: ReloadMethod::None,
            command: None,
            timeout: Duration::ZERO,
            max_retries: None,
            interval: Duration::ZERO,
            runtime_api: policy.runtime_api,
            apart: Duration::ZERO,
        },
        watch: never(),
        state: State {
            dir: DEFAULT_STATE_DIR.into(),
            lock_file: None,
            archive_versions: 0,
        },
        allow_removal: false,
        json: false,
        html: false,
        stay: false,
        retry_now: false,
        max_age: Duration::ZERO,
        reason: None,
        install: Install::default(),
        in_place: false,
        no_pause: false,
        log: Log {
            destination: policy.log,
            syslog_socket: PathBuf::new(),
            level: policy.log_level,
            format: policy.log_format,
            pattern: String::new(),
            logger: policy.logger,
        },
    };
    let of_predecessor = option::of_predecessor(policy.command_line);
    for option in option::all().chain(of_predecessor) {
        let is_overruled = of_predecessor.iter().any(|its| its.name == option.name);
        if is_overruled && !of_predecessor.contains(option) {
            continue;
        }
        if let Fallback::Value(text) = option.fallback {
            option
                .set(&mut config, text)
                .expect("a test reads every default of the tables");
        }
    }
    config
}

fn frontends(policy: &Policy) -> Frontends {
    Frontends {
        maps: policy.maps,
        ssl_certs: Vec::new(),
        bind_http_https: true,
        service_ports: true,
        spare_backends: 0,
        group_https_by_vhost: false,
        accept_proxy: false,
        default_backend: None,
        server_slots: 0,
        slots_everywhere: false,
    }
}

fn nowhere() -> Haproxy {
    Haproxy {
        program: PathBuf::new(),
        version: None,
        config: PathBuf::new(),
        stats_socket: None,
        master_socket: None,
        pid_file: PathBuf::new(),
    }
}

fn never() -> Watch {
    Watch {
        debounce: (Duration::ZERO, Duration::ZERO),
        resync: Duration::ZERO,
        poll: None,
        callback_url: None,
        callback_listen: None,
        admin_socket: None,
    }
}
