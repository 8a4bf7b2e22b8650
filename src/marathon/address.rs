//! What users write to name a Marathon node: checked once, shown without its secrets.

use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use reqwest::Url;

/// Where the cluster is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A node, by HTTP.
    Node(Node),
    /// A saved answer that stands in for Marathon.
    File(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(node) => node.fmt(f),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// A node of Marathon, or something before it that speaks for it.
#[derive(Clone, PartialEq, Eq)]
pub struct Node {
    /// `http` or `https`, with a host, without query and fragment; user and password inside.
    base: Url,
}

impl Node {
    /// The address of a resource such as `/v2/apps`, credentials left out.
    pub(super) fn url(&self, resource: &str, query: Option<&str>) -> Url {
        let mut url = without_credentials(&self.base);
        let prefix = self.base.path().trim_end_matches('/');
        url.set_path(&format!("{prefix}{resource}"));
        url.set_query(query);
        url
    }

    pub(super) fn is_https(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Puts this node's credentials into `url`, from where reqwest makes the header of them.
    /// Whether there are any, and `url` leads to the host for which they were written.
    pub(super) fn authorize(&self, url: &mut Url) -> bool {
        if !self.has_credentials() || !self.is_at(url) {
            return false;
        }
        url.set_username(self.base.username()).is_ok()
            && url.set_password(self.base.password()).is_ok()
    }

    /// Whether `url` leads to this host, by the same way or by TLS instead of none.
    pub(super) fn is_at(&self, url: &Url) -> bool {
        let same_port = self.base.port_or_known_default() == url.port_or_known_default();
        let same_way = self.base.scheme() == url.scheme() && same_port;
        let safer_way = !self.is_https() && url.scheme() == "https";
        self.base.host_str() == url.host_str() && (same_way || safer_way)
    }

    fn has_credentials(&self) -> bool {
        !self.base.username().is_empty() || self.base.password().is_some()
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = without_credentials(&self.base);
        let shown = shown.as_str().trim_end_matches('/');
        match shown.split_once("://") {
            Some((scheme, rest)) if self.has_credentials() => write!(f, "{scheme}://***@{rest}"),
            _ => f.write_str(shown),
        }
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({self})")
    }
}

pub(super) fn without_credentials(url: &Url) -> Url {
    let mut url = url.clone();
    // Only URLs without a host refuse this, and they cannot hold credentials.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

/// A text that names no Marathon node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongAddress {
    /// The text, secrets left out.
    found: String,
    /// What is wrong with it.
    reason: String,
}

impl fmt::Display for WrongAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Marathon's address `{}`: {}; expected HOST:PORT, http://HOST:PORT, https://HOST:PORT \
             or file:PATH",
            self.found, self.reason
        )
    }
}

impl std::error::Error for WrongAddress {}

impl FromStr for Address {
    type Err = WrongAddress;

    fn from_str(text: &str) -> Result<Self, WrongAddress> {
        let text = text.trim();
        let wrong = |reason: String| WrongAddress {
            found: redacted(text),
            reason,
        };
        if text.is_empty() {
            return Err(wrong("it is empty".to_owned()));
        }
        if let Some(path) = after_scheme(text, "file:") {
            return file(path).map_err(|reason| wrong(reason.to_owned()));
        }
        node(text).map(Self::Node).map_err(wrong)
    }
}

/// `file:PATH` or `file:///PATH`; the path is taken as it stands, nothing in it is decoded.
fn file(path: &str) -> Result<Address, &'static str> {
    let path = match path.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => return Err("a file is on this host, and its path has one or three slashes"),
        None => path,
    };
    if path.is_empty() {
        return Err("the path of the file is missing");
    }
    Ok(Address::File(Path::new(path).to_owned()))
}

fn node(text: &str) -> Result<Node, String> {
    // `Url` would silently drop some of these.
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("there is white space in it".to_owned());
    }
    let with_scheme = match text.split_once("://") {
        Some((scheme, _)) if is_one_of(scheme, &["http", "https"]) => text.to_owned(),
        Some((scheme, _)) if scheme.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            return Err(format!("the scheme `{scheme}` is unknown"));
        }
        _ => format!("http://{text}"),
    };
    let base = Url::parse(&with_scheme).map_err(|error| error.to_string())?;
    if base.query().is_some() || base.fragment().is_some() {
        return Err("it has a query or a fragment".to_owned());
    }
    let host = base.host_str().unwrap_or_default();
    // `Url` reads `8080` as the address 0.0.31.144, as browsers do.
    if host.parse::<Ipv4Addr>().is_ok() && !text.contains(host) {
        return Err("a bare number is no host".to_owned());
    }
    if base.port() == Some(0) {
        return Err("port 0 cannot be dialled".to_owned());
    }
    Ok(Node { base })
}

fn is_one_of(word: &str, words: &[&str]) -> bool {
    words.iter().any(|w| w.eq_ignore_ascii_case(word))
}

fn after_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let start = text.get(..scheme.len())?;
    start
        .eq_ignore_ascii_case(scheme)
        .then(|| &text[scheme.len()..])
}

/// The text without what may be a secret: all before the last `@`, and all after the first `?` or
/// `#` behind it.
fn redacted(text: &str) -> String {
    let (credentials, rest) = match text.rsplit_once('@') {
        Some((before, rest)) => (Some(before), rest),
        None => (None, text),
    };
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let rest = rest.escape_debug();
    match credentials {
        None => rest.to_string(),
        Some(before) if before.starts_with("http://") => format!("http://***@{rest}"),
        Some(before) if before.starts_with("https://") => format!("https://***@{rest}"),
        Some(_) => format!("***@{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, Node, Url};

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    fn node(text: &str) -> Node {
        match address(text) {
            Address::Node(node) => node,
            Address::File(path) => panic!("{}", path.display()),
        }
    }

    #[test]
    fn addresses_are_shown_in_one_form_and_without_secrets() {
        for (text, shown) in [
            ("marathon:8080", "http://marathon:8080"),
            ("marathon", "http://marathon"),
            (" marathon:8080/\n", "http://marathon:8080"),
            ("10.0.0.1:8080", "http://10.0.0.1:8080"),
            ("[fd00::1]:8080", "http://[fd00::1]:8080"),
            ("http://marathon:80//", "http://marathon"),
            ("HTTPS://Marathon:8443", "https://marathon:8443"),
            (
                "https://dcos/service/marathon/",
                "https://dcos/service/marathon",
            ),
            ("http://u:s3cret@host:8080", "http://***@host:8080"),
            ("u:s3cret@host:8080/x", "http://***@host:8080/x"),
            ("http://u:s3@cret@host:8080", "http://***@host:8080"),
            ("http://u@host", "http://***@host"),
            ("file:apps.json", "file:apps.json"),
            ("file:/tmp/my apps.json", "file:/tmp/my apps.json"),
            ("file:///tmp/apps.json", "file:/tmp/apps.json"),
        ] {
            assert_eq!(address(text).to_string(), shown);
            assert!(!format!("{:?}", address(text)).contains("s3"), "{text}");
            // What is shown names the same place again.
            let again = shown.replace("***@", "u:s3cret@");
            assert_eq!(address(&again).to_string(), shown);
        }
    }

    #[test]
    fn wrong_addresses_name_what_is_wrong_without_secrets() {
        for (text, found, reason) in [
            ("", "``", "it is empty"),
            ("  ", "``", "it is empty"),
            ("a b:8080", "`a b:8080`", "white space"),
            ("a\u{7}:80", "`a\\u{7}:80`", "white space"),
            ("ftp://host", "`ftp://host`", "the scheme `ftp` is unknown"),
            (
                "zk://a,b/marathon",
                "`zk://a,b/marathon`",
                "the scheme `zk` is unknown",
            ),
            ("host:port", "`host:port`", "invalid port number"),
            ("host:70000", "`host:70000`", "invalid port number"),
            ("host:0", "`host:0`", "port 0"),
            (":8080", "`:8080`", "empty host"),
            ("8080", "`8080`", "bare number"),
            ("[fd00::1:8080", "`[fd00::1:8080`", "invalid IPv6 address"),
            (
                "http://host?token=s3cret",
                "`http://host`",
                "a query or a fragment",
            ),
            (
                "http://host/#s3cret",
                "`http://host/`",
                "a query or a fragment",
            ),
            (
                "http://u:s3/cret@host",
                "`http://***@host`",
                "invalid port number",
            ),
            ("u:s3 cret@host", "`***@host`", "white space"),
            ("file:", "`file:`", "the path of the file is missing"),
            (
                "file://host/apps.json",
                "`file://host/apps.json`",
                "one or three slashes",
            ),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            let message = error.to_string();
            assert!(message.contains(found), "{text}: {message}");
            assert!(message.contains(reason), "{text}: {message}");
            assert!(message.ends_with("or file:PATH"), "{text}: {message}");
            assert!(!format!("{message}{error:?}").contains("s3"), "{message}");
        }
    }

    #[test]
    fn resources_lie_below_the_prefix() {
        for (text, want) in [
            ("host:8080", "http://host:8080/v2/apps?embed=apps.tasks"),
            ("host/a/b/", "http://host/a/b/v2/apps?embed=apps.tasks"),
            ("host/a%20b", "http://host/a%20b/v2/apps?embed=apps.tasks"),
            ("u:p@host", "http://host/v2/apps?embed=apps.tasks"),
        ] {
            let url = node(text).url("/v2/apps", Some("embed=apps.tasks"));
            assert_eq!(url.as_str(), want);
        }
    }

    #[test]
    fn credentials_go_only_where_they_were_meant_to_go() {
        for (text, url, goes) in [
            ("http://u:p@a:8080", "http://a:8080/x", true),
            ("http://u@a:8080", "http://a:8080/x", true),
            ("http://a:8080", "http://a:8080/x", false),
            ("http://u:p@a:8080", "http://b:8080/x", false),
            ("http://u:p@a:8080", "http://a:8081/x", false),
            ("http://u:p@a:8080", "https://a:8443/x", true),
            ("https://u:p@a", "https://a:443/x", true),
            ("https://u:p@a", "http://a:443/x", false),
            ("https://u:p@a", "http://a/x", false),
        ] {
            let mut url: Url = url.parse().unwrap();
            assert_eq!(node(text).authorize(&mut url), goes, "{text} {url}");
            assert_eq!(url.username() == "u", goes, "{text} {url}");
        }
    }
}
