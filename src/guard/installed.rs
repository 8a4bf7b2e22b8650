//! What the installed file serves, read from its sections: the baseline of a first run, which
//! remembers nothing, and of every run whose memory is gone.

use std::collections::BTreeSet;

use crate::cluster::{AppId, Endpoint, Host, ServicePort};
use crate::diff::{Outline, Section};
use crate::proxy::marathon_lb::backend_of;
use crate::proxy::native::slot_of;

/// The service ports of a file in the form of the bash bridge or of marathon-lb; sections of any other form, like
/// the statistics page, are none, nor are those of the `header` that every file has.
#[must_use]
pub fn served(text: &str, header: &str) -> Vec<ServicePort> {
    let proxies = proxies(text, header).into_iter();
    let port = |proxy: Proxy| ServicePort {
        app: AppId::new(&proxy.app()),
        index: 0,
        service_port: proxy.service_port,
        last_config_change_at: None,
        endpoints: proxy.endpoints,
    };
    proxies.map(port).collect()
}

/// What serves a service port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// As HAProxy's statistics have it: `app_80` of a backend, `app-80` of a `listen`.
    pub name: String,
    /// The number at its end.
    pub service_port: u32,
    /// Its servers, but for slots that nobody has.
    pub endpoints: Vec<Endpoint>,
}

impl Proxy {
    /// The app, as far as the name tells: it has `_` for `/` and for what it could not have.
    #[must_use]
    pub fn app(&self) -> String {
        let parts = self.name.rsplit_once(['-', '_']);
        let app = parts.map_or(&*self.name, |(app, _)| app);
        format!("/{}", app.replace('_', "/"))
    }
}

/// The same by what serves them.
#[must_use]
pub fn proxies(text: &str, header: &str) -> Vec<Proxy> {
    let outline = Outline::of(text);
    let header = Outline::of(header);
    let own: BTreeSet<&str> = header.sections().iter().map(|s| s.title).collect();
    // There all backends of apps are led to by name, and may have no frontend of their own.
    let is_native = outline.sections().iter().any(|section| {
        let mut lines = section.lines.iter();
        section.title == "frontend marathon_http_in"
            && lines.any(|line| line.starts_with("http-request set-var(txn.host) "))
    });
    let frontends: BTreeSet<&str> = outline
        .sections()
        .iter()
        .filter_map(|section| Some(backend_of(section.title.strip_prefix("frontend ")?.trim())))
        .collect();
    outline
        .sections()
        .iter()
        .filter(|section| !own.contains(section.title))
        .filter_map(|section| {
            let (name, service_port) =
                name_and_port(section, |name| is_native || frontends.contains(name))?;
            Some(Proxy {
                name: name.to_owned(),
                service_port: service_port.parse().ok()?,
                endpoints: section
                    .servers
                    .iter()
                    .filter_map(|line| endpoint(line))
                    .collect(),
            })
        })
        .collect()
}

/// `listen app-80`, or `backend app_80` where something leads there, as its frontend.
fn name_and_port<'a>(
    section: &Section<'a>,
    is_led: impl Fn(&str) -> bool,
) -> Option<(&'a str, &'a str)> {
    let (name, separator) = match section.title.strip_prefix("listen ") {
        Some(name) => (name.trim(), '-'),
        None => (section.backend().filter(|name| is_led(name))?, '_'),
    };
    Some((name, name.rsplit_once(separator)?.1))
}

fn endpoint(line: &str) -> Option<Endpoint> {
    if let Some((_, None)) = slot_of(line) {
        return None;
    }
    let (host, port) = line.split_ascii_whitespace().nth(2)?.rsplit_once(':')?;
    Some(Endpoint {
        host: Host::new(host),
        port: port.parse().ok()?,
        task: "".into(),
        draining: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_of_apps_are_read_and_others_passed_over() {
        let text = "\
global
  daemon
listen stats
  bind 127.0.0.1:9090
listen a_b-c-80
  bind 0.0.0.0:80
  server a_b-c-2 h1:31000 check
  server a_b-c-1 [::1]:31001 check
listen idle-81
  bind 0.0.0.0:81
listen admin-9000
  bind :9000
frontend x-1
  bind :1
frontend web_80
  bind *:80
backend web_80
  server slot_1 10.0.0.1:31000 id 1 check
  server slot_2 127.0.0.1:1 id 2 check disabled
frontend new_82_in
  bind *:82
backend new_82
backend other_81
  server x 10.0.0.1:31001
";
        let ports: Vec<_> = served(text, "listen admin-9000\n  bind :9000\n")
            .into_iter()
            .map(|port| {
                let servers: Vec<_> = port
                    .endpoints
                    .iter()
                    .map(|e| format!("{}:{}", e.host, e.port))
                    .collect();
                format!("{} {} {}", port.app, port.service_port, servers.join(" "))
            })
            .collect();
        assert_eq!(
            ports,
            [
                "/a/b-c 80 h1:31000 [::1]:31001",
                "/idle 81 ",
                "/web 80 10.0.0.1:31000",
                "/new 82 "
            ]
        );
    }

    /// As with `--no-service-ports`.
    #[test]
    fn in_our_own_set_a_backend_needs_no_frontend() {
        let text = "\
frontend marathon_http_in
  http-request set-var(txn.host) req.hdr(host)
backend marathon_https
  server https abns@marathon_https
backend web_80
  server x 10.0.0.1:31000
backend led_83 from profile-1
  server x 10.0.0.1:31002
backend extra_9
";
        let named = |text: &str| -> Vec<String> {
            let ports = served(text, "backend extra_9\n").into_iter();
            ports
                .map(|p| format!("{} {}", p.app, p.service_port))
                .collect()
        };
        assert_eq!(named(text), ["/web 80", "/led 83"]);
        let other = text.replace("set-var(txn.host)", "set-var(txn.other)");
        assert_eq!(named(&other), Vec::<String>::new());
    }
}
