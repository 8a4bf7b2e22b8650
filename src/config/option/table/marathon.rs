//! Where the cluster is asked, and by whom.

use super::super::{
    Definition, Fallback, Form, Heading, INSECURE, MARATHON, MARATHON_CA_CERT, Many, One, Switch,
    Takes, access, command::ASKING,
};
use super::{put, value};

pub(super) static MARATHON_OPTIONS: &[Definition] = &[
    Definition {
        name: MARATHON,
        short: Some('m'),
        takes: Takes::Many(
            value("URL", Form::Url),
            Many {
                list: |c| &mut c.marathon.urls,
                check: value::marathon,
            },
        ),
        fallback: Fallback::Rule("the list in /etc/haproxy-marathon-bridge/marathons"),
        summary: "A Marathon of the cluster",
        details: "Give it once for each node: they are asked in this order until one answers. The \
                  scheme is optional (then http), a path may follow, and `file:PATH` reads a saved \
                  answer. User and password may stand before the host (write a comma in them as \
                  %2C), but everybody can read them in the process list: the file or the list is a \
                  better place.",
        heading: Heading::Marathon,
        commands: ASKING,
    },
    Definition {
        name: MARATHON_CA_CERT,
        short: None,
        takes: Takes::One(
            value("FILE", Form::File),
            One(|c, text| put(&mut c.marathon.ca_cert, value::path(text).map(Some))),
        ),
        fallback: Fallback::Rule("the certificates of the system"),
        summary: "Trust the certificates in this PEM file, and no others",
        details: "For the calls of the bash bridge it also turns verification on.",
        heading: Heading::Marathon,
        commands: ASKING,
    },
    Definition {
        name: INSECURE,
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.marathon.insecure = on)),
        fallback: Fallback::Rule("false; true for the calls of the bash bridge"),
        summary: "Do not verify Marathon's certificate",
        details: "",
        heading: Heading::Marathon,
        commands: ASKING,
    },
    Definition {
        name: "proxy-from-environment",
        short: None,
        takes: Takes::Nothing(Switch(|c, on| c.marathon.proxy_from_environment = on)),
        fallback: Fallback::Value("false"),
        summary: "Ask Marathon through the proxy of http_proxy and https_proxy",
        details: "",
        heading: Heading::Marathon,
        commands: ASKING,
    },
    Definition {
        name: "connect-timeout",
        short: None,
        takes: Takes::One(
            value("TIME", Form::Text),
            One(|c, text| put(&mut c.marathon.connect_timeout, value::wait(text))),
        ),
        fallback: Fallback::Value("3s"),
        summary: "How long a connection to Marathon may take",
        details: "",
        heading: Heading::Marathon,
        commands: ASKING,
    },
    Definition {
        name: "read-timeout",
        short: None,
        takes: Takes::One(
            value("TIME", Form::Text),
            One(|c, text| put(&mut c.marathon.read_timeout, value::wait(text))),
        ),
        fallback: Fallback::Value("10s"),
        summary: "How long Marathon may be silent within an answer",
        details: "",
        heading: Heading::Marathon,
        commands: ASKING,
    },
    Definition {
        name: "fetch-timeout",
        short: None,
        takes: Takes::One(
            value("TIME", Form::Text),
            One(|c, text| put(&mut c.marathon.fetch_timeout, value::wait(text))),
        ),
        fallback: Fallback::Value("45s"),
        summary: "How long the whole answer may take",
        details: "",
        heading: Heading::Marathon,
        commands: ASKING,
    },
    Definition {
        name: "max-body",
        short: None,
        takes: Takes::One(
            value("SIZE", Form::Text),
            One(|c, text| put(&mut c.marathon.max_body, value::size(text))),
        ),
        fallback: Fallback::Value("256MiB"),
        summary: "How large an answer may be once it is decompressed",
        details: "With KiB, MiB or GiB, or in bytes.",
        heading: Heading::Marathon,
        commands: ASKING,
    },
    access::CREDENTIALS_FILE,
    access::CREDENTIALS,
    access::TOKEN_FILE,
    access::DCOS_FILE,
    access::CLIENT_CERT,
    access::CLIENT_KEY,
];
