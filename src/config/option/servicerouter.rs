//! The options of `servicerouter.py`, in the order of its help.

use std::net::{Ipv4Addr, SocketAddr};

use super::super::Config;
use super::super::value::Expected;
use super::marathon_lb::{
    GROUPS, HAPROXY_CONFIG, LOG_FORMAT, MARATHONS, NO_DECISION, SYSLOG_SOCKET,
};
use super::table::value;
use super::{Definition, Fallback, Form, GROUP, MARATHON, One, Takes, foreign};

/// `servicerouter.py`'s options.
pub static SERVICEROUTER: &[Definition] = &[
    foreign(
        "longhelp",
        None,
        Takes::Nothing(NO_DECISION),
        Fallback::Nothing,
        "Print the reference: these options, all templates and all settings",
    ),
    foreign(
        MARATHON,
        Some('m'),
        Takes::Many(value("MARATHON", Form::Url), MARATHONS),
        Fallback::Nothing,
        "The Marathon nodes of one cluster, asked in this order until one answers",
    ),
    foreign(
        "listening",
        Some('l'),
        Takes::One(value("LISTENING", Form::Url), One(set_listening)),
        Fallback::Nothing,
        "Go on running and have Marathon send its events to this address",
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
        Fallback::Value("%(name)s: %(message)s"),
        "How a line of the log looks, in the language of Python's logging",
    ),
    foreign(
        "haproxy-config",
        None,
        Takes::One(value("HAPROXY_CONFIG", Form::File), HAPROXY_CONFIG),
        Fallback::Value("/etc/haproxy/haproxy.cfg"),
        "The file that is kept in step",
    ),
    foreign(
        GROUP,
        None,
        Takes::Many(value("GROUP", Form::Text), GROUPS),
        Fallback::Nothing,
        "Serve the apps of this group, * for all; without it, those that name no group",
    ),
];

/// It listened on all addresses, on the port that stands at the end, else on 8000. An empty address
/// was as good as none; what is wrong with another is told when Marathon is to be called.
#[expect(
    clippy::unnecessary_wraps,
    reason = "it stands in a table of functions that may fail"
)]
fn set_listening(config: &mut Config, text: &str) -> Result<(), Expected> {
    let port = text.rsplit(':').next().and_then(|port| port.parse().ok());
    let all = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port.unwrap_or(8000)));
    config.watch.callback_url = (!text.is_empty()).then(|| text.to_owned());
    config.watch.callback_listen.get_or_insert(all);
    Ok(())
}
