//! Which label wrote what HAProxy refuses: its owner wrote labels, and no line of `haproxy.cfg`.

use std::borrow::Cow;

use super::plan::Plan;
use crate::apply::CheckMessage;
use crate::proxy::Owner;
use crate::proxy::marathon_lb::Service;
use crate::proxy::native::Layout;

impl Plan {
    /// The label that is to blame for a message about a service port, where that can be told.
    pub(super) fn label_behind(&self, owner: &Owner, message: &CheckMessage) -> Option<String> {
        let mut services = self.proxies.services().iter();
        let service = services.find(|service| service.owner == *owner)?;
        let line = self.files.cfg.lines().nth(message.line?.checked_sub(1)?)?;
        let lists = self.proxies.native.iter().flat_map(Layout::crt_lists);
        // What they hold stands in that line.
        let listed = lists.filter(|list| line.contains(&list.name));
        let whole: String = [line]
            .into_iter()
            .chain(listed.map(|list| &*list.text))
            .collect();
        let name = text_with(service, line).or_else(|| value_in(service, &whole, &message.text))?;
        Some(format!("label `HAPROXY_{}_{name}`", service.index))
    }
}

/// The text in the place of a template that has this line.
fn text_with(service: &Service, line: &str) -> Option<&'static str> {
    let has_line = |text: &str| text.lines().any(|own| own.trim() == line.trim());
    let mut texts = service.options.overrides.iter();
    texts
        .find(|(_, text)| has_line(text))
        .map(|(template, _)| template.name())
}

/// The value of which the line has a word that HAProxy repeats; of several the longest word counts, and
/// nothing is told where two values have it.
fn value_in(service: &Service, line: &str, message: &str) -> Option<&'static str> {
    // It begins with the line itself.
    let complaint = message
        .split_once("in section '")
        .map_or(message, |(_, rest)| {
            rest.split_once(" : ").map_or(rest, |(_, rest)| rest)
        });
    let words = said(service).into_iter().flat_map(|(name, text)| {
        let words = text.split([' ', '\t', ',']);
        // The name of a header stands before one.
        let words = words.map(|word| word.trim_end_matches(':').to_owned());
        words.map(move |word| (name, word)).collect::<Vec<_>>()
    });
    let repeated = words.filter(|(_, word)| line.contains(word.as_str()) && names(complaint, word));
    let repeated: Vec<_> = repeated.collect();
    let (name, longest) = repeated.iter().max_by_key(|(_, word)| word.len())?;
    let is_alone = repeated
        .iter()
        .all(|(own, word)| own == name || word.len() < longest.len());
    is_alone.then_some(*name)
}

/// What stands in lines of the service. Nothing is told of a password, not even which it is.
fn said(service: &Service) -> Vec<(&'static str, Cow<'_, str>)> {
    let options = &service.options;
    let values = [
        ("SSL_CERT", &options.ssl_cert),
        ("BIND_OPTIONS", &options.bind_options),
        ("BIND_ADDR", &options.bind_addr),
        ("BALANCE", &options.balance),
        ("MODE", &options.mode),
        ("VHOST", &options.vhost),
        ("PATH", &options.path),
        ("HTTP_BACKEND_PROXYPASS_PATH", &options.proxypass_path),
        ("HTTP_BACKEND_REVPROXY_PATH", &options.revproxy_path),
        ("HTTP_BACKEND_REDIR", &options.redir),
    ];
    let values = values.into_iter();
    let values = values.filter_map(|(name, text)| Some((name, Cow::Borrowed(text.as_deref()?))));
    let networks = options.networks_allowed.join(" ");
    let own = options.own.iter();
    let own = own.map(|(name, text)| (*name, Cow::Borrowed(&**text)));
    values
        .chain([("BACKEND_NETWORK_ALLOWED_ACL", Cow::Owned(networks))])
        .chain(own)
        .collect()
}

/// Whether the word stands there as one.
fn names(text: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric();
    word.chars().any(is_part)
        && text.match_indices(word).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let after = text[at + word.len()..].chars().next();
            !before.is_some_and(is_part) && !after.is_some_and(is_part)
        })
}
