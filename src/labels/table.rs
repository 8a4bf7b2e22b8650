//! What each label means, for the manual and the documentation.

/// What a label is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The whole app: `HAPROXY_<NAME>`.
    App,
    /// One service port: `HAPROXY_{n}_<NAME>`.
    Service,
}

/// A label that holds a value. Those that hold a template are [`super::Template`]s.
#[derive(Debug)]
pub struct Label {
    /// Without `HAPROXY_` and the position.
    pub name: &'static str,
    /// What it is about.
    pub reach: Reach,
    /// What counts where it is absent, in words.
    pub default: &'static str,
    /// The form of a value in the native commands, in words that follow "expected".
    pub form: &'static str,
    /// What it does.
    pub meaning: &'static str,
    /// A value as it could stand there.
    pub example: &'static str,
}

const fn app(
    name: &'static str,
    form: &'static str,
    example: &'static str,
    meaning: &'static str,
) -> Label {
    Label {
        name,
        reach: Reach::App,
        default: "",
        form,
        meaning,
        example,
    }
}

const fn service(
    name: &'static str,
    default: &'static str,
    form: &'static str,
    example: &'static str,
    meaning: &'static str,
) -> Label {
    Label {
        name,
        reach: Reach::Service,
        default,
        form,
        meaning,
        example,
    }
}

/// All labels that hold values.
pub static LABELS: &[Label] = &[
    app(
        "GROUP",
        "names parted by commas",
        "external",
        "Groups that the app belongs to, parted by commas. A balancer serves the groups that it \
         was started for; one started for `*` serves all.",
    ),
    app(
        "DEPLOYMENT_GROUP",
        "a name of letters, digits, `.` and `-`, or with that the id of an app in the same folder",
        "shop",
        "Two apps of one group are one service: the older one is drained while the newer takes \
         over. In the native commands only apps of one folder of Marathon are, under a name in \
         that folder.",
    ),
    app(
        "DEPLOYMENT_STARTED_AT",
        "a date as RFC 3339 or ISO",
        "2026-02-01T16:15:04",
        "When the deployment of this app began, as RFC 3339 or ISO without zone (UTC); the earlier \
         of the two is the old one.",
    ),
    app(
        "DEPLOYMENT_TARGET_INSTANCES",
        "a whole number",
        "20",
        "How many tasks the two apps shall have together.",
    ),
    app(
        "DEPLOYMENT_NEW_INSTANCES",
        "a whole number",
        "0",
        "Written by the deployer: how many tasks of the new app shall stay beside the old one.",
    ),
    app(
        "DEPLOYMENT_ALT_PORT",
        "any text",
        "10005",
        "Used by the deployer alone.",
    ),
    app(
        "DEPLOYMENT_COLOUR",
        "any text",
        "blue",
        "Used by the deployer alone.",
    ),
    app(
        "APP_ID",
        "any text",
        "shop",
        "Written by the deployer, used by nobody.",
    ),
    service(
        "GROUP",
        "HAPROXY_GROUP",
        "names parted by commas",
        "external,internal",
        "Groups of this service port, in the place of those of the app.",
    ),
    service(
        "VHOST",
        "none",
        "host names parted by commas, each a name, `*.` and a name, or an IP address",
        "web.example.com,www.example.com",
        "Host names that lead to the service on ports 80 and 443, parted by commas without \
         blanks. With it the mode is http unless something else says otherwise.",
    ),
    service(
        "PATH",
        "none",
        "paths parted by blanks that begin with `/` and are made of characters of a URL, perhaps with `-i` before them",
        "/api",
        "Only requests below this path belong to the service. Several paths, or `-i` before them, \
         may stand here as behind `path_beg`. Needs VHOST in the set `marathon-lb`; in the set \
         `native` it may stand alone.",
    ),
    service(
        "BACKEND_WEIGHT",
        "0, or 1 with PATH",
        "a whole number from -1000000 to 1000000",
        "10",
        "Rules of services with more weight are tried first.",
    ),
    service(
        "ENABLED",
        "true; false with --strict-mode",
        "`true`, `t`, `yes` or `y`, in any case; all else is false",
        "false",
        "Whether the service is served at all.",
    ),
    service(
        "MODE",
        "http with VHOST or an HTTP health check, else tcp",
        "`http` or `tcp`",
        "http",
        "What HAProxy speaks on this service port.",
    ),
    service(
        "BALANCE",
        "roundrobin",
        "an algorithm of HAProxy with its arguments, of `random` at most 16 draws",
        "leastconn",
        "How servers are chosen.",
    ),
    service(
        "PORT",
        "the service port",
        "a port from 1 to 65535",
        "8080",
        "Clients dial this port instead of the service port.",
    ),
    service(
        "BIND_ADDR",
        "*",
        "one IP address without a port, or `*`",
        "10.0.0.42",
        "The address on which the service port is opened.",
    ),
    service(
        "BIND_OPTIONS",
        "none",
        "options of HAProxy's `bind` about connections and TLS, with their arguments",
        "ciphers AES128+EECDH:AES128+EDH force-tlsv12",
        "More options for that bind line.",
    ),
    service(
        "SSL_CERT",
        "none",
        "paths of certificates parted by commas, without blanks and quotes",
        "/etc/ssl/certs/marathon.mesosphere.com",
        "Certificate of the service port, or with --group-https-by-vhost of its vhosts.",
    ),
    service(
        "STICKY",
        "false",
        "`true`, `t`, `yes` or `y`, in any case; all else is false",
        "true",
        "A client stays with the server that answered it first, by a cookie.",
    ),
    service(
        "REDIRECT_TO_HTTPS",
        "false",
        "`true`, `t`, `yes` or `y`, in any case; all else is false",
        "true",
        "Requests on port 80 are led to https. Needs VHOST in the set `marathon-lb`.",
    ),
    service(
        "USE_HSTS",
        "false",
        "`true`, `t`, `yes` or `y`, in any case; all else is false",
        "true",
        "Answers carry Strict-Transport-Security. Mode http only.",
    ),
    service(
        "AUTH",
        "none",
        "`realm:user:cryptedpassword`, a realm without quotes, `\\`, `$` and `%` and without a `-` in front, a user of letters, digits and `._@+-`, and a password as crypt(3) makes it: `$5$` or `$6$` of 1000 to 20000 rounds, `$2b$` of cost 04 to 10, `$1$`, or DES",
        "realm:user:$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA",
        "This user must log in; the password as crypt(3) makes it. In the set `marathon-lb` on \
         ports 80 and 443 alone, and with VHOST: the service port itself and the routing by app id \
         stay open. In the set `native` on every way to the service; mode http only.",
    ),
    service(
        "HTTP_BACKEND_PROXYPASS_PATH",
        "none",
        "a path that begins with `/`, of letters, digits and `-._~!&,;=:@/`, others as `%20`",
        "/path/to/redirect",
        "This prefix is taken off the path before the server sees it. Mode http only.",
    ),
    service(
        "HTTP_BACKEND_REVPROXY_PATH",
        "none",
        "a path that begins with `/`, of letters, digits and `-._~!&,;=:@/`",
        "/my/content",
        "Redirects of the server to itself lead to this path. Mode http only.",
    ),
    service(
        "HTTP_BACKEND_REDIR",
        "none",
        "a path that begins with `/`, or an address with `http://` or `https://`, made of characters of a URL",
        "/my/content",
        "Requests for / are led to this path. Mode http only.",
    ),
    service(
        "BACKEND_NETWORK_ALLOWED_ACL",
        "all",
        "IP addresses and networks parted by blanks",
        "127.0.0.1/8 192.168.1.0/24",
        "Only these networks are served, parted by blanks.",
    ),
    service(
        "BACKEND_HEALTHCHECK_PORT_INDEX",
        "the service port itself",
        "a whole number from -999 to 999",
        "1",
        "HAProxy's checks go to the service port at this place among those of the app.",
    ),
];

/// Labels that only our own set knows, and those that mean more or something else in it.
pub static NATIVE: &[Label] = &[
    service(
        "VHOST",
        "none",
        "host names parted by commas, each a name, `*.` and a name, or an IP address, without a port",
        "www.example.com,*.shop.example.com",
        "Hosts that lead to the service on ports 80 and 443, parted by commas. `*.` before one \
         stands for all that lie below it. The port of a request does not count. At most 1000 \
         pairs of host and path; 50 with `-i`, HEADER, METHOD or BACKEND_WEIGHT, and 200 of those \
         in one app.",
    ),
    service(
        "PATH",
        "all",
        "paths parted by blanks that begin with `/` and are made of characters of a URL, perhaps with `-i` before them",
        "/api /v2",
        "Beginnings of paths, parted by blanks: only such requests are led to the service, of all \
         hosts where there is no VHOST. With `-i` before them case does not count. Beside a VHOST \
         `/` is all paths.",
    ),
    service(
        "HEADER",
        "none",
        "the name of a header, perhaps with `:` and a value",
        "X-Canary: yes",
        "Only requests with this header, and with this value where one follows, are led to the \
         service. Of a header that is a list one of its values counts; where the label has a comma, \
         the whole line of the header. Needs VHOST or PATH. Host and path may be those of another \
         app in the same folder.",
    ),
    service(
        "METHOD",
        "all",
        "up to 16 methods in capitals, parted by commas",
        "POST,PUT",
        "Only requests with one of these methods are led to the service. Needs VHOST or PATH. Host \
         and path may be those of another app in the same folder.",
    ),
    service(
        "BACKEND_WEIGHT",
        "0: the more precise name goes first",
        "a whole number from -1000000 to 1000000",
        "10",
        "Rules with a weight above 0 are tried before all others, the largest first; those below 0 \
         behind all others. It counts before apps of the same folder, which `check` and `explain` \
         note, and not before more precise places of others, which a warning names.",
    ),
    service(
        "SSL_CERT",
        "none",
        "paths of certificates parted by commas, without blanks and quotes",
        "/etc/ssl/site.pem",
        "Certificate of the service port, and of its hosts on port 443; several paths are not used \
         there.",
    ),
    service(
        "REDIRECT_TO_HTTPS",
        "false",
        "`true`, `t`, `yes` or `y`, in any case; all else is false",
        "true",
        "Requests on port 80 are led to https, where port 443 has a certificate of the operator \
         or of an app in the same folder.",
    ),
    service(
        "USE_HSTS",
        "false",
        "`true`, `t`, `yes` or `y`, in any case; all else is false",
        "true",
        "Answers over TLS carry Strict-Transport-Security. Mode http only.",
    ),
    service(
        "AUTH",
        "none",
        "`realm:user:cryptedpassword`, a realm without quotes, `\\`, `$` and `%` and without a `-` in front, a user of letters, digits and `._@+-`, and a password as crypt(3) makes it: `$5$` or `$6$` of 1000 to 20000 rounds, `$2b$` of cost 04 to 10, `$1$`, or DES",
        "realm:user:$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA",
        "This user must log in, on every way to the service; the password as crypt(3) makes it. \
         Mode http only: elsewhere the service is left out.",
    ),
    service(
        "TIMEOUT_CONNECT",
        "3s",
        "a number with ms, s, m, h or d",
        "500ms",
        "How long a connection to a server may take.",
    ),
    service(
        "TIMEOUT_SERVER",
        "30s",
        "a number with ms, s, m, h or d",
        "5m",
        "How long a server may be silent.",
    ),
    service(
        "TIMEOUT_QUEUE",
        "30s",
        "a number with ms, s, m, h or d",
        "5s",
        "How long a request may wait for a server.",
    ),
    service(
        "TIMEOUT_TUNNEL",
        "1h",
        "a number with ms, s, m, h or d",
        "8h",
        "How long a websocket or tcp connection may be silent.",
    ),
    service(
        "MAXCONN",
        "no limit",
        "a number above 0",
        "200",
        "Connections to each server; further requests wait.",
    ),
    service(
        "MERGE",
        "none",
        "a name",
        "shop",
        "Services of one folder of Marathon that name one are one service, as a canary beside what \
         is stable: hosts and paths of all, and the service port of the first by app id, lead to \
         the servers of all.",
    ),
    service(
        "WEIGHT",
        "1",
        "a number from 0 to 1000000",
        "5",
        "The share of this app among those of one MERGE, however many tasks it has; 0 for none.",
    ),
    service(
        "SERVER_SLOTS",
        "--server-slots where it applies",
        "a number from 0 to 100",
        "8",
        "Lines of servers that are kept free in the backend, for tasks that come without a reload \
         where HAProxy can add no servers; 0 for none.",
    ),
    service(
        "SEND_PROXY",
        "none",
        "v1 or v2",
        "v2",
        "`v1` or `v2`: servers are told of the client by the PROXY protocol.",
    ),
    service(
        "SNI_PASSTHROUGH",
        "false",
        "true or false",
        "true",
        "TLS on port 443 for the hosts of VHOST is passed on as it is, and ended by the app itself. \
         Mode tcp only.",
    ),
    service(
        "COMPRESSION",
        "false",
        "true or false",
        "true",
        "Text is compressed for clients that know gzip. Mode http only.",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::NATIVE;
    use crate::cluster::AppId;
    use crate::config::Values;
    use crate::labels::parse;

    /// A name that is in no table would be taken for nothing at all.
    #[test]
    fn every_label_of_ours_is_read() {
        for label in NATIVE {
            let name = format!("HAPROXY_0_{}", label.name);
            let said = BTreeMap::from([(name.into(), label.example.into())]);
            let (options, warnings) = parse(&said, &AppId::new("/a"), 0, Values::Typed);
            assert!(warnings.is_empty(), "{warnings:?}");
            assert_ne!(
                options,
                parse(&BTreeMap::new(), &AppId::new("/a"), 0, Values::Typed).0
            );
        }
    }
}
