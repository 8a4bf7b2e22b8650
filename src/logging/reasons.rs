use std::collections::BTreeMap;

/// So many reasons are remembered, though a trouble may last for weeks.
const MOST: usize = 100;

/// A reason other than the first one is told when it is met for the this many-th time: what comes
/// between two states of a Marathon that restarts is not worth a line.
const LASTS: u32 = 3;

/// Why a trouble lasts, where it has one reason today and another one tomorrow.
#[derive(Clone, Debug, Default)]
pub struct Reasons(BTreeMap<String, u32>);

impl Reasons {
    /// It is met again. Whether it is to be told: the first one at once, each other one once it has
    /// lasted, and none twice.
    pub fn is_news(&mut self, reason: &str) -> bool {
        let is_first = self.0.is_empty();
        if let Some(met) = self.0.get_mut(reason) {
            *met = met.saturating_add(1);
            return *met == LASTS;
        }
        if MOST <= self.0.len() {
            // Those that were told are the ones that must not come back.
            self.0.retain(|_, met| LASTS <= *met);
        }
        if self.0.len() < MOST {
            let met = if is_first { LASTS } else { 1 };
            self.0.insert(reason.to_owned(), met);
        }
        is_first
    }

    /// The trouble is over.
    pub fn are_over(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(reasons: &mut Reasons, met: &str) -> String {
        met.split(' ').filter(|one| reasons.is_news(one)).collect()
    }

    #[test]
    fn the_first_reason_is_told_at_once_and_each_other_one_once_it_has_lasted() {
        for (met, expected) in [
            ("a a a a a a", "a"),
            ("a b b b b b", "ab"),
            // What comes between is passed over.
            ("a b c c c c", "ac"),
            // Those that take turns are told once each.
            ("a b a b a b a b a b", "ab"),
            ("a b c a b c a b c a b c", "abc"),
            ("a b b b c c c a a a b b b", "abc"),
        ] {
            let mut reasons = Reasons::default();
            assert_eq!(told(&mut reasons, met), expected, "{met}");
            reasons.are_over();
            assert_eq!(told(&mut reasons, met), expected, "{met}");
        }
    }

    #[test]
    fn however_many_there_are_few_are_remembered_and_none_is_told_twice() {
        let mut reasons = Reasons::default();
        assert_eq!(told(&mut reasons, "a b b b"), "ab");
        for attempt in 0..1000 {
            assert!(!reasons.is_news(&format!("attempt {attempt}")));
            assert!(reasons.0.len() <= MOST);
        }
        assert_eq!(told(&mut reasons, "a b a b b b"), "");
    }
}
