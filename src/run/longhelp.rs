//! `--longhelp`: the reference of a predecessor's command line, labels and templates, made of the
//! tables that the program itself works by.

use std::fmt::Write as _;

use anyhow::Result;

use crate::config::TemplateSet;
use crate::haproxy::{Dialect, Version};
use crate::labels::{LABELS, Label, Reach, Reading, Scope, Template};
use crate::render::{Site, default_texts};

/// In Markdown. `help` is what `--help` prints.
///
/// # Errors
/// When a template that is compiled in cannot be rendered.
pub(super) fn long_help(set: TemplateSet, help: &str) -> Result<String> {
    let site = Site::new(set, Dialect::of(Version::NEWEST));
    let mut text = format!(
        "{}\n## Command line\n\n```\n{}\n```\n",
        intro(set),
        help.trim_end()
    );
    text.push_str(TEMPLATES);
    for (template, default) in default_texts(&site)? {
        text.push_str(&of_template(template, &default));
    }
    text.push_str("\n## Labels that hold values\n");
    for label in LABELS {
        text.push_str(&of_label(label));
    }
    Ok(text)
}

fn intro(set: TemplateSet) -> String {
    let (name, place) = match set {
        TemplateSet::Servicerouter => ("servicerouter.py", "variables of its environment"),
        _ => ("marathon-lb", "labels"),
    };
    format!(
        "# haproxy-marathon-bridge as {name}\n\n\
         One turn asks Marathon which tasks run where, writes haproxy.cfg, has HAProxy check it, \
         installs it if it differs from what is there, and reloads HAProxy.\n\
         What an app wants of the balancer it says in {place} that begin with `HAPROXY_`. Those \
         with a number, as in `HAPROXY_0_VHOST`, are about one service port: the number is its \
         place among the service ports of the app, counted from 0.\n"
    )
}

const TEMPLATES: &str = "
## Templates

Each part of haproxy.cfg is made of a template. It is replaced, the strongest first, by
- a label of the app, `HAPROXY_{n}_<NAME>`, where one is named below: for that service port alone;
- a variable of the environment, `HAPROXY_<NAME>`, in which `\\n` stands for a line feed;
- a file `templates/HAPROXY_<NAME>` below the folder in which the program was started.

`{name}` stands for a value, and braces that are meant are doubled: `{{ ssl_fc }}`. It is the \
language of Python's `str.format`, with its conversions, format specifications and lookups \
(`{healthCheck[command][value]}`). Templates that are marked as raw know no values and double \
nothing.
";

fn of_template(template: Template, default: &str) -> String {
    let definition = template.definition();
    let mut text = format!("\n### `{template}`\n\n");
    let when = definition.when;
    let _ = writeln!(text, "Rendered: {when}.  ");
    match (definition.reading, definition.placeholders) {
        (Reading::Raw, _) => text.push_str("Raw.  \n"),
        (Reading::Formatted, names) => {
            let names: Vec<String> = names.iter().map(|name| format!("`{{{name}}}`")).collect();
            let _ = writeln!(text, "Values: {}.  ", names.join(", "));
        }
    }
    if definition.scope == Scope::Service {
        let _ = writeln!(text, "Label: `HAPROXY_{{n}}_{}`.  ", definition.name);
    }
    if default.is_empty() {
        text.push_str("Says nothing by default.\n");
    } else {
        let _ = writeln!(
            text,
            "By default:\n\n```\n{}\n```",
            default.trim_end_matches('\n')
        );
    }
    text
}

fn of_label(label: &Label) -> String {
    let Label {
        name,
        reach,
        default,
        meaning,
        example,
        ..
    } = label;
    let full = match reach {
        Reach::App => format!("HAPROXY_{name}"),
        Reach::Service => format!("HAPROXY_{{n}}_{name}"),
    };
    let sample = full.replace("{n}", "0");
    let mut text = format!("\n### `{full}`\n\n{meaning}  \n");
    if !default.is_empty() {
        let _ = writeln!(text, "Default: {default}.  ");
    }
    let _ = writeln!(text, "Example: `{sample}={example}`.");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text() -> String {
        long_help(TemplateSet::MarathonLb, "usage: x\n").unwrap()
    }

    #[test]
    fn every_template_and_label_is_described() {
        let text = text();
        for template in Template::ALL {
            assert_eq!(
                text.matches(&format!("\n### `{template}`\n")).count(),
                1,
                "{template}"
            );
        }
        for label in LABELS {
            assert!(
                text.contains(&format!("_{}`\n", label.name)),
                "{}",
                label.name
            );
        }
        assert!(text.contains("```\nusage: x\n```"));
    }

    #[test]
    fn defaults_stand_in_the_language_in_which_they_are_replaced() {
        let text = text();
        for part in [
            "  acl host_{cleanedUpHostname} hdr(host) -i {hostname}\n",
            "  use_backend {backend} if {{ ssl_fc_sni {hostname} }}\n",
            // A raw one.
            "  http-request add-header X-Forwarded-Proto https if { ssl_fc }\n",
            "  server {serverName} {host_ipv4}:{port} id {serverId}{cookieOptions}",
        ] {
            assert!(text.contains(part), "{part}");
        }
        assert!(!text.contains('\u{1}'));
    }
}
