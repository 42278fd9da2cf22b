//! An app whose payouts go out.

use std::ops::Deref;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use super::answer::Answer;
use super::test_app::{Setup, TestApp, id};
use crate::core::money::Msat;
use crate::ledger::audit;
use crate::ledger::dispatcher::Dispatcher;

pub(super) const REFUNDS: &str = "/api/refunds";

pub(super) struct PayingApp {
    app: TestApp,
    dispatcher: Mutex<Dispatcher>,
}

impl Deref for PayingApp {
    type Target = TestApp;

    fn deref(&self) -> &TestApp {
        &self.app
    }
}

impl PayingApp {
    pub(super) async fn new() -> Self {
        Self { app: TestApp::new().await, dispatcher: Mutex::default() }
    }

    pub(super) async fn with(setup: Setup) -> Self {
        Self { app: TestApp::with(setup).await, dispatcher: Mutex::default() }
    }

    /// A payment that a customer has paid.
    pub(super) async fn paid(&self, more: &Value) -> Value {
        let made = self.order(more).await.created();
        self.pay(&made);
        made
    }

    /// An invoice of a customer's wallet.
    pub(super) fn invoice(&self, sat: u64) -> String {
        self.sim.invoice(Msat::from_sat(sat).unwrap(), Duration::from_secs(3_600)).0.to_string()
    }

    /// A refund in dollars to an invoice for so many sats, unless `more` says otherwise.
    pub(super) async fn refund(&self, payment: &str, sat: u64, more: &Value) -> Answer {
        self.post(&self.shop, REFUNDS, &self.body(payment, sat, more)).await
    }

    pub(super) fn body(&self, payment: &str, sat: u64, more: &Value) -> Value {
        let mut body = json!({
            "invoiceId": payment,
            "amount": 49.99,
            "currency": "USD",
            "lightningInvoice": self.invoice(sat),
        });
        for (name, value) in more.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    }

    pub(super) async fn refund_of(&self, made: &Value, sat: u64, more: &Value) -> Answer {
        self.refund(&id(made), sat, more).await
    }

    /// Sends what is queued.
    pub(super) fn dispatch(&self) {
        tokio::task::block_in_place(|| self.dispatcher.lock().unwrap().round(&self.ledger).unwrap());
        self.sim.commit_all();
    }

    /// Sends what is queued and lets it arrive, or not.
    pub(super) fn finish(&self, arrives: bool, fee: Msat) {
        self.dispatch();
        for hash in self.sim.under_way() {
            self.sim.resolve(hash, arrives, fee);
        }
        self.drain();
    }

    /// An account's balance in msat, debit positive, after an audit that finds nothing.
    #[track_caller]
    pub(super) fn balance(&self, name: &str) -> i64 {
        let audit = tokio::task::block_in_place(|| audit::audit(&self.ledger).unwrap());
        assert_eq!(audit.problems, Vec::<String>::new());
        audit.accounts.iter().find(|row| row.account == name).unwrap().msat
    }
}
