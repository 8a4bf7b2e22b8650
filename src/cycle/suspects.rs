//! Who it is that HAProxy refuses without a name.
//!
//! Some faults are told with neither a line nor a section, and of some HAProxy dies. Then those are
//! suspected whose text is not installed, first who says what few others do, and groups of them are
//! tried beside all others, until the culprits stand alone, so few are left that they pass for
//! culprits, or there were tries enough.

/// So many tries are made of few suspects: with the refusal before, which is asked for twice, and the
/// check of what is left, eight runs. And so few may pass for culprits untried.
const FEWEST_TRIES: usize = 5;

/// Whom to suspect, narrowed down from try to try. Pure: somebody else does the tries.
#[derive(Debug)]
pub(super) struct Suspects<T> {
    /// Who was not suspected yet, the most suspect last.
    tiers: Vec<Vec<T>>,
    /// Without them alone the file was refused.
    earlier: Vec<T>,
    /// Groups that are left out so far; the last one is tried next.
    open: Vec<Group<T>>,
    culprits: Vec<T>,
    tries: usize,
    most_tries: usize,
    /// More were left than may pass for culprits, so that all are tried.
    tries_all: bool,
    /// Without all of them the file was accepted.
    are_to_blame: bool,
}

/// What came of a search.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found<T> {
    /// Who is to blame, or one of so few.
    pub(super) culprits: Vec<T>,
    /// More than a few, among whom others are to blame: they could not be told apart in so few tries.
    pub(super) suspected: Vec<T>,
}

#[derive(Debug)]
struct Group<T> {
    members: Vec<T>,
    guilt: Guilt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guilt {
    /// At least one member is to blame.
    Certain,
    /// One is, unless one of the group that is tried before is.
    UnlessItsTwin,
    Unknown,
}

impl<T: Clone> Suspects<T> {
    /// The most suspect tier first.
    pub(super) fn new(mut tiers: Vec<Vec<T>>) -> Self {
        tiers.reverse();
        Self {
            tiers,
            earlier: Vec::new(),
            open: Vec::new(),
            culprits: Vec::new(),
            tries: 0,
            most_tries: 0,
            tries_all: false,
            are_to_blame: false,
        }
    }

    /// Whom to leave out in the next try; `None` where nothing is left to find out. The first tries
    /// leave out whole tiers. `most` are made to tell many apart.
    pub(super) fn next_try(&mut self, most: usize) -> Option<Vec<T>> {
        if !self.are_to_blame {
            let tier = self.tiers.pop()?;
            self.tries += 1;
            let all = self.earlier.iter().chain(&tier).cloned().collect();
            self.open = vec![Group {
                members: tier,
                guilt: Guilt::Certain,
            }];
            return Some(all);
        }
        self.narrow();
        if self.tries >= self.most_tries && self.left() > FEWEST_TRIES {
            self.tries_all = true;
        }
        let may_try = self.tries < self.most_tries || (self.tries_all && self.tries < most);
        if self.open.is_empty() || !may_try {
            return None;
        }
        self.tries += 1;
        let others = &self.open[..self.open.len() - 1];
        let others = others.iter().flat_map(|group| &group.members);
        Some(self.culprits.iter().chain(others).cloned().collect())
    }

    /// What came of it. `false` where the fault is none of theirs.
    pub(super) fn judge(&mut self, is_accepted: bool) -> bool {
        if !self.are_to_blame {
            if is_accepted {
                self.blame();
                return true;
            }
            let tier = self.open.drain(..).flat_map(|group| group.members);
            self.earlier.extend(tier);
            return !self.tiers.is_empty();
        }
        if is_accepted {
            self.open.pop();
            if let Some(twin) = self.open.last_mut()
                && twin.guilt == Guilt::UnlessItsTwin
            {
                twin.guilt = Guilt::Certain;
            }
        } else if let [before @ .., tried] = &mut *self.open {
            tried.guilt = Guilt::Certain;
            if let Some(twin) = before.last_mut() {
                twin.guilt = Guilt::Unknown;
            }
        }
        true
    }

    /// Those who are to blame, and those who could not be cleared.
    pub(super) fn found(self) -> Found<T> {
        let left = self.left();
        let open = self.open.into_iter().flat_map(|group| group.members);
        let mut culprits = self.culprits;
        if left <= FEWEST_TRIES {
            culprits.extend(open);
            return Found {
                culprits,
                suspected: Vec::new(),
            };
        }
        Found {
            culprits,
            suspected: open.collect(),
        }
    }

    /// One of the last tier is to blame, perhaps with some of those before.
    fn blame(&mut self) {
        self.are_to_blame = true;
        if !self.earlier.is_empty() {
            let earlier = Group {
                members: std::mem::take(&mut self.earlier),
                guilt: Guilt::Unknown,
            };
            self.open.insert(0, earlier);
        }
        // A culprit is found by halving; some more tries are for others.
        let halvings = self.left().next_power_of_two().ilog2() as usize;
        let tries = FEWEST_TRIES.max((3 * halvings).saturating_sub(4));
        self.most_tries = self.tries - 1 + tries;
    }

    fn left(&self) -> usize {
        self.open.iter().map(|group| group.members.len()).sum()
    }

    /// Halves a group of which one is to blame, until it is that one.
    fn narrow(&mut self) {
        while let Some(group) = self.open.pop_if(|group| group.guilt == Guilt::Certain) {
            let mut first = group.members;
            if first.len() == 1 {
                self.culprits.append(&mut first);
                continue;
            }
            let second = first.split_off(first.len() / 2);
            self.open.push(Group {
                members: second,
                guilt: Guilt::UnlessItsTwin,
            });
            self.open.push(Group {
                members: first,
                guilt: Guilt::Unknown,
            });
        }
        // Most of those beside a culprit are innocent, which one try tells of all.
        while let [.., before, last] = &mut *self.open
            && before.guilt == Guilt::Unknown
            && last.guilt == Guilt::Unknown
        {
            before.members.append(&mut last.members);
            self.open.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who is found among so many, and in how many tries. `first` are the most suspect.
    fn search(count: usize, first: &[usize], bad: &[usize], most: usize) -> (Found<usize>, usize) {
        let others = (0..count).filter(|one| !first.contains(one)).collect();
        let tiers = [first.to_vec(), others];
        let tiers = tiers.into_iter().filter(|tier: &Vec<_>| !tier.is_empty());
        let mut suspects = Suspects::new(tiers.collect());
        let mut tries = 0;
        while let Some(out) = suspects.next_try(most) {
            tries += 1;
            let is_accepted = bad.iter().all(|one| out.contains(one));
            assert!(suspects.judge(is_accepted));
        }
        let mut found = suspects.found();
        found.culprits.sort_unstable();
        (found, tries)
    }

    fn only(culprits: &[usize]) -> Found<usize> {
        Found {
            culprits: culprits.to_vec(),
            suspected: Vec::new(),
        }
    }

    #[test]
    fn one_culprit_is_found_wherever_he_stands() {
        for count in 1..=70 {
            for bad in 0..count {
                let (found, tries) = search(count, &[], &[bad], 0);
                let halvings = count.next_power_of_two().ilog2() as usize;
                assert_eq!(found, only(&[bad]), "of {count}");
                assert!(tries <= halvings + 2, "{tries} tries of {count}");
            }
        }
        for bad in [0, 1, 2500, 4999] {
            let (found, tries) = search(5000, &[], &[bad], 0);
            assert_eq!(found, only(&[bad]));
            assert!(tries <= 15, "{tries}");
        }
        assert_eq!(search(1, &[], &[0], 0).1, 1);
    }

    #[test]
    fn who_is_the_most_suspect_is_found_in_a_few_tries_among_however_many() {
        assert_eq!(search(5000, &[70], &[70], 0), (only(&[70]), 1));
        let five = [7, 70, 700, 3000, 4999];
        assert_eq!(search(5000, &five, &five, 0), (only(&five), FEWEST_TRIES));
        // Who is not among them is found all the same.
        let (found, tries) = search(5000, &five, &[8], 0);
        assert_eq!(found, only(&[8]));
        assert!(tries <= 20, "{tries}");
    }

    #[test]
    fn nobody_who_is_to_blame_is_ever_cleared_and_only_a_few_are_blamed_untried() {
        for bad in [&[0, 1, 2, 3, 4][..], &[0, 4], &[2, 3], &[7, 8, 40, 41, 59]] {
            for count in [60, 64, 5000] {
                let (found, tries) = search(count, &[], bad, 1000);
                let Found {
                    culprits,
                    suspected,
                } = &found;
                assert!(bad.iter().all(|one| culprits.contains(one)), "{found:?}");
                assert!(
                    suspected.is_empty() && culprits.len() <= bad.len() + 4,
                    "{found:?}"
                );
                assert!(tries <= 100, "{tries} tries of {count}");

                // Where no more may be tried, nobody is blamed who was not shown to be to blame.
                let (found, _) = search(count, &[], bad, 0);
                let Found {
                    culprits,
                    suspected,
                } = &found;
                let is_out = |one: &usize| culprits.contains(one) || suspected.contains(one);
                assert!(bad.iter().all(is_out), "{found:?}");
                assert!(culprits.len() <= bad.len() + FEWEST_TRIES, "{found:?}");
            }
        }
        let (found, tries) = search(5, &[], &[0, 1, 2, 3, 4], 1000);
        assert_eq!((found, tries), (only(&[0, 1, 2, 3, 4]), FEWEST_TRIES));
    }

    #[test]
    fn where_the_fault_is_elsewhere_a_try_of_each_tier_tells() {
        let mut suspects = Suspects::new(vec![vec![1], vec![2, 3]]);
        assert_eq!(suspects.next_try(0), Some(vec![1]));
        assert!(suspects.judge(false));
        assert_eq!(suspects.next_try(0), Some(vec![1, 2, 3]));
        assert!(!suspects.judge(false));
    }
}
