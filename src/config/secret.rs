//! What is secret in a text, and how it is hidden: user and password in front of a host, and what
//! follows names such as `--token` and `password=`.
//!
//! In comes any text that may be shown to people (a message, an address, a line of an error); out
//! goes the same text with `***` in place of what nobody else may read. It stands below `logging`,
//! which passes it on, because wrong values are reported before anything is logged.
//!
//! Where a text can be read in two ways, the one that hides more wins: a hidden path costs a
//! moment, a shown password costs a cluster.

use std::borrow::Cow;

/// Put in place of what is secret.
pub(super) const HIDDEN: &str = "***";

/// Hides `user:password@` in each word of `text`.
///
/// A word with a scheme loses all between `//` and its last `@`; one without a scheme loses it
/// only if a `:` stands before that `@`, so that mail addresses stay.
#[must_use]
pub fn redact(text: &str) -> Cow<'_, str> {
    let mut shown = String::with_capacity(text.len());
    let mut before = "";
    // What a secret was opened with that has blanks in it.
    let mut open = None;
    for word in text.split_inclusive(char::is_whitespace) {
        let bare = word.trim_end();
        if let Some(quote) = open {
            if bare.ends_with(quote) {
                open = None;
                shown.push_str(&word[bare.len()..]);
            }
            continue;
        }
        if !bare.is_empty() && is_secret_after(before, bare) {
            shown.push_str(HIDDEN);
            open = opened(bare);
            if open.is_none() {
                shown.push_str(&word[bare.len()..]);
            }
        } else {
            let assigned = without_assigned(word);
            if let (Cow::Owned(_), Some((_, value))) = (&assigned, bare.split_once('=')) {
                open = opened(value);
            }
            let text = redact_value(&assigned);
            shown.push_str(if open.is_some() {
                text.trim_end()
            } else {
                &text
            });
        }
        if !bare.is_empty() {
            before = bare;
        }
    }
    if shown == text {
        return Cow::Borrowed(text);
    }
    shown.into()
}

/// The quote before a word whose end stands in a later one.
fn opened(word: &str) -> Option<char> {
    let quote = word.chars().next().filter(|c| "'\"".contains(*c))?;
    (word.len() == 1 || !word.ends_with(quote)).then_some(quote)
}

/// What the names of secrets end in, be they options or variables.
const NAMES: [&str; 7] = [
    "password",
    "passwd",
    "secret",
    "token",
    "apikey",
    "credential",
    "credentials",
];

fn is_name_of_secret(name: &str) -> bool {
    NAMES.iter().any(|end| name.ends_with(end))
}

/// Options whose value is a secret, as curl and its like have them, and ours; that of a user, and of
/// credentials, is one where it has a password.
fn is_secret_after(option: &str, word: &str) -> bool {
    let option = option.trim_start_matches(['`', '"', '\'']);
    match option {
        "--user" | "-u" | "--proxy-user" | "-U" => word.contains(':'),
        _ if option.trim_end_matches('s').ends_with("credential") => {
            option.starts_with("--") && word.contains(':')
        }
        _ => option.starts_with("--") && is_name_of_secret(option) && !word.is_empty(),
    }
}

/// `password=…` and its like, without what stands behind it.
fn without_assigned(word: &str) -> Cow<'_, str> {
    let Some((name, value)) = word.split_once('=') else {
        return Cow::Borrowed(word);
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let bare = name
        .trim_start_matches(|c: char| !is_name(c))
        .to_lowercase();
    let value = value.trim_end();
    if value.is_empty() || !bare.chars().all(is_name) || !is_name_of_secret(&bare) {
        return Cow::Borrowed(word);
    }
    let end = &word[name.len() + 1 + value.len()..];
    // What closes a quotation is no part of it.
    let closing: String = value
        .chars()
        .rev()
        .take_while(|c| "`'\"".contains(*c))
        .collect();
    Cow::Owned(format!("{name}={HIDDEN}{closing}{end}"))
}

/// Hides `user:password@` in `value`, which is one value to its end, blanks and all.
///
/// For values that are known to be a single address: a password with a blank in it is no valid
/// address, yet it must not be shown.
#[must_use]
pub fn redact_value(value: &str) -> Cow<'_, str> {
    let Some(at) = value.rfind('@') else {
        return Cow::Borrowed(value);
    };
    let start = start_of_address(&value[..at]);
    let address = &value[start..at];
    match scheme_length(address) {
        Some(scheme) => Cow::Owned(format!(
            "{}{HIDDEN}{}",
            &value[..start + scheme],
            &value[at..]
        )),
        None if address.contains(':') => {
            Cow::Owned(format!("{}{HIDDEN}{}", &value[..start], &value[at..]))
        }
        None => Cow::Borrowed(value),
    }
}

/// Where the address begins behind quotes, brackets and a `name=`.
fn start_of_address(text: &str) -> usize {
    let opening = |c: char| matches!(c, '"' | '\'' | '`' | '(' | '[' | '{' | '<');
    let quoted = text.len() - text.trim_start_matches(opening).len();
    let rest = &text[quoted..];
    let Some(equals) = rest.find('=') else {
        return quoted;
    };
    let is_name = rest[..equals]
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if !is_name {
        return quoted;
    }
    let value = &rest[equals + 1..];
    text.len() - value.trim_start_matches(opening).len()
}

/// How many bytes `scheme://` or `//` take at the head of `address`, if it has one.
fn scheme_length(address: &str) -> Option<usize> {
    let slashes = address.find("//")?;
    let scheme = &address[..slashes];
    let is_scheme = match scheme.strip_suffix(':') {
        Some(name) => name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c)),
        None => scheme.is_empty(),
    };
    is_scheme.then_some(slashes + 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn credentials_are_hidden_and_nothing_else() {
        for (text, shown) in [
            ("", ""),
            (
                "http://marathon.mesos:8080/v2/apps",
                "http://marathon.mesos:8080/v2/apps",
            ),
            ("http://joe:secret@m1:8080/x", "http://***@m1:8080/x"),
            ("https://token@m1", "https://***@m1"),
            ("//joe:secret@m1", "//***@m1"),
            ("joe:secret@m1:8080", "***@m1:8080"),
            ("mail to ops@example.com", "mail to ops@example.com"),
            (
                "`curl --user admin:geheim http://h/reload`: exit 1",
                "`curl --user *** http://h/reload`: exit 1",
            ),
            ("`sudo -u haproxy reload`", "`sudo -u haproxy reload`"),
            ("login --token abc x", "login --token *** x"),
            (
                "it printed: `PASSWORD=geheim` and more",
                "it printed: `PASSWORD=***` and more",
            ),
            ("db_password='a' n=1", "db_password=***' n=1"),
            ("token= none", "token= none"),
            (
                "* * * * * HMB_AUTH_CREDENTIALS=ops:hunter2 refresh",
                "* * * * * HMB_AUTH_CREDENTIALS=*** refresh",
            ),
            (
                "x --auth-credentials bob:hunter3 y",
                "x --auth-credentials *** y",
            ),
            (
                "x --auth-credentials  bob:hunter3 y",
                "x --auth-credentials  *** y",
            ),
            (
                "x --auth-credentials=bob:hunter3 y",
                "x --auth-credentials=*** y",
            ),
            ("--marathon-auth-token abc x", "--marathon-auth-token *** x"),
            (
                r#"--dcos-auth-credentials '{"uid": "a", "private_key": "b"}' x"#,
                "--dcos-auth-credentials *** x",
            ),
            (
                "--marathon-auth-credential-file /etc/x.json",
                "--marathon-auth-credential-file /etc/x.json",
            ),
            (
                r#"x DCOS_SERVICE_ACCOUNT_CREDENTIAL='{"uid": "a", "key": "b"}' y"#,
                "x DCOS_SERVICE_ACCOUNT_CREDENTIAL=*** y",
            ),
            (
                "give --auth-credentials or a file",
                "give --auth-credentials or a file",
            ),
            (
                "from http://a:b@h to http://c:d@i",
                "from http://***@h to http://***@i",
            ),
            (
                "cannot reach `http://joe:secret@m1`: refused",
                "cannot reach `http://***@m1`: refused",
            ),
            (
                "--marathon=http://joe:secret@m1",
                "--marathon=http://***@m1",
            ),
            ("HMB_MARATHON=joe:secret@m1", "HMB_MARATHON=***@m1"),
            (
                "marathon=\"http://joe:secret@m1\"",
                "marathon=\"http://***@m1\"",
            ),
            ("'joe:secret@m1'", "'***@m1'"),
        ] {
            assert_eq!(redact(text), shown, "{text}");
        }
    }

    #[test]
    fn characters_that_no_password_should_have_do_not_help_it_out() {
        for text in [
            "http://joe:se@cret@m1",
            "http://joe:se/cret@m1",
            "http://joe:se?cr#et@m1",
            "http://joe:se'cret@m1",
            "http://joe:se\"cret@m1",
            "http://joe:se,cret@m1,http://m2",
            "http://m1:80,http://joe:secret@m2",
            "joe:se//cret@m1",
            "joe:x://se-cret@m1",
            "http://joe:@secret:@m1",
            "joe:se=cret@m1",
            "http://jo\u{e9}:s\u{e9}-cret@m1",
        ] {
            let shown = redact(text);
            assert!(!shown.contains("cret"), "{text} became {shown}");
            assert!(shown.contains("***@m"), "{text} became {shown}");
        }
    }

    #[test]
    fn one_value_is_hidden_across_blanks() {
        assert_eq!(redact_value("http://joe:se cret@m1"), "http://***@m1");
        assert_eq!(redact_value("joe x:se cret@m1"), "***@m1");
    }

    proptest! {
        #[test]
        fn whatever_stands_before_the_last_at_of_an_address_is_gone(
            user in "[a-z]{1,5}", password in "[!-~]{0,12}", host in "[a-z]{1,8}",
        ) {
            for scheme in ["http://", "https://", "//"] {
                let text = format!("{scheme}{user}:{password}@{host}:8080");
                prop_assert_eq!(redact(&text), format!("{scheme}***@{host}:8080"));
            }
        }
    }
}
