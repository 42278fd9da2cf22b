//! What a bitcoin costs, in the currencies that prices are named in.
//!
//! ```text
//! RateSource ──every minute──▶ what it said, and when ──at each question──▶ judge ──▶ Quote
//! ```
//!
//! A question is answered from memory and never waits for anybody: each source's last word is kept, and those not
//! older than the limit are judged when somebody asks. So a source that is slow, fails or goes mad takes nothing
//! from the others, and an old price is never given: without a fresh one there is none. A source's word counts as
//! old as the source itself says it is. Where only one source knows a price, it is held against what was known before
//! (`memory`).
//!
//! Rates are currency units for one bitcoin, exact, with at most [`crate::core::currency::RATE_PLACES`].

mod convert;
mod judge;
mod memory;
pub mod sources;
mod unit;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};

use self::judge::Verdict;
use self::memory::Memory;
use crate::core::currency::plausible_rate;
use crate::core::decimal::Decimal;
use crate::core::money::Msat;
use crate::core::time::{Clock, UnixMillis, millis};
use crate::telemetry::metrics as names;

pub use self::convert::{ConvertError, fiat_of, sats, sats_within};
pub use self::unit::Unit;
pub use crate::core::currency::Currency;

/// A word that is younger than now by no more than this is from now: a clock is set back a little now and then. One
/// that is younger still is of unknown age.
const GRACE: Duration = Duration::from_secs(5);

/// After a round in which no source answered, the next comes this soon.
const SOON: Duration = Duration::from_secs(10);

/// Somebody who knows what a bitcoin costs.
pub trait RateSource: Send + Sync + 'static {
    /// Its name, for people.
    fn name(&self) -> &'static str;

    /// Asks it. The error's text is for the log.
    fn fetch(&self) -> BoxFuture<'_, Result<Prices, SourceError>>;
}

/// What a source said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prices {
    /// What one bitcoin costs in which currency.
    pub rates: Vec<(Currency, Decimal)>,
    /// When that was so.
    pub when: When,
}

/// How old a source's word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// As old as its answer.
    Now,
    /// The source says so itself.
    At(UnixMillis),
    /// It does not age: the operator set it.
    Always,
}

/// Why a source gave no prices.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It can't be found or reached, or breaks off.
    #[error("it can't be reached")]
    Unreachable,
    /// It takes too long.
    #[error("it takes too long to answer")]
    TimedOut,
    /// Another HTTP status than 2xx; redirects are not followed.
    #[error("it answered with HTTP status {0}")]
    Status(u16),
    /// More bytes than any honest answer.
    #[error("its answer is too large")]
    TooLarge,
    /// Not the JSON that it is known for, or no plausible price in it.
    #[error("its answer makes no sense: {0}")]
    Nonsense(&'static str),
    /// It reports an error of its own.
    #[error("it says {0:?}")]
    Refused(String),
    /// Its prices are old by its own account.
    #[error("its prices are old")]
    Stale,
}

/// How often to ask, and what counts.
#[derive(Clone, Copy, Debug)]
pub struct RatesSettings {
    /// The pause between two rounds.
    pub refresh: Duration,
    /// A price older than this is none.
    pub max_age: Duration,
    /// How long one source may take.
    pub timeout: Duration,
}

impl Default for RatesSettings {
    fn default() -> Self {
        Self {
            refresh: Duration::from_secs(60),
            max_age: Duration::from_secs(300),
            timeout: Duration::from_secs(10),
        }
    }
}

/// What a bitcoin costs, by whom and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// In this currency.
    pub currency: Currency,
    /// Units of it for one bitcoin.
    pub rate: Decimal,
    /// Whose word it is.
    pub sources: Vec<&'static str>,
    /// How old it is: the time of the oldest word it was made of.
    pub at: UnixMillis,
}

impl Quote {
    /// The sources' names in one text.
    pub fn source(&self) -> String {
        self.sources.join(", ")
    }

    /// As [`sats`], at this rate.
    ///
    /// # Errors
    /// [`ConvertError::TooLarge`].
    pub fn sats(&self, amount: Decimal) -> Result<Msat, ConvertError> {
        sats(amount, self.rate)
    }

    /// As [`fiat_of`], at this rate.
    ///
    /// # Errors
    /// Never for a quote that [`Rates`] gave.
    pub fn fiat_of(&self, amount: Msat) -> Result<Decimal, ConvertError> {
        fiat_of(amount, self.currency, self.rate)
    }

    /// Bitcoin for one unit of the currency, rounded down to 12 digits behind the point.
    pub fn inverse(&self) -> Decimal {
        convert::inverse(self.rate).unwrap_or_default()
    }
}

/// There is no rate that may be used. Another try, later, may do better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateUnavailable {
    /// No source has a fresh price.
    #[error("there is no fresh rate for {0}")]
    Stale(Currency),
    /// The sources contradict each other.
    #[error("the sources disagree about the rate for {0}")]
    Disputed(Currency),
    /// Only one source has a fresh price, and it is far from what was known.
    #[error("the only rate for {0} is far from what it was")]
    Doubtful(Currency),
}

/// The rates. Cheap to clone.
#[derive(Clone)]
pub struct Rates {
    inner: Arc<Inner>,
}

struct Inner {
    sources: Vec<Slot>,
    settings: RatesSettings,
    clock: Clock,
    memory: Mutex<Memory>,
}

/// A source's fresh word about a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Word {
    source: &'static str,
    at: UnixMillis,
    rate: Option<Decimal>,
    /// What it says a bitcoin costs in dollars.
    dollar: Option<Decimal>,
}

/// A source and its last word.
struct Slot {
    source: Arc<dyn RateSource>,
    said: RwLock<Option<Prices>>,
    failing: AtomicBool,
}

impl Slot {
    fn new(source: Arc<dyn RateSource>) -> Self {
        Self { source, said: RwLock::new(None), failing: AtomicBool::new(false) }
    }

    /// What it says of a currency, and when it did, if that is fresh.
    fn fresh(&self, currency: Currency, now: UnixMillis, max_age: Duration) -> Option<Word> {
        let said = self.said.read().unwrap_or_else(PoisonError::into_inner);
        let prices = said.as_ref()?;
        let at = prices.when.fresh(now, max_age)?;
        let of = |wanted| prices.rates.iter().find(|(known, _)| *known == wanted).map(|(_, rate)| *rate);
        Some(Word { source: self.source.name(), at, rate: of(currency), dollar: of(Currency::Usd) })
    }
}

impl When {
    fn fresh(self, now: UnixMillis, max_age: Duration) -> Option<UnixMillis> {
        match self {
            Self::Now | Self::Always => Some(now),
            Self::At(at) => {
                let age = now.saturating_sub(at);
                (-millis(GRACE)..=millis(max_age)).contains(&age).then_some(at)
            }
        }
    }
}

impl Rates {
    /// Rates of these sources; there are none until [`Rates::refresh`] has brought some.
    pub fn new(sources: Vec<Arc<dyn RateSource>>, settings: RatesSettings, clock: Clock) -> Self {
        Self {
            inner: Arc::new(Inner {
                sources: sources.into_iter().map(Slot::new).collect(),
                settings,
                clock,
                memory: Mutex::default(),
            }),
        }
    }

    /// Rates that the operator set, there from the beginning. Absurd ones are left out.
    pub fn fixed(rates: &[(Currency, Decimal)], settings: RatesSettings, clock: Clock) -> Self {
        let source = sources::fixed::Fixed::new(rates);
        let prices = source.prices();
        let all = Self::new(vec![Arc::new(source)], settings, clock);
        for slot in &all.inner.sources {
            *slot.said.write().unwrap_or_else(PoisonError::into_inner) = plausible(prices.clone());
        }
        all
    }

    /// What a bitcoin costs in a currency now. Answers at once.
    ///
    /// # Errors
    /// [`RateUnavailable`].
    pub fn quote(&self, currency: Currency) -> Result<Quote, RateUnavailable> {
        match self.verdict(currency) {
            Verdict::Nothing => Err(RateUnavailable::Stale(currency)),
            Verdict::Dispute => Err(RateUnavailable::Disputed(currency)),
            Verdict::Doubt => Err(RateUnavailable::Doubtful(currency)),
            Verdict::Price { rate, from, .. } => Ok(Quote {
                currency,
                rate,
                at: from.iter().map(|word| word.at).min().unwrap_or_default(),
                sources: from.into_iter().map(|word| word.source).collect(),
            }),
        }
    }

    /// A quote for every currency that has one, in the order of [`Currency::ALL`].
    pub fn all(&self) -> Vec<Quote> {
        Currency::ALL.into_iter().filter_map(|currency| self.quote(currency).ok()).collect()
    }

    /// Asks all sources at once; each one's word counts as soon as it is there. Whether any gave one.
    pub async fn refresh(&self) -> bool {
        let asked = join_all(self.inner.sources.iter().map(|slot| self.ask(slot))).await;
        self.report();
        let words: Vec<_> =
            Currency::ALL.into_iter().map(|currency| (currency, self.words(currency))).collect();
        self.memory().keep(&words, self.inner.clock.now());
        asked.contains(&true)
    }

    /// Refreshes again and again until `stop` ends.
    pub async fn keep_fresh(self, stop: impl Future<Output = ()> + Send) {
        let rounds = async {
            loop {
                let any = self.refresh().await;
                let pause = self.inner.settings.refresh;
                tokio::time::sleep(if any { pause } else { pause.min(SOON) }).await;
            }
        };
        tokio::select! {
            () = rounds => {}
            () = stop => {}
        }
    }

    fn verdict(&self, currency: Currency) -> Verdict<Word> {
        self.memory().judge(currency, &self.words(currency), self.inner.clock.now())
    }

    /// What all say of a currency, with their dollars.
    fn words(&self, currency: Currency) -> Vec<Word> {
        let Inner { sources, settings, clock, .. } = self.inner.as_ref();
        let now = clock.now();
        sources.iter().filter_map(|slot| slot.fresh(currency, now, settings.max_age)).collect()
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.inner.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self, slot: &Slot) -> bool {
        let name = slot.source.name();
        let asked = tokio::time::timeout(self.inner.settings.timeout, slot.source.fetch()).await;
        match asked.unwrap_or(Err(SourceError::TimedOut)).and_then(|prices| self.accept(prices)) {
            Ok(prices) => {
                *slot.said.write().unwrap_or_else(PoisonError::into_inner) = Some(prices);
                if slot.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!(source = name, "a source of rates is back");
                }
                true
            }
            Err(error) => {
                metrics::counter!(names::RATE_FAILURES, "source" => name).increment(1);
                if slot.failing.swap(true, Ordering::Relaxed) {
                    tracing::debug!(source = name, %error, "a source of rates still fails");
                } else {
                    tracing::warn!(source = name, %error, "a source of rates fails");
                }
                false
            }
        }
    }

    /// Leaves out what can't be true, and dates the rest. No clock is believed that is ahead of ours.
    fn accept(&self, prices: Prices) -> Result<Prices, SourceError> {
        let now = self.inner.clock.now();
        let mut kept = plausible(prices).ok_or(SourceError::Nonsense("no plausible price"))?;
        kept.when = match kept.when {
            When::Now => When::At(now),
            When::At(at) => When::At(at.min(now)),
            When::Always => When::Always,
        };
        kept.when.fresh(now, self.inner.settings.max_age).map(|_| kept).ok_or(SourceError::Stale)
    }

    /// Tells the log what is wrong with the rates, and the metrics how old they are.
    fn report(&self) {
        for currency in Currency::ALL {
            match self.verdict(currency) {
                Verdict::Nothing => {}
                Verdict::Dispute => {
                    tracing::warn!(%currency, "the sources of rates disagree; there is no rate");
                }
                Verdict::Doubt => {
                    tracing::warn!(%currency, "the only rate is far from what was known; it does not count");
                }
                Verdict::Price { from, without, .. } => {
                    for Word { source, .. } in without {
                        tracing::warn!(%currency, source, "a rate is far from the others and does not count");
                    }
                    let at = from.iter().map(|word| word.at).min().unwrap_or_default();
                    metrics::gauge!(names::RATE_TIME, "currency" => currency.code())
                        .set(names::amount(u64::try_from(at / 1_000).unwrap_or(0)));
                }
            }
        }
    }
}

/// The prices that can be true; `None` if there is none among them.
fn plausible(mut prices: Prices) -> Option<Prices> {
    prices.rates = prices
        .rates
        .into_iter()
        .filter_map(|(currency, rate)| Some((currency, plausible_rate(rate)?)))
        .collect();
    (!prices.rates.is_empty()).then_some(prices)
}
