mod access;
mod mistakes;
mod precedence;
mod predecessors;
mod without_effect;

use std::io;

use super::*;
use crate::config::CommandLine;

/// What stands where.
#[derive(Default)]
struct Given<'a> {
    flags: &'a [(&'a str, &'a str)],
    environment: &'a [(&'a str, &'a str)],
    file: Option<&'a str>,
    /// At the usual place unless it is named.
    file_path: Option<&'a str>,
    list: Option<&'a str>,
    command_line: Option<CommandLine>,
    needs_no_marathon: bool,
    /// Path, content and permissions.
    secrets: &'a [(&'a str, &'a str, u32)],
}

/// Files that the examples name.
const SECRETS: &[(&str, &str, u32)] = &[
    ("/example/password", "joe:s3cret\n", 0o600),
    ("/example/token", "s3cret\n", 0o600),
    (
        "/example/account",
        r#"{"uid":"lb","private_key":"s3cret","login_endpoint":"https://m/login"}"#,
        0o600,
    ),
];

impl Given<'_> {
    fn build(&self) -> Result<Built, Mistakes> {
        let mut flags = Layer::default();
        for (name, text) in self.flags {
            flags.add(
                option::named(name).unwrap(),
                (*text).to_owned(),
                Origin::Flag,
            );
        }
        let files: BTreeMap<PathBuf, String> = [
            (self.file_path.unwrap_or(DEFAULT_FILE), self.file),
            (MARATHONS, self.list),
        ]
        .into_iter()
        .filter_map(|(path, text)| Some((path, text?)))
        .chain(
            SECRETS
                .iter()
                .chain(self.secrets)
                .map(|&(path, text, _)| (path, text)),
        )
        .map(|(path, text)| (path.into(), text.to_owned()))
        .collect();
        let system = System {
            environment: self
                .environment
                .iter()
                .map(|(k, v)| (k.into(), v.into()))
                .collect(),
            read: Box::new(move |path| {
                files
                    .get(path)
                    .cloned()
                    .ok_or(io::ErrorKind::NotFound.into())
            }),
            mode: Box::new({
                let secrets: Vec<(PathBuf, u32)> = (SECRETS.iter().chain(self.secrets))
                    .map(|&(path, _, mode)| (path.into(), mode))
                    .collect();
                move |path| {
                    let known = secrets.iter().find(|(known, _)| known == path);
                    known.map(|&(_, mode)| mode)
                }
            }),
            ..System::host()
        };
        let request = Request {
            policy: Policy::of(self.command_line.unwrap_or(CommandLine::Native)),
            needs_marathon: !self.needs_no_marathon,
            flags,
        };
        build(&request, &system)
    }

    fn config(&self) -> Config {
        self.build().unwrap().config
    }

    fn mistakes(&self) -> Vec<String> {
        self.build()
            .unwrap_err()
            .0
            .iter()
            .map(ToString::to_string)
            .collect()
    }
}

const M1: (&str, &str) = ("marathon", "m1:8080");

/// A right text for each option, other than its default; and one that is wrong, if there is any.
fn examples(name: &str) -> (&'static str, &'static str) {
    match name {
        "marathon" => ("https://m9:8443", "ftp://m9"),
        "group" => ("external", "a b"),
        "insecure"
        | "proxy-from-environment"
        | "allow-removal"
        | "cron"
        | "timer"
        | "service"
        | "dry-run"
        | "purge"
        | "json"
        | "html"
        | "no-pause"
        | "retry-now"
        | "health-check"
        | "strict-mode"
        | "no-maps"
        | "dont-bind-http-https"
        | "accept-proxy"
        | "slots-everywhere"
        | "no-service-ports"
        | "serve-scaled-to-zero"
        | "group-https-by-vhost"
        | "skip-validation"
        | "skip-config-cleanup"
        | "stay"
        | "in-place" => ("true", "maybe"),
        "settings-from" => ("env,labels", "labels,env"),
        "min-serv-port-ip-per-task" => ("10060", "-1"),
        "max-serv-port-ip-per-task" => ("10090", "70000"),
        "ssl-certs" => ("/a.pem,/b.pem", "/a.pem,"),
        "template-labels" => ("ops,/infra", "ops,,all"),
        "server-slots" => ("4", "1001"),
        "max-reload-retries" => ("3", "-1"),
        "spare-backends" => ("20", "1001"),
        "archive-versions" => ("9", "0"),
        "connect-timeout" | "read-timeout" | "fetch-timeout" | "reload-timeout"
        | "reload-interval" | "reloads-apart" | "resync" | "poll" | "max-backoff" => ("7s", "7x"),
        "callback-url" => ("http://here:8000", "here:8000"),
        "callback-listen" => ("127.0.0.1:8000", "localhost:8000"),
        "debounce" => ("1s:3s", "3s:1s"),
        "auth-credentials" => ("joe:s3cret", "s3cret"),
        "auth-credentials-file" => ("/example/password", " "),
        "auth-token-file" => ("/example/token", " "),
        "dcos-auth-credentials-file" => ("/example/account", " "),
        "max-age" => ("0s", "an hour"),
        "max-body" => ("5MiB", "5MB"),
        "haproxy-version" => ("2.10", "two"),
        "template-set" => ("marathon-lb", "bridges"),
        "reload" => ("none", "fast"),
        "runtime-api" => ("off", "on"),
        "log" => ("syslog", "paper"),
        "reason" => ("a bad deployment", " "),
        "log-level" => ("debug", "loud"),
        "log-format" => ("json", "xml"),
        "reload-command" => ("true", " "),
        _ => ("/some/path", " "),
    }
}
