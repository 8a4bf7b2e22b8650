//! The frontends that all apps share.

use super::super::command::ASKING;
use super::super::{Definition, Fallback, Form, Heading, One, Switch, Takes};
use super::{put, value};

pub(super) static FRONTENDS: &[Definition] = &[
    Definition {
        name: "ssl-certs",
        short: None,
        takes: Takes::One(
            value("FILES", Form::Text),
            One(|c, text| put(&mut c.frontends.ssl_certs, value::paths(text))),
        ),
        fallback: Fallback::Rule("none, and nothing listens on port 443"),
        summary: "Certificates for port 443",
        details: "Files or folders with certificates and keys, parted by commas.",
        heading: Heading::Frontends,
        commands: ASKING,
    },
    Definition {
        name: "no-maps",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.frontends.maps = !on)),
        fallback: Fallback::Rule("false; true for the calls of the bash bridge"),
        summary: "Write a rule for each host name and app, instead of lines in map files",
        details: "",
        heading: Heading::Frontends,
        commands: ASKING,
    },
    Definition {
        name: "dont-bind-http-https",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.frontends.bind_http_https = !on)),
        fallback: Fallback::Value("false"),
        summary: "Leave ports 80 and 443 to others, and with them all host names",
        details: "",
        heading: Heading::Frontends,
        commands: ASKING,
    },
    Definition {
        name: "no-service-ports",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.frontends.service_ports = !on)),
        fallback: Fallback::Value("false"),
        summary: "Listen on no service port for apps to which ports 80 and 443 lead",
        details: "That is, in mode http and with a host or path of their own. With it HAProxy 3.4 is told of most apps that come and go, in place of a reload. Template set native only.",
        heading: Heading::Frontends,
        commands: ASKING,
    },
    Definition {
        name: "spare-backends",
        short: None,
        takes: Takes::One(
            value("NUMBER", Form::Text),
            One(|c, text| put(&mut c.frontends.spare_backends, value::spares(text))),
        ),
        fallback: Fallback::Value("0"),
        summary: "Keep so many backends of each kind for apps that come, with --no-service-ports",
        details: "For HAProxy 2.6 to 3.3, which has to be reloaded for a new backend, and is told of servers and rows of maps: up to 1000. From 3.4 on none are needed, nor kept. Template set native only.",
        heading: Heading::Frontends,
        commands: ASKING,
    },
    Definition {
        name: "default-backend",
        short: None,
        takes: Takes::One(
            value("APP", Form::Text),
            One(|c, text| {
                put(
                    &mut c.frontends.default_backend,
                    value::app_and_port(text).map(Some),
                )
            }),
        ),
        fallback: Fallback::Rule("none: such requests are answered with 503"),
        summary: "The app that is served the requests on ports 80 and 443 which no app asks for",
        details: "/site, or /site:10000 for another than the first of its service ports that speaks HTTP. Template set native only.",
        heading: Heading::Frontends,
        commands: ASKING,
    },
    Definition {
        name: "accept-proxy",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.frontends.accept_proxy = on)),
        fallback: Fallback::Value("false"),
        summary: "Take the addresses of clients of ports 80 and 443 from the PROXY protocol",
        details: "For a balancer in front that sends it; clients that do not are refused. Template set native only.",
        heading: Heading::Frontends,
        commands: ASKING,
    },
    Definition {
        name: "server-slots",
        short: None,
        takes: Takes::One(
            value("NUMBER", Form::Text),
            One(|c, text| put(&mut c.frontends.server_slots, value::spares(text))),
        ),
        fallback: Fallback::Value("0"),
        summary: "So many lines of servers are kept free in backends that HAProxy can add none to",
        details: "For tasks that come without a reload there: in all backends before HAProxy 2.6, and \
                  where a label BALANCE asks for static-rr, source, uri or another way that knows its \
                  servers from the start on, or SEND_PROXY meets a check. Where they run out, a reload brings as many more. \
                  0: each task that comes or goes is a reload there. Template set native only.",
        heading: Heading::Frontends,
        commands: ASKING,
    },
    Definition {
        name: "slots-everywhere",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.frontends.slots_everywhere = on)),
        fallback: Fallback::Value("false"),
        summary: "Keep --server-slots in all backends, instead of adding servers at runtime",
        details: "",
        heading: Heading::Frontends,
        commands: ASKING,
    },
    Definition {
        name: "group-https-by-vhost",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.frontends.group_https_by_vhost = on)),
        fallback: Fallback::Value("false"),
        summary: "Give each host name a frontend of its own behind port 443",
        details: "By the name that TLS clients ask for. It is needed where host names want client certificates of different authorities.",
        heading: Heading::Frontends,
        commands: ASKING,
    },
];
