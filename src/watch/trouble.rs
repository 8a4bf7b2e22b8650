use std::collections::BTreeSet;

/// So many ways to say one trouble are remembered, though it may last for weeks.
const MOST: usize = 100;

/// One kind of trouble, as long as it lasts: what was said of it is not said again.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    told: BTreeSet<String>,
    last: Option<String>,
}

impl Trouble {
    /// It is there, in these words. Whether they are news.
    pub fn is_news(&mut self, sentence: &str) -> bool {
        if self.told.contains(sentence) {
            return false;
        }
        if self.told.len() >= MOST {
            self.told.clear();
        }
        self.told.insert(sentence.to_owned());
        self.last = Some(sentence.to_owned());
        true
    }

    /// It is not there, or no more: then what was said of it last.
    pub fn is_over(&mut self) -> Option<String> {
        self.told.clear();
        self.last.take()
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
        // Those that take turns are told once each.
        assert!(trouble.is_news("reset"));
        assert!(!trouble.is_news("refused"));
        assert_eq!(trouble.is_over().as_deref(), Some("reset"));
        assert_eq!(trouble.is_over(), None);
        assert!(trouble.is_news("refused"));
    }

    #[test]
    fn however_long_it_lasts_little_is_remembered() {
        let mut trouble = Trouble::default();
        for attempt in 0..1000 {
            assert!(trouble.is_news(&format!("attempt {attempt}")));
        }
        assert!(trouble.told.len() <= MOST);
    }
}
