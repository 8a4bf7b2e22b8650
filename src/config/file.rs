//! The TOML file: a key for each option, by the option's name.
//!
//! In come its text and its path; out go a layer and all that is wrong with it, each with its
//! line. Values are text, integers or booleans as fits the option, lists for those that add up.

use std::ops::Range;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::layers::{Layer, Mistake, Origin};
use super::nearest::nearest;
use super::option::{self, Definition, Takes};
use super::secret::redact_value;

/// What a file gave.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) layer: Layer,
    pub(super) mistakes: Vec<Mistake>,
    /// Whether all of it could be read as TOML; if not, keys may be missing from the layer.
    pub(super) is_complete: bool,
}

/// Reads the text of the file at `path`.
pub(super) fn read(text: &str, path: &Path) -> Read {
    let source = Source { text, path };
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut read = Read {
        layer: Layer::default(),
        mistakes: Vec::new(),
        is_complete: errors.is_empty(),
    };
    // Only the message: the full form of the error quotes the line, which may hold a password.
    read.mistakes.extend(errors.iter().map(|error| {
        let line = source.line(&error.span().unwrap_or_default());
        source.mistake(line, None, error.message())
    }));
    let broken: Vec<usize> = read.mistakes.iter().map(Mistake::line).collect();
    for (key, value) in table.get_ref() {
        let name: &str = key.get_ref();
        let line = source.line(&key.span());
        // What the parser made of a broken line is a guess, and may be one half of a password.
        let is_broken_list = name == option::MARATHON && !broken.is_empty();
        if is_broken_list || broken.contains(&line) {
            continue;
        }
        match option::named(name) {
            None => read
                .mistakes
                .push(source.mistake(line, Some(name), &unknown(name))),
            Some(option) if option.name == option::CONFIG => {
                read.mistakes.push(source.mistake(
                    line,
                    Some(name),
                    &format!(
                        "found in the file that it names, expected as option `--{name}` or \
                         environment variable `{}`",
                        option.variable()
                    ),
                ));
            }
            Some(option) => source.add(&mut read, option, value),
        }
    }
    read.mistakes.sort_by_key(Mistake::line);
    read
}

/// Why a key is none.
fn unknown(name: &str) -> String {
    let known = option::all().map(|option| option.name);
    match nearest(name, known.filter(|&known| known != option::CONFIG)) {
        Some(meant) => format!("unknown, did you mean `{meant}`?"),
        None => "unknown, expected the name of an option without its dashes".to_owned(),
    }
}

struct Source<'a> {
    text: &'a str,
    path: &'a Path,
}

impl Source<'_> {
    /// Counted from 1.
    fn line(&self, span: &Range<usize>) -> usize {
        let ends = self.text.match_indices('\n');
        1 + ends.take_while(|(end, _)| *end < span.start).count()
    }

    fn mistake(&self, line: usize, key: Option<&str>, what: &str) -> Mistake {
        let key = key
            .map(|key| format!("key `{}`: ", redact_value(key)))
            .unwrap_or_default();
        Mistake::at(line, format!("{}:{line}: {key}{what}", self.path.display()))
    }

    fn add(&self, read: &mut Read, option: &'static Definition, value: &Spanned<DeValue<'_>>) {
        let items: Vec<&Spanned<DeValue<'_>>> = match (value.get_ref(), &option.takes) {
            (DeValue::Array(items), Takes::Many(..)) if !items.is_empty() => items.iter().collect(),
            _ => vec![value],
        };
        for item in items {
            let line = self.line(&item.span());
            match text_of(item.get_ref(), &option.takes) {
                Ok(text) => {
                    let path = self.path.to_owned();
                    read.layer.add(option, text, Origin::File { path, line });
                }
                Err(wrong) => {
                    read.mistakes
                        .push(self.mistake(line, Some(option.name), &wrong));
                }
            }
        }
    }
}

/// The text that stands for `value`, or what is wrong with its type.
fn text_of(value: &DeValue<'_>, takes: &Takes) -> Result<String, String> {
    match (value, takes) {
        (DeValue::Boolean(on), Takes::Nothing(_)) => Ok(on.to_string()),
        (DeValue::String(text), Takes::One(..) | Takes::Many(..)) => Ok(text.to_string()),
        (DeValue::Integer(number), Takes::One(..)) if number.radix() == 10 => {
            Ok(number.as_str().to_owned())
        }
        // A version without quotes; TOML keeps how it was written, so that 2.10 is not 2.1.
        (DeValue::Float(number), Takes::One(..)) => Ok(number.as_str().to_owned()),
        (value, takes) => {
            let found = match value {
                DeValue::Array(items) if items.is_empty() => "an empty list",
                DeValue::Array(_) => "a list",
                DeValue::Table(_) => "a table",
                DeValue::String(_) => "a text",
                DeValue::Boolean(_) => "true or false",
                DeValue::Integer(_) | DeValue::Float(_) => "a number",
                DeValue::Datetime(_) => "a date or time",
            };
            let expected = match takes {
                Takes::Nothing(_) => "true or false without quotes",
                Takes::One(..) => "a text in quotes",
                Takes::Many(..) => "a text in quotes or a list of them",
            };
            Err(format!("found {found}, expected {expected}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        read(text, Path::new("/etc/x.toml"))
            .mistakes
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn values_are_written_as_fits_the_option() {
        let text = r#"
marathon = ["m1:8080", "m2:8080"]
group = "external"
insecure = true
max-body = 1_000
haproxy-version = 2.10
reload = 'none'
"#;
        let read = read(text, Path::new("/etc/x.toml"));
        assert_eq!(read.mistakes, []);
        assert!(read.is_complete);
        let given: Vec<Vec<&str>> = [
            "marathon",
            "group",
            "insecure",
            "max-body",
            "haproxy-version",
            "reload",
        ]
        .map(|name| {
            read.layer
                .of(name)
                .iter()
                .map(|w| w.text.as_str())
                .collect()
        })
        .to_vec();
        assert_eq!(
            given,
            [
                vec!["m1:8080", "m2:8080"],
                vec!["external"],
                vec!["true"],
                vec!["1000"],
                vec!["2.10"],
                vec!["none"],
            ]
        );
        let line = Origin::File {
            path: "/etc/x.toml".into(),
            line: 2,
        };
        assert_eq!(read.layer.of("marathon")[1].origin, line);
    }

    #[test]
    fn unknown_keys_and_wrong_types_name_file_line_and_key() {
        let text = r#"
reload-metod = "none"
haproxy_config = "/x"
colour = 1
insecure = "yes"
group = []
reload = ["none"]
pid-file = true
marathon = [
  "m1",
  7,
]
config = "/y"
[haproxy]
config = "/z"
"#;
        assert_eq!(
            mistakes(text),
            [
                "/etc/x.toml:2: key `reload-metod`: unknown, expected the name of an option without its dashes",
                "/etc/x.toml:3: key `haproxy_config`: unknown, did you mean `haproxy-config`?",
                "/etc/x.toml:4: key `colour`: unknown, expected the name of an option without its dashes",
                "/etc/x.toml:5: key `insecure`: found a text, expected true or false without quotes",
                "/etc/x.toml:6: key `group`: found an empty list, expected a text in quotes or a list of them",
                "/etc/x.toml:7: key `reload`: found a list, expected a text in quotes",
                "/etc/x.toml:8: key `pid-file`: found true or false, expected a text in quotes",
                "/etc/x.toml:11: key `marathon`: found a number, expected a text in quotes or a list of them",
                "/etc/x.toml:13: key `config`: found in the file that it names, expected as option `--config` or environment variable `HMB_CONFIG`",
                "/etc/x.toml:14: key `haproxy`: found a table, expected a text in quotes",
            ]
        );
    }

    #[test]
    fn errors_of_toml_name_their_lines_and_quote_no_secret() {
        let text =
            "reload = \"none\"\nmarathon = http://joe:secret@m1\n\nreload = \"sf\"\n[group\n";
        let found = mistakes(text);
        assert!(
            found.iter().any(|m| m.starts_with("/etc/x.toml:2: ")),
            "{found:#?}"
        );
        assert!(
            found.iter().any(|m| m == "/etc/x.toml:4: duplicate key"),
            "{found:#?}"
        );
        assert!(
            found.iter().any(|m| m.starts_with("/etc/x.toml:5: ")),
            "{found:#?}"
        );
        assert!(!found.iter().any(|m| m.contains("secret")), "{found:#?}");
        assert!(!read(text, Path::new("/etc/x.toml")).is_complete);
    }
}
