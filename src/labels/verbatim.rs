//! Labels as marathon-lb read them: as they stand, but that nothing opens another line. What HAProxy
//! makes of the rest is for its check to say.

use super::{Auth, ServiceOptions};
use crate::haproxy::password::QUICK;
use crate::haproxy::{Line, userlist};

/// The part that is wrong, where not all of it is, and what should have stood there.
pub(super) type Wrong = (Option<&'static str>, String);

/// Takes the label that ends in `name`; names that nobody knows are none of ours.
///
/// # Errors
/// What is wrong with it.
pub(super) fn set(options: &mut ServiceOptions, name: &str, text: &str) -> Result<(), Wrong> {
    if name == "AUTH" {
        options.auth = Some(auth(text)?);
        return Ok(());
    }
    set_whole(options, name, text).map_err(|expected| (None, expected))
}

fn set_whole(options: &mut ServiceOptions, name: &str, text: &str) -> Result<(), String> {
    match name {
        "VHOST" => options.vhost = Some(line(text)?.to_lowercase().into()),
        "PATH" => options.path = Some(line(text)?),
        "BACKEND_WEIGHT" => options.weight = integer(text)?,
        "MODE" => options.mode = Some(line(text)?.to_lowercase().into()),
        "BALANCE" => options.balance = Some(line(text)?),
        "PORT" => options.port = Some(port(text)?),
        "BIND_ADDR" => options.bind_addr = Some(line(text)?),
        "BIND_OPTIONS" => options.bind_options = Some(line(text)?),
        "SSL_CERT" => options.ssl_cert = Some(line(text)?),
        "HTTP_BACKEND_PROXYPASS_PATH" => options.proxypass_path = Some(line(text)?),
        "HTTP_BACKEND_REVPROXY_PATH" => options.revproxy_path = Some(line(text)?),
        "HTTP_BACKEND_REDIR" => options.redir = Some(line(text)?),
        "BACKEND_NETWORK_ALLOWED_ACL" => options.networks_allowed = words(text)?,
        "BACKEND_HEALTHCHECK_PORT_INDEX" => {
            options.healthcheck_port_index = Some(integer(text)?);
        }
        _ => (),
    }
    Ok(())
}

/// Labels whose value is more than the one word that it is meant to be, or of which a comment or a
/// quote hides a part; and beginnings of paths that are options. Some of marathon-lb's users count on
/// it, so that they are only told.
#[must_use]
pub fn doubtful(options: &ServiceOptions) -> Vec<(&'static str, &str)> {
    let words = [
        ("BIND_ADDR", &options.bind_addr),
        ("MODE", &options.mode),
        ("HTTP_BACKEND_PROXYPASS_PATH", &options.proxypass_path),
        ("HTTP_BACKEND_REVPROXY_PATH", &options.revproxy_path),
        ("HTTP_BACKEND_REDIR", &options.redir),
    ];
    let words = words.map(|(name, text)| (name, text.as_deref().unwrap_or_default()));
    let hosts = options.vhosts().into_iter().map(|host| ("VHOST", host));
    let mut doubtful: Vec<_> = hosts
        .chain(words)
        .filter(|(_, text)| !is_word(text))
        .collect();
    let path = options.path.as_deref().unwrap_or_default();
    let line = Line::of(path);
    let is_option = |word: &String| word.starts_with('-') && word != "-i";
    if line.is_cut || line.is_open || line.words.iter().any(is_option) {
        doubtful.push(("PATH", path));
    }
    doubtful
}

fn is_word(text: &str) -> bool {
    let line = Line::of(text);
    line.words.len() <= 1 && !line.is_cut && !line.is_open
}

/// Text that becomes a part of one line.
fn line(text: &str) -> Result<Box<str>, String> {
    if text.chars().any(char::is_control) {
        return Err("text on one line, without control characters".to_owned());
    }
    Ok(text.into())
}

/// Words that white space parts.
fn words(text: &str) -> Result<Vec<Box<str>>, String> {
    text.split_whitespace().map(line).collect()
}

/// An integer in Python's form: blanks around it, a sign, `_` between digits.
fn integer(text: &str) -> Result<i64, String> {
    let expected = || "an integer".to_owned();
    let text = text.trim();
    let (sign, digits) = match text.as_bytes().first() {
        Some(b'-') => ("-", &text[1..]),
        Some(b'+') => ("", &text[1..]),
        _ => ("", text),
    };
    let parted = digits.split('_');
    let is_number = parted
        .clone()
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    if !is_number {
        return Err(expected());
    }
    let digits: String = parted.collect();
    format!("{sign}{digits}").parse().map_err(|_| expected())
}

/// A number that could stand where a port stands: HAProxy judges those that are none.
fn port(text: &str) -> Result<u32, String> {
    integer(text)?
        .try_into()
        .map_err(|_| "a port number".to_owned())
}

/// `realm:user:cryptedpassword`. A password is as it stands, too, but for one that has everybody wait
/// before HAProxy could refuse it.
fn auth(text: &str) -> Result<Auth, Wrong> {
    let parts: Vec<&str> = text.split(':').collect();
    let [realm, user, password] = parts[..] else {
        let expected = "`realm:user:cryptedpassword`, three parts";
        return Err((None, expected.to_owned()));
    };
    if userlist::slow_password(&format!("user {user} password {password}")).is_some() {
        return Err((Some("password"), QUICK.to_owned()));
    }
    let line = |part| line(part).map_err(|expected| (None, expected));
    Ok(Auth {
        realm: line(realm)?,
        user: line(user)?,
        password: line(password)?,
    })
}
