//! The options of `marathon_lb.py` (marathon-lb 1.15), in the order of its help, and ours that join
//! them there.
//!
//! Names and defaults are facts that scripts rely on. Values are taken as loosely as Python took
//! them: what is wrong with one is told in marathon-lb's words.

use std::path::PathBuf;
use std::time::Duration;

use super::super::value::{self, Expected, integer};
use super::super::words::words;
use super::super::{Config, LogFormat, LogLevel, ReloadCommand};
use super::table::{put, value};
use super::{
    AUTH_CREDENTIALS, COMMAND, DCOS_AUTH_CREDENTIALS, Definition, Fallback, Form, GROUP, MARATHON,
    MARATHON_AUTH_CREDENTIAL_FILE, MARATHON_CA_CERT, MAX_AUTO_PORT, MIN_AUTO_PORT, Many, One,
    Switch, Takes, foreign,
};

/// Nothing to be decided: the command line itself looks at it.
pub(super) const NO_DECISION: Switch = Switch(|_, _| ());
const NONE: Fallback = Fallback::Nothing;
const OFF: Fallback = Fallback::Value("false");

/// `marathon_lb.py`'s options.
pub static MARATHON_LB: &[Definition] = &[
    foreign(
        "longhelp",
        None,
        Takes::Nothing(NO_DECISION),
        NONE,
        "Print the reference: these options, all templates and all labels",
    ),
    foreign(
        MARATHON,
        Some('m'),
        Takes::Many(value("MARATHON", Form::Url), MARATHONS),
        Fallback::Value("http://master.mesos:8080"),
        "The Marathon nodes of one cluster, asked in this order until one answers; given again, \
         the last one counts",
    ),
    foreign(
        "haproxy-config",
        None,
        Takes::One(value("HAPROXY_CONFIG", Form::File), HAPROXY_CONFIG),
        Fallback::Value("/etc/haproxy/haproxy.cfg"),
        "The file that is kept in step; maps lie beside it",
    ),
    foreign(
        GROUP,
        None,
        Takes::Many(value("GROUP", Form::Text), GROUPS),
        NONE,
        "Serve the apps of this group, * for all; give it once for each group, at least once",
    ),
    foreign(
        COMMAND,
        Some('c'),
        Takes::One(value("COMMAND", Form::CommandLine), One(set_command)),
        NONE,
        "Run this program with these arguments, without a shell, when something changed",
    ),
    foreign(
        "max-reload-retries",
        None,
        Takes::One(
            value("MAX_RELOAD_RETRIES", Form::Integer),
            // A negative number stood for no end.
            One(|c, text| {
                c.reload.max_retries = number(text).and_then(|number| u32::try_from(number).ok());
                Ok(())
            }),
        ),
        Fallback::Value("10"),
        "How often a reload is tried again that brought up no new HAProxy; -1 for as often as it \
         takes",
    ),
    foreign(
        "reload-interval",
        None,
        Takes::One(
            value("RELOAD_INTERVAL", Form::Integer),
            One(|c, text| put(&mut c.reload.interval, Ok(seconds(text)))),
        ),
        Fallback::Value("10"),
        "How many seconds each of these tries is given",
    ),
    foreign(
        "strict-mode",
        None,
        Takes::Nothing(Switch(|c, on| c.apps.strict_mode = on)),
        OFF,
        "Serve only what its app enables by HAPROXY_{n}_ENABLED",
    ),
    foreign(
        "sse",
        Some('s'),
        Takes::Nothing(NO_DECISION),
        NONE,
        "Go on running and follow Marathon's events",
    ),
    foreign(
        "archive-versions",
        None,
        Takes::One(
            value("ARCHIVE_VERSIONS", Form::Integer),
            One(|c, text| {
                let number = number(text).and_then(|number| usize::try_from(number).ok());
                c.state.archive_versions = number.unwrap_or_default().max(1);
                Ok(())
            }),
        ),
        Fallback::Value("5"),
        "How many good sets of files are kept, in the state folder",
    ),
    foreign(
        "health-check",
        Some('H'),
        Takes::Nothing(Switch(|c, on| c.apps.health_check = on)),
        OFF,
        "Use only tasks that Marathon reports alive, of apps that have health checks",
    ),
    foreign(
        "lru-cache-capacity",
        None,
        Takes::One(
            value("LRU_CACHE_CAPACITY", Form::Integer),
            One(|_, _| Ok(())),
        ),
        Fallback::Value("1000"),
        "Without effect: what is remembered is bounded by what Marathon names",
    ),
    foreign(
        "haproxy-map",
        None,
        Takes::Nothing(Switch(|c, on| c.frontends.maps = on)),
        OFF,
        "Look host names and app ids up in map files",
    ),
    foreign(
        "dont-bind-http-https",
        None,
        Takes::Nothing(Switch(|c, on| c.frontends.bind_http_https = !on)),
        OFF,
        "Leave ports 80 and 443 to others, and with them all host names",
    ),
    foreign(
        "group-https-by-vhost",
        None,
        Takes::Nothing(Switch(|c, on| c.frontends.group_https_by_vhost = on)),
        OFF,
        "Give each host name a frontend of its own behind port 443",
    ),
    foreign(
        "ssl-certs",
        None,
        Takes::One(
            value("SSL_CERTS", Form::Text),
            One(|c, text| {
                // An empty list was as good as none.
                if !text.is_empty() {
                    c.frontends.ssl_certs = text.split(',').map(str::to_owned).collect();
                }
                Ok(())
            }),
        ),
        Fallback::Value("/etc/ssl/cert.pem"),
        "Certificates for port 443, parted by commas",
    ),
    foreign(
        "skip-validation",
        None,
        Takes::Nothing(Switch(|c, on| c.validation.skip = on)),
        OFF,
        "Do not ask HAProxy whether it would take the files",
    ),
    foreign(
        "skip-config-cleanup",
        None,
        Takes::Nothing(Switch(|c, on| c.validation.skip_cleanup = on)),
        OFF,
        "When HAProxy refuses the files, keep the old ones and leave no app out",
    ),
    foreign(
        "dry",
        Some('d'),
        Takes::Nothing(Switch(|c, on| c.dry = on)),
        OFF,
        "Print what would be installed, if it differs, and change nothing",
    ),
    foreign(
        MIN_AUTO_PORT,
        None,
        Takes::One(
            value("MIN_SERV_PORT_IP_PER_TASK", Form::Integer),
            One(|c, text| put(&mut c.apps.auto_ports.low, Ok(port(text)))),
        ),
        Fallback::Value("10050"),
        "The lowest service port for apps that name none and whose tasks have addresses of their \
         own",
    ),
    foreign(
        MAX_AUTO_PORT,
        None,
        Takes::One(
            value("MAX_SERV_PORT_IP_PER_TASK", Form::Integer),
            One(|c, text| put(&mut c.apps.auto_ports.high, Ok(port(text)))),
        ),
        Fallback::Value("10100"),
        "The highest of them; 0 for both turns them off",
    ),
    foreign(
        "max-backoff",
        None,
        Takes::One(
            value("MAX_BACKOFF", Form::Integer),
            One(|c, text| put(&mut c.marathon.max_backoff, Ok(seconds(text)))),
        ),
        Fallback::Value("300"),
        "The longest pause in seconds between two connections to Marathon's events",
    ),
    foreign(
        "haproxy-version",
        None,
        Takes::One(
            value("X.Y", Form::Text),
            One(|c, text| {
                let Ok(version) = value::version(text) else {
                    return Err(Expected::said(format!(
                        "option `--haproxy-version`: found {text:?}, expected X.Y such as 2.6"
                    )));
                };
                c.haproxy.version = Some(version);
                Ok(())
            }),
        ),
        NONE,
        "Write for this version of HAProxy instead of the one that is installed",
    ),
    foreign(
        "runtime-api",
        None,
        Takes::Nothing(Switch(|c, on| c.reload.runtime_api = on)),
        OFF,
        "Tell a running HAProxy of servers without a reload where that will do",
    ),
    foreign(
        "syslog-socket",
        None,
        Takes::One(value("SYSLOG_SOCKET", Form::File), SYSLOG_SOCKET),
        Fallback::Value("/dev/log"),
        "Log to syslog here too; /dev/null for no syslog",
    ),
    foreign(
        "log-format",
        None,
        Takes::One(value("LOG_FORMAT", Form::Text), LOG_FORMAT),
        Fallback::Value("%(asctime)-15s %(name)s: %(message)s"),
        "How a line of the log looks, in the language of Python's logging",
    ),
    foreign(
        "log-level",
        None,
        Takes::One(value("LOG_LEVEL", Form::Text), One(set_level)),
        Fallback::Value("DEBUG"),
        "How much is said: CRITICAL, ERROR, WARNING, INFO, DEBUG or NOTSET",
    ),
    foreign(
        MARATHON_AUTH_CREDENTIAL_FILE,
        None,
        Takes::One(
            value("MARATHON_AUTH_CREDENTIAL_FILE", Form::File),
            One(|_, _| Ok(())),
        ),
        NONE,
        "Read user:pass for Marathon from the first line of this file",
    ),
    foreign(
        AUTH_CREDENTIALS,
        None,
        Takes::One(value("AUTH_CREDENTIALS", Form::Secret), One(|_, _| Ok(()))),
        NONE,
        "Name yourself so to Marathon, as user:pass",
    ),
    foreign(
        DCOS_AUTH_CREDENTIALS,
        None,
        Takes::One(
            value("DCOS_AUTH_CREDENTIALS", Form::Secret),
            One(|_, _| Ok(())),
        ),
        Fallback::Rule("$DCOS_SERVICE_ACCOUNT_CREDENTIAL"),
        "Log in to DC/OS with this service account, a JSON object",
    ),
    foreign(
        MARATHON_CA_CERT,
        None,
        Takes::One(
            value("MARATHON_CA_CERT", Form::File),
            One(|c, text| {
                c.marathon.ca_cert = (!text.is_empty()).then(|| PathBuf::from(text));
                Ok(())
            }),
        ),
        NONE,
        "Verify Marathon's certificate by those in this file; without it nothing is verified",
    ),
];

/// What both predecessors take as it is: an address that is none fails when it is asked.
pub(super) const MARATHONS: Many = Many {
    list: |c| &mut c.marathon.urls,
    check: |_| Ok(()),
};
pub(super) const GROUPS: Many = Many {
    list: |c| &mut c.groups,
    check: |_| Ok(()),
};
pub(super) const HAPROXY_CONFIG: One =
    One(|c, text| put(&mut c.haproxy.config, Ok(PathBuf::from(text))));
pub(super) const SYSLOG_SOCKET: One =
    One(|c, text| put(&mut c.log.syslog_socket, Ok(PathBuf::from(text))));
pub(super) const LOG_FORMAT: One = One(|c, text| {
    c.log.format = LogFormat::Python;
    put(&mut c.log.pattern, Ok(text.to_owned()))
});

/// An empty command was as good as none.
fn set_command(config: &mut Config, text: &str) -> Result<(), Expected> {
    let Some(words) = words(text) else {
        return Err(Expected::said(format!(
            "option `--command`: found {text:?}, expected each quote to be closed"
        )));
    };
    if !words.is_empty() {
        config.reload.command = Some(ReloadCommand::Words(words));
    }
    Ok(())
}

/// Without a handler of its own Python's `NOTSET` is the level of the root logger, which is
/// `WARNING`.
fn set_level(config: &mut Config, text: &str) -> Result<(), Expected> {
    config.log.level = match text.to_ascii_uppercase().as_str() {
        "CRITICAL" | "ERROR" => LogLevel::Error,
        "WARNING" | "NOTSET" => LogLevel::Warn,
        "INFO" => LogLevel::Info,
        "DEBUG" => LogLevel::Debug,
        _ => return Err(Expected::said(format!("Invalid log level: {text}"))),
    };
    Ok(())
}

/// The command line refuses what is no number.
fn number(text: &str) -> Option<i64> {
    integer(text)
}

fn seconds(text: &str) -> Duration {
    let seconds = number(text).and_then(|number| u64::try_from(number).ok());
    Duration::from_secs(seconds.unwrap_or_default())
}

/// A port; what lies outside is as near to it as a port can be.
fn port(text: &str) -> u16 {
    let port = number(text).unwrap_or_default();
    if port == 0 {
        return 0;
    }
    u16::try_from(port.clamp(1, i64::from(u16::MAX))).unwrap_or(u16::MAX)
}
