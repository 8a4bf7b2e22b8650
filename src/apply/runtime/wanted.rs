//! What the file says of the servers of its sections.
//!
//! In comes the text that is installed; out go servers, as far as the stats socket can be told of
//! them, and what keeps a section from that. The text counts and not what it was made of: a process
//! that starts reads it, and owners may have their own templates for the lines of servers.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::haproxy::{Line, opens_section};

/// A `backend` or `listen` section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its name.
    pub name: String,
    /// In the order of the file.
    pub servers: Vec<Server>,
    /// Why none can come or go, whatever the version.
    pub barrier: Option<String>,
    /// Cookies are made of addresses, which servers that are added had none of before 3.0.
    pub has_dynamic_cookie: bool,
    /// `dynamic-cookie-key`, with which they are made.
    pub cookie_key: Option<String>,
    /// `default-server` says more of the servers than their lines do.
    pub has_defaults: bool,
    /// Some of its servers may be `on-marked-down shutdown-sessions`: in maintenance they have their
    /// requests cut.
    pub cuts_sessions: bool,
}

impl Backend {
    /// `dynamic-cookie-key`, where HAProxy can be told of it.
    pub(super) fn told_cookie_key(&self) -> Option<&str> {
        self.cookie_key.as_deref().filter(|key| is_plain(key))
    }
}

/// A `server` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Unique within the section.
    pub name: String,
    /// What the line says, where all of it is understood; else the word that is not.
    pub said: Result<Said, String>,
    /// The words that no command can change afterwards.
    pub fixed: Vec<String>,
}

/// A line of which every word is understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Where it serves.
    pub address: IpAddr,
    /// 1 to 65535.
    pub port: u16,
    /// `id`.
    pub id: Option<u32>,
    /// `weight`, of `default-server` where the line says none, else 1.
    pub weight: u16,
    /// It gets no requests: a deployment is about to end it, or `default-server` says so.
    pub is_disabled: bool,
    /// `check`.
    pub is_checked: bool,
    /// `port`.
    pub check_port: Option<u16>,
    /// `cookie`.
    pub cookie: Option<String>,
    /// `send-proxy` in one of its forms.
    pub sends_proxy: bool,
    /// Everything but `id`, `weight`, `disabled` and `cookie`, in words that `add server` takes too.
    pub keywords: Vec<String>,
}

/// What stands behind a keyword.
#[derive(Clone, Copy)]
enum Takes {
    Nothing,
    Number,
    Time,
}

/// The keywords of `server` that mean the same behind `add server`, since 2.6.
const KEYWORDS: [(&str, Takes); 14] = [
    ("backup", Takes::Nothing),
    ("check", Takes::Nothing),
    ("downinter", Takes::Time),
    ("error-limit", Takes::Number),
    ("fall", Takes::Number),
    ("fastinter", Takes::Time),
    ("inter", Takes::Time),
    ("maxconn", Takes::Number),
    ("maxqueue", Takes::Number),
    ("minconn", Takes::Number),
    ("rise", Takes::Number),
    ("send-proxy", Takes::Nothing),
    ("send-proxy-v2", Takes::Nothing),
    ("slowstart", Takes::Time),
];

/// Reads the sections of `text` that have servers.
#[must_use]
pub fn backends(text: &str) -> BTreeMap<String, Backend> {
    let mut all = BTreeMap::new();
    let mut defaults = Defaulted::default();
    let mut section = Section::default();
    let mut kind = String::new();
    for line in text.lines() {
        let line = Line::of(line);
        let Some((word, rest)) = line.words.split_first() else {
            continue;
        };
        if opens_section(word) {
            finish(&kind, &mut section, &mut defaults, &mut all);
            kind.clone_from(word);
            section = defaults.of(word, rest);
            section.name = rest.first().cloned().unwrap_or_default();
            continue;
        }
        section.read(word, rest, &line);
    }
    finish(&kind, &mut section, &mut defaults, &mut all);
    all
}

fn finish(
    kind: &str,
    section: &mut Section,
    defaults: &mut Defaulted,
    all: &mut BTreeMap<String, Backend>,
) {
    let ended = std::mem::take(section);
    match kind {
        "defaults" => defaults.add(ended),
        "backend" | "listen" => {
            let backend = ended.into_backend();
            all.insert(backend.name.clone(), backend);
        }
        _ => (),
    }
}

/// A section while it is read.
#[derive(Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a line that is there or not"
)]
struct Section {
    name: String,
    servers: Vec<Server>,
    balance: Option<String>,
    is_consistent: bool,
    barrier: Option<String>,
    has_dynamic_cookie: bool,
    cookie_key: Option<String>,
    has_defaults: bool,
    cuts_sessions: bool,
    defaults: Defaults,
}

/// The `defaults` sections so far.
#[derive(Default)]
struct Defaulted {
    /// The last one, for sections that name none.
    last: Section,
    named: BTreeMap<String, Section>,
}

impl Defaulted {
    fn add(&mut self, section: Section) {
        if !section.name.is_empty() {
            self.named.insert(section.name.clone(), section.clone());
        }
        self.last = section;
    }

    /// With what a section begins whose first line is of these words.
    fn of(&self, kind: &str, words: &[String]) -> Section {
        let named = words.iter().skip_while(|word| *word != "from").nth(1);
        match (named, words.len()) {
            (Some(name), _) => self.named.get(name).cloned().unwrap_or_else(|| Section {
                barrier: Some("the section has defaults of its own".to_owned()),
                ..Section::default()
            }),
            (None, _) if kind == "defaults" => Section::default(),
            (None, 0 | 1) => self.last.clone(),
            // Nobody knows what they mean.
            (None, _) => Section {
                barrier: Some("its first line has more than a name".to_owned()),
                ..self.last.clone()
            },
        }
    }
}

/// What `default-server` says of the servers behind it, of what can be told.
#[derive(Clone, Default)]
struct Defaults {
    weight: Option<u16>,
    is_disabled: bool,
    /// What is not understood of that: nobody knows what the servers are to be.
    strange: Option<String>,
}

impl Defaults {
    fn read(&mut self, words: &[String], line: &Line) {
        if line.asks_environment.is_some() {
            self.strange = Some("a value of the environment in `default-server`".to_owned());
        }
        let mut words = words.iter().map(String::as_str);
        while let Some(word) = words.next() {
            match word {
                "enabled" => self.is_disabled = false,
                "disabled" => self.is_disabled = true,
                "weight" => {
                    let text = words.next().unwrap_or_default();
                    self.weight = weight(text);
                    if self.weight.is_none() {
                        self.strange = Some(format!("`default-server weight {text}`"));
                    }
                }
                _ => (),
            }
        }
    }
}

impl Section {
    fn read(&mut self, word: &str, rest: &[String], line: &Line) {
        let is = |place: usize, text: &str| rest.get(place).is_some_and(|word| word == text);
        if matches!(word, "server" | "default-server") {
            self.cuts_sessions |= rest.iter().any(|word| word == "shutdown-sessions");
        }
        match word {
            "server" => self.servers.extend(server(rest, line, &self.defaults)),
            "balance" => self.balance = rest.first().cloned(),
            "hash-type" => self.is_consistent = is(0, "consistent"),
            "default-server" => {
                self.has_defaults = true;
                self.defaults.read(rest, line);
            }
            "cookie" => self.has_dynamic_cookie = rest.iter().any(|word| word == "dynamic"),
            "dynamic-cookie-key" => self.cookie_key = rest.first().cloned(),
            "server-template" => self.barrier = Some("it has a `server-template`".to_owned()),
            "option" if is(0, "external-check") => {
                self.barrier = Some("its checks are those of a program".to_owned());
            }
            _ => (),
        }
    }

    fn into_backend(self) -> Backend {
        let balance = self.balance.as_deref().unwrap_or("roundrobin");
        let name = balance.split('(').next().unwrap_or_default();
        let is_dynamic = matches!(name, "roundrobin" | "leastconn" | "first" | "random");
        let is_static = name == "static-rr" || !is_dynamic && !self.is_consistent;
        let barrier = self.barrier.or_else(|| {
            is_static.then(|| format!("`balance {balance}` knows its servers from the start on"))
        });
        Backend {
            name: self.name,
            servers: self.servers,
            barrier,
            has_dynamic_cookie: self.has_dynamic_cookie,
            cookie_key: self.cookie_key,
            has_defaults: self.has_defaults,
            cuts_sessions: self.cuts_sessions,
        }
    }
}

fn server(words: &[String], line: &Line, defaults: &Defaults) -> Option<Server> {
    let (name, rest) = words.split_first()?;
    let fixed = || {
        let mut fixed = Vec::new();
        let mut words = rest.iter().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "enabled" | "disabled" => (),
                "weight" | "port" => drop(words.next()),
                _ => fixed.push(word.clone()),
            }
        }
        fixed
    };
    let said = if line.asks_environment.is_some() {
        Err("a value of the environment".to_owned())
    } else {
        said(rest, defaults)
    };
    Some(Server {
        name: name.clone(),
        // Of a line that is not understood all counts, the address too.
        fixed: if said.is_ok() { fixed() } else { rest.to_vec() },
        said,
    })
}

fn said(words: &[String], defaults: &Defaults) -> Result<Said, String> {
    if let Some(strange) = &defaults.strange {
        return Err(strange.clone());
    }
    let (place, rest) = words.split_first().ok_or("no address")?;
    let (address, port) = address(place).ok_or_else(|| format!("`{place}`"))?;
    let mut said = Said {
        address,
        port,
        id: None,
        weight: defaults.weight.unwrap_or(1),
        is_disabled: defaults.is_disabled,
        is_checked: false,
        check_port: None,
        cookie: None,
        sends_proxy: false,
        keywords: Vec::new(),
    };
    let mut words = rest.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let mut value = || {
            let value = words.next().unwrap_or_default();
            (value, format!("`{word} {value}`"))
        };
        match word {
            "id" => {
                let (text, shown) = value();
                said.id = Some(text.parse().ok().filter(|id| *id > 0).ok_or(shown)?);
            }
            "weight" => {
                let (text, shown) = value();
                said.weight = weight(text).ok_or(shown)?;
            }
            "port" => {
                let (text, shown) = value();
                let port = text.parse().ok().filter(|port| *port > 0).ok_or(shown)?;
                said.check_port = Some(port);
                said.keywords.extend([word.to_owned(), port.to_string()]);
            }
            "cookie" => {
                let (text, shown) = value();
                said.cookie = Some(is_plain(text).then(|| text.to_owned()).ok_or(shown)?);
            }
            "disabled" => said.is_disabled = true,
            "enabled" => said.is_disabled = false,
            _ => {
                let known = KEYWORDS.iter().find(|(keyword, _)| *keyword == word);
                let (keyword, takes) = known.ok_or_else(|| format!("`{word}`"))?;
                said.is_checked |= *keyword == "check";
                said.sends_proxy |= keyword.starts_with("send-proxy");
                let is_value: fn(&str) -> bool = match takes {
                    Takes::Nothing => {
                        if !said.keywords.iter().any(|known| known == keyword) {
                            said.keywords.push((*keyword).to_owned());
                        }
                        continue;
                    }
                    Takes::Number => is_number,
                    Takes::Time => is_time,
                };
                let (text, shown) = value();
                if !is_value(text) {
                    return Err(shown);
                }
                said.keywords
                    .extend([(*keyword).to_owned(), text.to_owned()]);
            }
        }
    }
    Ok(said)
}

/// A number and a port; a name is HAProxy's to resolve, which it does not for a server that is added.
fn address(text: &str) -> Option<(IpAddr, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let port = port.parse().ok().filter(|port| *port > 0)?;
    Some((bare.unwrap_or(host).parse().ok()?, port))
}

fn weight(text: &str) -> Option<u16> {
    text.parse().ok().filter(|weight| *weight <= 256)
}

fn is_number(text: &str) -> bool {
    (1..=9).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_time(text: &str) -> bool {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = &text[..text.len() - unit.len()];
    is_number(digits) && matches!(unit, "" | "us" | "ms" | "s" | "m" | "h" | "d")
}

/// Letters, digits and `-_.`: nothing that the stats socket reads in a way of its own.
pub(super) fn is_plain(text: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty() && text.bytes().all(is_of_name)
}

#[cfg(test)]
mod tests;
