//! Gifts for wallets: LNURL-withdraw (LUD-03) takes one, LNURL-pay (LUD-06, LUD-09) makes one.

use bitcoin::hashes::{Hash, sha256};
use serde::Serialize;
use utoipa::ToSchema;

use super::codes::{Guess, VerifyCode};
use super::create::Created;
use super::error::GiftError;
use super::ids::OrderId;
use super::redeem::{Proof, takeable};
use super::request::{Order, Words, check_amount};
use super::{Done, Gifts, view};
use crate::core::fees::FeeRule;
use crate::core::money::Msat;
use crate::lightning::InvoiceDescription;

/// LNURL speaks millisatoshis, the contract's rules satoshis.
const MSAT_PER_SAT: u64 = 1_000;

/// Longest URL of a success action (LUD-09).
const SUCCESS_URL_LEN: usize = 144;

/// The first leg of LNURL-withdraw.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WithdrawRequest {
    /// Always `OK`.
    status: &'static str,
    callback: String,
    k1: String,
    max_withdrawable: u64,
    min_withdrawable: u64,
    default_description: String,
    /// Always `withdrawRequest`.
    tag: &'static str,
}

/// The first leg of LNURL-pay.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PayRequest {
    min_sendable: u64,
    max_sendable: u64,
    /// Always `payRequest`.
    tag: &'static str,
    metadata: String,
    callback: String,
}

/// The second leg of LNURL-pay.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PayInvoice {
    pr: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    success_action: Option<SuccessAction>,
    disposable: bool,
    #[schema(value_type = Vec<String>)]
    routes: [String; 0],
}

/// Where the payer finds the gift.
#[derive(Debug, Serialize, ToSchema)]
pub struct SuccessAction {
    /// Always `url`.
    tag: &'static str,
    description: &'static str,
    url: String,
}

impl Gifts {
    /// The URL behind a gift's LNURL.
    fn withdraw_url(&self, order_id: OrderId, code: Option<VerifyCode>) -> String {
        let code = code.map(|code| format!("?verifyCode={}", code.digits())).unwrap_or_default();
        format!("{}/lnurl/{order_id}{code}", self.0.rules.public_url)
    }

    /// A gift's LNURL, in lower case; empty if this site's URL is too long for one.
    pub(super) fn lnurl_of(&self, order_id: OrderId, code: Option<VerifyCode>) -> String {
        crate::outbound::lnurl::encode(&self.withdraw_url(order_id, code)).unwrap_or_default()
    }

    /// The first leg of LNURL-withdraw, as JSON: what a wallet may take, if it may take it now. Writes
    /// nothing, except the count of wrong codes.
    ///
    /// # Errors
    /// Why it can't be taken now.
    pub async fn withdraw_json(&self, order_id: OrderId, guess: Option<Guess>) -> Result<Vec<u8>, GiftError> {
        let gift = self.gift(order_id).await?;
        let now = self.now();
        takeable(gift.state, gift.expires_at, false, now)?;
        if let Some(error) = self.admit(&gift, guess).await?.error(now) {
            return Err(error);
        }
        let last = gift.payout.as_ref().map(|payout| payout.key);
        view::json(&WithdrawRequest {
            status: "OK",
            callback: self.withdraw_url(order_id, None),
            k1: self.0.keyring.k1(order_id, last),
            max_withdrawable: gift.amount.get(),
            min_withdrawable: gift.amount.get(),
            default_description: format!("lightning.gifts redeem {order_id}"),
            tag: "withdrawRequest",
        })
    }

    /// The second leg of LNURL-withdraw: OK once the payout's intent is durable.
    ///
    /// # Errors
    /// As [`Gifts::redeem`], and [`GiftError::BadK1`]. An address is no invoice here.
    pub async fn withdraw(&self, order_id: OrderId, k1: String, invoice: String) -> Result<(), GiftError> {
        self.redeem(order_id, Some(invoice), Proof::Wallet { k1 }, None).await.map(drop)
    }

    /// The first leg of LNURL-pay, as JSON.
    ///
    /// # Errors
    /// What is wrong with the words, their webhook included: nobody should type an amount in vain.
    pub async fn pay_request_json(&self, words: &Words) -> Result<Vec<u8>, GiftError> {
        self.check_notify(words)?;
        let rules = &self.0.rules;
        let msat = |sat| {
            let amount = Msat::from_sat(sat)?;
            amount.checked_add(rules.fee.fee(amount)?).map(Msat::get)
        };
        view::json(&PayRequest {
            min_sendable: msat(rules.min_sat).ok_or(GiftError::Internal)?,
            max_sendable: msat(rules.max_sat).ok_or(GiftError::Internal)?,
            tag: "payRequest",
            metadata: metadata(words, rules.fee)?,
            callback: self.pay_callback(words),
        })
    }

    /// The amount of a gift that LNURL-pay makes, and what is paid for it, from the millisatoshis that are paid: what
    /// is not the amount is the fee.
    ///
    /// # Errors
    /// Not whole satoshis, too small, too large: in this order.
    pub fn pay_amount(&self, msat: Option<u64>) -> Result<(Msat, Msat), GiftError> {
        let whole = msat.filter(|msat| msat % MSAT_PER_SAT == 0).ok_or(GiftError::AmountNotWhole)?;
        let total = Msat::new(whole).ok_or(GiftError::AmountTooLarge)?;
        let amount = self.0.rules.fee.within(total).map_or(0, |(amount, _)| amount.sat_floor());
        Ok((check_amount(Some(i128::from(amount)), &self.0.rules)?, total))
    }

    /// The second leg of LNURL-pay: makes a gift and its invoice, as JSON.
    ///
    /// # Errors
    /// As [`Gifts::create`].
    pub async fn pay_invoice_json(
        &self,
        words: Words,
        (amount, total): (Msat, Msat),
    ) -> Result<Vec<u8>, GiftError> {
        let hash = sha256::Hash::hash(metadata(&words, self.0.rules.fee)?.as_bytes()).to_byte_array();
        let order = Order::single(amount, total, words);
        let (created, _) = match self.make(order, InvoiceDescription::Hash(hash), false, None).await? {
            Done::Now(made) => made,
            // Nobody asked for it to be done only once.
            Done::Before(_) => return Err(GiftError::Internal),
        };
        view::json(&self.pay_invoice(created))
    }

    fn pay_invoice(&self, created: Created) -> PayInvoice {
        let url = created.names.first().map(|names| self.view_url(names.order_id));
        let url = url.filter(|url| url.len() <= SUCCESS_URL_LEN);
        let success_action =
            url.map(|url| SuccessAction { tag: "url", description: "Here's your gift URL", url });
        PayInvoice { pr: created.payreq, success_action, disposable: false, routes: [] }
    }

    /// Wallets may replace the query of a callback, so what the gift was asked with is in the path.
    fn pay_callback(&self, words: &Words) -> String {
        let path = words.to_path().map(|path| format!("/pay/{path}")).unwrap_or_default();
        format!("{}/lnurl{path}", self.0.rules.public_url)
    }

    /// On the host of the callback, as wallets require of a success action; leads to the gift's page.
    fn view_url(&self, order_id: OrderId) -> String {
        format!("{}/view/{order_id}", self.0.rules.public_url)
    }

    /// The recipient's page.
    pub(super) fn page_url(&self, order_id: OrderId) -> String {
        format!("{}/redeem/{order_id}", self.0.rules.public_url)
    }
}

/// What the payer reads, whose hash is in the invoice: the same bytes on both legs.
fn metadata(words: &Words, fee: FeeRule) -> Result<String, GiftError> {
    let mut text = String::from("Create a Lightning Gift");
    let parts = [
        (" from \"", words.sender_name.as_deref(), "\""),
        (" with message \"", words.sender_message.as_deref(), "\""),
        (" secured by code \"", words.code.map(VerifyCode::digits).as_deref(), "\""),
        (" that will post a webhook to \"", words.notify.as_deref(), "\" when redeemed"),
    ]
    .map(|(before, value, after)| value.map(|value| format!("{before}{value}{after}")));
    parts.into_iter().flatten().for_each(|part| text.push_str(&part));
    text.push('.');
    if let Some(fee) = fee.words() {
        text.push_str(&format!(" Of what you pay, the fee is {fee}."));
    }
    serde_json::to_string(&[["text/plain", &text]]).map_err(|error| {
        tracing::error!(%error, "metadata could not be written as JSON");
        GiftError::Internal
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_says_what_will_be_made() {
        assert_eq!(
            metadata(&Words::default(), FeeRule::FREE).unwrap(),
            r#"[["text/plain","Create a Lightning Gift."]]"#
        );
        let words = Words {
            sender_name: Some("A\"B".into()),
            sender_message: Some("hi".into()),
            code: Some(VerifyCode::read_text("0042").unwrap()),
            notify: Some("https://a.example/x".into()),
        };
        let text = "Create a Lightning Gift from \"A\"B\" with message \"hi\" secured by code \"0042\" \
                    that will post a webhook to \"https://a.example/x\" when redeemed.";
        let parsed: Vec<Vec<String>> =
            serde_json::from_str(&metadata(&words, FeeRule::FREE).unwrap()).unwrap();
        assert_eq!(parsed, [["text/plain", text]]);
        let fee = FeeRule { min_sat: 10, percent: 1 };
        let told = metadata(&Words::default(), fee).unwrap();
        assert!(told.contains("Gift. Of what you pay, the fee is 1 %, at least 10 sat."), "{told}");
    }
}
