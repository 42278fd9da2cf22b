//! What an account is told of its payments, and where.

use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use utoipa::ToSchema;

use super::request::{Fields, Invalid};
use super::{PaymentError, Payments, json};
use crate::core::ids::{AccountId, Secret};
use crate::core::time::UnixMillis;
use crate::http::body::JsonObject;
use crate::ledger::{Family, LedgerError};
use crate::outbound::webhooks::sign;
use crate::outbound::webhooks::store::{Owner, Target};
use crate::storage::Tx;

const URL_LEN: usize = 2_048;

/// Characters of a secret that somebody chose: short ones can be guessed.
const SECRET_LEN: std::ops::RangeInclusive<usize> = 16..=256;

/// Where an account's webhooks go.
#[derive(Clone, Debug)]
pub struct Merchant {
    /// Told of everything.
    pub webhook_url: Option<String>,
    /// Signs the webhooks.
    pub webhook_secret: Secret,
    /// Told the same.
    pub callback_url: Option<String>,
}

impl Merchant {
    /// The names of an account's listeners, and where each is.
    pub(super) fn listeners(&self, account: AccountId) -> [(String, Option<Target<'_>>); 2] {
        let family = Family::Payments.name();
        [("webhook", &self.webhook_url), ("callback", &self.callback_url)].map(|(kind, url)| {
            let (secret, owner) = (Some(&self.webhook_secret), Owner::Account(account));
            let target = url.as_deref().map(|url| Target { family, url, secret, owner });
            (format!("{family}/{account}/{kind}"), target)
        })
    }
}

/// An account's settings.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MerchantView<'a> {
    /// `true`, in the answer to a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    success: Option<bool>,
    /// In the answer to a change.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
    account_id: String,
    webhook_url: Option<&'a str>,
    callback_url: Option<&'a str>,
    /// Signs the webhooks.
    webhook_secret: Option<&'a str>,
}

/// The settings of an account, if it ever gave any.
pub(super) fn of(connection: &Connection, account: AccountId) -> Result<Option<Merchant>, LedgerError> {
    Ok(connection
        .prepare_cached(
            "SELECT webhook_url, unseal(webhook_secret), callback_url FROM payment_merchants WHERE account_id = ?1",
        )?
        .query_row([account], |row| {
            Ok(Merchant {
                webhook_url: row.get(0)?,
                webhook_secret: Secret::new(row.get::<_, String>(1)?),
                callback_url: row.get(2)?,
            })
        })
        .optional()?)
}

fn set(tx: &Tx<'_>, account: AccountId, merchant: &Merchant, now: UnixMillis) -> Result<(), LedgerError> {
    tx.prepare_cached(
        "INSERT INTO payment_merchants (account_id, webhook_url, webhook_secret, callback_url, updated_at)
         VALUES (?1, ?2, seal(?3), ?4, ?5)
         ON CONFLICT (account_id) DO UPDATE SET webhook_url = excluded.webhook_url,
             webhook_secret = excluded.webhook_secret, callback_url = excluded.callback_url,
             updated_at = excluded.updated_at",
    )?
    .execute(params![
        account,
        merchant.webhook_url,
        merchant.webhook_secret.expose(),
        merchant.callback_url,
        now
    ])?;
    Ok(())
}

/// A change of the settings. `None` leaves one as it is, `Some(None)` takes it away.
#[derive(Debug)]
pub struct Change {
    webhook_url: Option<Option<String>>,
    callback_url: Option<Option<String>>,
    webhook_secret: Option<Secret>,
}

impl Change {
    /// Reads one.
    ///
    /// # Errors
    /// [`Invalid`].
    pub fn read(body: &JsonObject) -> Result<Self, Invalid> {
        let fields = Fields(&body.fields);
        let known = ["webhookUrl", "callbackUrl", "webhookSecret"];
        if !known.iter().any(|name| body.fields.contains_key(*name)) {
            let message = "Give webhookUrl, callbackUrl or webhookSecret";
            return Err(Invalid::new("INVALID_FIELD", message));
        }
        let url = |name| match body.fields.contains_key(name) {
            true => fields.text(name, URL_LEN).map(Some),
            false => Ok(None),
        };
        let secret = fields.text("webhookSecret", *SECRET_LEN.end())?;
        if secret.as_ref().is_some_and(|secret| !SECRET_LEN.contains(&secret.chars().count())) {
            let message =
                format!("webhookSecret must have {} to {} characters", SECRET_LEN.start(), SECRET_LEN.end());
            return Err(Invalid::new("INVALID_SECRET", message));
        }
        Ok(Self {
            webhook_url: url("webhookUrl")?,
            callback_url: url("callbackUrl")?,
            webhook_secret: secret.map(Secret::new),
        })
    }
}

impl Payments {
    /// Changes where an account's webhooks go; answers its settings. Who names no secret gets one. What waits goes
    /// where they go from now on, at once and signed with the secret of now, also if nothing has changed; what was for
    /// an address that is taken away is given up.
    ///
    /// # Errors
    /// [`PaymentError::Invalid`] for addresses that may not be called, the store's.
    pub async fn set_merchant(&self, account: AccountId, change: Change) -> Result<Vec<u8>, PaymentError> {
        for (name, url) in [("webhookUrl", &change.webhook_url), ("callbackUrl", &change.callback_url)] {
            let Some(Some(url)) = url else { continue };
            self.0.parts.guard.check_url(url).map_err(|why| {
                let message = format!(
                    "{name} must be a web address (http or https) that leads to the public internet; others need the operator's leave: {why}"
                );
                PaymentError::invalid("INVALID_URL", message)
            })?;
        }
        let (fresh, now, notifier) = (sign::new_secret()?, self.now(), self.0.parts.notifier.clone());
        let written = self.store().write(move |tx| -> Result<Merchant, PaymentError> {
            let old = of(tx, account)?;
            let new = Merchant {
                webhook_url: change
                    .webhook_url
                    .unwrap_or_else(|| old.as_ref().and_then(|old| old.webhook_url.clone())),
                callback_url: change
                    .callback_url
                    .unwrap_or_else(|| old.as_ref().and_then(|old| old.callback_url.clone())),
                webhook_secret: change
                    .webhook_secret
                    .or_else(|| old.as_ref().map(|old| old.webhook_secret.clone()))
                    .unwrap_or(fresh),
            };
            set(tx, account, &new, now)?;
            for (listener, target) in new.listeners(account) {
                notifier.outbox().listen(tx, &listener, target)?;
            }
            Ok(new)
        });
        let merchant = written.await?;
        view(account, Some(&merchant), true)
    }

    /// Where an account's webhooks go, if it ever said so.
    ///
    /// # Errors
    /// The store's.
    pub async fn merchant(&self, account: AccountId) -> Result<Option<Merchant>, PaymentError> {
        Ok(self.store().read(move |connection| of(connection, account)).await?)
    }

    /// An account's settings.
    ///
    /// # Errors
    /// The store's.
    pub async fn merchant_json(&self, account: AccountId) -> Result<Vec<u8>, PaymentError> {
        view(account, self.merchant(account).await?.as_ref(), false)
    }
}

fn view(account: AccountId, merchant: Option<&Merchant>, changed: bool) -> Result<Vec<u8>, PaymentError> {
    json(&MerchantView {
        success: changed.then_some(true),
        message: changed.then_some("Webhook settings saved"),
        account_id: account.to_string(),
        webhook_url: merchant.and_then(|merchant| merchant.webhook_url.as_deref()),
        callback_url: merchant.and_then(|merchant| merchant.callback_url.as_deref()),
        webhook_secret: merchant.map(|merchant| merchant.webhook_secret.expose()),
    })
}
