//! The table itself, a file for each heading.

mod apps;
mod frontends;
mod haproxy;
mod install;
mod marathon;
mod reload;
mod settings;
mod state;
mod templates;
mod watch;

use super::{Definition, Form, Value};
use crate::config::value::{self, Expected};

pub(in crate::config) use reload::is_reload_method;

/// The headings, in the order in which they are shown.
static PARTS: [&[Definition]; 10] = [
    marathon::MARATHON_OPTIONS,
    apps::APPS,
    haproxy::HAPROXY,
    frontends::FRONTENDS,
    templates::TEMPLATES,
    reload::RELOADING,
    watch::WATCHING,
    state::STATE,
    install::INSTALLATION,
    settings::SETTINGS,
];

/// Every option, in the order in which they are shown.
pub fn all() -> impl Iterator<Item = &'static Definition> + Clone {
    PARTS.iter().copied().flatten()
}

const fn one_of(words: &'static [&'static str]) -> Form {
    Form::OneOf(words)
}

pub(super) const fn value(name: &'static str, form: Form) -> Value {
    Value { name, form }
}

/// Puts what was read into its field.
pub(super) fn put<T>(field: &mut T, read: Result<T, Expected>) -> Result<(), Expected> {
    *field = read?;
    Ok(())
}
