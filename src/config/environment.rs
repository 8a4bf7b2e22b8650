//! The environment: `HMB_<OPTION>` for each option.
//!
//! In come all variables; out go a layer, all that is wrong, and warnings about variables that look
//! like ours but are not: others may share the prefix, so that alone must not stop a run.
//! Repeatable options take several values, parted by commas or blanks. An empty variable is as
//! good as none.

use std::collections::BTreeMap;
use std::ffi::OsString;

use super::layers::{Layer, Mistake, Origin};
use super::nearest::nearest;
use super::option::{self, VARIABLE_PREFIX};

/// What the environment gave.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) layer: Layer,
    pub(super) mistakes: Vec<Mistake>,
    pub(super) warnings: Vec<String>,
}

/// Reads our variables.
pub(super) fn read(variables: &BTreeMap<OsString, OsString>) -> Read {
    let mut read = Read {
        layer: Layer::default(),
        mistakes: Vec::new(),
        warnings: Vec::new(),
    };
    for (variable, text) in variables {
        let Some(variable) = variable
            .to_str()
            .filter(|name| name.starts_with(VARIABLE_PREFIX))
        else {
            continue;
        };
        let Some(option) = option::all().find(|option| option.variable() == variable) else {
            read.warnings.push(unknown(variable));
            continue;
        };
        let Some(text) = text.to_str() else {
            read.mistakes.push(Mistake::general(format!(
                "environment variable `{variable}`: found bytes that are no UTF-8, expected text"
            )));
            continue;
        };
        if option.is_repeatable() {
            let parts = text.split(|c: char| c == ',' || c.is_whitespace());
            for part in parts.filter(|part| !part.is_empty()) {
                read.layer.add(option, part.to_owned(), Origin::Environment);
            }
        } else if !text.is_empty() {
            read.layer.add(option, text.to_owned(), Origin::Environment);
        }
    }
    read
}

fn unknown(variable: &str) -> String {
    let known: Vec<String> = option::all().map(option::Definition::variable).collect();
    match nearest(variable, known.iter().map(String::as_str)) {
        Some(meant) => {
            format!("environment variable `{variable}`: unknown, did you mean `{meant}`? ignored")
        }
        None => format!("environment variable `{variable}`: no option has that name; ignored"),
    }
}
