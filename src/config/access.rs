//! Where the credentials for Marathon come from: of what was given, the strongest place counts, and
//! its file is read.

use std::path::Path;

use super::build::{Layers, System};
use super::layers::{Mistake, Origin, Written};
use super::option::{
    AUTH_CREDENTIALS, AUTH_CREDENTIALS_FILE, AUTH_TOKEN_FILE, DCOS_AUTH_CREDENTIALS,
    DCOS_AUTH_CREDENTIALS_FILE, MARATHON_AUTH_CREDENTIAL_FILE, SERVICE_ACCOUNT,
};
use super::{CommandLine, Config, Credentials, WrongCredentials};

type Read = fn(&str) -> Result<Credentials, WrongCredentials>;

/// Each excludes the others within one place.
const SOURCES: [(&str, Read); 4] = [
    (AUTH_CREDENTIALS_FILE, Credentials::from_file_text),
    (AUTH_CREDENTIALS, Credentials::from_user_pass),
    (AUTH_TOKEN_FILE, Credentials::from_token),
    (DCOS_AUTH_CREDENTIALS_FILE, Credentials::from_dcos_json),
];

/// Anybody on this host.
const OTHERS_READ: u32 = 0o004;

/// Reads the credentials into `config`; gives mistakes and warnings.
pub(super) fn decide(
    config: &mut Config,
    layers: &Layers<'_>,
    system: &System,
    warnings: &mut Vec<String>,
) -> Vec<Mistake> {
    let mut mistakes = Vec::new();
    if config.marathon.client_key.is_some() && config.marathon.client_cert.is_none() {
        mistakes.push(Mistake::general(
            "`marathon-client-key` is given without `marathon-client-cert`, expected both"
                .to_owned(),
        ));
    }
    // A saved answer can be read by people who may not read passwords.
    if config
        .marathon
        .urls
        .iter()
        .all(|url| url.starts_with("file:"))
    {
        return mistakes;
    }
    let key = config.marathon.client_key.as_ref();
    if let Some(key) = key.or(config.marathon.client_cert.as_ref()) {
        warn_of_readers(key, system, warnings);
    }
    if config.policy.command_line == CommandLine::MarathonLb {
        match of_marathon_lb(layers, system) {
            Ok(None) => (),
            Ok(Some(credentials)) => {
                config.marathon.credentials = credentials;
                return mistakes;
            }
            Err(mistake) => {
                mistakes.push(mistake);
                return mistakes;
            }
        }
    }
    let strongest = SOURCES
        .iter()
        .filter_map(|(name, _)| layers.strength(name))
        .max();
    let given: Vec<(&str, Read, &Written)> = SOURCES
        .iter()
        .filter(|(name, _)| layers.strength(name) == strongest)
        .filter_map(|&(name, read)| Some((name, read, layers.written(name)?)))
        .collect();
    match given.as_slice() {
        [] => (),
        [(name, read, written)] => match credentials(name, *read, written, system, warnings) {
            Ok(credentials) => config.marathon.credentials = credentials,
            Err(mistake) => mistakes.push(mistake),
        },
        several => {
            let names: Vec<String> = several
                .iter()
                .map(|(name, ..)| format!("`{name}`"))
                .collect();
            mistakes.push(Mistake::general(format!(
                "{} are given side by side, expected one of them",
                names.join(" and ")
            )));
        }
    }
    mistakes
}

/// As marathon-lb chose: a file, else credentials in plain sight, else a service account, else that
/// of the environment. A file whose first line is empty means that there are none; `None` is where
/// nothing of it was given, so that our own options may count.
fn of_marathon_lb(layers: &Layers<'_>, system: &System) -> Result<Option<Credentials>, Mistake> {
    let flag = |name: &str| {
        let written = layers.written(name)?;
        (written.origin == Origin::Predecessor).then_some(written)
    };
    let given = |name: &str| flag(name).filter(|written| !written.text.is_empty());
    if let Some(file) = given(MARATHON_AUTH_CREDENTIAL_FILE) {
        let text = (system.read)(Path::new(&file.text)).map_err(|error| {
            Mistake::general(format!(
                "{}: cannot be read as the file of credentials: {error}",
                file.text
            ))
        })?;
        let read = Credentials::from_file_text_strict(&text);
        return read.map(Some).map_err(|_| in_its_words());
    }
    if let Some(plain) = given(AUTH_CREDENTIALS) {
        let read = Credentials::from_user_pass_strict(&plain.text);
        return read.map(Some).map_err(|_| in_its_words());
    }
    let account = |place: String, json: &str| {
        let read = Credentials::from_dcos_json(json);
        read.map(Some)
            .map_err(|wrong| Mistake::general(format!("{place}: {wrong}")))
    };
    if let Some(json) = flag(DCOS_AUTH_CREDENTIALS) {
        // It took the place of the variable, be it with nothing.
        if json.text.is_empty() {
            return Ok(Some(Credentials::None));
        }
        return account(format!("option `--{DCOS_AUTH_CREDENTIALS}`"), &json.text);
    }
    match system
        .variable(SERVICE_ACCOUNT)
        .filter(|json| !json.is_empty())
    {
        None => Ok(None),
        Some(json) => account(format!("environment variable `{SERVICE_ACCOUNT}`"), json),
    }
}

/// What marathon-lb said of credentials with more or fewer than one `:`.
fn in_its_words() -> Mistake {
    Mistake::general("Please provide marathon credentials in user:pass format".to_owned())
}

fn credentials(
    name: &str,
    read: Read,
    written: &Written,
    system: &System,
    warnings: &mut Vec<String>,
) -> Result<Credentials, Mistake> {
    let Written { text, origin, .. } = written;
    let wrong = |what: String| {
        let place = origin.describe(name);
        Mistake::at(origin.line(), format!("{place}: {what}"))
    };
    if name == AUTH_CREDENTIALS {
        if let Origin::File { path, .. } = origin {
            warn_of_readers(path, system, warnings);
        }
        // A wrong text has been reported by its layer.
        return Ok(read(text).unwrap_or_default());
    }
    let path = Path::new(text);
    let shown = path.display();
    let content =
        (system.read)(path).map_err(|error| wrong(format!("`{shown}` cannot be read: {error}")))?;
    warn_of_readers(path, system, warnings);
    match read(&content) {
        // marathon-lb takes it for none, but here somebody asked for some.
        Ok(Credentials::None) => Err(wrong(format!(
            "found an empty first line in `{shown}`, expected user:password"
        ))),
        Ok(credentials) => Ok(credentials),
        Err(error) => Err(wrong(format!("`{shown}`: {error}"))),
    }
}

fn warn_of_readers(path: &Path, system: &System, warnings: &mut Vec<String>) {
    if let Some(mode) = (system.mode)(path)
        && mode & OTHERS_READ != 0
    {
        warnings.push(format!(
            "`{}` holds a secret and has mode {:04o}, so that everybody on this host can read it; \
             expected 0600",
            path.display(),
            mode & 0o7777
        ));
    }
}
