//! `docs/options.md` is made of the table that the program works by: `UPDATE=1` writes it anew.

use std::fmt::Write as _;

use haproxy_marathon_bridge::config::option::{self, Definition, Takes};

use crate::support::{cell, document_is};

const HEAD: &str = "\
# Options

Every option is a flag, a key of the TOML file by its name, and a variable of the environment.
Flags win over the environment, the environment over the file, the file over defaults.
This page is made from the code; `UPDATE=1 cargo test --test integration options_document` writes it anew.
The manual (`haproxy-marathon-bridge man | man -l -`) tells more of each.
";

fn row(option: &Definition) -> String {
    let flag = match &option.takes {
        Takes::Nothing(_) => format!("--{}", option.name),
        Takes::One(value, _) | Takes::Many(value, _) => {
            format!("--{} {}", option.name, value.name)
        }
    };
    // A secret has no flag.
    let flag = if option.commands.is_empty() || option.is_secret() {
        format!("`{}` (no flag)", option.name)
    } else {
        format!("`{flag}`")
    };
    let again = if option.is_repeatable() {
        ", more than once"
    } else {
        ""
    };
    let default = option.default_text().unwrap_or("none");
    let commands: Vec<&str> = option
        .commands
        .iter()
        .map(|command| command.name())
        .collect();
    format!(
        "| {}{again} | `{}` | {} | {} | {} |\n",
        cell(&flag),
        option.variable(),
        cell(default),
        cell(option.summary),
        commands.join(", ")
    )
}

fn document() -> String {
    let mut text = HEAD.to_owned();
    let mut heading = None;
    for option in option::all() {
        if heading != Some(option.heading) {
            heading = Some(option.heading);
            let title = option.heading.title();
            let table =
                "| flag | variable | default | what it does | taken by |\n|---|---|---|---|---|\n";
            write!(text, "\n## {title}\n\n{table}").unwrap();
        }
        text.push_str(&row(option));
    }
    text
}

#[test]
fn the_document_is_what_the_code_says() {
    document_is("options", &document());
}
