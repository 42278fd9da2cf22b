//! Asking for payment: an invoice, then charge and challenge in one transaction, then the token made from it.

use std::sync::Arc;
use std::time::Duration;

use ::l402::{ChallengeParams, IssuedChallenge, RecentPreimages, Terms};

use super::hooks::Asked;
use super::store::{self, Challenge, Draft};
use super::{L402, L402Error};
use crate::core::ids::{AccountId, PaymentHash, random_bytes};
use crate::core::money::Msat;
use crate::core::text::beginning;
use crate::core::time::{UnixMillis, millis};
use crate::http::client::Client;
use crate::http::limits::Class;
use crate::ledger::solvency::Sale;
use crate::ledger::{Family, charges};
use crate::lightning::{InvoiceDescription, InvoiceRequest};

/// For so long the same question of the same client gets the same challenge.
const SAME_MS: i64 = 60_000;

/// Bytes of a description that go into the invoice and the header, each of which holds it: a web server in front of
/// this one takes 4 KB of headers by default.
const DESCRIPTION_BYTES: usize = 100;

/// A challenge to make.
#[derive(Clone, Debug)]
pub struct NewChallenge {
    /// Who asks for it; several of the same within a minute are one.
    pub client: Client,
    /// Whether it has been counted already, by an API key: then not by client too.
    pub counted: bool,
    /// Whose resource; `None` is the operator's own.
    pub account: Option<AccountId>,
    /// What it opens. [`resource_name`](::l402::resource_name) makes one out of any path.
    pub resource: String,
    /// The public id of the proxy that it opens, if it is one.
    pub product: Option<String>,
    /// What it costs, in sat.
    pub price_sat: u64,
    /// For the payer.
    pub description: Option<String>,
    /// How long its token is good; `None` as configured.
    pub lifetime: Option<Duration>,
    /// The same key of the same account gets the same challenge until its invoice ends.
    pub idempotency_key: Option<String>,
}

/// A challenge that was made, or made before for the same request.
#[derive(Clone, Debug)]
pub struct CreatedChallenge {
    /// Its row.
    pub challenge: Challenge,
    /// What is handed out of it.
    pub issued: IssuedChallenge,
}

impl L402 {
    /// Asks for payment.
    ///
    /// # Errors
    /// [`L402Error::IdempotencyKeyReuse`], [`L402Error::NotEnabled`], [`L402Error::Invalid`] for a price out of
    /// range, [`L402Error::TooMany`], the node's, the store's. Nothing is left behind by any.
    pub async fn challenge(&self, new: NewChallenge) -> Result<CreatedChallenge, L402Error> {
        let (asked_by, now) = (self.asked_by(&new), self.now());
        let first = new.clone();
        let recent = Arc::clone(&self.0.recent);
        let before =
            self.store().read(move |connection| made_before(connection, &first, &asked_by, &recent, now));
        if let Some(same) = before.await? {
            return Ok(self.created(same));
        }
        let rules = self.rules();
        if !rules.enabled {
            return Err(L402Error::NotEnabled);
        }
        let price =
            Msat::from_sat(new.price_sat).filter(|_| (1..=rules.max_price_sat).contains(&new.price_sat));
        let price = price.ok_or_else(|| {
            let message = format!("priceSats must be from 1 to {}", rules.max_price_sat);
            L402Error::invalid("invalid_price", message)
        })?;
        let sale = match new.account {
            Some(_) => Sale::Merchant { comes: price },
            None => Sale::Own { comes: price },
        };
        self.0.gate.check(sale).await?;
        self.count(&new)?;
        let lifetime = new.lifetime.unwrap_or(rules.lifetime);
        let request = InvoiceRequest {
            amount: Some(price),
            description: InvoiceDescription::Text(description(&new)),
            expiry: rules.expiry_of(lifetime),
            hold: None,
        };
        let invoice = self.0.parts.node.draft_invoice(request).await?;
        let token = random_bytes()?;
        let now = self.now();
        let (recent, notifier) = (Arc::clone(&self.0.recent), self.notifier().clone());
        let written = self.store().write(move |tx| -> Result<Challenge, L402Error> {
            if let Some(same) = made_before(tx, &new, &asked_by, &recent, now)? {
                // Our fresh invoice has been shown to nobody, and is forgotten.
                return Ok(same);
            }
            let charge = charges::open(tx, Family::L402, &invoice, Some(price), now)?;
            let payment_hash = charges::hash_of(&invoice);
            let draft = Draft {
                charge,
                payment_hash,
                account: new.account,
                resource: &new.resource,
                product: new.product.as_deref(),
                price_sat: new.price_sat,
                description: new.description.as_deref(),
                token,
                valid_until: now.saturating_add(millis(lifetime)) / 1_000,
                asked_by,
                idempotency_key: new.idempotency_key.as_deref(),
                expires_at: invoice.expires_at().map_or(now, millis),
            };
            store::insert(tx, &draft, now)?;
            if let Some(account) = new.account {
                let (resource, price_sat) = (new.resource.as_str(), new.price_sat);
                notifier.asked(tx, &Asked { account, resource, price_sat })?;
            }
            let made = store::by_hash(tx, payment_hash)?.ok_or(L402Error::Internal)?;
            invoice.keep();
            Ok(made)
        });
        Ok(self.created(written.await?))
    }

    /// A challenge with what is handed out of it.
    fn created(&self, challenge: Challenge) -> CreatedChallenge {
        let issued = self.issued(&challenge);
        CreatedChallenge { challenge, issued }
    }

    /// What is handed out of a challenge. The same every time.
    pub(super) fn issued(&self, challenge: &Challenge) -> IssuedChallenge {
        self.issue(&Sold {
            payment_hash: challenge.payment_hash,
            token: challenge.token,
            terms: challenge.terms(),
            description: challenge.description.as_deref(),
            invoice: &challenge.invoice,
            expires_at: challenge.expires_at,
        })
    }

    /// The challenge for an invoice of ours.
    pub(super) fn issue(&self, sold: &Sold<'_>) -> IssuedChallenge {
        let rules = self.rules();
        self.mint().issue(&ChallengeParams {
            payment_hash: sold.payment_hash.into(),
            token: sold.token,
            terms: sold.terms,
            invoice: sold.invoice,
            expires_at: sold.expires_at.div_euclid(1_000),
            description: sold.description.map(short),
            realm: &rules.realm,
            network: Some(rules.network_name()),
            opaque: None,
        })
    }

    /// Counts a new challenge of a client, and of all.
    fn count(&self, new: &NewChallenge) -> Result<(), L402Error> {
        if !new.counted {
            let allowance = self.0.parts.per_client.check(Class::Write, new.client);
            if let Some(retry_after) = allowance.retry_after {
                let quota = Some((allowance.limit, allowance.window_secs));
                return Err(L402Error::TooMany { quota, retry_after });
            }
        }
        let budget = self.0.parts.budget.take();
        budget.map_err(|retry_after| L402Error::TooMany { quota: None, retry_after })
    }

    fn asked_by(&self, new: &NewChallenge) -> [u8; 32] {
        let account = new.account.map_or(0, |account| account.0);
        self.0.parts.token_keys.asker(&[
            new.client.to_string().as_bytes(),
            &account.to_be_bytes(),
            new.resource.as_bytes(),
            &new.price_sat.to_be_bytes(),
            // With a key it is the key that decides.
            new.idempotency_key.as_deref().unwrap_or_default().as_bytes(),
        ])
    }
}

/// What is sold for an invoice.
pub(super) struct Sold<'a> {
    pub(super) payment_hash: PaymentHash,
    pub(super) token: [u8; 32],
    pub(super) terms: Terms<'a>,
    pub(super) description: Option<&'a str>,
    pub(super) invoice: &'a str,
    pub(super) expires_at: UnixMillis,
}

impl Challenge {
    /// What its token says.
    pub(super) fn terms(&self) -> Terms<'_> {
        Terms {
            path: &self.resource,
            merchant: self.account.map_or(0, |account| account.0),
            amount_sat: self.price_sat,
            valid_until: self.valid_until,
        }
    }

    /// Until when its payment is good: whoever paid late has as long as whoever paid at once.
    pub(super) fn good_until(&self) -> UnixMillis {
        let lifetime = self.valid_until.saturating_mul(1_000).saturating_sub(self.created_at);
        self.paid_at.unwrap_or(self.created_at).saturating_add(lifetime)
    }
}

/// The challenge that was made for the same question.
fn made_before(
    connection: &rusqlite::Connection,
    new: &NewChallenge,
    asked_by: &[u8; 32],
    recent: &RecentPreimages,
    now: UnixMillis,
) -> Result<Option<Challenge>, L402Error> {
    if let (Some(key), Some(account)) = (&new.idempotency_key, new.account) {
        return match store::by_key(connection, account, key, now)? {
            Some(same) if same.is_for(&new.resource, new.price_sat, new.description.as_deref()) => {
                Ok(Some(same))
            }
            Some(_) => Err(L402Error::IdempotencyKeyReuse),
            None => Ok(None),
        };
    }
    let before = store::asked_before(connection, asked_by, now.saturating_sub(SAME_MS), now)?;
    Ok(before.filter(|before| !recent.contains(before.payment_hash.into())))
}

/// What the payer reads.
fn description(new: &NewChallenge) -> String {
    short(new.description.as_deref().unwrap_or(&new.resource)).to_owned()
}

/// The beginning of a text, no longer than what invoice and header hold.
fn short(text: &str) -> &str {
    beginning(text, DESCRIPTION_BYTES)
}
