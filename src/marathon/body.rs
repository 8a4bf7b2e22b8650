//! A whole JSON answer becomes apps, so that one bad app costs only itself.
//!
//! In comes the text of `/v2/apps` or `/v2/apps/<id>`; out go apps in Marathon's order and the
//! warnings about those left out, or why the answer as a whole is none.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::convert::{self, LEFT_OUT, LONGEST_FOUND, quoted};
use super::sound::{LeftOut, sound};
use super::{is_app_path, wire};
use crate::cluster::{App, AppId, Warning, cut};

/// Why a text is no answer of Marathon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WrongBody {
    /// It is no JSON, or breaks off; the reason is serde's.
    NotJson(String),
    /// It is JSON, but not in the form of the answer: what was found, and what was expected.
    WrongForm {
        /// What stood there.
        found: String,
        /// What would have been right.
        expected: &'static str,
    },
}

impl fmt::Display for WrongBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJson(reason) => write!(f, "found a body that is no complete JSON ({reason})"),
            Self::WrongForm { found, expected } => write!(f, "found {found}, expected {expected}"),
        }
    }
}

impl std::error::Error for WrongBody {}

#[derive(Deserialize)]
#[serde(bound(deserialize = "A: Deserialize<'de>"))]
struct Apps<A> {
    apps: Option<A>,
}

/// A list of apps that is converted while it is read, so that the wire form of one app at a time is
/// all that memory has to hold.
struct Converted {
    apps: Vec<App>,
    warnings: Vec<Warning>,
}

impl<'de> Deserialize<'de> for Converted {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Conversion)
    }
}

struct Conversion;

impl<'de> Visitor<'de> for Conversion {
    type Value = Converted;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Converted, A::Error> {
        let mut read = Converted {
            apps: Vec::new(),
            warnings: Vec::new(),
        };
        let mut index = 0;
        while let Some(entry) = list.next_element::<Option<wire::App>>()? {
            if let Some(app) = entry {
                match convert::app(app, &position(index), &mut read.warnings) {
                    Ok(app) => read.apps.push(app),
                    Err(warning) => read.warnings.push(warning),
                }
            }
            index += 1;
        }
        Ok(read)
    }
}

#[derive(Deserialize)]
#[serde(bound(deserialize = "A: Deserialize<'de>"))]
struct OneApp<A> {
    app: Option<A>,
}

/// Reads the answer to `GET /v2/apps?embed=apps.tasks`.
///
/// # Errors
/// When the text is not complete JSON or holds no list `apps`: an answer without one says nothing
/// of the cluster, not that it is empty.
pub fn apps(body: &str) -> Result<(Vec<App>, Vec<Warning>), WrongBody> {
    const EXPECTED: &str = "an object with the list `apps`";
    // Nearly every answer is right as a whole, and then one pass is all it costs.
    if let Ok(Apps { apps: Some(read) }) = serde_json::from_str::<Apps<Converted>>(body) {
        let Converted { apps, mut warnings } = read;
        warnings.extend(twice(&apps));
        return Ok((apps, warnings));
    }
    let mut warnings = Vec::new();
    let Apps { apps } = envelope::<Apps<Vec<Option<&RawValue>>>>(body, EXPECTED)?;
    let apps: Vec<App> = apps
        .ok_or_else(|| WrongBody::WrongForm {
            found: "no `apps`".to_owned(),
            expected: EXPECTED,
        })?
        .into_iter()
        .enumerate()
        .filter_map(|(index, raw)| {
            single(raw?.get(), &position(index), &mut warnings)
                .map_err(|warning| warnings.push(warning))
                .ok()
        })
        .collect();
    warnings.extend(twice(&apps));
    Ok((apps, warnings))
}

/// For ids that several apps of one answer have.
fn twice(apps: &[App]) -> Vec<Warning> {
    let mut numbers: BTreeMap<&AppId, usize> = BTreeMap::new();
    for app in apps {
        *numbers.entry(&app.id).or_default() += 1;
    }
    let several = numbers.into_iter().filter(|(_, number)| *number > 1);
    let warning = |(id, number): (&AppId, usize)| Warning {
        app: Some(id.clone()),
        subject: "field `id`".to_owned(),
        found: format!("{number} apps of this id in one answer"),
        expected: "one".to_owned(),
        effect: "the last of them counts".to_owned(),
    };
    several.map(warning).collect()
}

/// Reads the answer to `GET /v2/apps/<id>?embed=app.tasks`. `None` is an app that was left out; the
/// warnings say why.
///
/// # Errors
/// When the text is not complete JSON or holds no `app`.
pub fn app(body: &str) -> Result<(Option<App>, Vec<Warning>), WrongBody> {
    const EXPECTED: &str = "an object with the object `app`";
    let OneApp { app } = envelope::<OneApp<&RawValue>>(body, EXPECTED)?;
    let raw = app.ok_or_else(|| WrongBody::WrongForm {
        found: "no `app`".to_owned(),
        expected: EXPECTED,
    })?;
    let mut warnings = Vec::new();
    let app = single(raw.get(), "the app", &mut warnings)
        .map_err(|warning| warnings.push(warning))
        .ok();
    Ok((app, warnings))
}

fn position(index: usize) -> String {
    format!("app number {} of the answer", index + 1)
}

/// The outermost object, with its apps still as text: what fails here is no fault of an app.
fn envelope<'a, E: Deserialize<'a>>(body: &'a str, expected: &'static str) -> Result<E, WrongBody> {
    serde_json::from_str(body).map_err(|error| {
        if error.is_data() {
            let (found, _) = found_and_expected(&error);
            WrongBody::WrongForm { found, expected }
        } else {
            WrongBody::NotJson(error.to_string())
        }
    })
}

fn single(json: &str, place: &str, warnings: &mut Vec<Warning>) -> Result<App, Warning> {
    if let Ok(app) = serde_json::from_str::<wire::App>(json) {
        return convert::app(app, place, warnings);
    }
    let (app, left_out) =
        sound(json).map_err(|misread| misread.warning(id_of(json), place, LEFT_OUT))?;
    let app = convert::app(app, place, warnings)?;
    let told = |part: LeftOut| {
        part.misread
            .warning(Some(app.id.clone()), place, part.effect)
    };
    warnings.extend(left_out.into_iter().map(told));
    Ok(app)
}

/// Where a text is not as it should be, and why.
pub(super) struct Misread {
    /// The way to it, where it is not the text as a whole.
    path: String,
    found: String,
    expected: String,
}

impl Misread {
    /// The same, where the text stands at `place` of another.
    pub(super) fn below(self, place: &str) -> Self {
        let path = match &*self.path {
            "" => place.to_owned(),
            path if path.starts_with('[') => format!("{place}{path}"),
            path => format!("{place}.{path}"),
        };
        Self { path, ..self }
    }

    /// `place` names the app where its id does not.
    fn warning(self, app: Option<AppId>, place: &str, effect: &str) -> Warning {
        let field = (!self.path.is_empty()).then(|| quoted(&self.path));
        let subject = match (&app, field) {
            (Some(_), None) => "the app as a whole".to_owned(),
            (Some(_), Some(field)) => format!("field {field}"),
            (None, None) => place.to_owned(),
            (None, Some(field)) => format!("field {field} of {place}"),
        };
        Warning {
            app,
            subject,
            found: self.found,
            expected: self.expected,
            effect: effect.to_owned(),
        }
    }
}

/// Reads a text, or says where it is wrong.
pub(super) fn read<T: for<'de> Deserialize<'de>>(json: &str) -> Result<T, Misread> {
    let deserializer = &mut serde_json::Deserializer::from_str(json);
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let (found, expected) = found_and_expected(error.inner());
        let mut path = error.path().to_string();
        if error.path().iter().len() == 0 {
            path.clear();
        }
        Misread {
            path,
            found,
            expected,
        }
    })
}

fn id_of(json: &str) -> Option<AppId> {
    #[derive(Deserialize)]
    struct Named {
        id: Option<Box<str>>,
    }
    let id = serde_json::from_str::<Named>(json).ok()?.id?;
    is_app_path(&id).then(|| AppId::new(&id))
}

/// Takes serde's sentence apart ("invalid type: map, expected u16 at line 1 column 7") and puts the
/// words of JSON in place of Rust's.
fn found_and_expected(error: &serde_json::Error) -> (String, String) {
    let sentence = error.to_string();
    let sentence = sentence
        .rfind(" at line ")
        .map_or(&*sentence, |end| &sentence[..end]);
    // A string that was found may hold anything, what was expected is our own text.
    let Some((found, expected)) = sentence.rsplit_once(", expected ") else {
        return (sentence.to_owned(), "what Marathon writes".to_owned());
    };
    let found = found
        .trim_start_matches("invalid type: ")
        .trim_start_matches("invalid value: ");
    let found = match found {
        "map" => "an object".to_owned(),
        "sequence" => "a list".to_owned(),
        // Where an object was wanted.
        _ if found.starts_with("invalid length ") => "a list".to_owned(),
        // serde has escaped it already, but shows all of it.
        _ => cut(found, LONGEST_FOUND).into_owned(),
    };
    let expected = match expected {
        "u16" | "u32" => "a port from 0 to 65535",
        "u64" | "usize" => "a whole number from 0",
        "a sequence" => "a list",
        "a boolean" => "true or false",
        other if other.starts_with("struct ") => "an object",
        other => other,
    };
    (found, expected.to_owned())
}

#[cfg(test)]
pub(super) mod tests;
