//! Why a section or a line is in one file and not in the other, where options, labels, Marathon or our
//! own documents tell.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use super::{Reasons, Side, one_blank, servers};
use crate::cluster::{App, AppId};
use crate::config::{Config, TemplateLabels, TemplateSet};
use crate::cycle::{Fate, Plan};
use crate::diff::{Beside, Kin};
use crate::haproxy::is_spare;
use crate::labels;
use crate::run::explain::fate;

/// What belongs to the begin of the file in all sets.
const HEAD: [&str; 4] = [
    "global",
    "defaults",
    "listen stats",
    "backend haproxy_marathon_bridge",
];

/// By which labels lines of a service are decided: how a line begins, and the names of labels.
const LABELS: [(&str, &[&str]); 15] = [
    ("balance", &["BALANCE"]),
    ("mode", &["MODE"]),
    ("cookie", &["STICKY"]),
    ("bind", &["BIND_ADDR", "BIND_OPTIONS", "SSL_CERT", "PORT"]),
    ("acl auth_", &["AUTH"]),
    ("http-request auth", &["AUTH"]),
    ("redirect scheme https", &["REDIRECT_TO_HTTPS"]),
    (
        "http-response add-header Strict-Transport-Security",
        &["USE_HSTS"],
    ),
    ("rspadd Strict-Transport-Security", &["USE_HSTS"]),
    (
        "http-request replace-path",
        &["HTTP_BACKEND_PROXYPASS_PATH"],
    ),
    ("reqirep", &["HTTP_BACKEND_PROXYPASS_PATH"]),
    (
        "http-response replace-header Location",
        &["HTTP_BACKEND_REVPROXY_PATH"],
    ),
    ("rspirep", &["HTTP_BACKEND_REVPROXY_PATH"]),
    ("acl network_allowed", &["BACKEND_NETWORK_ALLOWED_ACL"]),
    ("redirect prefix", &["HTTP_BACKEND_REDIR"]),
];

/// The lines of marathon-lb's HEAD that differ here, each with its sign, as the document has them.
static DOCUMENTED: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let document = include_str!("../../../docs/marathon-lb.md");
    let head = document.split("\n## HEAD\n").nth(1).unwrap_or_default();
    let block = head.split("```diff\n").nth(1).unwrap_or_default();
    let block = block.split("```").next().unwrap_or_default();
    let lines = block.lines().filter(|line| line.starts_with(['+', '-']));
    lines
        .map(|line| format!("{}{}", &line[..1], one_blank(line[1..].trim())))
        .collect()
});

/// What is known of both files, to tell why they differ.
pub(super) struct Why<'a> {
    config: &'a Config,
    plan: &'a Plan,
    /// By the names of sections of ours: whose they are, and at which position.
    owners: HashMap<&'a str, (&'a AppId, Option<usize>)>,
    apps: HashMap<&'a AppId, &'a App>,
    /// By how ids stand in names of sections.
    ids: HashMap<String, &'a AppId>,
    /// Groups of the apps that both files have.
    groups: BTreeSet<String>,
    /// Whether the other file looks hosts up in maps.
    has_maps: bool,
    /// Whether the other file is in the form of marathon-lb.
    is_marathon_lb: bool,
}

impl<'a> Why<'a> {
    pub(super) fn of(config: &'a Config, plan: &'a Plan, there: &str, all: &[Beside<'_>]) -> Self {
        let services = plan.proxies.services().iter();
        let services =
            services.map(|service| (&*service.name, (&service.owner.app, Some(service.index))));
        let listens = plan.proxies.listens.iter();
        let listens = listens.map(|listen| (&*listen.name, (&listen.owner.app, None)));
        let owners: HashMap<_, _> = services.chain(listens).collect();
        let apps: HashMap<_, _> = plan.apps().iter().map(|app| (&app.id, &**app)).collect();
        let ids = apps
            .keys()
            .copied()
            .chain(owners.values().map(|(id, _)| *id));
        let mut why = Self {
            config,
            plan,
            ids: ids.map(|id| (id.safe_path(), id)).collect(),
            owners,
            apps,
            groups: BTreeSet::new(),
            has_maps: there.contains(",map"),
            is_marathon_lb: there.contains("frontend marathon_http_in"),
        };
        let both = all
            .iter()
            .filter(|one| !matches!(one.kin, Kin::OnlyHere | Kin::OnlyThere));
        why.groups = both
            .filter_map(|one| why.owners.get(name(one.title)?))
            .flat_map(|(app, index)| why.groups_of(app, *index))
            .collect();
        why
    }

    fn groups_of(&self, app: &AppId, index: Option<usize>) -> Vec<String> {
        let label = |name: String| self.apps.get(app)?.labels.get(name.as_str());
        let own = index.and_then(|index| label(format!("HAPROXY_{index}_GROUP")));
        let groups = own.or_else(|| label("HAPROXY_GROUP".to_owned()));
        let groups = groups.map_or("", |groups| &**groups).split(',');
        groups
            .map(|group| group.trim().to_owned())
            .filter(|group| !group.is_empty())
            .collect()
    }

    /// Of an app's section that only the other file has.
    fn gone(&self, safe_path: &str, service_port: u32) -> String {
        let Some(id) = self.ids.get(safe_path) else {
            return "Marathon has no app of this name now".to_owned();
        };
        let Some(explained) = self.plan.explained(id) else {
            return format!("Marathon has no app `{id}` now");
        };
        let mut ports = explained.ports.iter();
        let Some(port) = ports.find(|port| port.service_port == Some(service_port)) else {
            let has: Vec<String> = explained
                .ports
                .iter()
                .filter_map(|port| Some(port.service_port?.to_string()))
                .collect();
            let has = if has.is_empty() {
                "none".to_owned()
            } else {
                has.join(", ")
            };
            return format!("app `{id}` has no service port {service_port} now, found {has}");
        };
        match &port.fate {
            Fate::Served { name, .. } => format!("app `{id}` is served as `{name}` here"),
            Fate::LeftOut => {
                let mut warnings = explained.warnings.iter();
                let found = warnings.find(|warning| warning.effect.contains("left out"));
                let found = found.or(explained.warnings.first());
                found.map_or_else(|| format!("app `{id}` is left out"), ToString::to_string)
            }
            Fate::NotAsked => {
                let asked = &self.config.groups;
                let groups = self.groups_of(id, Some(port.index));
                let is_asked = |group: &String| *group == "*" || groups.contains(group);
                if asked.is_empty() || asked.iter().any(is_asked) {
                    return format!("app `{id}`: {}", fate(&port.fate));
                }
                let groups = if groups.is_empty() {
                    "no group".to_owned()
                } else {
                    format!("`{}`", groups.join(","))
                };
                let asked = asked.join(",");
                format!("app `{id}` is of {groups}, and here --group is `{asked}`")
            }
            Fate::WithoutTasks if self.config.apps.health_check => format!(
                "app `{id}`: {}; --health-check counts those alone that Marathon reports alive",
                fate(&port.fate)
            ),
            Fate::WithoutTasks | Fate::ScaledToZero => format!("app `{id}`: {}", fate(&port.fate)),
        }
    }

    /// Of an app's section that the other file does not have.
    fn added(&self, id: &AppId, index: Option<usize>) -> String {
        let groups = self.groups_of(id, index);
        let is_known = groups.iter().any(|group| self.groups.contains(group));
        if !groups.is_empty() && !is_known && !self.groups.is_empty() {
            return format!(
                "app `{id}` is of `{}`, as no app of the other file: its --group may be another",
                groups.join(",")
            );
        }
        let tasks = self.apps.get(id).map_or(&[][..], |app| &app.tasks);
        if !tasks.is_empty() && tasks.iter().all(servers::is_ill) {
            return format!(
                "of app `{id}` Marathon reports no task alive: it is not there where \
                 --health-check is given"
            );
        }
        format!("app `{id}` came since, or was refused there")
    }

    /// Of what no app has for itself.
    fn shared(&self, one: &Beside<'_>, name: &str) -> Option<String> {
        let shared = &self.config.frontends;
        let is_https = name.starts_with("marathon_https_in");
        let is_there = one.kin == Kin::OnlyThere;
        let is_shared = is_https || name.starts_with("marathon_http_");
        if is_shared && is_there && !shared.bind_http_https {
            return Some("--dont-bind-http-https is given here".to_owned());
        }
        match (is_https, is_there, shared.ssl_certs.is_empty()) {
            (true, true, true) => Some("no --ssl-certs is given here".to_owned()),
            (true, false, false) => Some("--ssl-certs is given here".to_owned()),
            _ => None,
        }
    }

    /// Texts that an app has in the place of templates.
    fn texts_of(&self, id: &AppId, index: usize) -> Option<String> {
        let said = labels::said_of(&self.apps.get(id)?.labels, index);
        let texts = said.keys().filter(|label| labels::is_known(label));
        let texts: Vec<&str> = texts
            .filter(|label| !labels::is_value(label))
            .map(|label| &**label)
            .collect();
        if texts.is_empty() {
            return None;
        }
        let counts = match &self.config.templates.labels {
            TemplateLabels::All => "",
            TemplateLabels::None => ", which --template-labels none leaves out here",
            TemplateLabels::Of(_) => ", which count here where --template-labels names it",
        };
        Some(format!(
            "app `{id}` has texts of its own in {}{counts}",
            texts.join(", ")
        ))
    }

    fn by_label(&self, id: &AppId, index: usize, side: Side, line: &str) -> Option<String> {
        let (_, names) = LABELS.iter().find(|(begin, _)| line.starts_with(begin))?;
        let said = labels::said_of(&self.apps.get(id)?.labels, index);
        let all: Vec<String> = names
            .iter()
            .map(|name| format!("HAPROXY_{index}_{name}"))
            .collect();
        let given: Vec<&str> = all
            .iter()
            .map(String::as_str)
            .filter(|name| said.contains_key(*name))
            .collect();
        Some(match (side, given.is_empty()) {
            (Side::Here, false) => format!("app `{id}` says so in {}", given.join(", ")),
            (Side::There, false) => format!("app `{id}` says otherwise in {}", given.join(", ")),
            (Side::Here, true) => format!("app `{id}` has no {}", all.join(", ")),
            (Side::There, true) => format!("app `{id}` has no {} now", all.join(", ")),
        })
    }

    /// Of a line of the frontends that apps share.
    fn of_rule(&self, side: Side, line: &str) -> Option<String> {
        let has_map = line.contains(",map");
        let maps = self.config.frontends.maps;
        let in_place = match (self.has_maps, maps) {
            (true, false) => Some("--haproxy-map there, --no-maps here"),
            (false, true) => Some("maps here, as with --haproxy-map; --no-maps writes rules"),
            _ => None,
        };
        if has_map {
            return in_place.map(str::to_owned);
        }
        let mut words = line.split_ascii_whitespace();
        match words.next()? {
            "use_backend" => {
                let backend = words.next()?;
                match (side, self.owners.get(backend)) {
                    (Side::There, None) => {
                        let (safe_path, port) = app_section(backend)?;
                        Some(self.gone(safe_path, port))
                    }
                    _ => in_place.map(str::to_owned),
                }
            }
            "acl" => in_place.map(str::to_owned),
            "bind" if line.contains(" crt") => {
                Some("certificates, by --ssl-certs or HAPROXY_{n}_SSL_CERT".to_owned())
            }
            "bind" if line.contains("accept-proxy") || self.config.frontends.accept_proxy => {
                Some("--accept-proxy".to_owned())
            }
            _ => None,
        }
    }

    fn of_head(&self, side: Side, line: &str) -> Option<String> {
        let sign = match side {
            Side::There => '-',
            Side::Here => '+',
        };
        if DOCUMENTED.contains(&format!("{sign}{line}")) {
            return Some("listed in docs/marathon-lb.md, HEAD".to_owned());
        }
        let templates = &self.config.templates;
        let is_own = templates.dir.is_some()
            || templates.files.is_some()
            || templates.variables.contains_key("HAPROXY_HEAD");
        match (templates.set, side) {
            (TemplateSet::MarathonLb | TemplateSet::Servicerouter, Side::There) => {
                Some("of a HEAD of its own, or HAPROXY_GLOBAL_DEFAULT_OPTIONS there".to_owned())
            }
            (TemplateSet::MarathonLb, Side::Here) if is_own => {
                Some("of templates that are replaced here".to_owned())
            }
            (TemplateSet::MarathonLb, Side::Here) => {
                Some("marathon-lb's default, which nothing replaces here".to_owned())
            }
            _ => None,
        }
    }
}

impl Reasons for Why<'_> {
    fn of_section(&self, one: &Beside<'_>) -> Option<String> {
        if HEAD.contains(&one.title) {
            let is_documented = DOCUMENTED.contains(&format!("+{}", one.title));
            return match self.config.templates.set {
                TemplateSet::Native => Some("the native set has a HEAD of its own".to_owned()),
                _ if is_documented => Some("listed in docs/marathon-lb.md, HEAD".to_owned()),
                _ => None,
            };
        }
        let name = name(one.title)?;
        if one.kin == Kin::OnlyHere && is_spare(name) {
            return Some("it is kept for an app that comes, by --spare-backends".to_owned());
        }
        if let Some(why) = self.shared(one, name) {
            return Some(why);
        }
        let own = self.owners.get(name.strip_suffix("_in").unwrap_or(name));
        match (&one.kin, own) {
            (Kin::OnlyThere, None) => {
                let (safe_path, port) = app_section(name)?;
                Some(self.gone(safe_path, port))
            }
            (Kin::OnlyThere, Some((id, Some(index)))) if one.title.starts_with("userlist") => {
                Some(format!("app `{id}` has no HAPROXY_{index}_AUTH now"))
            }
            (Kin::OnlyThere, Some((id, _))) => {
                Some(format!("app `{id}` is served in other sections here"))
            }
            (Kin::OnlyHere, Some((id, Some(index)))) if one.title.starts_with("userlist") => {
                Some(format!("app `{id}` says so in HAPROXY_{index}_AUTH"))
            }
            (Kin::OnlyHere, Some((id, index))) => Some(self.added(id, *index)),
            (Kin::Differs, Some((id, Some(index)))) => self.texts_of(id, *index),
            _ => None,
        }
    }

    fn of_line(&self, one: &Beside<'_>, side: Side, line: &str) -> Option<String> {
        if let Some(why) = of_version(side, line) {
            return Some(why.to_owned());
        }
        if matches!(one.kin, Kin::OnlyThere | Kin::OnlyHere) {
            return None;
        }
        if HEAD.contains(&one.title) {
            return self.of_head(side, line);
        }
        let name = name(one.title)?;
        let Some((id, index)) = self.owners.get(name.strip_suffix("_in").unwrap_or(name)) else {
            return self.of_rule(side, line);
        };
        if line.starts_with("server ") {
            let app = self.apps.get(id).copied();
            return servers::reason(self.config, app, one, side, line);
        }
        match index {
            Some(index) => self.by_label(id, *index, side, line),
            // The script wrote one text for all apps.
            None if side == Side::There => {
                Some("not the script's own text: changed by hand, or by a template".to_owned())
            }
            None => None,
        }
    }

    fn of_all(&self) -> Vec<String> {
        let templates = &self.config.templates;
        let mut notes = Vec::new();
        if templates.set == TemplateSet::Native && self.is_marathon_lb {
            notes.push(
                "the native set says the same in words of its own; --template-set marathon-lb has \
                 those of marathon-lb"
                    .to_owned(),
            );
        }
        if let Some(dir) = &templates.dir {
            let dir = dir.display();
            notes.push(format!(
                "templates are replaced by `{dir}` here (--template-dir)"
            ));
        }
        notes
    }
}

/// What newer versions of HAProxy do not know any more.
pub(super) fn of_version(side: Side, line: &str) -> Option<&'static str> {
    let word = line.split_ascii_whitespace().next()?;
    let is_gone = matches!(
        word,
        "reqadd" | "reqdel" | "reqirep" | "reqrep" | "rspadd" | "rspdel" | "rspirep" | "rsprep"
    );
    (is_gone && side == Side::There).then_some("HAProxy 2.1 and later do not know it")
}

/// The name of a section; of a list of users that of the service that asks for them.
fn name(title: &str) -> Option<&str> {
    let mut words = title.split_ascii_whitespace();
    let kind = words.next()?;
    let name = words.next()?;
    if kind == "userlist" {
        return name.strip_prefix("user_");
    }
    Some(name)
}

/// How the id of an app stands in the name of its section, and its service port.
fn app_section(name: &str) -> Option<(&str, u32)> {
    let name = name.strip_suffix("_in").unwrap_or(name);
    let (safe_path, port) = name.rsplit_once(['_', '-'])?;
    Some((safe_path, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_read_as_it_stands() {
        for line in [
            "+no strict-limits",
            "-lua-load /marathon-lb/getpids.lua",
            "-acl getpid path /_haproxy_getpids",
            "+backend haproxy_marathon_bridge",
        ] {
            assert!(DOCUMENTED.contains(line), "{line}: {DOCUMENTED:#?}");
        }
    }

    #[test]
    fn names_tell_app_and_service_port() {
        for (title, want) in [
            ("backend shop_web_10001", Some(("shop_web", 10001))),
            ("listen shop_web-10001", Some(("shop_web", 10001))),
            ("frontend web_10001_in", Some(("web", 10001))),
            ("userlist user_web_10001", Some(("web", 10001))),
            ("frontend marathon_http_in", None),
        ] {
            assert_eq!(name(title).and_then(app_section), want, "{title}");
        }
    }
}
