//! `docs/labels.md` is made of the tables that the program works by: `UPDATE=1` writes it anew.

use std::fmt::Write as _;

use haproxy_marathon_bridge::labels::{LABELS, Label, Reach, Reading, Scope, Template};

use crate::support::{cell, document_is};

const HEAD: &str = "\
# Labels

What app owners say of their services, in Marathon's labels.
This page is made from the code; `UPDATE=1 cargo test --test integration labels_document` writes it anew.

`{n}` is the place of a service port among those of its app, counted from 0.
Labels count in the set `marathon-lb` (`--template-set marathon-lb`, and in the command line of marathon-lb); the set `bridge` knows the groups alone.

## Values

In the native commands every value has a form.
One that has not takes out its service port, which keeps what was said of it when it was last served, with the tasks of today; a warning names the app and the label, what was found, what was expected, and what was done.
An empty text says nothing.
The form is what keeps a value in its place: quotes, backslashes, `#`, `$`, `{` and `}` belong to none.

In the command lines of marathon-lb and servicerouter values stand in the file as they are, control characters excepted.
What HAProxy would read as more than its rule is refused all the same: see [marathon-lb.md](marathon-lb.md#values).
";

const TEMPLATES: &str = "
## Templates

A label can put a text in the place of a template, for its service port alone.
`--template-labels` says whose labels may: `none`, which the native commands begin with, `all`, or groups parted by commas.
A group that begins with a slash is a folder of Marathon: `/infra` stands for all apps in it.
Any other is a name of `HAPROXY_GROUP`, which owners write themselves: it orders, and does not protect.
A label that may not be used is named in a warning.

`{name}` stands for a value, in the language of Python's `str.format`, in which braces that are meant are doubled; a raw text knows no values and doubles nothing.
[templates.md](templates.md) has the rest.

A text stays within its section: it opens none (`global`, `listen`, `userlist` …) and no block (`.if`), however that is quoted.
One that ends in `_HEAD` opens the one section it is for, under its own name: `backend {backend}`, `frontend {backend}`, `userlist user_{backend}`.
A service whose texts do more is left out, or served as it was, with a warning.
In the set `native` a text ends its last line, also without a line break there; in the set `marathon-lb` the next text would go on in it.
In the native commands so is one whose texts reach for files, sockets or programs of the host, or for what all services share: [templates.md](templates.md#how-far-a-text-of-a-label-reaches) has the list.

| label `HAPROXY_{n}_…` | when | values |
|---|---|---|
";

fn row(label: &Label) -> String {
    let Label {
        name,
        reach,
        default,
        form,
        meaning,
        example,
    } = label;
    let name = match reach {
        Reach::App => format!("HAPROXY_{name}"),
        Reach::Service => format!("HAPROXY_{{n}}_{name}"),
    };
    let default = if default.is_empty() { "none" } else { default };
    let [form, meaning, example, default] = [form, meaning, example, default].map(cell);
    format!("| `{name}` | {meaning} | {form} | {default} | `{example}` |\n")
}

fn document() -> String {
    let mut text = HEAD.to_owned();
    for (reach, title) in [
        (Reach::App, "Of a whole app"),
        (Reach::Service, "Of a service port"),
    ] {
        let table = "| label | what it does | form in the native commands | default | example |\n\
                     |---|---|---|---|---|\n";
        write!(text, "\n### {title}\n\n{table}").unwrap();
        let labels = LABELS.iter().filter(|label| label.reach == reach);
        text.extend(labels.map(row));
    }
    text.push_str(TEMPLATES);
    for template in Template::ALL {
        let definition = template.definition();
        if definition.scope != Scope::Service {
            continue;
        }
        let values = match definition.reading {
            Reading::Raw => "raw".to_owned(),
            Reading::Formatted => {
                let names: Vec<_> = definition
                    .placeholders
                    .iter()
                    .map(|n| format!("`{n}`"))
                    .collect();
                names.join(" ")
            }
        };
        let (name, when) = (definition.name, definition.when);
        writeln!(text, "| `{name}` | {when} | {values} |").unwrap();
    }
    text
}

#[test]
fn the_document_is_what_the_code_says() {
    document_is("labels", &document());
}
