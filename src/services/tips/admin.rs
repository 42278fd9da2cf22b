//! Tips as the admin API makes, lists and shows them. The operator acts as the tipper of an account.
//!
//! Magic words and links are told once, to who makes the tips; lists and `show` have no words and no webhook.

use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::ids::Cuid;
use super::list::TipName;
use super::request::NewTips;
use super::store::{self, Group, Listing, Tip};
use super::{Done, TipError, Tips};
use crate::admin::{AdminError, PageRequest, TipAdmin, TipOrder};
use crate::core::ids::UserId;
use crate::core::time::iso::IsoTime;
use crate::http::audit_log::Act;
use crate::http::keys::DEFAULT_ACCOUNT;
use crate::ledger::Outgoing;
use crate::services::users::{self, User};
use crate::vouchers::{self, Redeemer};

/// How long tips are good unless the operator says otherwise: 21 days.
const DEFAULT_EXPIRY_SECS: u64 = 21 * 86_400;

/// What an id names.
enum Named {
    Tip(Box<Tip>),
    Group(Group),
}

impl TipAdmin for Tips {
    fn list(&self, page: PageRequest) -> BoxFuture<'_, Result<Vec<Value>, AdminError>> {
        Box::pin(async move {
            let after = match page.before {
                None => None,
                Some(text) => match self.named(&text).await? {
                    Some(Named::Tip(tip)) => Some(tip.id),
                    _ => return Err(no_tip(&text)),
                },
            };
            let limit = usize::try_from(page.limit).ok();
            let (listing, now) = (Listing { after, limit, ..Listing::default() }, self.now());
            let found = self.store().read(move |connection| store::given_by(connection, None, listing, now));
            Ok(found.await.map_err(AdminError::internal)?.iter().map(listed).collect())
        })
    }

    fn show(&self, id: String) -> BoxFuture<'_, Result<Option<Value>, AdminError>> {
        Box::pin(async move {
            let shown = match self.named(&id).await? {
                None => return Ok(None),
                Some(Named::Tip(tip)) => {
                    let voucher = tip.id;
                    let past =
                        self.store().read(move |connection| vouchers::payouts_of(connection, voucher)).await;
                    shown(&tip, &past.map_err(AdminError::internal)?)
                }
                Some(Named::Group(group)) => {
                    let row = group.id;
                    let tips = self.store().read(move |connection| store::of_group(connection, row)).await;
                    shown_group(&group, &tips.map_err(AdminError::internal)?)
                }
            };
            Ok(Some(shown))
        })
    }

    fn create(&self, order: TipOrder) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            if !self.rules().enabled {
                return Err(AdminError::Refused("tips are switched off (tips.enabled)".into()));
            }
            let name = order.account.as_deref().unwrap_or(DEFAULT_ACCOUNT);
            let user = self.users().by_account_name(name).await.map_err(admin_error)?;
            let user = user.ok_or_else(|| {
                AdminError::NotFound(format!(
                    "there is no account {name:?}; an account begins with its first key: \
                     `satchel key create --account NAME --scope tips`"
                ))
            })?;
            let fields = body(&order, self.now())?;
            let new = NewTips::read(&fields, &self.rules().limits, self.now())
                .map_err(|invalid| AdminError::BadRequest(invalid.message))?;
            let made = match Tips::create(self, &user, new.clone(), None).await.map_err(admin_error)? {
                Done::Now(made) => made,
                Done::Before(_) => return Err(AdminError::internal("tips without a key were made before")),
            };
            let made: Value = serde_json::from_slice(&made).map_err(AdminError::internal)?;
            Ok(self.receipt(&new, &made))
        })
    }

    fn reclaim(&self, id: String, force: bool, act: Act) -> BoxFuture<'_, Result<Option<usize>, AdminError>> {
        Box::pin(async move {
            let taken = match self.named(&id).await? {
                None => return Ok(None),
                Some(Named::Tip(tip)) => {
                    let tipper = self.user(tip.tipper).await?;
                    let name = TipName::Id(tip.public_id);
                    Tips::reclaim(self, Some(&tipper), name, force, None, Some(act)).await.map(|()| 1)
                }
                Some(Named::Group(group)) => {
                    let tipper = self.user(group.tipper).await?;
                    self.reclaim_group(&tipper, group.public_id, force, None, Some(act)).await
                }
            };
            taken.map(Some).map_err(admin_error)
        })
    }
}

impl Tips {
    async fn named(&self, text: &str) -> Result<Option<Named>, AdminError> {
        let Ok(id) = text.parse::<Cuid>() else { return Ok(None) };
        let read = self.store().read(move |connection| -> Result<_, TipError> {
            if let Some(tip) = store::by_public_id(connection, id)? {
                return Ok(Some(Named::Tip(Box::new(tip))));
            }
            Ok(store::group_by_public_id(connection, id)?.map(Named::Group))
        });
        read.await.map_err(admin_error)
    }

    async fn user(&self, id: UserId) -> Result<User, AdminError> {
        let found = self.store().read(move |connection| users::store::by_id(connection, id)).await?;
        found.ok_or_else(|| AdminError::internal(format!("user {id} of a tip is missing")))
    }

    /// What the operator hands out, from the tip or group that was made.
    fn receipt(&self, new: &NewTips, made: &Value) -> Value {
        let url = &self.rules().public_url;
        let grouped = new.quantity > 1;
        let one = std::slice::from_ref(made);
        let tips = made.get("tips").and_then(Value::as_array).map_or(one, Vec::as_slice);
        let tips: Vec<_> = tips
            .iter()
            .map(|tip| {
                let id = tip.get("id").and_then(Value::as_str).unwrap_or_default();
                json!({
                    "id": id,
                    "name": tip.get("tippeeName"),
                    "link": format!("{url}/tips/{id}/claim"),
                    "words": tip.get("passphrase"),
                })
            })
            .collect();
        let id = made.get("id").and_then(Value::as_str).unwrap_or_default();
        let link = (grouped && new.enable_static_link).then(|| format!("{url}/tip-groups/{id}/static"));
        json!({
            "id": id,
            "group": grouped,
            "quantity": new.quantity,
            "amount_sat": new.amount.sat_floor(),
            "fee_sat": new.fee.sat_floor(),
            "total_sat": new.total.sat_floor(),
            "expires_at": new.expiry / 1_000,
            "invoice": made.get("invoice"),
            "static_link": link,
            "words_page": new.details.passphrase.map(|_| format!("{url}/tip")),
            "tips": tips,
        })
    }
}

/// The order as the family's own API words it, so that one reader knows the rules.
fn body(order: &TipOrder, now: i64) -> Result<Map<String, Value>, AdminError> {
    let named = u32::try_from(order.tippee_names.len()).unwrap_or(u32::MAX);
    let quantity = order.quantity.unwrap_or_else(|| named.max(1));
    if named > quantity {
        return Err(AdminError::BadRequest(format!("there are {named} names for {quantity} tips")));
    }
    let lasts = order.expiry_secs.unwrap_or(DEFAULT_EXPIRY_SECS);
    let lasts = i64::try_from(lasts).ok().and_then(|seconds| seconds.checked_mul(1_000));
    let expiry = lasts.and_then(|lasts| now.checked_add(lasts)).filter(|at| *at < LAST_DATE_MS);
    if lasts == Some(0) {
        return Err(AdminError::BadRequest("expiry_secs must lie in the future".into()));
    }
    let expiry = expiry.ok_or_else(|| AdminError::BadRequest("expiry_secs is too far away".into()))?;
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("amount", json!(order.amount_sat));
    put("quantity", json!(quantity));
    put("expiry", json!(IsoTime(expiry)));
    put("onboardingFlow", json!(order.onboarding_flow));
    put("note", json!(order.note));
    match order.tippee_names.as_slice() {
        [only] if quantity == 1 => put("tippeeName", json!(only)),
        names => put("tippeeNames", json!(names)),
    };
    put("generatePassphrase", json!(order.passphrase_words.is_some()));
    put("passphraseLength", json!(order.passphrase_words));
    put("anonymousTipper", json!(order.anonymous));
    put("enableStaticLink", json!(order.static_link));
    put("claimWebhookUrl", json!(order.claim_webhook_url));
    put("withdrawWebhookUrl", json!(order.withdraw_webhook_url));
    Ok(fields)
}

/// The year 9999, beyond which dates have no four digits.
const LAST_DATE_MS: i64 = 253_370_764_800_000;

fn no_tip(text: &str) -> AdminError {
    AdminError::BadRequest(format!("{text:?} is no tip's id; take the last id of the page before"))
}

fn admin_error(error: TipError) -> AdminError {
    let text = error.message().to_owned();
    match error {
        TipError::Invalid { .. } => AdminError::BadRequest(text),
        TipError::NotFound => AdminError::NotFound(text),
        TipError::Conflict { code: "TIP_CLAIMED", .. } => {
            AdminError::Refused("somebody has claimed it; `--force` takes it back all the same".into())
        }
        TipError::Conflict { .. } => AdminError::Refused(text),
        TipError::TooMany { .. } | TipError::NoCapacity { .. } => AdminError::Unavailable(text),
        TipError::Unavailable => AdminError::Unavailable(
            "the node does not run, or the database takes no writes; `satchel doctor` says why".into(),
        ),
        other => AdminError::internal(other),
    }
}

fn listed(tip: &Tip) -> Value {
    json!({
        "id": tip.public_id.to_string(),
        "status": tip.status().name(),
        "amount_sat": tip.amount.sat_floor(),
        "group": tip.group.map(|(_, id)| id.to_string()),
        "tippee_name": tip.tippee_name,
        "created_at": tip.created_at / 1_000,
        "expires_at": tip.expires_at / 1_000,
    })
}

fn shown(tip: &Tip, past: &[(Redeemer, Outgoing)]) -> Value {
    json!({
        "id": tip.public_id.to_string(),
        "status": tip.status().name(),
        "withdrawal_pending": tip.withdrawal_pending(),
        "amount_sat": tip.amount.sat_floor(),
        "fee_sat": tip.fee.sat_floor(),
        "group": tip.group.map(|(_, id)| id.to_string()),
        "tipper": tip.tipper_id.to_string(),
        "tippee": tip.tippee.map(|(_, id)| id.to_string()),
        "tippee_name": tip.tippee_name,
        "note": tip.note,
        "onboarding_flow": tip.onboarding_flow.name(),
        "created_at": tip.created_at / 1_000,
        "expires_at": tip.expires_at / 1_000,
        "seen_at": tip.seen_at.map(|at| at / 1_000),
        "claimed_at": tip.claimed_at.map(|at| at / 1_000),
        "deleted_at": tip.deleted_at.map(|at| at / 1_000),
        "invoice": tip.invoice,
        "invoice_expires_at": tip.invoice_expires_at / 1_000,
        "has_words": tip.passphrase_sealed.is_some(),
        "has_claim_webhook": tip.claim_webhook.is_some(),
        "has_withdraw_webhook": tip.withdraw_webhook.is_some(),
        "payouts": past.iter().map(payout).collect::<Vec<_>>(),
    })
}

fn shown_group(group: &Group, tips: &[Tip]) -> Value {
    json!({
        "id": group.public_id.to_string(),
        "status": group.status().name(),
        "quantity": group.quantity,
        "tipper": group.tipper_id.to_string(),
        "has_static_link": group.static_link,
        "created_at": group.created_at / 1_000,
        "deleted_at": group.deleted_at.map(|at| at / 1_000),
        "invoice": group.invoice,
        "invoice_expires_at": group.invoice_expires_at / 1_000,
        "tips": tips.iter().map(listed).collect::<Vec<_>>(),
    })
}

fn payout((taker, payout): &(Redeemer, Outgoing)) -> Value {
    json!({
        "id": payout.public_id(),
        "to": taker.name(),
        "status": payout.status().name(),
        "payment_hash": payout.payment_hash(),
        "amount_msat": payout.amount(),
        "attempts": payout.attempts(),
        "created_at": payout.created_at() / 1_000,
        "finished_at": payout.finished_at().map(|at| at / 1_000),
        "fee_msat": payout.fee(),
        "error": payout.error(),
    })
}

#[cfg(test)]
mod tests;
