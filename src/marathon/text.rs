//! The text form of `GET /v2/tasks`, which Marathon gave until 1.10.
//!
//! In comes a line for each app and service port: the app's safe path, the service port and the
//! addresses of running tasks, apart by white space. Out go service ports in the same order, and
//! warnings about what cannot be served. Any text is read; lines in no such form say nothing.

use std::collections::HashMap;

use super::convert::quoted;
use super::{is_app_path, is_host};
use crate::cluster::{AppId, Endpoint, Host, ServicePort, Warning};

/// Reads the text. Several lines with one name and port stay several; who wins is for others.
#[must_use]
pub fn tasks(body: &str) -> (Vec<ServicePort>, Vec<Warning>) {
    let mut warnings = Vec::new();
    let mut next_index: HashMap<AppId, usize> = HashMap::new();
    let mut ports = Vec::new();
    for (number, line) in (1..).zip(body.lines()) {
        let mut fields = line.split_ascii_whitespace();
        let (Some(name), Some(port)) = (fields.next(), fields.next()) else {
            continue;
        };
        // Apps without ports have a blank in this column, so that an address takes its place.
        if !port.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        if !is_app_path(name) {
            let expected = "letters, digits, `-`, `.` and `_`";
            let subject = format!("line {number} of the text: name of the app");
            warnings.push(warning(None, subject, name, expected, "line left out"));
            continue;
        }
        let app = AppId::new(&name.replace('_', "/"));
        let index = next_index.entry(app.clone()).or_default();
        let this_index = *index;
        *index += 1;
        let Some(service_port) = port_number(port).map(u32::from) else {
            let subject = format!("line {number} of the text: service port");
            let effect = "port not served";
            warnings.push(warning(Some(&app), subject, port, PORT, effect));
            continue;
        };
        let endpoints = fields
            .filter_map(|address| {
                endpoint(address)
                    .map_err(|expected| {
                        let subject = format!("line {number} of the text: address");
                        let effect = format!("left out of service port {service_port}");
                        let app = Some(&app);
                        warnings.push(warning(app, subject, address, expected, &effect));
                    })
                    .ok()
            })
            .collect();
        ports.push(ServicePort {
            app,
            index: this_index,
            service_port,
            last_config_change_at: None,
            endpoints,
        });
    }
    (ports, warnings)
}

const PORT: &str = "a port from 1 to 65535";

/// The error is what was expected.
fn endpoint(address: &str) -> Result<Endpoint, &'static str> {
    let (host, port) = address
        .rsplit_once(':')
        .filter(|(host, port)| is_host(host) && is_number(port))
        .ok_or("host:port")?;
    Ok(Endpoint {
        host: Host::new(host),
        // Marathon up to 1.8 wrote 0 for mappings without a port of the agent.
        port: port_number(port).ok_or(PORT)?,
        task: "".into(),
        draining: false,
    })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn port_number(digits: &str) -> Option<u16> {
    digits.parse().ok().filter(|&port| port != 0)
}

fn warning(
    app: Option<&AppId>,
    subject: String,
    found: &str,
    expected: &str,
    effect: &str,
) -> Warning {
    Warning {
        app: app.cloned(),
        subject,
        found: quoted(found),
        expected: expected.to_owned(),
        effect: effect.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::tasks;

    /// `app/index:service port=addresses`, one word for each service port.
    fn read(body: &str) -> String {
        let (ports, _) = tasks(body);
        let words = ports.iter().map(|port| {
            let addresses = port.endpoints.iter();
            let addresses = addresses.map(|e| format!("{}:{}", e.host, e.port));
            let addresses: Vec<_> = addresses.collect();
            let (app, index) = (&port.app, port.index);
            format!(
                "{app}/{index}:{}={}",
                port.service_port,
                addresses.join(",")
            )
        });
        words.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn each_line_is_a_service_port() {
        for (body, want) in [
            ("", ""),
            ("\n \n\r\n", ""),
            (
                "a\t10001\th1:31001\th2:31002\n",
                "/a/0:10001=h1:31001,h2:31002",
            ),
            (
                "a 10001 h1:31001   h2:31002 ",
                "/a/0:10001=h1:31001,h2:31002",
            ),
            ("a\t10001\th1:31001", "/a/0:10001=h1:31001"),
            (
                "a\t10001\t\r\nb\t10002\th:1\r\n",
                "/a/0:10001= /b/0:10002=h:1",
            ),
            ("a\t10001\n", "/a/0:10001="),
            (
                "product_front-end.v1\t80\th:1\n",
                "/product/front-end.v1/0:80=h:1",
            ),
            (
                "a\t10001\th:1\nb\t1\nc\t2\na\t10002\th:2\n",
                "/a/0:10001=h:1 /b/0:1= /c/0:2= /a/1:10002=h:2",
            ),
            (
                "a\t10001\th:1\na\t10001\th:2\n",
                "/a/0:10001=h:1 /a/1:10001=h:2",
            ),
            (
                "a\t10001\t10.0.0.1:1\t[fd00::1]:2\tfd00::2:3\n",
                "/a/0:10001=10.0.0.1:1,[fd00::1]:2,[fd00::2]:3",
            ),
        ] {
            assert_eq!(read(body), want, "{body:?}");
            assert_eq!(tasks(body).1, [], "{body:?}");
        }
    }

    #[test]
    fn lines_in_another_form_say_nothing() {
        for body in [
            "a\n",
            "a\t \th1 h2\n",
            "a\th1\th2\n",
            "a\t-1\th:1\n",
            "a\t80a\th:1\n",
        ] {
            let (ports, warnings) = tasks(body);
            assert_eq!((ports, warnings), (vec![], vec![]), "{body:?}");
        }
    }

    #[test]
    fn what_cannot_be_served_costs_only_itself_and_a_warning() {
        let address = "line 1 of the text: address";
        let left = "left out of service port 80";
        for (body, left_over, want) in [
            ("a 80 h:1 *", "/a/0:80=h:1", format!("app `/a`: {address}: found `*`, expected host:port; {left}")),
            ("a 80 h h:1", "/a/0:80=h:1", format!("app `/a`: {address}: found `h`, expected host:port; {left}")),
            ("a 80 h: h:1", "/a/0:80=h:1", format!("app `/a`: {address}: found `h:`, expected host:port; {left}")),
            ("a 80 :1 h:1", "/a/0:80=h:1", format!("app `/a`: {address}: found `:1`, expected host:port; {left}")),
            ("a 80 h:+1 h:1", "/a/0:80=h:1", format!("app `/a`: {address}: found `h:+1`, expected host:port; {left}")),
            ("a 80 h;x:1", "/a/0:80=", format!("app `/a`: {address}: found `h;x:1`, expected host:port; {left}")),
            ("a 80 h:0", "/a/0:80=", format!("app `/a`: {address}: found `h:0`, expected a port from 1 to 65535; {left}")),
            ("a 80 h:65536", "/a/0:80=", format!("app `/a`: {address}: found `h:65536`, expected a port from 1 to 65535; {left}")),
            (
                "a 0 h:1\na 80 h:1",
                "/a/1:80=h:1",
                "app `/a`: line 1 of the text: service port: found `0`, expected a port from 1 to \
                 65535; port not served".to_owned(),
            ),
            (
                "a 65536 h:1",
                "",
                "app `/a`: line 1 of the text: service port: found `65536`, expected a port from 1 \
                 to 65535; port not served".to_owned(),
            ),
            (
                "* 80 h:1\nb 81 h:1",
                "/b/0:81=h:1",
                "line 1 of the text: name of the app: found `*`, expected letters, digits, `-`, \
                 `.` and `_`; line left out".to_owned(),
            ),
        ] {
            assert_eq!(read(body), left_over, "{body:?}");
            let warnings: Vec<_> = tasks(body).1.iter().map(ToString::to_string).collect();
            assert_eq!(warnings, [want], "{body:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_yields_only_ports_that_exist(
            body in r"([a_/*\t \r\n0-9:.\[\]-]|\PC)*"
        ) {
            let (ports, warnings) = tasks(&body);
            for port in &ports {
                prop_assert!(port.service_port != 0);
                prop_assert!(port.endpoints.iter().all(|e| e.port != 0));
                prop_assert!(!port.app.as_str().contains(char::is_whitespace));
            }
            for warning in warnings {
                prop_assert!(!warning.to_string().contains(char::is_control));
            }
        }

        #[test]
        fn a_right_text_is_read_whole(
            lines in prop::collection::vec(("[a-z]{1,3}(_[a-z]{1,3}){0,2}", 1..=u16::MAX, prop::collection::vec(("[a-z]{1,5}", 1..=u16::MAX), 0..4)), 0..9)
        ) {
            let line = |(name, port, addresses): &(String, u16, Vec<(String, u16)>)| {
                let addresses: Vec<_> = addresses.iter().map(|(h, p)| format!("{h}:{p}")).collect();
                format!("{name}\t{port}\t{}\n", addresses.join("\t"))
            };
            let body: String = lines.iter().map(line).collect();
            let (ports, warnings) = tasks(&body);
            prop_assert_eq!(warnings, vec![]);
            prop_assert_eq!(ports.len(), lines.len());
            for (port, (name, number, addresses)) in ports.iter().zip(&lines) {
                prop_assert_eq!(&port.app.safe_path(), name);
                prop_assert_eq!(port.service_port, u32::from(*number));
                prop_assert_eq!(port.endpoints.len(), addresses.len());
            }
        }
    }
}
