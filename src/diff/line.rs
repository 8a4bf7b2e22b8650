//! A line of a server, and what may be written in it though nobody has checked it.

use std::borrow::Cow;

use crate::proxy::native::NOWHERE;

/// A `server` line, word by word.
pub(super) struct ServerLine<'a> {
    text: &'a str,
    /// `server`, name and address.
    head: Vec<&'a str>,
    rest: Vec<Word<'a>>,
}

/// A keyword, and what follows it where it takes a value of ours.
struct Word<'a> {
    keyword: &'a str,
    value: Option<&'a str>,
}

impl<'a> ServerLine<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let mut words = text.split_ascii_whitespace();
        let head = words.by_ref().take(3).collect();
        let mut rest = Vec::new();
        while let Some(keyword) = words.next() {
            let value = if takes_value(keyword) {
                words.next()
            } else {
                None
            };
            rest.push(Word { keyword, value });
        }
        Self { text, head, rest }
    }

    fn value(&self, keyword: &str) -> Option<&'a str> {
        let mut words = self.rest.iter();
        words.find(|word| word.keyword == keyword)?.value
    }

    /// With the weight of `wanted`, and at rest where that is.
    pub(super) fn in_the_state_of(&self, wanted: &str) -> Cow<'a, str> {
        let wanted = ServerLine::of(wanted);
        if self.state() == wanted.state() {
            return Cow::Borrowed(self.text);
        }
        Cow::Owned(self.head.join(" ") + &said(self.but_state()) + &wanted.state())
    }

    /// In the words of `model`; `None` where it lacks what is each server's own.
    pub(super) fn in_words_of(&self, model: &str) -> Option<String> {
        let mut line = self.head.join(" ");
        for word in ServerLine::of(model).but_state() {
            let value = if is_own(word.keyword) {
                Some(self.value(word.keyword)?)
            } else {
                word.value
            };
            line.push_str(&said([&Word { value, ..*word }]));
        }
        line.push_str(&self.state());
        Some(line)
    }

    /// Nobody gets there.
    pub(super) fn at_rest(&self) -> String {
        let is_rest = |word: &&Word<'_>| word.keyword == "disabled";
        if self.rest.iter().any(|word| is_rest(&word)) {
            return self.text.to_owned();
        }
        format!("{} disabled", self.text)
    }

    /// A slot in which nobody is any more.
    pub(super) fn freed(&self) -> String {
        let (address, port) = NOWHERE;
        let head = self.head[..self.head.len().min(2)].join(" ");
        let rest = said(self.but_state());
        format!("{head} {address}:{port}{rest} disabled")
    }

    fn but_state(&self) -> impl Iterator<Item = &Word<'a>> {
        self.rest.iter().filter(|word| !is_state(word.keyword))
    }

    /// Its weight, and whether it rests.
    fn state(&self) -> String {
        let of = |keyword: &'static str| {
            let words = self.rest.iter();
            words.filter(move |word| word.keyword == keyword).take(1)
        };
        said(of("weight").chain(of("disabled")))
    }
}

fn said<'w, 'a: 'w>(words: impl IntoIterator<Item = &'w Word<'a>>) -> String {
    let mut text = String::new();
    for Word { keyword, value } in words {
        for word in [Some(*keyword), *value].into_iter().flatten() {
            text.push(' ');
            text.push_str(word);
        }
    }
    text
}

/// What a line says of its server beside name and address, but for what is each server's own.
pub(super) fn words_of(line: &str) -> Vec<&str> {
    let line = ServerLine::of(line);
    let words = line.rest.iter().filter(|word| !is_state(word.keyword));
    let words = words.flat_map(|word| {
        let value = word.value.filter(|_| !is_own(word.keyword));
        [Some(word.keyword), value]
    });
    words.flatten().collect()
}

/// Whether HAProxy takes the line wherever it stands: it says nothing but what we write of numbers.
pub(super) fn is_ours(line: &str) -> bool {
    let line = ServerLine::of(line);
    let mut words = line.rest.iter();
    words.all(|word| match (word.keyword, word.value) {
        ("check" | "disabled", None) => true,
        ("id" | "port" | "weight" | "fall" | "rise", Some(value)) => is_number(value),
        ("inter", Some(value)) => is_number(
            value
                .trim_end_matches("ms")
                .trim_end_matches(['s', 'm', 'h']),
        ),
        ("cookie", Some(value)) => value
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)),
        _ => false,
    })
}

fn is_number(value: &str) -> bool {
    (1..=10).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit())
}

fn takes_value(keyword: &str) -> bool {
    is_own(keyword) || matches!(keyword, "weight" | "inter" | "fall" | "rise")
}

/// Whether what follows is each server's own.
fn is_own(keyword: &str) -> bool {
    matches!(keyword, "id" | "cookie" | "port")
}

/// Whether it says how much a server gets, which changes while it runs.
fn is_state(keyword: &str) -> bool {
    matches!(keyword, "weight" | "disabled")
}
