//! The options that say who the program is to Marathon. Files are read by `config::access`.

use super::command::ASKING;
use super::{Definition, Fallback, Form, Heading, One, Takes, Value};
use crate::config::value;

pub(in crate::config) const AUTH_CREDENTIALS: &str = "auth-credentials";
pub(in crate::config) const AUTH_CREDENTIALS_FILE: &str = "auth-credentials-file";
pub(in crate::config) const AUTH_TOKEN_FILE: &str = "auth-token-file";
pub(in crate::config) const DCOS_AUTH_CREDENTIALS_FILE: &str = "dcos-auth-credentials-file";

const FILE: Value = Value {
    name: "FILE",
    form: Form::File,
};

/// A file that is read before there is a `Config` to put its content in.
const READ_APART: Takes = Takes::One(FILE, One(|_, text| value::path(text).map(drop)));

/// Every option shows its value in the process list, so that no command takes this one.
pub(super) const CREDENTIALS: Definition = Definition {
    name: AUTH_CREDENTIALS,
    short: None,
    takes: Takes::One(
        Value {
            name: "USER:PASSWORD",
            form: Form::Secret,
        },
        One(|_, text| value::credentials(text)),
    ),
    fallback: Fallback::Nothing,
    summary: "User and password for Marathon",
    details: "Only as a variable or in the TOML file: the process list shows options to everybody.",
    heading: Heading::Marathon,
    commands: &[],
};

pub(super) const CREDENTIALS_FILE: Definition = Definition {
    name: AUTH_CREDENTIALS_FILE,
    short: None,
    takes: READ_APART,
    fallback: Fallback::Nothing,
    summary: "Ask Marathon with the user:password in the first line of this file",
    details: "They go to the Marathons that were given and to no other host, wherever an answer \
              leads. What stands inside of an address wins for that address.",
    heading: Heading::Marathon,
    commands: ASKING,
};

pub(super) const TOKEN_FILE: Definition = Definition {
    name: AUTH_TOKEN_FILE,
    short: None,
    takes: READ_APART,
    fallback: Fallback::Nothing,
    summary: "Ask Marathon with the token in this file, as `Authorization: token=...`",
    details: "",
    heading: Heading::Marathon,
    commands: ASKING,
};

pub(super) const DCOS_FILE: Definition = Definition {
    name: DCOS_AUTH_CREDENTIALS_FILE,
    short: None,
    takes: READ_APART,
    fallback: Fallback::Nothing,
    summary: "Log in to DC/OS with the service account in this JSON file",
    details: "Its fields are uid, private_key and login_endpoint. The token is renewed before its \
              hour is over, and when Marathon refuses it.",
    heading: Heading::Marathon,
    commands: ASKING,
};

pub(super) const CLIENT_CERT: Definition = Definition {
    name: "marathon-client-cert",
    short: None,
    takes: Takes::One(
        FILE,
        One(|c, text| {
            c.marathon.client_cert = Some(value::path(text)?);
            Ok(())
        }),
    ),
    fallback: Fallback::Nothing,
    summary: "Show the certificate in this PEM file to Marathons that ask for one",
    details: "",
    heading: Heading::Marathon,
    commands: ASKING,
};

pub(super) const CLIENT_KEY: Definition = Definition {
    name: "marathon-client-key",
    short: None,
    takes: Takes::One(
        FILE,
        One(|c, text| {
            c.marathon.client_key = Some(value::path(text)?);
            Ok(())
        }),
    ),
    fallback: Fallback::Rule("the key in the file of --marathon-client-cert"),
    summary: "The key of --marathon-client-cert, in PEM",
    details: "",
    heading: Heading::Marathon,
    commands: ASKING,
};
