//! Whether what was expected of a turn came.
//!
//! In: a turn, what happened in it, and what a language model ruled so far. Out: a [`Finding`] for each expectation, in
//! the order of the file, or the next [`Question`] to a language model. Nothing here waits, and the same happenings
//! always give the same findings.

mod args;
mod assign;
mod conditions;
mod words;

use std::collections::HashMap;

use self::conditions::Miss;
use super::happening::Happening;
use super::{Expectation, Finding, Met, Ruling, Turn};

pub(super) use words::{quote, time};

/// How what happened in a turn came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// The turn is over: what did not come does not come.
    Over,
    /// It took too long: what was to come did not come in time, what was not to come might have.
    OutOfTime,
    /// The run broke off, and what did not come might have.
    BrokenOff,
}

/// What a language model has to say before it is known whether something is as expected.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    /// What is claimed.
    pub(super) claim: String,
    /// The words that it is claimed of.
    pub(super) words: String,
}

/// What a language model has said.
pub(super) type Rulings = HashMap<Question, Ruling>;

/// What became of what was expected of a turn. Expectations hold in their order, other things may happen between, unless
/// the turn says that any order is fine. Each that is met takes the happening that meets it. Those of things that are not to
/// happen look at the whole turn.
///
/// # Errors
/// What a language model has to rule first.
pub(super) fn findings(
    turn: &Turn,
    happened: &[Happening],
    ending: Ending,
    rulings: &Rulings,
) -> Result<Vec<Finding>, Question> {
    let wanted: Vec<usize> = (0..turn.expect.len())
        .filter(|own| !turn.expect[*own].absent)
        .collect();
    let fits = |own: usize, happening: usize| {
        let expectation = &turn.expect[wanted[own]];
        fits(expectation, &happened[happening], rulings)
    };
    let met = match turn.any_order {
        true => assign::in_any_order(wanted.len(), happened.len(), fits)?,
        false => assign::in_order(wanted.len(), happened.len(), fits)?,
    };
    let mut taken_by = vec![None; happened.len()];
    for (own, happening) in wanted.iter().zip(met) {
        if let Some(happening) = happening {
            taken_by[happening] = Some(*own);
        }
    }
    let seen = Seen {
        turn,
        happened,
        taken_by,
        rulings,
    };
    let finding = |own: usize| match turn.expect[own].absent {
        true => seen.unwanted(own, ending),
        false => Ok(seen.wanted(own, ending)),
    };
    (0..turn.expect.len()).map(finding).collect()
}

/// What became of what was expected of a turn that can't be judged.
pub(super) fn untold(turn: &Turn) -> Vec<Finding> {
    let untold = |own: &Expectation| Finding {
        place: own.place.clone(),
        expected: words::expected(own),
        met: Met::Untold,
        ruling: None,
    };
    turn.expect.iter().map(untold).collect()
}

/// Whether a happening is as expected.
fn fits(expectation: &Expectation, happening: &Happening, rulings: &Rulings) -> Result<bool, Question> {
    if expectation.event != happening.kind
        || !conditions::misses(&expectation.conditions, happening).is_empty()
    {
        return Ok(false);
    }
    match question(expectation, happening) {
        None => Ok(true),
        Some(question) => match rulings.get(&question) {
            Some(ruling) => Ok(ruling.holds),
            None => Err(question),
        },
    }
}

fn question(expectation: &Expectation, happening: &Happening) -> Option<Question> {
    expectation.conditions.judge.as_ref().map(|claim| Question {
        claim: claim.clone(),
        words: happening.words.clone(),
    })
}

/// A turn with what happened in it, and which expectations that met.
struct Seen<'a> {
    turn: &'a Turn,
    happened: &'a [Happening],
    /// By happening: the expectation that it meets.
    taken_by: Vec<Option<usize>>,
    rulings: &'a Rulings,
}

impl Seen<'_> {
    /// What became of something that is not to happen.
    fn unwanted(&self, own: usize, ending: Ending) -> Result<Finding, Question> {
        let expectation = &self.turn.expect[own];
        for happening in self.happened {
            if fits(expectation, happening, self.rulings)? {
                let mut came = words::happened(happening);
                if let Some(ruling) = self.ruling(own, happening) {
                    came.push_str(&format!(
                        ", and the judge says yes: {}",
                        words::quote(&ruling.reason)
                    ));
                }
                return Ok(self.finding(own, Met::No { came }, Some(happening)));
            }
        }
        let met = match ending {
            Ending::Over => Met::Yes,
            Ending::OutOfTime | Ending::BrokenOff => Met::Untold,
        };
        Ok(self.finding(own, met, None))
    }

    /// What became of something that is to happen.
    fn wanted(&self, own: usize, ending: Ending) -> Finding {
        if let Some(place) = self.taken_by.iter().position(|taken_by| *taken_by == Some(own)) {
            return self.finding(own, Met::Yes, Some(&self.happened[place]));
        }
        if ending == Ending::BrokenOff {
            return self.finding(own, Met::Untold, None);
        }
        let kind = self.turn.expect[own].event;
        let candidates = (0..self.happened.len()).filter(|place| self.happened[*place].kind == kind);
        let candidates: Vec<_> = candidates.map(|place| (place, self.misses(own, place))).collect();
        // Of those that are as near, one that no other expectation has.
        let distance = |(place, misses): &&(usize, Vec<Miss>)| {
            let sum: u32 = misses.iter().map(|miss| miss.distance).sum();
            (sum, self.taken_by[*place])
        };
        let Some((place, misses)) = candidates.iter().min_by_key(distance) else {
            let came = words::none_of(kind, self.happened);
            return self.finding(own, Met::No { came }, None);
        };
        let nearest = &self.happened[*place];
        let reasons: Vec<_> = misses.iter().map(|miss| miss.words.as_str()).collect();
        let mut came = format!("{}, but {}", words::happened(nearest), reasons.join(", and "));
        if candidates.len() > 1 {
            came.push_str(&format!(" (the nearest of {})", candidates.len()));
        }
        self.finding(own, Met::No { came }, Some(nearest))
    }

    /// Why a happening of the right kind does not meet an expectation; at least one reason.
    fn misses(&self, own: usize, place: usize) -> Vec<Miss> {
        let (expectation, happening) = (&self.turn.expect[own], &self.happened[place]);
        let mut misses = conditions::misses(&expectation.conditions, happening);
        if let Some(ruling) = self.ruling(own, happening)
            && !ruling.holds
        {
            let reason = words::quote(&ruling.reason);
            let words = format!("the judge says no: {reason}");
            misses.push(Miss::new(Miss::SLIGHT, words));
        }
        if misses.is_empty() {
            let why = match self.taken_by[place] {
                Some(other) => format!("it is what line {} expects", self.turn.expect[other].place.line),
                None => "it came too early: what is expected before it came later".to_owned(),
            };
            misses.push(Miss::new(Miss::SLIGHT, why));
        }
        misses
    }

    fn ruling(&self, own: usize, happening: &Happening) -> Option<&Ruling> {
        question(&self.turn.expect[own], happening).and_then(|question| self.rulings.get(&question))
    }

    fn finding(&self, own: usize, met: Met, happening: Option<&Happening>) -> Finding {
        let expectation = &self.turn.expect[own];
        Finding {
            place: expectation.place.clone(),
            expected: words::expected(expectation),
            met,
            ruling: happening
                .and_then(|happening| self.ruling(own, happening))
                .cloned(),
        }
    }
}

#[cfg(test)]
mod tests;
