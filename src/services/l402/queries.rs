//! Looking at challenges and at what they brought in.

use ::l402::{Credential, Presented, VerificationParams, verify};
use axum::http::HeaderMap;

use super::counters::Requests;
use super::status::ChallengeStatus;
use super::store::{self, Challenge, Earned};
use super::{L402, L402Error};
use crate::core::ids::{AccountId, PaymentHash};
use crate::core::money::Msat;
use crate::core::time::UnixMillis;
use crate::ledger::LedgerError;

/// Resources that statistics name.
const NAMED: u32 = 50;

/// What part of a list.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Only those that stand so.
    pub status: Option<ChallengeStatus>,
    /// At most so many.
    pub limit: u32,
    /// Behind so many.
    pub offset: u32,
}

/// What was sold.
#[derive(Clone, Debug)]
pub struct Stats {
    /// Requests since the start.
    pub requests: Requests,
    /// When that was.
    pub since: UnixMillis,
    /// Challenges that were made: of all accounts ever, of one account those that are kept.
    pub challenges: u64,
    /// Challenges that were paid, ever.
    pub payments: u64,
    /// What they brought in.
    pub received: Msat,
    /// What the operator took of it.
    pub fees: Msat,
    /// By resource, those that brought in most first.
    pub resources: Vec<Earned>,
}

impl L402 {
    /// An account's challenges, newest first, and how many there are in all.
    ///
    /// # Errors
    /// The store's.
    pub async fn list(&self, account: AccountId, page: Page) -> Result<(Vec<Challenge>, u64), L402Error> {
        let now = self.now();
        let read = move |connection: &rusqlite::Connection| {
            store::list(connection, account, page.status, (page.limit, page.offset), now)
        };
        Ok(self.store().read(read).await?)
    }

    /// What an account has sold; with `None` what all have, the operator too.
    ///
    /// # Errors
    /// The store's.
    pub async fn stats(&self, account: Option<AccountId>) -> Result<Stats, L402Error> {
        let id = account.map(|account| account.0);
        let read = self.store().read(move |connection| -> Result<_, LedgerError> {
            let made = store::made(connection, id)?;
            Ok((store::earnings(connection, id, NAMED)?, store::fees(connection, id)?, made))
        });
        let ((resources, payments, received), fees, challenges) = read.await?;
        Ok(Stats {
            requests: self.counters().requests(account),
            since: self.0.started_at,
            challenges,
            payments,
            received,
            fees,
            resources,
        })
    }

    /// How often the operator's own resources below this path were paid for, and how often any resource of anybody's.
    ///
    /// # Errors
    /// The store's.
    pub async fn sold_below(&self, path: &'static str) -> Result<(u64, u64), L402Error> {
        Ok(self.store().read(move |connection| store::sold_below(connection, path)).await?)
    }

    /// Whether a request shows what only a payment here gives. Costs no look-up: it says so of payments that are used
    /// up too, and not of a bare preimage.
    pub fn has_paid(&self, headers: &HeaderMap) -> bool {
        Presented::read(headers).iter().any(|presented| match presented {
            Presented::Credential(Credential::Payment(shown)) => self.proof(shown).is_ok(),
            presented => self.recognise_one(presented).is_some(),
        })
    }

    /// Whether a request shows a token that is good somewhere: the payment's hash, and when it ends, in unix seconds.
    pub fn recognise(&self, presented: &[Presented]) -> Option<(PaymentHash, i64)> {
        presented.iter().find_map(|presented| self.recognise_one(presented))
    }

    fn recognise_one(&self, presented: &Presented) -> Option<(PaymentHash, i64)> {
        let Presented::Credential(Credential::Token { macaroons, preimage }) = presented else { return None };
        let params = VerificationParams { now: self.now() / 1_000, ..VerificationParams::default() };
        let token = verify(self.mint(), macaroons, preimage, &params).ok()?;
        Some((token.payment_hash.into(), token.valid_until))
    }
}
