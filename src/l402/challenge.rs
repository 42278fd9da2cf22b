//! Asking for payment: an invoice, then charge and challenge in one transaction, then the token made from it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bitcoin::hashes::{Hash, sha256};

use super::hooks::Asked;
use super::protocol::mpp::Charge;
use super::protocol::mpp::challenge::ChargeDetails;
use super::protocol::{Identifier, Terms, challenge};
use super::shown::Shown;
use super::store::{self, Challenge, Draft};
use super::{L402, L402Error};
use crate::clock::iso::IsoSeconds;
use crate::clock::{UnixMillis, millis};
use crate::http::client::Client;
use crate::http::limits::Class;
use crate::ids::{AccountId, PaymentHash, random_bytes, to_hex};
use crate::ledger::solvency::Sale;
use crate::ledger::{Family, charges};
use crate::lightning::{InvoiceDescription, InvoiceRequest};
use crate::money::Msat;
use crate::text::beginning;

/// For so long the same question of the same client gets the same challenge.
const SAME_MS: i64 = 60_000;

/// Bytes of a description that go into the invoice and the header, each of which holds it: a web server in front of
/// this one takes 4 KB of headers by default.
const DESCRIPTION_BYTES: usize = 100;

/// Bytes of a path that go into the token as they are, for the same reason.
const PATH_BYTES: usize = 256;

/// A challenge to make.
#[derive(Clone, Debug)]
pub struct NewChallenge {
    /// Who asks for it; several of the same within a minute are one.
    pub client: Client,
    /// Whether it has been counted already, by an API key: then not by client too.
    pub counted: bool,
    /// Whose resource; `None` is the operator's own.
    pub account: Option<AccountId>,
    /// What it opens. [`resource_name`] makes one out of any path.
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

/// A challenge as it is handed out.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Its row.
    pub challenge: Challenge,
    /// The token, worth nothing without the preimage.
    pub macaroon: String,
    /// A `WWW-Authenticate` value of the `Payment` scheme, for the same invoice.
    pub payment: Option<String>,
}

impl Offer {
    /// A `WWW-Authenticate` value of the L402 scheme.
    pub fn line(&self) -> String {
        challenge::line(&self.macaroon, &self.challenge.invoice)
    }
}

impl L402 {
    /// Asks for payment.
    ///
    /// # Errors
    /// [`L402Error::IdempotencyKeyReuse`], [`L402Error::NotEnabled`], [`L402Error::Invalid`] for a price out of
    /// range, [`L402Error::TooMany`], the node's, the store's. Nothing is left behind by any.
    pub async fn challenge(&self, new: NewChallenge) -> Result<Offer, L402Error> {
        let (asked_by, now) = (self.asked_by(&new), self.now());
        let first = new.clone();
        let shown = Arc::clone(&self.0.shown);
        let before =
            self.store().read(move |connection| made_before(connection, &first, &asked_by, &shown, now));
        if let Some(same) = before.await? {
            return Ok(self.offer(same));
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
        let (shown, teller) = (Arc::clone(&self.0.shown), self.teller().clone());
        let written = self.store().write(move |tx| -> Result<Challenge, L402Error> {
            if let Some(same) = made_before(tx, &new, &asked_by, &shown, now)? {
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
                teller.asked(tx, &Asked { account, resource, price_sat })?;
            }
            let made = store::by_hash(tx, payment_hash)?.ok_or(L402Error::Internal)?;
            invoice.keep();
            Ok(made)
        });
        Ok(self.offer(written.await?))
    }

    /// A challenge with what is handed out of it.
    pub(super) fn offer(&self, challenge: Challenge) -> Offer {
        let macaroon = self.macaroon(&challenge);
        let payment = self.payment_line(&challenge);
        Offer { challenge, macaroon, payment }
    }

    /// The token of a challenge, as Base64.
    pub(super) fn macaroon(&self, challenge: &Challenge) -> String {
        let identifier = Identifier { payment_hash: challenge.payment_hash, token: challenge.token };
        self.mint().token(&identifier, &challenge.terms())
    }

    fn payment_line(&self, challenge: &Challenge) -> Option<String> {
        self.charge_line(&InvoiceTerms {
            price_sat: challenge.price_sat,
            description: challenge.description.as_deref(),
            invoice: &challenge.invoice,
            payment_hash: challenge.payment_hash,
            expires_at: challenge.expires_at,
        })
    }

    /// A `WWW-Authenticate` value of the `Payment` scheme for an invoice of ours.
    pub(super) fn charge_line(&self, asked: &InvoiceTerms<'_>) -> Option<String> {
        let rules = self.rules();
        let charge = Charge {
            amount: asked.price_sat.to_string(),
            currency: "sat".into(),
            description: asked.description.map(|words| short(words).to_owned()),
            details: ChargeDetails {
                invoice: asked.invoice.to_owned(),
                payment_hash: Some(asked.payment_hash),
                network: Some(rules.network_name().into()),
            },
        };
        let expires = IsoSeconds(asked.expires_at).to_string();
        // A header is ASCII to most clients; the request has the words in full.
        let words = charge
            .description
            .clone()
            .filter(|words| words.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
        self.mint().ids().charge(&rules.realm, charge.to_request()?, expires, words).line()
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
        self.mint().asker(&[
            new.client.to_string().as_bytes(),
            &account.to_be_bytes(),
            new.resource.as_bytes(),
            &new.price_sat.to_be_bytes(),
            // With a key it is the key that decides.
            new.idempotency_key.as_deref().unwrap_or_default().as_bytes(),
        ])
    }
}

/// What a line of the `Payment` scheme asks for.
pub(super) struct InvoiceTerms<'a> {
    pub(super) price_sat: u64,
    pub(super) description: Option<&'a str>,
    pub(super) invoice: &'a str,
    pub(super) payment_hash: PaymentHash,
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
    shown: &Shown,
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
    Ok(before.filter(|before| !shown.has(before.payment_hash)))
}

/// What stands in the token and the books for a path: itself, or what only it has, if it is too long for a header or
/// holds what no header may.
pub fn resource_name(path: &str) -> Cow<'_, str> {
    let fits = path.len() <= PATH_BYTES && !path.chars().any(char::is_control);
    if fits {
        Cow::Borrowed(path)
    } else {
        Cow::Owned(format!("sha256:{}", to_hex(&sha256::Hash::hash(path.as_bytes()).to_byte_array())))
    }
}

/// What the payer reads.
fn description(new: &NewChallenge) -> String {
    short(new.description.as_deref().unwrap_or(&new.resource)).to_owned()
}

/// The beginning of a text, no longer than what invoice and header hold.
fn short(text: &str) -> &str {
    beginning(text, DESCRIPTION_BYTES)
}
