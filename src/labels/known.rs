//! Which names labels have, and what stands in them.

use super::Template;
use super::table::{LABELS, Label, NATIVE, Reach};

/// What should have stood in the label of a service port that ends in `name`.
pub(super) fn form_of(name: &str) -> String {
    let mut known = LABELS.iter();
    let known = known.find(|label| label.reach == Reach::Service && label.name == name);
    known.map_or_else(String::new, |Label { form, example, .. }| {
        format!("{form}, such as `{example}`")
    })
}

/// The name of a label that only our own set knows.
pub(super) fn own(name: &str) -> Option<&'static str> {
    let is_shared = |name: &str| {
        let mut known = LABELS.iter();
        known.any(|label| label.reach == Reach::Service && label.name == name)
    };
    let mut known = NATIVE.iter();
    let known = known.find(|label| label.name == name && !is_shared(name))?;
    Some(known.name)
}

/// Whether there is a label of this name: of an app, or of a service port at any position.
#[must_use]
pub fn is_known(label: &str) -> bool {
    let Some(name) = label.strip_prefix("HAPROXY_") else {
        return false;
    };
    let is_of = |reach, name: &str| {
        let mut known = LABELS.iter().chain(NATIVE);
        known.any(|label| label.reach == reach && label.name == name)
    };
    let is_position = |text: &str| {
        let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        is_number && (text == "0" || !text.starts_with('0'))
    };
    is_of(Reach::App, name)
        || name.split_once('_').is_some_and(|(position, name)| {
            let is_text = || Template::of_label(name).is_some();
            is_position(position) && (is_of(Reach::Service, name) || is_text())
        })
}

/// Whether a label that [`is_known`] holds a value, and no text in the place of a template.
#[must_use]
pub fn is_value(label: &str) -> bool {
    let name = match position(label) {
        Some(_) => label.splitn(3, '_').nth(2),
        None => label.strip_prefix("HAPROXY_"),
    };
    let mut known = LABELS.iter().chain(NATIVE);
    known.any(|label| Some(label.name) == name)
}

/// The `{n}` of a label that [`is_known`], where it has one.
#[must_use]
pub fn position(label: &str) -> Option<&str> {
    let (position, _) = label.strip_prefix("HAPROXY_")?.split_once('_')?;
    position
        .starts_with(|c: char| c.is_ascii_digit())
        .then_some(position)
}

#[cfg(test)]
mod tests {
    use super::is_known;

    #[test]
    fn a_misspelt_label_is_not_known() {
        for label in [
            "HAPROXY_GROUP",
            "HAPROXY_DEPLOYMENT_COLOUR",
            "HAPROXY_0_GROUP",
            "HAPROXY_12_VHOST",
            "HAPROXY_0_MERGE",
            "HAPROXY_0_BACKEND_HTTP_OPTIONS",
        ] {
            assert!(is_known(label), "{label}");
        }
        for label in [
            "HAPROXY_0_VHOSTT",
            "HAPROXY_0_vhost",
            "HAPROXY_VHOST",
            "HAPROXY__VHOST",
            "HAPROXY_a_VHOST",
            "HAPROXYGROUP",
        ] {
            assert!(!is_known(label), "{label}");
        }
    }
}
