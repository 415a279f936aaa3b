//! Which happening meets which expectation.
//!
//! `fits` says whether a happening can meet an expectation; it may have to ask, and then nothing can be said yet. Each
//! happening meets one expectation at the most.

/// To each expectation the first happening that fits and comes after those of the expectations before it. One that is not
/// met takes nothing away from those after it.
pub(super) fn in_order<E>(
    expected: usize,
    happened: usize,
    mut fits: impl FnMut(usize, usize) -> Result<bool, E>,
) -> Result<Vec<Option<usize>>, E> {
    let mut met = vec![None; expected];
    let mut next = 0;
    for (expectation, met) in met.iter_mut().enumerate() {
        for happening in next..happened {
            if fits(expectation, happening)? {
                *met = Some(happening);
                next = happening + 1;
                break;
            }
        }
    }
    Ok(met)
}

/// As many expectations as can be met at once, in whatever order things happened.
pub(super) fn in_any_order<E>(
    expected: usize,
    happened: usize,
    mut fits: impl FnMut(usize, usize) -> Result<bool, E>,
) -> Result<Vec<Option<usize>>, E> {
    let mut taken_by: Vec<Option<usize>> = vec![None; happened];
    for expectation in 0..expected {
        find_place(expectation, &mut taken_by, &mut fits)?;
    }
    let mut met = vec![None; expected];
    for (happening, taken_by) in taken_by.iter().enumerate() {
        if let Some(expectation) = taken_by {
            met[*expectation] = Some(happening);
        }
    }
    Ok(met)
}

/// Finds a happening for one more expectation, for which others may have to take another: a breadth-first search for the
/// shortest chain of such changes.
fn find_place<E>(
    expectation: usize,
    taken_by: &mut [Option<usize>],
    fits: &mut impl FnMut(usize, usize) -> Result<bool, E>,
) -> Result<(), E> {
    // By which expectation each happening was reached.
    let mut reached_by: Vec<Option<usize>> = vec![None; taken_by.len()];
    let mut waiting = std::collections::VecDeque::from([expectation]);
    while let Some(own) = waiting.pop_front() {
        for happening in 0..taken_by.len() {
            if reached_by[happening].is_some() || !fits(own, happening)? {
                continue;
            }
            reached_by[happening] = Some(own);
            match taken_by[happening] {
                Some(other) => waiting.push_back(other),
                None => {
                    pass_on(happening, expectation, taken_by, &reached_by);
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// Along a chain of changes gives each expectation the happening that it found, from the free one back to `first`.
fn pass_on(free: usize, first: usize, taken_by: &mut [Option<usize>], reached_by: &[Option<usize>]) {
    let mut happening = Some(free);
    while let Some(place) = happening {
        let own = reached_by[place];
        happening = taken_by.iter().position(|taken_by| *taken_by == own);
        taken_by[place] = own;
        if own == Some(first) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::convert::Infallible;

    /// Which happenings fit which expectations.
    fn tables() -> impl Strategy<Value = (usize, Vec<Vec<bool>>)> {
        (0usize..6, 0usize..7).prop_flat_map(|(expected, happened)| {
            let row = proptest::collection::vec(any::<bool>(), happened);
            (Just(happened), proptest::collection::vec(row, expected))
        })
    }

    type Assign =
        fn(usize, usize, &mut dyn FnMut(usize, usize) -> Result<bool, Infallible>) -> Vec<Option<usize>>;

    fn run(assign: Assign, happened: usize, table: &[Vec<bool>]) -> Vec<Option<usize>> {
        assign(table.len(), happened, &mut |own, happening| {
            Ok(table[own][happening])
        })
    }

    const ORDERED: Assign = |expected, happened, fits| match in_order(expected, happened, fits) {
        Ok(met) => met,
    };
    const UNORDERED: Assign = |expected, happened, fits| match in_any_order(expected, happened, fits) {
        Ok(met) => met,
    };

    /// The most expectations that can be met, by trying everything.
    fn best(table: &[Vec<bool>], taken: &mut Vec<usize>, ordered: bool) -> usize {
        let Some((row, rest)) = table.split_first() else {
            return 0;
        };
        let mut most = best(rest, taken, ordered);
        for (happening, fits) in row.iter().enumerate() {
            let is_free = match ordered {
                true => taken.iter().all(|other| *other < happening),
                false => !taken.contains(&happening),
            };
            if *fits && is_free {
                taken.push(happening);
                most = most.max(1 + best(rest, taken, ordered));
                taken.pop();
            }
        }
        most
    }

    proptest! {
        #[test]
        fn what_is_met_in_order_is_a_subsequence_of_what_happened((happened, table) in tables()) {
            let met = run(ORDERED, happened, &table);
            for (own, happening) in met.iter().enumerate() {
                prop_assert!(happening.is_none_or(|happening| table[own][happening]));
            }
            let places: Vec<_> = met.iter().flatten().collect();
            prop_assert!(places.windows(2).all(|pair| pair[0] < pair[1]));
            let all = table.len();
            prop_assert_eq!(places.len() == all, best(&table, &mut Vec::new(), true) == all, "all, if that is possible");
        }

        #[test]
        fn in_any_order_as_many_are_met_as_possible((happened, table) in tables()) {
            let met = run(UNORDERED, happened, &table);
            for (own, happening) in met.iter().enumerate() {
                prop_assert!(happening.is_none_or(|happening| table[own][happening]));
            }
            let mut places: Vec<_> = met.iter().flatten().collect();
            prop_assert_eq!(places.len(), best(&table, &mut Vec::new(), false));
            places.sort_unstable();
            places.dedup();
            prop_assert_eq!(places.len(), met.iter().flatten().count(), "each happening meets one");
        }
    }

    #[test]
    fn what_has_to_be_asked_stops_the_search() {
        assert_eq!(
            in_order(1, 3, |_, happening| if happening == 1 {
                Err("ask")
            } else {
                Ok(false)
            }),
            Err("ask")
        );
        assert_eq!(
            in_any_order(2, 2, |own, _| if own == 1 { Err("ask") } else { Ok(true) }),
            Err("ask")
        );
    }
}
