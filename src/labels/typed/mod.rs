//! Labels as the native commands read them: every value has a form, and nothing that has it can
//! leave the place in `haproxy.cfg` for which it is meant. Quotes, backslashes, `#`, `$`, braces and
//! control characters belong to no form; a blank belongs to those that are lists.
//!
//! What the forms are called lies in [`LABELS`](super::LABELS).

mod address;
mod auth;
mod balance;
mod bind_options;
mod host;
mod number;
mod path;
mod word;

pub(super) use auth::{has_password, kind as kind_of_password};
pub use path::request;
pub use word::is_app_id;

use super::ServiceOptions;

/// What of a text is wrong: all of it, or the part that is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong<'t>(pub(super) &'t str);

type Read<'t, T> = Result<T, Wrong<'t>>;

/// Takes the label that ends in `name`; names that nobody knows are none of ours. An empty text says
/// nothing, but for a number or a password, which somebody wanted.
///
/// # Errors
/// The part that has not the form of the label.
pub(super) fn set<'t>(options: &mut ServiceOptions, name: &str, text: &'t str) -> Read<'t, ()> {
    let text = text.trim_matches([' ', '\t']);
    match name {
        "VHOST" => options.vhost = said(text, host::hosts)?,
        "PATH" => options.path = said(text, path::beginnings)?,
        "BACKEND_WEIGHT" => options.weight = number::weight(text)?,
        "MODE" => options.mode = said(text, word::mode)?,
        "BALANCE" => options.balance = said(text, balance::balance)?,
        "PORT" => options.port = Some(number::port(text)?.into()),
        "BIND_ADDR" => options.bind_addr = said(text, address::bind)?,
        "BIND_OPTIONS" => options.bind_options = said(text, bind_options::bind_options)?,
        "SSL_CERT" => options.ssl_cert = said(text, word::certificates)?,
        "AUTH" => options.auth = Some(auth::auth(text)?),
        "HTTP_BACKEND_PROXYPASS_PATH" => options.proxypass_path = said(text, path::prefix)?,
        "HTTP_BACKEND_REVPROXY_PATH" => options.revproxy_path = said(text, path::root)?,
        "HTTP_BACKEND_REDIR" => options.redir = said(text, path::location)?,
        "BACKEND_NETWORK_ALLOWED_ACL" => options.networks_allowed = address::networks(text)?,
        "BACKEND_HEALTHCHECK_PORT_INDEX" => {
            options.healthcheck_port_index = Some(number::index(text)?);
        }
        _ => (),
    }
    Ok(())
}

fn said<'t, T>(text: &'t str, read: fn(&'t str) -> Read<'t, T>) -> Read<'t, Option<T>> {
    if text.is_empty() {
        return Ok(None);
    }
    read(text).map(Some)
}

#[cfg(test)]
mod tests;
