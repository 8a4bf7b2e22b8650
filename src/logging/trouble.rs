use tracing::{debug, info};

use crate::cluster::cut;

/// So many ways to say one trouble are remembered, though it may last for weeks.
const MOST: usize = 100;

/// So many of them are told again when it is over, beside the last.
const MOST_OVER: usize = 3;

/// So many characters of it are told again.
const LONGEST_OVER: usize = 300;

/// The same without line ends, and what stands at the beginning of lines.
#[must_use]
pub fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// So much of it in one line as tells which trouble is over.
#[must_use]
pub fn brief(sentence: &str) -> String {
    cut(&in_one_line(sentence), LONGEST_OVER).into_owned()
}

/// One kind of trouble, as long as it lasts: what was said of it is not said again.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    /// The latest last.
    told: Vec<String>,
}

impl Trouble {
    /// It is there, in this sentence, of which `say` is given what is news; or it is not there, or no
    /// more, which is said here.
    pub fn tell(&mut self, sentence: Option<&str>, say: impl FnOnce(&str)) {
        match sentence {
            None => {
                if let Some(over) = self.is_over() {
                    info!("over: {over}");
                }
            }
            Some(sentence) if self.is_news(sentence) => say(sentence),
            Some(sentence) => debug!("still: {sentence}"),
        }
    }

    /// It is there, in these words. Whether they are news.
    pub fn is_news(&mut self, sentence: &str) -> bool {
        if self.told.iter().any(|told| told == sentence) {
            return false;
        }
        if self.told.len() >= MOST {
            self.told.clear();
        }
        self.told.push(sentence.to_owned());
        true
    }

    /// It is not there, or no more: then what was said of it in short, the last first.
    pub fn is_over(&mut self) -> Option<String> {
        let told = std::mem::take(&mut self.told);
        let (last, before) = told.split_last()?;
        if before.is_empty() {
            return Some(brief(last));
        }
        let mut over = format!("{last} (and before: ");
        let shown: Vec<&str> = before
            .iter()
            .rev()
            .take(MOST_OVER)
            .map(String::as_str)
            .collect();
        over.push_str(&shown.join("; "));
        if MOST_OVER < before.len() {
            over.push_str("; …");
        }
        over.push(')');
        Some(brief(&over))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trouble_is_told_once_and_once_when_it_is_over() {
        let mut trouble = Trouble::default();
        assert_eq!(trouble.is_over(), None);
        assert!(trouble.is_news("refused"));
        assert!(!trouble.is_news("refused"));
        assert_eq!(trouble.is_over().as_deref(), Some("refused"));
        // Those that take turns are told once each, and are over together.
        assert!(trouble.is_news("refused"));
        assert!(trouble.is_news("reset"));
        assert!(!trouble.is_news("refused"));
        assert_eq!(
            trouble.is_over().as_deref(),
            Some("reset (and before: refused)")
        );
        assert_eq!(trouble.is_over(), None);
        assert!(trouble.is_news("refused"));
    }

    #[test]
    fn a_long_story_is_not_told_twice() {
        let mut trouble = Trouble::default();
        assert!(trouble.is_news(&format!("refused:\n  {}", "ä".repeat(1000))));
        let over = trouble.is_over().unwrap();
        assert!(
            over.starts_with("refused: ää") && over.ends_with("ä…"),
            "{over}"
        );
        assert_eq!(over.chars().count(), LONGEST_OVER + 1);
    }

    #[test]
    fn however_long_it_lasts_little_is_remembered() {
        let mut trouble = Trouble::default();
        for attempt in 0..1000 {
            assert!(trouble.is_news(&format!("attempt {attempt}")));
        }
        assert!(trouble.told.len() <= MOST);
        let over = trouble.is_over().unwrap();
        assert!(over.ends_with("attempt 996; …)"), "{over}");
    }
}
