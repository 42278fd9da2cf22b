//! The tools: each is a route with a schema of its arguments, open to keys of some scopes.

use std::sync::Arc;

use rmcp::model::{Tool, ToolAnnotations};
use serde_json::{Map, Value, json};

use crate::http::keys::Scope;

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// A whole number, at least 1.
    Count,
    Number,
    Texts,
    Yes,
}

/// Where an argument goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Body,
    Path,
    Query,
    /// `Idempotency-Key`.
    Once,
}

/// An argument.
pub(super) struct Param {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) place: Place,
    pub(super) required: bool,
    about: &'static str,
}

const fn needs(name: &'static str, kind: Kind, about: &'static str) -> Param {
    Param { name, kind, place: Place::Body, required: true, about }
}

const fn takes(name: &'static str, kind: Kind, about: &'static str) -> Param {
    Param { name, kind, place: Place::Body, required: false, about }
}

const fn id(name: &'static str, about: &'static str) -> Param {
    Param { name, kind: Kind::Text, place: Place::Path, required: true, about }
}

const fn asks(name: &'static str, kind: Kind, about: &'static str) -> Param {
    Param { name, kind, place: Place::Query, required: false, about }
}

const ONCE: Param = Param {
    name: "idempotencyKey",
    kind: Kind::Text,
    place: Place::Once,
    required: false,
    about: "Any text of your own. The same call with the same key is done, and paid, once: repeat it after an error",
};

const LIMIT: Param = asks("limit", Kind::Count, "At most so many");
const CURSOR: Param = asks("cursor", Kind::Text, "Where the next page begins, from the page before");

/// A tool.
pub(super) struct ToolSpec {
    pub(super) name: &'static str,
    about: &'static str,
    /// Which scopes open it, any of them.
    scopes: &'static [Scope],
    pub(super) method: &'static str,
    /// With `{name}` for arguments that stand in it.
    pub(super) path: &'static str,
    pub(super) params: &'static [Param],
    /// Whether it can spend or give away money.
    spends: bool,
}

impl ToolSpec {
    /// Whether a key of these scopes may use it.
    pub(super) fn is_open_to(&self, scopes: &[Scope]) -> bool {
        scopes.iter().any(|held| *held == Scope::Admin || self.scopes.contains(held))
    }

    /// As the protocol lists it.
    pub(super) fn describe(&self) -> Tool {
        let mut properties = Map::new();
        for param in self.params {
            properties.insert(param.name.into(), param.schema());
        }
        let required: Vec<_> =
            self.params.iter().filter(|param| param.required).map(|param| param.name).collect();
        let schema = json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        });
        let schema = match schema {
            Value::Object(schema) => schema,
            _ => Map::new(),
        };
        let reads = self.method == "GET";
        let hints = ToolAnnotations::new().read_only(reads).destructive(self.spends).open_world(true);
        Tool::new(self.name, self.about, Arc::new(schema)).with_annotations(hints)
    }
}

impl Param {
    fn schema(&self) -> Value {
        let mut schema = match self.kind {
            Kind::Text => json!({ "type": "string" }),
            Kind::Count => json!({ "type": "integer", "minimum": 1 }),
            Kind::Number => json!({ "type": "number" }),
            Kind::Texts => json!({ "type": "object", "additionalProperties": { "type": "string" } }),
            Kind::Yes => json!({ "type": "boolean" }),
        };
        if let Some(members) = schema.as_object_mut() {
            members.insert("description".into(), json!(self.about));
        }
        schema
    }
}

/// All of them.
pub(super) static ALL: &[ToolSpec] = &[
    ToolSpec {
        name: "fetch",
        about: "Ask an HTTP service and pay what it asks for (L402), within the purse's limits. Answers the service's status, headers and body, and what was paid",
        scopes: &[Scope::Purse],
        method: "POST",
        path: "/v1/purse/fetch",
        params: &[
            needs("url", Kind::Text, "Where to, http or https"),
            takes("method", Kind::Text, "GET without it"),
            takes("headers", Kind::Texts, "Headers to send"),
            takes("body", Kind::Text, "Body to send"),
            takes("bodyEncoding", Kind::Text, "utf8, or base64 for a body that is no text"),
            takes("maxSats", Kind::Count, "The most that it may cost, in sat, routing not included"),
            takes(
                "reuseCredential",
                Kind::Yes,
                "false pays anew although an earlier call has paid at this address: to buy one more of a thing",
            ),
            ONCE,
        ],
        spends: true,
    },
    ToolSpec {
        name: "pay_invoice",
        about: "Pay a Lightning invoice (BOLT11) within the purse's limits",
        scopes: &[Scope::Purse],
        method: "POST",
        path: "/v1/purse/pay",
        params: &[
            needs("invoice", Kind::Text, "The invoice, lnbc…"),
            takes("amountSat", Kind::Count, "How much, if the invoice leaves it open"),
            ONCE,
        ],
        spends: true,
    },
    ToolSpec {
        name: "purse_balance",
        about: "What the purse has, what is left of each limit, and its receipts, newest first",
        scopes: &[Scope::Purse],
        method: "GET",
        path: "/v1/purse",
        params: &[LIMIT, CURSOR],
        spends: false,
    },
    ToolSpec {
        name: "purse_receipt",
        about: "One payment of the purse: pending, paid or failed, with its preimage",
        scopes: &[Scope::Purse],
        method: "GET",
        path: "/v1/purse/payments/{paymentId}",
        params: &[id("paymentId", "The payment's id, pay_…")],
        spends: false,
    },
    ToolSpec {
        name: "create_gift",
        about: "Make a gift of sats that anybody with its link can redeem. Answers an invoice: the gift is funded once that is paid",
        scopes: &[Scope::Gifts],
        method: "POST",
        path: "/create",
        params: &[
            needs("amount", Kind::Count, "In sat"),
            takes("senderName", Kind::Text, "Who gives it"),
            takes("senderMessage", Kind::Text, "What the recipient reads"),
            takes("refundAddress", Kind::Text, "A lightning address for what nobody redeems"),
            ONCE,
        ],
        spends: false,
    },
    ToolSpec {
        name: "get_gift",
        about: "A gift: its amount, and whether it was redeemed",
        scopes: &[Scope::Gifts],
        method: "GET",
        path: "/gift/{orderId}",
        params: &[id("orderId", "The gift's id")],
        spends: false,
    },
    ToolSpec {
        name: "get_gift_invoice",
        about: "Whether the invoice of a gift was paid",
        scopes: &[Scope::Gifts],
        method: "GET",
        path: "/status/{orderId}",
        params: &[id("orderId", "The gift's id")],
        spends: false,
    },
    ToolSpec {
        name: "redeem_gift",
        about: "Pay a gift to an invoice of exactly its amount, or to an offer or a lightning address",
        scopes: &[Scope::Gifts],
        method: "POST",
        path: "/redeem/{orderId}",
        params: &[
            id("orderId", "The gift's id"),
            needs("invoice", Kind::Text, "The invoice, lnbc…; an offer, lno…; or name@host"),
            takes("verifyCode", Kind::Text, "Four digits, if the gift has them"),
            ONCE,
        ],
        spends: true,
    },
    ToolSpec {
        name: "create_tip",
        about: "Make a tip for somebody who has no wallet yet. Answers an invoice: the tip is funded once that is paid",
        scopes: &[Scope::Tips],
        method: "POST",
        path: "/api/tipper/tips",
        params: &[
            needs("amount", Kind::Count, "In sat"),
            needs("quantity", Kind::Count, "How many tips of this amount"),
            needs("expiry", Kind::Text, "Until when it can be claimed, like 2030-01-31T00:00:00Z"),
            takes(
                "onboardingFlow",
                Kind::Text,
                "DEFAULT, SKIP (whoever has the link withdraws at once) or LIGHTNING",
            ),
            takes("tippeeName", Kind::Text, "Who gets it"),
            takes("note", Kind::Text, "What they read"),
            ONCE,
        ],
        spends: false,
    },
    ToolSpec {
        name: "list_tips",
        about: "Your tips, newest first",
        scopes: &[Scope::Tips],
        method: "GET",
        path: "/api/tipper/tips",
        params: &[LIMIT, CURSOR],
        spends: false,
    },
    ToolSpec {
        name: "get_tip",
        about: "One of your tips and its state",
        scopes: &[Scope::Tips],
        method: "GET",
        path: "/api/tipper/tips/{tipId}",
        params: &[id("tipId", "The tip's id")],
        spends: false,
    },
    ToolSpec {
        name: "reclaim_tip",
        about: "Take one of your tips back",
        scopes: &[Scope::Tips],
        method: "POST",
        path: "/api/tipper/tips/{tipId}/reclaim",
        params: &[id("tipId", "The tip's id"), takes("force", Kind::Yes, "Also if somebody has claimed it")],
        spends: true,
    },
    ToolSpec {
        name: "create_payment",
        about: "Ask a customer for money: an invoice and a checkout page",
        scopes: &[Scope::Payments],
        method: "POST",
        path: "/api/payments",
        params: &[
            needs("orderId", Kind::Text, "Your own name for it"),
            needs("amount", Kind::Number, "In the currency"),
            needs("currency", Kind::Text, "sats, BTC, USD, EUR, …"),
            takes("description", Kind::Text, "What the customer reads"),
            ONCE,
        ],
        spends: false,
    },
    ToolSpec {
        name: "get_payment",
        about: "A payment that you asked for: unpaid, processing, paid, expired or refunded",
        scopes: &[Scope::Payments],
        method: "GET",
        path: "/api/payments/{invoiceId}",
        params: &[id("invoiceId", "The payment's id, inv_…")],
        spends: false,
    },
    ToolSpec {
        name: "list_payments",
        about: "Payments that you asked for, newest first",
        scopes: &[Scope::Payments],
        method: "GET",
        path: "/api/payments",
        params: &[asks("status", Kind::Text, "Only these: unpaid, paid, expired, refunded"), LIMIT, CURSOR],
        spends: false,
    },
    ToolSpec {
        name: "create_challenge",
        about: "Sell one request of a service of yours (L402): an invoice and a token that is good once the invoice is paid",
        scopes: &[Scope::L402],
        method: "POST",
        path: "/api/l402/challenges",
        params: &[
            needs("resource", Kind::Text, "What is sold, usually a path"),
            needs("priceSats", Kind::Count, "In sat"),
            takes("description", Kind::Text, "What the payer reads"),
            ONCE,
        ],
        spends: false,
    },
    ToolSpec {
        name: "verify_challenge",
        about: "Whether a token and a preimage prove a payment for what you sell",
        scopes: &[Scope::L402],
        method: "POST",
        path: "/api/l402/challenges/verify",
        params: &[
            takes("macaroon", Kind::Text, "The token. Without it the payment is taken for one answer"),
            needs("preimage", Kind::Text, "64 hexadecimal digits"),
            takes("resource", Kind::Text, "It must be what was bought"),
            takes("amountSats", Kind::Count, "So much must have been paid"),
        ],
        spends: false,
    },
    ToolSpec {
        name: "create_proxy",
        about: "Put a price in front of an HTTP service, which needs to know nothing of it",
        scopes: &[Scope::L402],
        method: "POST",
        path: "/api/proxy",
        params: &[
            needs("name", Kind::Text, "What people know it by"),
            needs("targetBaseUrl", Kind::Text, "Where the service is"),
            takes("defaultPriceSats", Kind::Count, "Sat for a request; 10 without it"),
            takes("description", Kind::Text, "A few words about it"),
            ONCE,
        ],
        spends: false,
    },
    ToolSpec {
        name: "list_proxies",
        about: "Your proxies",
        scopes: &[Scope::L402],
        method: "GET",
        path: "/api/proxy",
        params: &[],
        spends: false,
    },
    ToolSpec {
        name: "unpublish_proxy",
        about: "Take a proxy out of service for good",
        scopes: &[Scope::L402],
        method: "POST",
        path: "/api/proxy/{proxyId}/unpublish",
        params: &[id("proxyId", "The proxy's id"), takes("reason", Kind::Text, "Why")],
        spends: true,
    },
    ToolSpec {
        name: "account_balance",
        about: "What your account has earned and may take out",
        scopes: &[Scope::Payments, Scope::L402, Scope::Withdraw],
        method: "GET",
        path: "/v1/account",
        params: &[],
        spends: false,
    },
    ToolSpec {
        name: "account_statement",
        about: "Every change of your account's balance, newest first",
        scopes: &[Scope::Payments, Scope::L402, Scope::Withdraw],
        method: "GET",
        path: "/v1/account/statement",
        params: &[LIMIT, CURSOR],
        spends: false,
    },
    ToolSpec {
        name: "withdraw",
        about: "Take out what your account has: to an invoice, offer, lightning address or bitcoin address",
        scopes: &[Scope::Withdraw],
        method: "POST",
        path: "/v1/account/withdrawals",
        params: &[
            needs("target", Kind::Text, "Where to"),
            takes("amountSat", Kind::Count, "How much; without it what the target asks for, or all"),
            ONCE,
        ],
        spends: true,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_tool_has_a_schema_and_its_path_has_its_arguments() {
        let mut names = std::collections::HashSet::new();
        for tool in ALL {
            assert!(names.insert(tool.name), "{} twice", tool.name);
            let described = tool.describe();
            assert_eq!(described.input_schema["type"], "object");
            for param in tool.params {
                let in_path = tool.path.contains(&format!("{{{}}}", param.name));
                assert_eq!(param.place == Place::Path, in_path, "{} {}", tool.name, param.name);
                assert!(described.input_schema["properties"][param.name]["description"].is_string());
            }
            assert_eq!(
                tool.path.matches('{').count(),
                tool.params.iter().filter(|param| param.place == Place::Path).count()
            );
        }
    }

    #[test]
    fn keys_see_what_their_scopes_open() {
        let open = |scope: Scope| {
            ALL.iter().filter(|tool| tool.is_open_to(&[scope])).map(|tool| tool.name).collect::<Vec<_>>()
        };
        assert_eq!(open(Scope::Purse), ["fetch", "pay_invoice", "purse_balance", "purse_receipt"]);
        assert_eq!(open(Scope::Admin).len(), ALL.len());
        assert_eq!(open(Scope::Scheduler), Vec::<&str>::new());
    }
}
