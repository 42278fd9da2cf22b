//! What the operator's commands need of payouts.

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::AdminService;
use super::operator::{COINS, unavailable};
use crate::admin::{AdminError, Money, PayoutAdmin, PayoutPage};
use crate::core::time::millis;
use crate::http::audit_log::{self, Act, ActKind};
use crate::ledger::by_hand::{self, Found};
use crate::ledger::offer_payouts::{self, OfferPayout};
use crate::ledger::payout_list::{self, Event, Listed, Wanted, Way};
use crate::ledger::{LedgerError, Payout, payouts};
use crate::lightning::{Lightning, Outbound, Standing};

impl PayoutAdmin for AdminService {
    fn list(&self, page: PayoutPage) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let held_since = page.held_secs.map(|seconds| {
                self.0.ledger.clock.now().saturating_sub(millis(std::time::Duration::from_secs(seconds)))
            });
            let wanted = Wanted {
                status: page.status,
                family: page.family,
                since: page.since,
                held_since,
                before: page.before,
                limit: page.limit,
            };
            let read = self.0.store.read(move |connection| payout_list::list(connection, &wanted));
            let (found, next) = read.await.map_err(unavailable)?;
            let payouts: Vec<_> = found.iter().map(shown).collect();
            Ok(json!({ "payouts": payouts, "next": next.map(payout_list::Place::to_text) }))
        })
    }

    fn show(&self, id: String) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(self.told(id))
    }

    fn settle(
        &self,
        id: String,
        found: Found,
        has_proof: bool,
        act: Act,
    ) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            if let Some(offer) = self.offer_row(id.clone()).await? {
                return self.settle_offer(offer, found, act).await;
            }
            let payout = self.payout_row(id.clone()).await?;
            by_hand::may_settle(&payout, found).map_err(|why| AdminError::Refused(why.to_string()))?;
            if matches!(found, Found::Failed) {
                self.must_be_over(&payout, has_proof).await?;
            }
            let (listeners, now, row) =
                (self.0.ledger.listeners.clone(), self.0.ledger.clock.now(), payout.id);
            let written = self.0.store.write(move |tx| -> Result<_, LedgerError> {
                let settled = by_hand::settle(tx, &listeners, row, found, now)?;
                if settled.is_ok() {
                    act.done(tx, now)?;
                }
                Ok(settled)
            });
            written.await.map_err(unavailable)?.map_err(|why| AdminError::Refused(why.to_string()))?;
            self.told(id).await
        })
    }
}

impl AdminService {
    async fn payout_row(&self, id: String) -> Result<Payout, AdminError> {
        if let Some(coins) = id.strip_prefix(COINS) {
            let says = format!("these are coins on their way to an address: `satchel coins settle {coins}`");
            return Err(AdminError::Refused(says));
        }
        let found = self.0.store.read(move |connection| payouts::by_public_id(connection, &id)).await;
        found.map_err(unavailable)?.ok_or_else(none)
    }

    async fn offer_row(&self, id: String) -> Result<Option<OfferPayout>, AdminError> {
        let found = self.0.store.read(move |connection| offer_payouts::by_public_id(connection, &id)).await;
        found.map_err(unavailable)
    }

    /// Ends a payout to an offer whose outcome is in doubt. While one is, no other offer is paid.
    async fn settle_offer(&self, payout: OfferPayout, found: Found, act: Act) -> Result<Value, AdminError> {
        let found = match found {
            Found::Paid { preimage, .. } => {
                if payout.payment_hash.is_some_and(|hash| preimage.payment_hash() != hash) {
                    return Err(AdminError::Refused("this preimage doesn't open its payment hash".into()));
                }
                offer_payouts::Found::Paid
            }
            Found::Failed => {
                let (ledger, asked) = (self.0.ledger.clone(), payout.clone());
                let looked =
                    tokio::task::spawn_blocking(move || offer_payouts::may_be_under_way(&ledger, &asked));
                if let Some(why) = looked.await.map_err(AdminError::internal)? {
                    return Err(AdminError::Refused(format!(
                        "it may have been sent: {why}; try again later"
                    )));
                }
                offer_payouts::Found::NotSent
            }
        };
        let (listeners, now, id) = (self.0.ledger.listeners.clone(), self.0.ledger.clock.now(), payout.id);
        let written = self.0.store.write(move |tx| -> Result<_, LedgerError> {
            let settled = offer_payouts::settle(tx, &listeners, id, found, now)?;
            if settled {
                act.done(tx, now)?;
            }
            Ok(settled)
        });
        if !written.await.map_err(unavailable)? {
            let says = "its outcome is not in doubt: it ends by itself, or has ended";
            return Err(AdminError::Refused(says.into()));
        }
        let shown = Money::payout(self, payout.public_id).await?;
        serde_json::to_value(shown).map_err(AdminError::internal)
    }

    /// All that is known of one of any way.
    async fn told(&self, id: String) -> Result<Value, AdminError> {
        let read = self.0.store.read(move |connection| -> Result<_, LedgerError> {
            let Some(listed) = payout_list::find(connection, &id)? else { return Ok(None) };
            let events = payout_list::history(connection, &listed)?;
            // What was done to coins by hand is recorded under their number alone, which others have too.
            let (subject, kinds) = match listed.id.strip_prefix(COINS) {
                Some(number) => (number, Some([ActKind::Send, ActKind::CoinsSettle, ActKind::Pay])),
                None => (listed.id.as_str(), None),
            };
            let mut acts = audit_log::of_subject(connection, subject)?;
            acts.retain(|act| kinds.is_none_or(|kinds| kinds.iter().any(|kind| kind.name() == act.act)));
            Ok(Some((listed, events, acts)))
        });
        let (listed, events, acts) = read.await.map_err(unavailable)?.ok_or_else(none)?;
        let mut view = shown(&listed);
        if let Some(fields) = view.as_object_mut() {
            let to = match listed.way {
                Way::Invoice => "invoice",
                Way::Offer => "offer",
                Way::Coins => "address",
            };
            fields.insert(to.into(), json!(listed.to));
            fields.insert("preimage".into(), json!(listed.preimage));
            fields.insert("txid".into(), json!(listed.txid));
            fields.insert("history".into(), json!(history(&listed, &events)));
            fields.insert("acts".into(), json!(acts));
        }
        Ok(view)
    }

    /// What the node's state and the chain prove decides. A person's word counts only where they prove nothing.
    async fn must_be_over(&self, payout: &Payout, has_proof: bool) -> Result<(), AdminError> {
        let outbound = Outbound {
            hash: payout.payment_hash,
            is_id: false,
            amount: payout.amount,
            reported_failed: payout.failure_reported.is_some(),
        };
        let question = move |node: &dyn Lightning| {
            let standings = node.is_running().then(|| node.standings(std::slice::from_ref(&outbound)));
            standings.and_then(|standings| standings.into_iter().next())
        };
        let standing = self.0.asked.ask(question).await?.ok_or_else(|| {
            AdminError::Unavailable("the node is not running: nobody can tell what it shows".into())
        })?;
        match standing {
            Standing::Gone | Standing::NeverSent => Ok(()),
            Standing::Unclear(_) if has_proof => Ok(()),
            Standing::Arrived { .. } => Err(AdminError::Refused(
                "the node has its preimage: it arrived, and ends as paid by itself within a minute".into(),
            )),
            Standing::UnderWay => Err(AdminError::Refused(
                "an HTLC of it is in an open channel: the recipient can still take it, so it can't be failed".into(),
            )),
            Standing::Closing => Err(AdminError::Refused(
                "an HTLC of it was in a channel that has closed, and the chain has not decided: it ends by itself once \
                 the closing transaction and its outputs are six blocks deep"
                    .into(),
            )),
            Standing::Unclear(why) => Err(AdminError::Refused(format!(
                "nobody can tell now whether an HTLC of it is under way ({why}), and the money could be given away \
                 twice: give --i-have-proof only if you have seen that no output of it is left on the chain"
            ))),
        }
    }
}

fn none() -> AdminError {
    AdminError::NotFound("there is no payout with this id; see `satchel payout list`".into())
}

fn shown(listed: &Listed) -> Value {
    json!({
        "id": listed.id,
        "type": listed.way.name(),
        "family": listed.family.name(),
        "status": listed.status.name(),
        "payment_hash": listed.payment_hash,
        "amount_msat": listed.amount,
        "max_fee_msat": listed.max_fee,
        "fee_msat": listed.fee,
        "attempts": listed.attempts,
        "created_at": listed.created_at,
        "dispatched_at": listed.dispatched_at,
        "failure_reported": listed.failure_reported,
        "finished_at": listed.finished_at,
        "error": listed.error,
    })
}

/// What happened, oldest first: what the books say, and when the node was first asked.
fn history(listed: &Listed, events: &[Event]) -> Vec<Value> {
    let sent = listed.dispatched_at.map(|at| (at, "given_to_the_node"));
    let mut all: Vec<_> = events.iter().map(|event| (event.at, event.kind.as_str())).chain(sent).collect();
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(at, what)| json!({ "at": at, "what": what })).collect()
}
