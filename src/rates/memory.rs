//! What was believed before, against which the word of a single source is held.
//!
//! Where several sources know a currency they hold each other in check. Where only one does, because the others are
//! silent or don't know it, its word is believed only if it isn't far from what was known:
//!
//! * its dollar is not among the outliers, and not in dispute: a source that is wrong about the dollar is believed in
//!   nothing, also not where others say the same;
//! * alone with the dollar it must be within a quarter of the last price that several agreed on;
//! * alone with another currency, what that costs in dollars, by this source, must be within a quarter of what it did;
//!   the price of bitcoin may move meanwhile as it likes.
//!
//! "The last" is what several agreed on, or else what was believed of one, not longer ago than [`REMEMBERED`]. So one
//! liar can't lead a price away in steps while the memory of the others lasts; and after a long absence, as after a
//! start, the first word is believed, since there is nothing to hold it against.

use std::collections::BTreeMap;

use super::judge::{Verdict, judge};
use super::{Currency, Word};
use crate::core::currency::{RATE_PLACES, rate_units};
use crate::core::decimal::{Decimal, ten_to};
use crate::core::time::{UnixMillis, millis};

/// How long what was believed counts.
const REMEMBERED: std::time::Duration = std::time::Duration::from_secs(24 * 3_600);

/// A lone word that is further off than a part of this size is not believed.
const JUMP_PART: u128 = 4;

/// What each currency cost.
#[derive(Debug, Default)]
pub(super) struct Memory {
    known: BTreeMap<Currency, Known>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// By several sources.
    agreed: Option<Past>,
    /// By whomever.
    believed: Option<Past>,
}

#[derive(Clone, Copy, Debug)]
struct Past {
    /// Of the currency for a bitcoin.
    rate: u128,
    /// Of the currency for a dollar.
    cross: Option<u128>,
    at: UnixMillis,
}

impl Memory {
    /// What `currency` costs by these words.
    pub(super) fn judge(&self, currency: Currency, words: &[Word], now: UnixMillis) -> Verdict<Word> {
        let dollar = judge(words.iter().filter_map(|word| Some((*word, word.dollar?))));
        let found = match (&dollar, currency) {
            (_, Currency::Usd) => dollar.clone(),
            (Verdict::Price { without, .. }, _) => {
                judge(said(words.iter().filter(|word| !without.contains(word))))
            }
            _ => judge(said(words)),
        };
        match &found {
            Verdict::Price { from, .. } if !self.holds(currency, from, words, &dollar, now) => Verdict::Doubt,
            _ => found,
        }
    }

    /// Whether those who say it are several, or the one is in line with what is known.
    fn holds(
        &self,
        currency: Currency,
        from: &[Word],
        words: &[Word],
        dollar: &Verdict<Word>,
        now: UnixMillis,
    ) -> bool {
        let [word] = from else { return true };
        if currency == Currency::Usd {
            return self.is_near(currency, word.rate, now);
        }
        match (word.dollar, dollar) {
            (Some(own), Verdict::Price { from, .. }) => {
                let alone = from.len() == 1;
                from.contains(word)
                    && (!alone || self.is_near(Currency::Usd, word.dollar, now))
                    && self.last(currency, now, |past| past.cross).is_none_or(|last| {
                        cross(word.rate, Some(own)).is_some_and(|cross| within(cross, last))
                    })
            }
            (None, _) => {
                words.iter().all(|word| word.dollar.is_none()) && self.is_near(currency, word.rate, now)
            }
            (Some(_), _) => false,
        }
    }

    fn is_near(&self, currency: Currency, rate: Option<Decimal>, now: UnixMillis) -> bool {
        let last = self.last(currency, now, |past| Some(past.rate));
        last.is_none_or(|last| rate.and_then(rate_units).is_some_and(|rate| within(rate, last)))
    }

    fn last(
        &self,
        currency: Currency,
        now: UnixMillis,
        what: impl Fn(&Past) -> Option<u128>,
    ) -> Option<u128> {
        let known = self.known.get(&currency)?;
        let recent = |past: &Past| now.abs_diff(past.at) <= millis(REMEMBERED).unsigned_abs();
        [known.agreed, known.believed].into_iter().flatten().filter(recent).find_map(|past| what(&past))
    }

    /// Keeps what is believed now.
    pub(super) fn keep(&mut self, words: &[(Currency, Vec<Word>)], now: UnixMillis) {
        let found: Vec<_> =
            words.iter().map(|(currency, words)| (*currency, self.judge(*currency, words, now))).collect();
        let dollar = found.iter().find_map(|(currency, verdict)| match verdict {
            Verdict::Price { rate, .. } if *currency == Currency::Usd => Some(*rate),
            _ => None,
        });
        for (currency, verdict) in found {
            let Verdict::Price { rate, from, .. } = verdict else { continue };
            let Some(units) = rate_units(rate) else { continue };
            let by = match from.as_slice() {
                [word] => word.dollar,
                _ => dollar,
            };
            let past = Past { rate: units, cross: cross(Some(rate), by), at: now };
            let known = self.known.entry(currency).or_default();
            known.believed = Some(past);
            if from.len() > 1 {
                known.agreed = Some(past);
            }
        }
    }
}

fn said<'a>(words: impl IntoIterator<Item = &'a Word>) -> impl Iterator<Item = (Word, Decimal)> {
    words.into_iter().filter_map(|word| Some((*word, word.rate?)))
}

/// What a dollar costs, with [`RATE_PLACES`].
fn cross(rate: Option<Decimal>, dollar: Option<Decimal>) -> Option<u128> {
    rate_units(rate?)?.checked_mul(ten_to(RATE_PLACES)?)?.checked_div(rate_units(dollar?)?)
}

fn within(one: u128, last: u128) -> bool {
    one.abs_diff(last).saturating_mul(JUMP_PART) <= last
}
