//! Who we are to Marathon: read from options and files, never shown.
//!
//! Within one place (options, environment, file of options) a file of credentials wins over
//! credentials in plain sight, and both over a service account of DC/OS; a stronger place wins over
//! a weaker one whatever it has.

use std::fmt;
use std::path::Path;

use super::build::{Layers, System};
use super::layers::{Layer, Mistake};
use super::option;
use super::policy::{CommandLine, Policy};

/// Text that nobody is shown; its `Debug` form is `***`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// From now on it is secret.
    #[must_use]
    pub const fn new(text: String) -> Self {
        Self(text)
    }

    /// For whom it is meant, and for no message or log.
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

/// How we name ourselves to Marathon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// HTTP basic authentication.
    Basic {
        /// Free of `:`.
        user: Secret,
        /// May hold `:`, except in the marathon-lb command line.
        password: Secret,
    },
    /// A service account of DC/OS: the JSON text with `uid`, `private_key` and `login_endpoint`,
    /// unread.
    ServiceAccount(Secret),
}

/// The variable that marathon-lb read its service account from.
const SERVICE_ACCOUNT: &str = "DCOS_SERVICE_ACCOUNT_CREDENTIAL";

/// The credentials of the strongest place that has any; `None` also for a file whose first line is
/// empty.
pub(super) fn decide(
    layers: &Layers<'_>,
    policy: &Policy,
    system: &System,
) -> Result<Option<Credentials>, Mistake> {
    for layer in layers.strongest_first() {
        let file = [
            option::AUTH_CREDENTIALS_FILE,
            option::MARATHON_AUTH_CREDENTIAL_FILE,
        ];
        if let Some(file) = file.iter().find_map(|file| last(layer, file)) {
            return from_file(Path::new(file), policy, system);
        }
        if let Some(text) = last(layer, option::AUTH_CREDENTIALS) {
            return match basic(text, policy) {
                Some(basic) => Ok(Some(basic)),
                None if is_marathon_lb(policy) => Err(in_its_words()),
                // It was refused where it stands.
                None => Ok(None),
            };
        }
        if let Some(json) = last(layer, option::DCOS_AUTH_CREDENTIALS) {
            return Ok(Some(service_account(json)));
        }
    }
    if !is_marathon_lb(policy) {
        return Ok(None);
    }
    let json = system.variable(SERVICE_ACCOUNT);
    Ok(json.filter(|json| !json.is_empty()).map(service_account))
}

/// What a layer gave last; an empty text is as good as none.
fn last<'a>(layer: &'a Layer, option: &str) -> Option<&'a str> {
    let text = layer.of(option).last()?.text.as_str();
    (!text.is_empty()).then_some(text)
}

fn service_account(json: &str) -> Credentials {
    Credentials::ServiceAccount(Secret::new(json.to_owned()))
}

fn from_file(
    path: &Path,
    policy: &Policy,
    system: &System,
) -> Result<Option<Credentials>, Mistake> {
    let text = (system.read)(path).map_err(|error| {
        Mistake::general(format!(
            "{}: cannot be read as the file of credentials: {error}",
            path.display()
        ))
    })?;
    match text.lines().next().unwrap_or_default().trim_end() {
        "" => Ok(None),
        line => match basic(line, policy) {
            Some(basic) => Ok(Some(basic)),
            None if is_marathon_lb(policy) => Err(in_its_words()),
            None => Err(Mistake::general(format!(
                "{}: expected USER:PASSWORD in the first line",
                path.display()
            ))),
        },
    }
}

/// marathon-lb wanted exactly one `:`.
fn basic(text: &str, policy: &Policy) -> Option<Credentials> {
    let (user, password) = text.split_once(':')?;
    if is_marathon_lb(policy) && password.contains(':') {
        return None;
    }
    Some(Credentials::Basic {
        user: Secret::new(user.to_owned()),
        password: Secret::new(password.to_owned()),
    })
}

fn is_marathon_lb(policy: &Policy) -> bool {
    policy.command_line == CommandLine::MarathonLb
}

/// What marathon-lb said of credentials with more or fewer than one `:`.
fn in_its_words() -> Mistake {
    Mistake::general("Please provide marathon credentials in user:pass format".to_owned())
}
