//! What lasts is told once, and once when it is over.

use std::time::Duration;

use tracing::{debug, error, info, warn};

use super::super::blame::Blamed;
use super::super::tell::Word;
use crate::logging::shown;
use crate::marathon::events::Lost;
use crate::watch::Trouble;

/// One for each kind.
#[derive(Default)]
pub(super) struct Troubles {
    failed: Trouble,
    outcome: Trouble,
    held: Trouble,
    events: Trouble,
    lock: Trouble,
    configuration: Trouble,
    fixed: Trouble,
    templates: Trouble,
    certificates: Trouble,
    sees_late: Trouble,
    worst: [Option<String>; 6],
}

impl Troubles {
    /// Why a turn came to nothing; `None` where it did not.
    pub(super) fn failed(&mut self, error: Option<&anyhow::Error>) {
        let sentence = error.map(|error| format!("{error:#}"));
        self.worst[0].clone_from(&sentence);
        tell(&mut self.failed, sentence.as_deref(), |sentence| {
            error!("{sentence}");
        });
    }

    /// How a turn ended.
    pub(super) fn outcome(&mut self, word: &Word<'_>) {
        let sentence = lasting(word);
        self.worst[1] = sentence.clone().filter(|_| !word.is_good());
        if sentence.is_none() {
            word.say();
        }
        tell(&mut self.outcome, sentence.as_deref(), |_| word.say());
    }

    /// What is held back.
    pub(super) fn held(&mut self, word: Option<&Word<'_>>) {
        let sentence = word.and_then(lasting);
        self.worst[2].clone_from(&sentence);
        tell(&mut self.held, sentence.as_deref(), |_| {
            if let Some(word) = word {
                word.say();
            }
        });
    }

    /// What is not locked as it should be.
    pub(super) fn lock(&mut self, warning: Option<&str>) {
        tell(&mut self.lock, warning, |warning| warn!("{warning}"));
    }

    /// Why new options cannot be put to use.
    pub(super) fn configuration(&mut self, mistakes: Option<&str>) {
        let sentence = mistakes.map(|mistakes| {
            format!(
                "the options were changed and are not put to use, those of before count: {mistakes}"
            )
        });
        self.worst[3].clone_from(&sentence);
        tell(&mut self.configuration, sentence.as_deref(), |sentence| {
            error!("{sentence}");
        });
    }

    /// What of new options needs another start.
    pub(super) fn fixed(&mut self, sentence: Option<&str>) {
        tell(&mut self.fixed, sentence, |sentence| warn!("{sentence}"));
    }

    /// Why changed templates, or new options that go with them, cannot be put to use.
    pub(super) fn templates(&mut self, error: Option<&anyhow::Error>) {
        let sentence = error.map(|error| {
            format!("what was changed is not put to use, what counted before does: {error:#}")
        });
        self.worst[4].clone_from(&sentence);
        tell(&mut self.templates, sentence.as_deref(), |sentence| {
            error!("{sentence}");
        });
    }

    /// Why HAProxy was not brought to changed certificates.
    pub(super) fn certificates(&mut self, sentence: Option<&str>) {
        self.worst[5] = sentence.map(str::to_owned);
        tell(&mut self.certificates, sentence, |sentence| {
            error!("{sentence}");
        });
    }

    /// Why changes of files are not seen at once.
    pub(super) fn sees_late(&mut self, deaf: Option<(&str, Duration)>) {
        let sentence = deaf.map(|(why, pause)| {
            format!(
                "the kernel does not tell of changed files ({why}); they are looked at every {}",
                shown(pause)
            )
        });
        tell(&mut self.sees_late, sentence.as_deref(), |sentence| {
            warn!("{sentence}");
        });
    }

    /// No events come. It is one trouble, whatever its reasons are.
    pub(super) fn hears_nothing(&mut self, lost: &Lost, every: Duration) {
        if self.events.is_news("Marathon tells no events") {
            warn!(
                "{lost}; until then everything is asked every {}",
                shown(every)
            );
        } else {
            debug!("{lost}");
        }
    }

    /// They do again.
    pub(super) fn hears_again(&mut self) {
        tell(&mut self.events, None, |_| ());
    }

    /// What `systemctl status` should show first.
    pub(super) fn worst(&self) -> Option<&str> {
        self.worst.iter().flatten().map(String::as_str).next()
    }
}

fn tell(trouble: &mut Trouble, sentence: Option<&str>, say: impl FnOnce(&str)) {
    match sentence {
        None => {
            if let Some(over) = trouble.is_over() {
                info!("over: {over}");
            }
        }
        Some(sentence) if trouble.is_news(sentence) => say(sentence),
        Some(sentence) => debug!("still: {sentence}"),
    }
}

/// The sentence of what lasts.
fn lasting(word: &Word<'_>) -> Option<String> {
    match word {
        Word::Nothing(_) | Word::News(_) => None,
        Word::Lasting(_, sentence) => Some(sentence.clone()),
        Word::Refused(reasons, _) => {
            let reasons: Vec<String> = reasons.iter().map(Blamed::lasting).collect();
            Some(format!(
                "`haproxy -c` refuses the new file: {}",
                reasons.join("; ")
            ))
        }
    }
}
