//! What a tipper asks for, and the rules it must keep to.
//!
//! In every body unknown keys are passed over, and what is `null` or an empty text is not there.

mod fields;
mod words;

use serde_json::{Map, Value};

pub use self::fields::Invalid;
use self::fields::{Field, Fields};
pub use self::words::{Kind, TipWords, note_of, note_without_name};
use super::fee::{self, FeeRule, group_cost};
use super::passphrase::{MAX_WORDS, MIN_WORDS, Passphrase, WordCount};
use super::status::OnboardingFlow;
use crate::core::ids::Secret;
use crate::core::money::Msat;
use crate::core::time::{UnixMillis, iso};

/// Longest note, in characters.
const NOTE_LEN: usize = 1_000;

/// Longest name of a tippee, in characters.
const NAME_LEN: usize = 50;

/// Longest locale, currency and id of a wallet, in characters.
const WORD_LEN: usize = 50;

/// How far away `expiry` may be: five years.
const FURTHEST_EXPIRY_MS: i64 = 5 * 366 * 24 * 60 * 60 * 1_000;

/// How much of a wrong word an error repeats, in characters.
const QUOTED: usize = 40;

const AMOUNT: Field = Field::new("amount", "AMOUNT_INVALID");
const QUANTITY: Field = Field::new("quantity", "QUANTITY_INVALID");
const EXPIRY: Field = Field::new("expiry", "EXPIRY_INVALID");
const ONBOARDING_FLOW: Field = Field::new("onboardingFlow", "ONBOARDING_FLOW_INVALID");
const ANONYMOUS_TIPPER: Field = Field::new("anonymousTipper", "ANONYMOUS_TIPPER_INVALID");
const TYPE: Field = Field::new("type", "TYPE_INVALID");
const ENABLE_STATIC_LINK: Field = Field::new("enableStaticLink", "ENABLE_STATIC_LINK_INVALID");
const CURRENCY: Field = Field::new("currency", "CURRENCY_INVALID");
const TIPPEE_LOCALE: Field = Field::new("tippeeLocale", "TIPPEE_LOCALE_INVALID");
const RECOMMENDED_WALLET_ID: Field = Field::new("recommendedWalletId", "RECOMMENDED_WALLET_ID_INVALID");
const GENERATE_PASSPHRASE: Field = Field::new("generatePassphrase", "GENERATE_PASSPHRASE_INVALID");
const PASSPHRASE_LENGTH: Field = Field::new("passphraseLength", "PASSPHRASE_LENGTH_INVALID");
const CLAIM_WEBHOOK_URL: Field = Field::new("claimWebhookUrl", "CLAIM_WEBHOOK_URL_INVALID");
const WITHDRAW_WEBHOOK_URL: Field = Field::new("withdrawWebhookUrl", "WITHDRAW_WEBHOOK_URL_INVALID");
const ADVERTISEMENT_URL: Field = Field::new("advertisementUrl", "ADVERTISEMENT_URL_INVALID");
const ADVERTISEMENT_IMAGE_URL: Field = Field::new("advertisementImageUrl", "ADVERTISEMENT_IMAGE_URL_INVALID");

/// What the operator allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What a tip costs.
    pub fee: FeeRule,
    /// Most that one order may come to, fees and all tips of it together, in sat.
    pub max_total_sat: u64,
    /// Most tips in a group.
    pub max_quantity: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { fee: fee::ORIGINAL, max_total_sat: 2_100_000, max_quantity: 500 }
    }
}

/// What can be said anew of a tip whenever it is edited; what is then left out is gone.
#[derive(Clone, Debug)]
pub struct Details {
    /// Name and note of each tip, in the order of the group; one for a single tip. Never empty.
    pub words: Vec<TipWords>,
    /// In which the tippee reckons.
    pub currency: Option<String>,
    /// Language of the tippee's pages.
    pub tippee_locale: Option<String>,
    /// The wallet at the top of the list.
    pub recommended_wallet_id: Option<String>,
    /// A passphrase of so many words for each tip, or none.
    pub passphrase: Option<WordCount>,
    /// Whom to tell of a claim. Only its form has been looked at, as with the other addresses.
    pub claim_webhook_url: Option<Secret>,
    /// Whom to tell of a withdrawal.
    pub withdraw_webhook_url: Option<Secret>,
    /// Where the picture leads to: there is one if and only if there is a picture.
    pub advertisement_url: Option<String>,
    /// A picture for the tippee.
    pub advertisement_image_url: Option<String>,
}

/// A checked order for one tip or a group of them: `POST /api/tipper/tips`.
#[derive(Clone, Debug)]
pub struct NewTips {
    /// What each tip holds.
    pub amount: Msat,
    /// What each costs besides.
    pub fee: Msat,
    /// How many; a group if more than one.
    pub quantity: u32,
    /// What the invoice asks for.
    pub total: Msat,
    /// After it they go back.
    pub expiry: UnixMillis,
    /// How the tippees get at them.
    pub onboarding_flow: OnboardingFlow,
    /// Whether tippees may not know who tips.
    pub anonymous_tipper: bool,
    /// Whether one link leads each visitor to a tip of the group. `false` for a single tip, whatever was asked.
    pub enable_static_link: bool,
    /// The rest.
    pub details: Details,
}

impl NewTips {
    /// Reads a body.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn read(fields: &Map<String, Value>, limits: &Limits, now: UnixMillis) -> Result<Self, Invalid> {
        let fields = Fields(fields);
        let amount = fields.whole(AMOUNT, 1, limits.max_total_sat)?;
        let quantity = fields.whole(QUANTITY, 1, limits.max_quantity.into())?;
        let quantity = u32::try_from(quantity).map_err(|_| QUANTITY.broken("is too large"))?;
        let (amount, fee, total) = price(amount, quantity, limits)?;
        let common = Common::read(fields, now)?;
        let expiry = common.expiry.ok_or_else(|| EXPIRY.broken("is missing"))?;
        check_type(fields)?;
        let kind = if quantity == 1 { Kind::Single } else { Kind::Group(quantity) };
        let static_link = static_link(fields, kind)?;
        Ok(Self {
            amount,
            fee,
            quantity,
            total,
            expiry,
            onboarding_flow: common.onboarding_flow.unwrap_or(OnboardingFlow::Default),
            anonymous_tipper: common.anonymous_tipper.unwrap_or(false),
            enable_static_link: static_link.unwrap_or(false),
            details: Details::read(fields, kind)?,
        })
    }

    /// One tip by itself or a group.
    pub const fn kind(&self) -> Kind {
        if self.quantity == 1 { Kind::Single } else { Kind::Group(self.quantity) }
    }
}

/// A checked change: `PUT /api/tipper/tips/{id}` and `PUT /api/tipGroups/{id}/tips`.
///
/// Amount, quantity and type can't be changed; if they are given they are passed over.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The new one; `None` leaves the old, here and in the next three.
    pub expiry: Option<UnixMillis>,
    /// How the tippees get at them.
    pub onboarding_flow: Option<OnboardingFlow>,
    /// Whether tippees may not know who tips.
    pub anonymous_tipper: Option<bool>,
    /// Whether one link leads to all tips. Always `None` for a single tip.
    pub enable_static_link: Option<bool>,
    /// All the rest, which replaces what was there; but see [`Edit::passphrase_for`].
    pub details: Details,
}

impl Edit {
    /// Reads a body about a single tip or about all tips of a group.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn read(fields: &Map<String, Value>, kind: Kind, now: UnixMillis) -> Result<Self, Invalid> {
        let fields = Fields(fields);
        let common = Common::read(fields, now)?;
        // A new tip may be over from birth; one that is there is ended by taking it back.
        if common.expiry.is_some_and(|at| at <= now) {
            return Err(EXPIRY.broken("must lie in the future"));
        }
        Ok(Self {
            expiry: common.expiry,
            onboarding_flow: common.onboarding_flow,
            anonymous_tipper: common.anonymous_tipper,
            enable_static_link: static_link(fields, kind)?,
            details: Details::read(fields, kind)?,
        })
    }

    /// What becomes of the passphrase that a tip has now.
    pub fn passphrase_for(&self, current: Option<&Passphrase>) -> PassphraseEdit {
        match self.details.passphrase {
            None => PassphraseEdit::Remove,
            Some(words) if current.is_some_and(|current| current.count() == words) => PassphraseEdit::Keep,
            Some(words) => PassphraseEdit::New(words),
        }
    }
}

/// What becomes of a passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PassphraseEdit {
    /// There is none any more.
    Remove,
    /// It stays: it has as many words as are wanted.
    Keep,
    /// A new one of so many words takes its place.
    New(WordCount),
}

/// What may be left out of an edit without being lost.
struct Common {
    expiry: Option<UnixMillis>,
    onboarding_flow: Option<OnboardingFlow>,
    anonymous_tipper: Option<bool>,
}

impl Common {
    fn read(fields: Fields<'_>, now: UnixMillis) -> Result<Self, Invalid> {
        Ok(Self {
            expiry: expiry(fields, now)?,
            onboarding_flow: onboarding_flow(fields)?,
            anonymous_tipper: fields.flag(ANONYMOUS_TIPPER)?,
        })
    }
}

impl Details {
    fn read(fields: Fields<'_>, kind: Kind) -> Result<Self, Invalid> {
        let details = Self {
            words: words::read(fields, kind)?,
            currency: fields.short_text(CURRENCY, WORD_LEN)?,
            tippee_locale: fields.short_text(TIPPEE_LOCALE, WORD_LEN)?,
            recommended_wallet_id: fields.short_text(RECOMMENDED_WALLET_ID, WORD_LEN)?,
            passphrase: passphrase(fields)?,
            claim_webhook_url: fields.url(CLAIM_WEBHOOK_URL)?.map(Secret::new),
            withdraw_webhook_url: fields.url(WITHDRAW_WEBHOOK_URL)?.map(Secret::new),
            advertisement_url: fields.url(ADVERTISEMENT_URL)?,
            advertisement_image_url: fields.url(ADVERTISEMENT_IMAGE_URL)?,
        };
        if details.advertisement_url.is_some() != details.advertisement_image_url.is_some() {
            let rule = "advertisementUrl and advertisementImageUrl must be given together";
            return Err(Invalid::new("ADVERTISEMENT_INCOMPLETE", rule));
        }
        Ok(details)
    }
}

/// Amount and fee of each tip and what all cost.
fn price(sat: u64, quantity: u32, limits: &Limits) -> Result<(Msat, Msat, Msat), Invalid> {
    let Limits { fee, max_total_sat, .. } = limits;
    Msat::from_sat(sat)
        .and_then(|amount| {
            let fee = fee.fee(amount)?;
            Some((amount, fee, group_cost(amount, fee, quantity)?))
        })
        .filter(|(_, _, total)| total.sat_floor() <= *max_total_sat)
        .ok_or_else(|| {
            let rule =
                format!("amount and fee of all tips must come to at most {max_total_sat} sats together");
            Invalid::new("TOTAL_TOO_LARGE", rule)
        })
}

fn expiry(fields: Fields<'_>, now: UnixMillis) -> Result<Option<UnixMillis>, Invalid> {
    let given = match fields.get(EXPIRY) {
        None => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(given) => given.as_str().and_then(iso::parse),
    };
    let at = given.ok_or_else(|| {
        EXPIRY.broken("must be an ISO 8601 date and time with its zone, like \"2030-01-21T08:28:48.518Z\"")
    })?;
    if at > now.saturating_add(FURTHEST_EXPIRY_MS) {
        return Err(EXPIRY.broken("must lie at most five years ahead"));
    }
    Ok(Some(at))
}

fn onboarding_flow(fields: Fields<'_>) -> Result<Option<OnboardingFlow>, Invalid> {
    let Some(name) = fields.text(ONBOARDING_FLOW)? else { return Ok(None) };
    let unknown =
        |_| ONBOARDING_FLOW.broken(format!("must be DEFAULT, SKIP or LIGHTNING, not {}", quoted(name)));
    name.parse().map(Some).map_err(unknown)
}

/// There is one type only.
fn check_type(fields: Fields<'_>) -> Result<(), Invalid> {
    match fields.text(TYPE)? {
        None | Some("CUSTODIAL") => Ok(()),
        Some("NON_CUSTODIAL_NWC") => Err(Invalid::new(
            "TYPE_NOT_SUPPORTED",
            "type NON_CUSTODIAL_NWC is not supported: every tip is paid from this server's own node, \
             so its sats must be here before it is handed out",
        )),
        Some(other) => Err(TYPE.broken(format!("must be CUSTODIAL, not {}", quoted(other)))),
    }
}

/// Only a group can have one; for a single tip it is passed over.
fn static_link(fields: Fields<'_>, kind: Kind) -> Result<Option<bool>, Invalid> {
    let asked = fields.flag(ENABLE_STATIC_LINK)?;
    Ok(asked.filter(|_| matches!(kind, Kind::Group(_))))
}

/// How long it shall be matters only if there shall be one.
fn passphrase(fields: Fields<'_>) -> Result<Option<WordCount>, Invalid> {
    if fields.flag(GENERATE_PASSPHRASE)? != Some(true) {
        return Ok(None);
    }
    let words = fields.whole(PASSPHRASE_LENGTH, MIN_WORDS.into(), MAX_WORDS.into())?;
    Ok(u8::try_from(words).ok().and_then(WordCount::new))
}

/// What somebody wrote, short and harmless in an error's text.
fn quoted(text: &str) -> String {
    format!("{:?}", text.chars().take(QUOTED).collect::<String>())
}

#[cfg(test)]
mod tests;
