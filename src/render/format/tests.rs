mod vectors;

use proptest::prelude::*;

use super::*;

/// The values that the vectors were recorded with.
struct Recorded(Vec<(&'static str, Field)>);

impl Values for Recorded {
    fn get(&self, name: &str) -> Option<Value<'_>> {
        let (_, field) = self.0.iter().find(|(known, _)| *known == name)?;
        Some(match field {
            Field::Null => Value::None,
            Field::Bool(value) => Value::Bool(*value),
            Field::Int(value) => Value::Int(*value),
            Field::Text(text) => Value::Text(text),
            other => Value::Field(other),
        })
    }
}

fn text(text: &str) -> Field {
    Field::Text(text.into())
}

fn object(members: &[(&str, Field)]) -> Field {
    let members = members.iter();
    Field::Object(
        members
            .map(|(name, field)| ((*name).into(), field.clone()))
            .collect(),
    )
}

fn recorded() -> Recorded {
    let arguments = vec![
        text("it's"),
        Field::Int(1),
        Field::Float(2.0),
        Field::Null,
        Field::Bool(true),
    ];
    let command = object(&[
        ("value", text("curl -f \"http://x\"")),
        ("args", Field::List(arguments)),
    ]);
    let health_check = object(&[
        ("command", command),
        ("path", text("/p")),
        ("portIndex", Field::Int(0)),
        ("none", Field::Null),
        ("0", text("x")),
        ("a.b", Field::Int(1)),
        ("e", object(&[])),
        ("l", Field::List(Vec::new())),
    ]);
    let inner = Field::List(vec![Field::Int(1), object(&[("k", text("v"))])]);
    let items = Field::List(vec![text("a"), text("é"), inner, Field::Int(-5)]);
    Recorded(vec![
        ("none", Field::Null),
        ("yes", Field::Bool(true)),
        ("no", Field::Bool(false)),
        ("port", Field::Int(8080)),
        ("zero", Field::Int(0)),
        ("neg", Field::Int(-1_234_567)),
        ("big", Field::Int(i64::MAX)),
        ("least", Field::Int(i64::MIN)),
        ("text", text("app")),
        ("empty", text("")),
        ("ten", text("10")),
        ("wide", text("äöü€😀")),
        ("quote", text("it's")),
        ("both", text("it's \"x\"")),
        ("dquote", text("say \"x\"")),
        (
            "ctl",
            text("a\tb\n\r\\\0\u{7f}\u{85}\u{a0}\u{200b}\u{e000}e\u{301}\u{2028}é"),
        ),
        ("f", Field::Float(3.25)),
        ("fz", Field::Float(0.0)),
        ("fn", Field::Float(-0.0)),
        ("f1", Field::Float(1e16)),
        ("f2", Field::Float(1.5e-7)),
        ("f3", Field::Float(123_456_789.125)),
        ("f4", Field::Float(0.1)),
        ("f5", Field::Float(2.5)),
        ("f6", Field::Float(1e22)),
        ("f7", Field::Float(0.0001)),
        ("f8", Field::Float(5.0)),
        ("f9", Field::Float(1e300)),
        ("f10", Field::Float(9_999_999.5)),
        ("f11", Field::Float(0.000_012_34)),
        ("fi", Field::Float(f64::INFINITY)),
        ("fni", Field::Float(f64::NEG_INFINITY)),
        ("fnan", Field::Float(f64::NAN)),
        ("hc", health_check),
        ("items", items),
    ])
}

fn format(template: &str, values: &impl Values) -> Result<String, FormatError> {
    let mut out = String::new();
    Format::parse(template)?.expand(values, &mut out)?;
    Ok(out)
}

#[test]
fn answers_as_python_does() {
    let values = recorded();
    let wrong: Vec<_> = vectors::ANSWERED
        .iter()
        .map(|(template, expected)| (template, format(template, &values), expected))
        .filter(|(_, found, expected)| found.as_deref() != Ok(expected))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn fails_where_python_does() {
    let values = recorded();
    let wrong: Vec<_> = vectors::RAISED
        .iter()
        .map(|template| (template, format(template, &values)))
        .filter(|(_, found)| found.is_ok())
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn errors_are_sentences_with_a_place() {
    let values = recorded();
    let cases = [
        (
            "http-request deny if { ssl_fc }",
            "line 1, column 22: no value is named ` ssl_fc `",
        ),
        (
            "é\n  use }\n",
            "line 2, column 7: `}` stands alone; write `}}` for one in the output",
        ),
        (
            "{port:>5",
            "line 1, column 1: a field begins with `{` and never ends; write `{{` for a brace in \
             the output",
        ),
        (
            "a\n{port} {0}",
            "line 2, column 8: `{0}` asks for a value by its position, but values have names; \
             write `{{` and `}}` for braces in the output",
        ),
        (
            "{port!x}",
            "line 1, column 1: conversion `!x` does not exist; there are `!r`, `!s` and `!a`",
        ),
        (
            "{text:5d}",
            "line 1, column 1: format specification `5d`: `d` does not suit a text",
        ),
        (
            "{text:{missing}}",
            "line 1, column 7: no value is named `missing`",
        ),
        (
            "{none:>5}",
            "line 1, column 1: format specification `>5`: an absent value (`None`) takes none; \
             `!s` makes a text of it first",
        ),
        (
            "{hc.path}",
            "line 1, column 1: `.path`: an object has no attributes; items are asked for as \
             `[path]`",
        ),
        (
            "{hc[command][x]}",
            "line 1, column 1: `[x]`: the object has no such member",
        ),
        (
            "{port:99999}",
            "line 1, column 1: format specification `99999`: width and precision end at 65535",
        ),
    ];
    for (template, sentence) in cases {
        assert_eq!(format(template, &values).unwrap_err().to_string(), sentence);
    }
}

#[test]
fn what_failed_leaves_the_output_as_it_was() {
    let format = Format::parse("server {text} {port:>{missing}}").unwrap();
    let mut out = "before ".to_owned();
    let error = format.expand(&recorded(), &mut out).unwrap_err();
    assert_eq!(error.fault, Fault::UnknownName("missing".into()));
    assert_eq!(out, "before ");
}

#[test]
fn names_are_told_once_in_the_order_of_use() {
    let format = Format::parse("{b} {{x}} {a[k]:{w}.{b}} {b!r} {c:}").unwrap();
    assert_eq!(format.names().collect::<Vec<_>>(), ["b", "a", "w", "c"]);
}

#[test]
fn only_the_empty_text_says_nothing() {
    assert!(Format::parse("").unwrap().is_empty());
    for template in [" ", "\n", "{{", "{empty}"] {
        assert!(!Format::parse(template).unwrap().is_empty());
    }
}

/// Texts that are likely to get past the first brace.
fn templates() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[{}:!.<>=^#0-9bcdeEfgGnosxX%,_ é\\[\\]+-]{0,6}",
        "\\{(port|neg|text|f|hc|items|none|yes|ctl)(\\[[a-z0-9]{0,4}\\])?(![rsax])?\
         (:[*é]?[<>=^]?[+ -]?#?0?[0-9]{0,2}[,_]?(\\.[0-9])?[bcdeEfFgGnosxX%]?)?\\}",
        "\\PC{0,4}",
    ];
    prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_brings_it_down(template in templates()) {
        _ = format(&template, &recorded());
    }

    #[test]
    fn text_without_braces_is_itself(text in "[^{}]*") {
        prop_assert_eq!(format(&text, &recorded()), Ok(text));
    }

    #[test]
    fn doubled_braces_are_the_text(text in "[{}a-c\n]{0,12}") {
        let doubled = text.replace('{', "{{").replace('}', "}}");
        let format = Format::parse(&doubled).unwrap();
        prop_assert_eq!(format.names().count(), 0);
        let mut out = String::new();
        format.expand(&recorded(), &mut out).unwrap();
        prop_assert_eq!(out, text);
    }

    #[test]
    fn a_width_is_kept_and_padding_is_all_that_is_added(text in "\\PC{0,8}", width in 0_i64..20) {
        let values = Recorded(vec![("text", Field::Text(text.as_str().into())), ("w", Field::Int(width))]);
        let out = format("{text:^{w}}", &values).unwrap_or_default();
        // A width of 0 reads as the flag `0`, without a width.
        prop_assert_eq!(out.chars().count(), text.chars().count().max(usize::try_from(width).unwrap()));
        prop_assert!(out.contains(&text));
    }

    #[test]
    fn a_float_reads_back(value in any::<f64>()) {
        let values = Recorded(vec![("f", Field::Float(value))]);
        let out = format("{f}", &values).unwrap();
        prop_assert_eq!(out.parse::<f64>().unwrap().total_cmp(&value).is_eq() || value.is_nan(), true);
    }
}
