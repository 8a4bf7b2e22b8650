//! The shares of apps that are one service, as weights of their servers.
//!
//! HAProxy knows whole weights up to 256 for a server, and what counts for an app is their sum. So
//! the weights are scaled to where the sums come nearest to the shares. Where a server's part would
//! be less than 1, only so many servers of that app get requests: with 1 each, an app of many tasks
//! would get far more than its share.

/// HAProxy knows weights up to this.
const LARGEST: u64 = 256;

const MILLION: u128 = 1_000_000;

/// Up to here (in millionths of the share) it counts more that all servers take part.
const CLOSE: u128 = 50_000;

/// From here on the owner is told.
const FAR: u128 = 100_000;

/// What an app asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Beside those of the others.
    pub(super) weight: u64,
    /// Those that take requests.
    pub(super) servers: u64,
}

impl Wanted {
    fn takes_part(self) -> bool {
        self.weight > 0 && self.servers > 0
    }
}

/// What it gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Given {
    /// The weight of a server.
    pub(super) weight: u16,
    /// How many servers have it; the others have none.
    pub(super) servers: u64,
}

impl Given {
    fn sum(self) -> u64 {
        u64::from(self.weight) * self.servers
    }
}

/// A share that weights cannot give, both in millionths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Miss {
    /// Of all requests.
    pub(super) wanted: u32,
    /// Of all requests.
    pub(super) real: u32,
}

/// What each of those who share requests gets. Who has no server is not counted; nobody with a
/// share and a server goes without.
pub(super) fn split(all: &[Wanted]) -> Vec<Given> {
    let taking: Vec<Wanted> = all.iter().copied().filter(|w| w.takes_part()).collect();
    let heaviest = taking.iter().max_by_key(|wanted| {
        (u128::from(wanted.weight) * MILLION * MILLION) / u128::from(wanted.servers)
    });
    let Some(heaviest) = heaviest else {
        return vec![Given::default(); all.len()];
    };
    let scaled = |largest: u64| -> Vec<Given> {
        all.iter()
            .map(|wanted| given(*wanted, *heaviest, largest))
            .collect()
    };
    let best = (1..=LARGEST).map(scaled).min_by_key(|given| {
        let worst = errors(all, given).max().unwrap_or_default();
        let served: u64 = given.iter().map(|given| given.servers).sum();
        let is_far = worst > CLOSE;
        // Of equals the first is taken: the smaller weights.
        (is_far, if is_far { 0 } else { u64::MAX - served }, worst)
    });
    best.unwrap_or_default()
}

/// With so large a weight for servers of the heaviest.
fn given(wanted: Wanted, heaviest: Wanted, largest: u64) -> Given {
    if !wanted.takes_part() {
        return Given::default();
    }
    let sum = u128::from(wanted.weight) * u128::from(heaviest.servers) * u128::from(largest);
    let of_all = u128::from(heaviest.weight);
    let each = of_all * u128::from(wanted.servers);
    if sum < each {
        let servers = rounded(sum, of_all).clamp(1, wanted.servers);
        return Given { weight: 1, servers };
    }
    Given {
        weight: u16::try_from(rounded(sum, each).min(LARGEST)).unwrap_or(1),
        servers: wanted.servers,
    }
}

fn rounded(number: u128, divisor: u128) -> u64 {
    u64::try_from((number + divisor / 2) / divisor).unwrap_or(u64::MAX)
}

/// By how much of the share wanted the real one differs, in millionths.
fn errors<'a>(all: &'a [Wanted], given: &'a [Given]) -> impl Iterator<Item = u128> + 'a {
    let (weights, sums) = totals(all, given);
    all.iter().zip(given).map(move |(wanted, given)| {
        if !wanted.takes_part() {
            return 0;
        }
        let real = u128::from(given.sum()) * weights;
        let wanted = u128::from(wanted.weight) * sums;
        real.abs_diff(wanted) * MILLION / wanted
    })
}

/// The weights of those who take part, and of what they are given.
fn totals(all: &[Wanted], given: &[Given]) -> (u128, u128) {
    let taking = all.iter().filter(|wanted| wanted.takes_part());
    let weights = taking.map(|wanted| u128::from(wanted.weight)).sum();
    let sums = given.iter().map(|given| u128::from(given.sum())).sum();
    (weights, sums)
}

/// Whose share is another than the one wanted, by more than a tenth of it.
pub(super) fn missed(all: &[Wanted], given: &[Given]) -> Vec<Option<Miss>> {
    let (weights, sums) = totals(all, given);
    let part = |part: u64, whole: u128| {
        let part = u128::from(part) * 100 * MILLION / whole.max(1);
        u32::try_from(part).unwrap_or(u32::MAX)
    };
    let misses = errors(all, given).zip(all.iter().zip(given));
    misses
        .map(|(error, (wanted, given))| {
            (error > FAR).then(|| Miss {
                wanted: part(wanted.weight, weights),
                real: part(given.sum(), sums),
            })
        })
        .collect()
}

/// `0.389 %`: three digits that count.
pub(super) fn percent(millionths: u32) -> String {
    let percent = f64::from(millionths) / 1e6;
    let decimals = match millionths {
        10_000_000.. => 1,
        1_000_000.. => 2,
        100_000.. => 3,
        10_000.. => 4,
        _ => 6,
    };
    let text = format!("{percent:.decimals$}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{text} %")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wanted(all: &[(u64, u64)]) -> Vec<Wanted> {
        let wanted = |&(weight, servers): &(u64, u64)| Wanted { weight, servers };
        all.iter().map(wanted).collect()
    }

    #[test]
    fn weights_give_the_shares() {
        for (all, given) in [
            (&[(1, 1), (1, 1)][..], &[(1, 1), (1, 1)][..]),
            (&[(1, 1), (1, 4)], &[(4, 1), (1, 4)]),
            (&[(3, 1), (1, 3)], &[(9, 1), (1, 3)]),
            (&[(9, 1), (1, 1)], &[(9, 1), (1, 1)]),
            (&[(1, 2), (0, 1)], &[(1, 2), (0, 0)]),
            (&[(0, 1), (0, 1)], &[(0, 0), (0, 0)]),
            // Who has nobody to serve counts for nothing.
            (&[(7, 0), (1, 1)], &[(0, 0), (1, 1)]),
            (&[(1_000_000, 0), (1, 1), (2, 1)], &[(0, 0), (1, 1), (2, 1)]),
            // Fewer servers than there are, where all would get too much.
            (&[(99, 1), (1, 50)], &[(198, 1), (1, 2)]),
            (&[(99, 10), (1, 50)], &[(256, 10), (1, 26)]),
            // Nobody with a share goes without.
            (&[(1_000_000, 1), (1, 1)], &[(256, 1), (1, 1)]),
        ] {
            let all = wanted(all);
            let found: Vec<(u64, u64)> = split(&all)
                .into_iter()
                .map(|given| (given.weight.into(), given.servers))
                .collect();
            assert_eq!(found, given, "{all:?}");
        }
    }

    #[test]
    fn shares_are_told_in_percent() {
        for (millionths, text) in [
            (100_000_000, "100 %"),
            (33_333_333, "33.3 %"),
            (1_000_000, "1 %"),
            (389_105, "0.389 %"),
            (100_000, "0.1 %"),
            (100, "0.0001 %"),
        ] {
            assert_eq!(percent(millionths), text);
        }
    }

    proptest! {
        /// Counted anew from the weights, as HAProxy does.
        #[test]
        fn a_share_is_what_was_asked_for_or_its_owner_is_told(
            all in prop::collection::vec((0..=1_000_000_u64, 0..200_u64), 1..8)
        ) {
            let all = wanted(&all);
            let given = split(&all);
            let told = missed(&all, &given);
            let takes_part = |w: &&Wanted| w.weight > 0 && w.servers > 0;
            let weights: u64 = all.iter().filter(takes_part).map(|w| w.weight).sum();
            let sum = |given: &Given| u64::from(given.weight) * given.servers;
            let sums: u64 = given.iter().map(sum).sum();
            for ((wanted, given), told) in all.iter().zip(&given).zip(&told) {
                prop_assert!(given.weight <= 256 && given.servers <= wanted.servers);
                if !takes_part(&wanted) {
                    prop_assert_eq!(sum(given), 0);
                    prop_assert_eq!(*told, None);
                    continue;
                }
                prop_assert!(sum(given) > 0);
                #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
                let [want, real] = [(wanted.weight, weights), (sum(given), sums)]
                    .map(|(part, whole)| part as f64 / whole as f64);
                let is_near = (real / want - 1.0).abs() < 0.101;
                prop_assert!(is_near || told.is_some(), "{want} {real}");
                // However small it is meant to be, it is never more than a part of one server's, or
                // than what is rounded up to one more for each server.
                let is_little = real < 0.004 * all.len() as f64 || real < want * 1.5;
                prop_assert!(is_near || is_little, "{want} {real}");
            }
        }

        /// A canary gets its percent, however many tasks either has.
        #[test]
        fn a_percent_is_always_a_percent(
            percent in 1..=99_u64, stable in 1..300_u64, canary in 1..300_u64
        ) {
            let all = wanted(&[(100 - percent, stable), (percent, canary)]);
            prop_assert_eq!(missed(&all, &split(&all)), vec![None, None]);
        }
    }
}
