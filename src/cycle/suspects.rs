//! Who it is that HAProxy refuses without a name.
//!
//! Some faults are told with neither a line nor a section, and of some HAProxy dies. Then those are
//! suspected whose text is not installed, and groups of them are tried beside all others, until the
//! culprits stand alone or so much was tried that the rest of the suspects pass for them.

/// So many tries are made of few suspects: with the refusal before, which is asked for twice, and the
/// check of what is left, eight runs.
const FEWEST_TRIES: usize = 5;

/// Whom to suspect, narrowed down from try to try. Pure: somebody else does the tries.
#[derive(Debug)]
pub(super) struct Suspects<T> {
    /// Groups that are left out so far; the last one is tried next.
    open: Vec<Group<T>>,
    culprits: Vec<T>,
    tries_left: usize,
    /// Without all of them the file was accepted.
    are_to_blame: bool,
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
    pub(super) fn new(suspects: Vec<T>) -> Self {
        // A culprit is found by halving; some more tries are for others.
        let halvings = suspects.len().next_power_of_two().ilog2() as usize;
        Self {
            open: vec![Group {
                members: suspects,
                guilt: Guilt::Certain,
            }],
            culprits: Vec::new(),
            tries_left: FEWEST_TRIES.max((3 * halvings).saturating_sub(4)),
            are_to_blame: false,
        }
    }

    /// Whom to leave out in the next try; `None` where nothing is left to find out. The first try
    /// leaves out all.
    pub(super) fn next_try(&mut self) -> Option<Vec<T>> {
        if self.are_to_blame {
            self.narrow();
        }
        if self.open.is_empty() || self.tries_left == 0 {
            return None;
        }
        self.tries_left -= 1;
        let tried = usize::from(self.are_to_blame);
        let others = &self.open[..self.open.len() - tried];
        let others = others.iter().flat_map(|group| &group.members);
        Some(self.culprits.iter().chain(others).cloned().collect())
    }

    /// What came of it. `false` where the fault is none of theirs.
    pub(super) fn judge(&mut self, is_accepted: bool) -> bool {
        if !self.are_to_blame {
            self.are_to_blame = is_accepted;
            return is_accepted;
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
    pub(super) fn culprits(self) -> Vec<T> {
        let open = self.open.into_iter().flat_map(|group| group.members);
        self.culprits.into_iter().chain(open).collect()
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
    use std::collections::BTreeSet;

    use super::*;

    /// Who is found among so many, and in how many tries.
    fn search(count: usize, bad: &[usize]) -> (BTreeSet<usize>, usize) {
        let mut suspects = Suspects::new((0..count).collect());
        let mut tries = 0;
        while let Some(out) = suspects.next_try() {
            tries += 1;
            let is_accepted = bad.iter().all(|one| out.contains(one));
            assert!(suspects.judge(is_accepted));
        }
        (suspects.culprits().into_iter().collect(), tries)
    }

    fn set(all: &[usize]) -> BTreeSet<usize> {
        all.iter().copied().collect()
    }

    #[test]
    fn one_culprit_is_found_wherever_he_stands() {
        for count in 1..=70 {
            for bad in 0..count {
                let (found, tries) = search(count, &[bad]);
                let halvings = count.next_power_of_two().ilog2() as usize;
                assert_eq!(found, set(&[bad]), "of {count}");
                assert!(tries <= halvings + 2, "{tries} tries of {count}");
            }
        }
        for bad in [0, 1, 2500, 4999] {
            let (found, tries) = search(5000, &[bad]);
            assert_eq!(found, set(&[bad]));
            assert!(tries <= 15, "{tries}");
        }
        assert_eq!(search(1, &[0]).1, 1);
    }

    #[test]
    fn nobody_who_is_to_blame_is_ever_cleared_and_few_others_are_not() {
        for bad in [&[0, 1, 2, 3, 4][..], &[0, 4], &[2, 3], &[7, 8, 40, 41, 59]] {
            for count in [60, 64, 5000] {
                let (found, _) = search(count, bad);
                assert!(found.is_superset(&set(bad)), "{found:?}");
                assert!(found.len() < count);
            }
        }
        let (found, tries) = search(5, &[0, 1, 2, 3, 4]);
        assert_eq!((found, tries), (set(&[0, 1, 2, 3, 4]), FEWEST_TRIES));
    }

    #[test]
    fn where_the_fault_is_elsewhere_one_try_tells() {
        let mut suspects = Suspects::new(vec![1, 2, 3]);
        assert_eq!(suspects.next_try(), Some(vec![1, 2, 3]));
        assert!(!suspects.judge(false));
    }
}
