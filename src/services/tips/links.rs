//! LNURL-withdraw for tips (LUD-03): a code stands for a fixed set of tips.
//!
//! A code of a user lives for a day and serves only that user's tips as they are; one for whoever has it lives as
//! long as its tip and may be printed. Nothing but a payout uses a code up, and one that failed leaves it good.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::store::{self, Link, LinkKey, Tip};
use super::withdraw::{Asked, Flow, MOST_TIPS, anonymous, purse};
use super::{TipError, Tips, json};
use crate::core::ids::random_bytes;
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::crash_point;
use crate::http::client;
use crate::ledger::{PayoutKey, outgoing};
use crate::lightning::invoice;
use crate::outbound::lnurl::payee::PayTo;
use crate::storage::Tx;
use crate::vouchers::{self, Refused, VoucherState};

/// How long a user's code is good.
pub(super) const LINK_LIFE_MS: i64 = 86_400_000;

/// How long the same code is given to who asks again.
const REUSE_MS: i64 = 600_000;

/// The first leg.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WithdrawRequest {
    /// Always `withdrawRequest`.
    tag: &'static str,
    callback: String,
    k1: String,
    default_description: String,
    /// Millisatoshis.
    min_withdrawable: u64,
    /// Millisatoshis.
    max_withdrawable: u64,
}

impl Tips {
    /// A code for what can be withdrawn now, as a JSON string; `amount` says what the asker thinks that is.
    ///
    /// # Errors
    /// As [`Tips::withdraw`], and [`TipError::Conflict`] for another amount.
    pub async fn link_json(&self, asked: Asked, amount: Option<Msat>) -> Result<Vec<u8>, TipError> {
        let now = self.now();
        let fresh: LinkKey = *Uuid::from_bytes(random_bytes()?).as_bytes();
        let written = self.store().write(move |tx| -> Result<LinkKey, TipError> {
            let purse = purse(tx, &asked, now, MOST_TIPS)?;
            if amount.is_some_and(|amount| amount != purse.amount) {
                return Err(Refused::WrongAmount.into());
            }
            let user = asked.user.filter(|_| asked.flow != Flow::Anonymous);
            let flow = asked.flow.name().to_owned();
            let link = Link { user, flow, amount: purse.amount, tips: purse.tips };
            if let Some(same) = store::same_link(tx, &link, now.saturating_sub(REUSE_MS))? {
                return Ok(same);
            }
            store::insert_link(tx, fresh, &link, now)?;
            Ok(fresh)
        });
        let key = written.await?;
        let url = format!("{}/api/withdrawalLinks/{}", self.rules().public_url, Uuid::from_bytes(key));
        json(&crate::outbound::lnurl::encode(&url).map_err(|_| TipError::Internal)?)
    }

    /// The first leg. Writes nothing.
    ///
    /// # Errors
    /// Why it can't be withdrawn now; the messages are for the wallet's owner.
    pub async fn link_request_json(&self, id: &str) -> Result<Vec<u8>, TipError> {
        let key = link_key(id)?;
        let now = self.now();
        let read = self.store().read(move |connection| -> Result<_, TipError> {
            let link = store::link(connection, key)?.ok_or(TipError::NotFound)?;
            let tips = tips_of(connection, &link)?;
            check(&link, &tips, now)?;
            Ok((link, last_payout(&tips)))
        });
        let (link, last) = read.await?;
        json(&WithdrawRequest {
            tag: "withdrawRequest",
            callback: format!("{}/api/withdrawalLinks/{id}/pay", self.rules().public_url),
            k1: self.keyring().k1(key, last),
            default_description: "Lightsats withdrawal".into(),
            min_withdrawable: link.amount.get(),
            max_withdrawable: link.amount.get(),
        })
    }

    /// The second leg: done once the intent to pay is durable. The same invoice again is the same withdrawal.
    ///
    /// # Errors
    /// As the first leg, and for a wrong `k1` or invoice.
    pub async fn link_pay(&self, id: &str, k1: String, pr: &str) -> Result<(), TipError> {
        let key = link_key(id)?;
        let invoice = invoice::read(pr)?;
        let running = self.0.parts.node.ask(|node| node.is_running()).await.unwrap_or(false);
        let (this, now, source) = (self.clone(), self.now(), client::source());
        let written = self.store().write(move |tx: &Tx<'_>| -> Result<(), TipError> {
            let link = store::link(tx, key)?.ok_or(TipError::NotFound)?;
            if vouchers::same_invoice(tx, &link.tips, &invoice)?.is_some() {
                return Ok(());
            }
            let tips = tips_of(tx, &link)?;
            check(&link, &tips, now)?;
            if !this.keyring().k1_matches(key, last_payout(&tips), &k1) {
                return Err(TipError::Invalid {
                    code: "K1_INVALID",
                    message: "k1 is wrong; scan again".into(),
                });
            }
            if !running {
                return Err(TipError::Unavailable);
            }
            let flow: Flow = link.flow.parse()?;
            let payout =
                this.pay_in(tx, &link.tips, flow.taker(), &PayTo::Invoice(Box::new(invoice)), now)?;
            Ok(outgoing::note_source(tx, payout.key(), source.as_deref())?)
        });
        written.await?;
        crash_point!("tip.after_withdraw");
        Ok(())
    }
}

fn link_key(id: &str) -> Result<LinkKey, TipError> {
    Uuid::try_parse(id).map(|id| *id.as_bytes()).map_err(|_| TipError::NotFound)
}

fn tips_of(connection: &rusqlite::Connection, link: &Link) -> Result<Vec<Tip>, TipError> {
    link.tips.iter().map(|id| store::tip(connection, *id)?.ok_or(TipError::Internal)).collect()
}

/// The payout that was tried last for any of them.
fn last_payout(tips: &[Tip]) -> Option<PayoutKey> {
    tips.iter().filter_map(|tip| tip.withdrawal.as_ref().map(|withdrawal| withdrawal.key)).max()
}

/// Whether a code can be used now: its tips are still whose they were, and worth what they were.
fn check(link: &Link, tips: &[Tip], now: UnixMillis) -> Result<(), TipError> {
    let flow: Flow = link.flow.parse()?;
    let mut sum = Msat::ZERO;
    for tip in tips {
        sum = sum.checked_add(tip.amount).ok_or(TipError::Internal)?;
        match flow {
            Flow::Anonymous => anonymous(tip, now)?,
            Flow::Tippee => {
                match vouchers::refusal_of(tip.state) {
                    None if tip.expires_at <= now => return Err(Refused::Expired.into()),
                    None => {}
                    Some(refused) => return Err(refused.into()),
                }
                if tip.tippee.map(|(id, _)| id) != link.user {
                    return Err(TipError::NotFound);
                }
            }
            Flow::Tipper if tip.state == VoucherState::Expired && Some(tip.tipper) == link.user => {}
            Flow::Tipper => {
                return Err(vouchers::refusal_of(tip.state).unwrap_or(Refused::Unfunded).into());
            }
        }
    }
    if sum == link.amount { Ok(()) } else { Err(Refused::WrongAmount.into()) }
}
