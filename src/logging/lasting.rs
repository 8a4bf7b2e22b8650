//! What lasts and is found where nobody remembers it: told once, and once when it is over.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tracing::{error, warn};

use super::Trouble;

/// By kind. What is found deep below a turn, by what is made anew for each, has no better place to
/// remember what was said.
static KNOWN: Mutex<BTreeMap<&'static str, Trouble>> = Mutex::new(BTreeMap::new());

/// Warns of a trouble of this kind, as long as it lasts once, and says once that it is over: then there
/// is no sentence.
pub fn lasting(kind: &'static str, sentence: Option<&str>) {
    tell(kind, sentence, |sentence| warn!("{sentence}"));
}

/// The same of what clients notice, as an error.
pub fn failing(kind: &'static str, sentence: &str) {
    tell(kind, Some(sentence), |sentence| error!("{sentence}"));
}

fn tell(kind: &'static str, sentence: Option<&str>, say: impl FnOnce(&str)) {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(kind).or_default().tell(sentence, say);
}
