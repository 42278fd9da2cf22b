//! Gifts, tips and orders as one thing: what is paid for once and paid out once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::common::Scene;
use super::common::api::{Answer, REQUEST_LIMIT, payment_hash};
use super::common::tips::in_secs;
use super::targets::{Asked, To};

/// Below this many sat an HTLC has no output in a commitment transaction.
pub const DUST_LIMIT_SAT: u64 = 354;

/// How far away a tip's end is: beyond any soak.
const TIP_SECS: u64 = 21 * 86_400;

/// Where withdrawals are asked for.
const WITHDRAWALS: &str = "/v1/account/withdrawals";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Gift,
    Tip,
    /// An order of a shop, whose payment is refunded whole.
    Order,
    /// An order of another shop, which withdraws as much as was paid.
    Earning,
}

/// One thing under test.
#[derive(Debug)]
pub struct Item {
    pub kind: Kind,
    pub id: String,
    pub invoice: String,
    pub payment_hash: String,
    pub sat: u64,
    /// What its payer pays: a tip has a fee.
    pub price_sat: u64,
    pub payer: usize,
    /// How often the payer's channel had been closed when it was made.
    pub payer_closes: u64,
    pub asked: Mutex<Vec<Asked>>,
    /// How many of its payouts are known to have gone to miners, as dust of a closed channel.
    pub burnt: AtomicU64,
    /// Whether its payer's sats are known to have gone so.
    pub price_burnt: AtomicBool,
}

/// What satchel says of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Unfunded,
    Open,
    Pending,
    PaidOut,
}

/// How a request to pay something out was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    Accepted,
    /// A payout is under way, or was made.
    Taken,
    /// Not now.
    Later,
    /// This invoice was tried before.
    FreshInvoice,
    /// Satchel died over it, or isn't there.
    None,
}

/// Satchel's interfaces, with the keys that they need.
pub struct Services {
    url: String,
    client: Client,
    tips_key: String,
    payments_key: String,
    withdraw_key: String,
    orders: AtomicU64,
    pub unanswered: AtomicU64,
}

impl Services {
    pub async fn of(scene: &Scene) -> Self {
        let key = async |scope: &str| {
            // Each key belongs to an account of its own.
            let arguments = ["create", scope, "--scope", scope, "--account", scope];
            let made = scene.network.satchel.command_json("key", &arguments).await.unwrap();
            made["key"].as_str().unwrap().to_owned()
        };
        // A kept connection would be a dead one after each restart of satchel.
        let client = Client::builder().timeout(REQUEST_LIMIT).pool_max_idle_per_host(0).build().unwrap();
        let (tips_key, payments_key) = (key("tips").await, key("payments").await);
        let withdraw_key = key("payments,withdraw").await;
        let url = scene.api.url.clone();
        let (orders, unanswered) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { url, client, tips_key, payments_key, withdraw_key, orders, unanswered }
    }

    /// Asks with the key that an item of this kind needs.
    async fn ask(&self, kind: Kind, method: Method, path: &str, body: Option<&Value>) -> Option<Answer> {
        self.ask_once(kind, method, path, body, "").await
    }

    /// The same with an idempotency key, if it isn't empty.
    async fn ask_once(
        &self,
        kind: Kind,
        method: Method,
        path: &str,
        body: Option<&Value>,
        once: &str,
    ) -> Option<Answer> {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if !once.is_empty() {
            request = request.header("idempotency-key", once);
        }
        request = match kind {
            Kind::Gift => request,
            Kind::Tip if path.starts_with("/api/tipper") => request.bearer_auth(&self.tips_key),
            Kind::Tip => request,
            Kind::Order => request.header("x-api-key", &self.payments_key),
            Kind::Earning => request.header("x-api-key", &self.withdraw_key),
        };
        if let Some(body) = body {
            request = request.json(body);
        }
        let answered = async {
            let answer = request.send().await?;
            let status = answer.status().as_u16();
            let text = answer.text().await?;
            let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
            Ok::<_, reqwest::Error>(Answer { status, body })
        };
        let answer = answered.await.ok();
        if answer.is_none() {
            self.unanswered.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    /// Makes an item; `None` if satchel can't now.
    pub async fn create(&self, kind: Kind, sat: u64, payer: usize, payer_closes: u64) -> Option<Item> {
        let (path, body) = match kind {
            Kind::Gift => ("/create", json!({ "amount": sat })),
            Kind::Tip => (
                "/api/tipper/tips",
                json!({ "amount": sat, "quantity": 1, "expiry": in_secs(TIP_SECS), "onboardingFlow": "SKIP" }),
            ),
            Kind::Order | Kind::Earning => {
                let order = format!("soak {}", self.orders.fetch_add(1, Ordering::Relaxed));
                ("/api/payments", json!({ "orderId": order, "amount": sat, "currency": "sats" }))
            }
        };
        let answer = self.ask(kind, Method::POST, path, Some(&body)).await?;
        if !matches!(answer.status, 200 | 201) {
            assert!(matches!(answer.status, 409 | 503), "{kind:?} of {sat} sat: {answer:?}");
            return None;
        }
        let text =
            |value: &Value| value.as_str().unwrap_or_else(|| panic!("not whole: {answer:?}")).to_owned();
        let (id, invoice, price_sat) = match kind {
            Kind::Gift => (&answer.body["orderId"], &answer.body["lightningInvoice"]["payreq"], sat),
            Kind::Tip => {
                let fee = answer.body["fee"].as_u64().unwrap_or(0);
                (&answer.body["id"], &answer.body["invoice"], sat + fee)
            }
            Kind::Order | Kind::Earning => (&answer.body["invoiceId"], &answer.body["lightningInvoice"], sat),
        };
        let (id, invoice) = (text(id), text(invoice));
        let (asked, burnt, price_burnt) = (Mutex::default(), AtomicU64::new(0), AtomicBool::new(false));
        let payment_hash = payment_hash(&invoice);
        Some(Item {
            kind,
            id,
            invoice,
            payment_hash,
            sat,
            price_sat,
            payer,
            payer_closes,
            asked,
            burnt,
            price_burnt,
        })
    }

    /// Asks for an item to be paid out.
    pub async fn pay_out(&self, item: &Item, asked: &Asked) -> Reply {
        let invoice = &asked.text;
        let (path, body) = match item.kind {
            Kind::Gift => (format!("/redeem/{}", item.id), json!({ "invoice": invoice })),
            Kind::Tip => (
                "/api/invoices".to_owned(),
                json!({ "flow": "anonymous", "invoice": invoice, "tipId": item.id }),
            ),
            Kind::Order => (
                "/api/refunds".to_owned(),
                json!({ "invoiceId": item.id, "amount": item.sat, "currency": "sats",
                    "lightningInvoice": invoice }),
            ),
            Kind::Earning => (WITHDRAWALS.to_owned(), withdrawal_to(item, asked)),
        };
        let Some(answer) = self.ask_once(item.kind, Method::POST, &path, Some(&body), once(asked)).await
        else {
            return Reply::None;
        };
        let code = if item.kind == Kind::Gift { "message" } else { "code" };
        match (answer.status, answer.body[code].as_str().unwrap_or_default()) {
            (200..=204, _) if item.kind == Kind::Earning && answer.body["status"] == "failed" => {
                Reply::FreshInvoice
            }
            (200..=204, _) => Reply::Accepted,
            (400, "GIFT_REDEEM_PENDING" | "GIFT_SPENT")
            | (409, "NOTHING_TO_WITHDRAW" | "TIP_WITHDRAWN" | "WITHDRAWAL_PENDING" | "WITHDRAWAL_FAILED")
            | (400, "REFUND_EXCEEDS_PAYMENT") => Reply::Taken,
            (400, "GIFT_INVOICE_UNPAID")
            | (409, "TIP_UNFUNDED" | "PAYMENT_NOT_PAID" | "TARGET_UNREACHABLE")
            | (503, _) => Reply::Later,
            (400, "BAD_INVOICE") | (409, "INVOICE_USED" | "TARGET_USED") => Reply::FreshInvoice,
            other => {
                panic!("{:?} {} of {} sat answers {other:?}: {}", item.kind, item.id, item.sat, answer.body)
            }
        }
    }

    /// What satchel says of an item; `None` if it says nothing now.
    pub async fn said(&self, item: &Item) -> Option<Said> {
        let path = match item.kind {
            Kind::Gift => format!("/gift/{}", item.id),
            Kind::Tip => format!("/api/tippee/tips/{}", item.id),
            Kind::Order | Kind::Earning => format!("/api/payments/{}", item.id),
        };
        let answer = self.ask(item.kind, Method::GET, &path, None).await?;
        if answer.status == 503 {
            return None;
        }
        assert_eq!(answer.status, 200, "{:?} {} is unknown: {}", item.kind, item.id, answer.body);
        let body = &answer.body;
        Some(match item.kind {
            Kind::Gift if body["chargeStatus"] != "paid" => Said::Unfunded,
            Kind::Gift => match &body["spent"] {
                Value::Bool(true) => Said::PaidOut,
                Value::Bool(false) => Said::Open,
                _ => Said::Pending,
            },
            Kind::Tip => match body["status"].as_str().unwrap_or_default() {
                "UNFUNDED" => Said::Unfunded,
                "WITHDRAWN" => Said::PaidOut,
                "UNSEEN" | "SEEN" if body["withdrawalPending"] != true => Said::Open,
                "UNSEEN" | "SEEN" => Said::Pending,
                other => panic!("tip {} is {other}", item.id),
            },
            Kind::Order => match body["status"].as_str().unwrap_or_default() {
                "unpaid" | "processing" => Said::Unfunded,
                "refunded" => Said::PaidOut,
                "paid" => self.refund_said(item).await?,
                other => panic!("order {} is {other}", item.id),
            },
            Kind::Earning => match body["status"].as_str().unwrap_or_default() {
                "unpaid" | "processing" => Said::Unfunded,
                "paid" => self.withdrawal_said(item).await?,
                other => panic!("order {} is {other}", item.id),
            },
        })
    }

    async fn refund_said(&self, item: &Item) -> Option<Said> {
        let path = format!("/api/refunds/invoice/{}", item.id);
        let answer = self.ask(item.kind, Method::GET, &path, None).await?;
        let ended = |refund: &Value| refund["status"] == "failed";
        Some(if answer.body["refunds"].as_array()?.iter().all(ended) { Said::Open } else { Said::Pending })
    }

    async fn withdrawal_said(&self, item: &Item) -> Option<Said> {
        let Some(withdrawal) = self.withdrawal(item).await? else { return Some(Said::Open) };
        match withdrawal["status"].as_str().unwrap_or_default() {
            "pending" => Some(Said::Pending),
            "completed" => Some(Said::PaidOut),
            "failed" => Some(Said::Open),
            other => panic!("withdrawal of {} is {other}: {withdrawal}", item.id),
        }
    }

    /// The last withdrawal of an item, if it has one that may still arrive. Asks for it once more: the same invoice, or
    /// the same idempotency key, is the same withdrawal. `None` if nobody answers now.
    pub async fn withdrawal(&self, item: &Item) -> Option<Option<Value>> {
        let last = item.asked.lock().unwrap().last().cloned();
        let Some(asked) = last else { return Some(None) };
        let body = withdrawal_to(item, &asked);
        let answer = self.ask_once(item.kind, Method::POST, WITHDRAWALS, Some(&body), once(&asked)).await?;
        match (answer.status, answer.body["code"].as_str().unwrap_or_default()) {
            (200 | 201, _) => {
                // The answer to a repeated key is that of the first time.
                let path = format!("{WITHDRAWALS}/{}", answer.body["withdrawalId"].as_str().unwrap());
                let shown = self.ask(item.kind, Method::GET, &path, None).await?;
                (shown.status == 200).then_some(Some(shown.body))
            }
            (409, "TARGET_UNREACHABLE") | (503, _) => None,
            (409, _) => Some(None),
            other => panic!("withdrawal of {}: {other:?} {}", item.id, answer.body),
        }
    }

    /// What the withdrawing shop has, and what is on its way to it, in msat.
    pub async fn earnings(&self) -> Option<(u64, u64)> {
        let answer = self.ask(Kind::Earning, Method::GET, "/v1/account", None).await?;
        Some((answer.body["balanceMsat"].as_u64()?, answer.body["pendingMsat"].as_u64()?))
    }
}

fn withdrawal_to(item: &Item, asked: &Asked) -> Value {
    json!({ "target": asked.text, "amountSat": item.sat })
}

/// An invoice is paid once whatever is sent with it.
fn once(asked: &Asked) -> &str {
    if matches!(asked.to, To::Invoice(_)) { "" } else { &asked.once }
}
