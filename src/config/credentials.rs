//! Who the program is to Marathon: what proves it, read from what people wrote, and never shown.
//!
//! In come texts of files and variables; out go [`Credentials`], or what is wrong with the text
//! without a word of what it says. Which file was read, and whether one was, is not known here.

use std::fmt;

use serde_json::{Map, Value};

/// A text that nobody else may read. Its `Debug` form hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `text` from now on.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for whoever it is meant for.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What proves to Marathon who asks. Credentials inside of an address win for that address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    #[default]
    None,
    /// `Authorization: Basic …`.
    Basic {
        /// Hidden too: some put a token in its place.
        user: Secret,
        /// Any text, colons included.
        password: Secret,
    },
    /// `Authorization: token=…`, a token that somebody else got and renews.
    Token(Secret),
    /// A service account of DC/OS, which logs in to get a token.
    Dcos(DcosAccount),
}

/// A service account of DC/OS.
#[derive(Clone, PartialEq, Eq)]
pub struct DcosAccount {
    /// The name of the account.
    pub uid: String,
    /// Its RSA key, in PEM.
    pub private_key: Secret,
    /// Where it logs in, as written: an address with its scheme.
    pub login_endpoint: String,
}

impl fmt::Debug for DcosAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DcosAccount")
            .field("uid", &self.uid)
            .field("private_key", &self.private_key)
            .field(
                "login_endpoint",
                &super::redact_value(&self.login_endpoint).as_ref(),
            )
            .finish()
    }
}

/// A text that holds no credentials: what was found and what was expected, without the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongCredentials {
    found: String,
    expected: &'static str,
}

impl fmt::Display for WrongCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "found {}, expected {}", self.found, self.expected)
    }
}

impl std::error::Error for WrongCredentials {}

const USER_PASSWORD: &str = "user:password";
const USER_PASSWORD_STRICT: &str = "user:password with one colon";
const TOKEN: &str = "a token without blanks";
const ACCOUNT: &str = "the JSON of a DC/OS service account with uid, private_key and \
                       login_endpoint";

impl Credentials {
    /// `user:password`; all behind the first colon is the password.
    ///
    /// # Errors
    /// When there is no colon, nothing before it, or a control character.
    pub fn from_user_pass(text: &str) -> Result<Self, WrongCredentials> {
        let wrong = |found: &str| WrongCredentials {
            found: found.to_owned(),
            expected: USER_PASSWORD,
        };
        let (user, password) = text.split_once(':').ok_or_else(|| wrong("no colon"))?;
        if user.is_empty() {
            return Err(wrong("no user before the colon"));
        }
        if text.contains(char::is_control) {
            return Err(wrong("a control character"));
        }
        Ok(Self::basic(user, password))
    }

    /// `user:password` with exactly one colon, as marathon-lb reads it.
    ///
    /// # Errors
    /// When there is any other number of colons.
    pub fn from_user_pass_strict(text: &str) -> Result<Self, WrongCredentials> {
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            [user, password] => Ok(Self::basic(user, password)),
            _ => Err(WrongCredentials {
                found: match parts.len() - 1 {
                    0 => "no colon".to_owned(),
                    colons => format!("{colons} colons"),
                },
                expected: USER_PASSWORD_STRICT,
            }),
        }
    }

    /// The first line of a file as [`Self::from_user_pass`]; an empty one means that there are none.
    ///
    /// # Errors
    /// When the line is neither.
    pub fn from_file_text(text: &str) -> Result<Self, WrongCredentials> {
        match first_line(text) {
            "" => Ok(Self::None),
            line => Self::from_user_pass(line),
        }
    }

    /// The same as marathon-lb reads it: with one colon.
    ///
    /// # Errors
    /// When the line is neither.
    pub fn from_file_text_strict(text: &str) -> Result<Self, WrongCredentials> {
        match first_line(text) {
            "" => Ok(Self::None),
            line => Self::from_user_pass_strict(line),
        }
    }

    /// A token that stands alone in a file or variable.
    ///
    /// # Errors
    /// When it is empty, or could not be sent as it stands.
    pub fn from_token(text: &str) -> Result<Self, WrongCredentials> {
        let token = text.trim();
        let found = if token.is_empty() {
            "nothing"
        } else if token.bytes().all(|b| b.is_ascii_graphic()) {
            return Ok(Self::Token(Secret::new(token)));
        } else {
            "blanks or characters beyond ASCII"
        };
        Err(WrongCredentials {
            found: found.to_owned(),
            expected: TOKEN,
        })
    }

    /// A service account as DC/OS stores it: `uid`, `private_key`, `login_endpoint`, and a `scheme`
    /// that is RS256 if it is there.
    ///
    /// # Errors
    /// When it is no such object; the missing field is named.
    pub fn from_dcos_json(text: &str) -> Result<Self, WrongCredentials> {
        let wrong = |found: String| WrongCredentials {
            found,
            expected: ACCOUNT,
        };
        // serde's own reason may quote what it found.
        let account = serde_json::from_str(text).map_err(|error| {
            wrong(format!(
                "no JSON object (line {}, column {})",
                error.line(),
                error.column()
            ))
        })?;
        let field = |name| field(&account, name).map_err(wrong);
        if account.contains_key("scheme") && field("scheme")? != "RS256" {
            return Err(wrong("another `scheme` than RS256".to_owned()));
        }
        Ok(Self::Dcos(DcosAccount {
            uid: field("uid")?.to_owned(),
            private_key: Secret::new(field("private_key")?),
            login_endpoint: field("login_endpoint")?.to_owned(),
        }))
    }

    fn basic(user: &str, password: &str) -> Self {
        Self::Basic {
            user: Secret::new(user),
            password: Secret::new(password),
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn field<'a>(account: &'a Map<String, Value>, name: &str) -> Result<&'a str, String> {
    match account.get(name) {
        None | Some(Value::Null) => Err(format!("no `{name}`")),
        Some(Value::String(text)) if text.trim().is_empty() => Err(format!("an empty `{name}`")),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(format!("a `{name}` that is no text")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basic(user: &str, password: &str) -> Credentials {
        Credentials::basic(user, password)
    }

    #[test]
    fn a_password_may_hold_colons_where_marathon_lb_is_not_matched() {
        for (text, lenient, strict) in [
            ("joe:pw", Ok(basic("joe", "pw")), Ok(basic("joe", "pw"))),
            (
                "joe:p:w",
                Ok(basic("joe", "p:w")),
                Err("found 2 colons, expected user:password with one colon"),
            ),
            ("joe:", Ok(basic("joe", "")), Ok(basic("joe", ""))),
            (
                "joe",
                Err("found no colon, expected user:password"),
                Err("found no colon, expected user:password with one colon"),
            ),
            (
                ":pw",
                Err("found no user before the colon, expected user:password"),
                Ok(basic("", "pw")),
            ),
        ] {
            let told = |read: Result<_, WrongCredentials>| read.map_err(|wrong| wrong.to_string());
            let want = |want: Result<_, &str>| want.map_err(str::to_owned);
            assert_eq!(
                told(Credentials::from_user_pass(text)),
                want(lenient),
                "{text}"
            );
            assert_eq!(
                told(Credentials::from_user_pass_strict(text)),
                want(strict),
                "{text}"
            );
        }
    }

    #[test]
    fn of_a_file_the_first_line_counts_and_an_empty_one_means_none() {
        for (text, want) in [
            ("", Credentials::None),
            ("\njoe:pw\n", Credentials::None),
            ("joe:pw", basic("joe", "pw")),
            ("joe:pw\r\nmore", basic("joe", "pw")),
            ("joe:pw\n# comment\n", basic("joe", "pw")),
        ] {
            assert_eq!(Credentials::from_file_text(text), Ok(want.clone()));
            assert_eq!(Credentials::from_file_text_strict(text), Ok(want));
        }
        // A blank may be the end of a password.
        let blank = "joe:pw \n";
        assert_eq!(Credentials::from_file_text(blank), Ok(basic("joe", "pw ")));
        assert_eq!(
            Credentials::from_file_text_strict(blank),
            Ok(basic("joe", "pw "))
        );
    }

    #[test]
    fn a_token_can_be_sent_as_it_stands() {
        let token = Credentials::Token(Secret::new("a.b-c_d=="));
        assert_eq!(Credentials::from_token(" a.b-c_d==\n"), Ok(token));
        for (text, found) in [("\n", "nothing"), ("s3cret s3cret", "blanks")] {
            let wrong = Credentials::from_token(text).unwrap_err().to_string();
            assert!(wrong.starts_with(&format!("found {found}")), "{wrong}");
            assert!(!wrong.contains("s3cret"), "{wrong}");
        }
    }

    #[test]
    fn a_service_account_names_what_it_lacks_and_never_what_it_holds() {
        let whole = r#"{"uid":"lb","private_key":"s3cret key","scheme":"RS256",
            "login_endpoint":"https://m/acs/api/v1/auth/login","more":1}"#;
        let Credentials::Dcos(account) = Credentials::from_dcos_json(whole).unwrap() else {
            panic!("another kind");
        };
        assert_eq!(account.uid, "lb");
        assert_eq!(account.private_key.expose(), "s3cret key");
        assert_eq!(account.login_endpoint, "https://m/acs/api/v1/auth/login");
        for (from, to, found) in [
            ("\"uid\"", "\"x\"", "no `uid`"),
            ("\"lb\"", "\" \"", "an empty `uid`"),
            ("\"lb\"", "null", "no `uid`"),
            ("\"lb\"", "7", "a `uid` that is no text"),
            ("private_key", "x", "no `private_key`"),
            ("login_endpoint", "x", "no `login_endpoint`"),
            ("RS256", "HS256 s3cret", "another `scheme` than RS256"),
            ("\"RS256\"", "7", "a `scheme` that is no text"),
            ("{", "[\"s3cret\",{", "no JSON object (line 1, column 0)"),
            ("\"lb\"", "s3cret", "no JSON object (line 1, column 8)"),
        ] {
            let text = whole.replacen(from, to, 1);
            let wrong = Credentials::from_dcos_json(&text).unwrap_err();
            let told = wrong.to_string();
            assert_eq!(told, format!("found {found}, expected {ACCOUNT}"), "{text}");
            assert!(!format!("{told}{wrong:?}").contains("s3cret"), "{told}");
        }
    }

    #[test]
    fn nothing_secret_is_shown() {
        for credentials in [
            Credentials::from_user_pass("s3cret:s3cret").unwrap(),
            Credentials::from_token("s3cret").unwrap(),
            Credentials::from_dcos_json(
                r#"{"uid":"lb","private_key":"s3cret","login_endpoint":"http://u:s3cret@m/"}"#,
            )
            .unwrap(),
        ] {
            let shown = format!("{credentials:?}{credentials:#?}");
            assert!(!shown.contains("s3cret"), "{shown}");
            assert!(shown.contains("***"), "{shown}");
        }
    }
}
