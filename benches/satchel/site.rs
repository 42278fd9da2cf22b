//! A network with satchel in it, as a process of its own with the settings of the measurements.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use regtest::{Network, Satchel, Wallet};
use serde_json::{Value, json};

use crate::http::{self, Connection};
use crate::progress;

/// A channel's opener and its peer each keep about so much for themselves, whatever they pay.
const KEPT_SAT: u64 = 250_000;

/// One satchel with one channel to one wallet.
pub(crate) struct Site {
    network: Network,
    pub(crate) wallet: Arc<Wallet>,
    pub(crate) address: SocketAddr,
}

impl Site {
    /// Starts everything.
    ///
    /// # Errors
    /// A part doesn't start.
    pub(crate) async fn start() -> Result<Self> {
        // Rate limits are off on every test network; one of 50 sat would be under the usual minimum.
        let settings = "[gifts]\nmin_sat = 50\n[tips]\nmax_total_sat = 10_000_000\n\
            [withdrawals]\nkey_day_sat = 0\n[l402.proxy]\nallow_networks = [\"127.0.0.0/8\"]";
        Self::start_with(settings).await
    }

    /// The same with other settings.
    ///
    /// # Errors
    /// A part doesn't start.
    pub(crate) async fn start_with(settings: &str) -> Result<Self> {
        progress("starting bitcoind, satchel, a wallet and a channel");
        let settings = settings.parse().context("the settings can't be read")?;
        let network = Network::builder().wallets(1).extra_config(settings).start().await?;
        let wallet = network.wallets.first().map(Arc::clone).context("the network has no wallet")?;
        let url = network.satchel.url();
        let address =
            url.trim_start_matches("http://").parse().with_context(|| format!("no address: {url}"))?;
        Ok(Self { network, wallet, address })
    }

    /// Satchel itself.
    pub(crate) fn satchel(&self) -> &Satchel {
        &self.network.satchel
    }

    /// Waits until payments can pass again after a restart.
    ///
    /// # Errors
    /// It takes too long.
    pub(crate) async fn wait_usable(&self) -> Result<()> {
        self.network.wait_usable().await
    }

    /// A connection to satchel.
    ///
    /// # Errors
    /// Nobody listens.
    pub(crate) async fn connect(&self) -> Result<Connection> {
        Connection::open(self.address).await
    }

    /// Pays an invoice of satchel's.
    ///
    /// # Errors
    /// It can't be paid.
    pub(crate) async fn pay(&self, invoice: &str) -> Result<()> {
        let parsed: lightning_invoice::Bolt11Invoice = invoice.parse().context("not an invoice")?;
        let total = parsed.amount_milli_satoshis().unwrap_or(0) / 1_000;
        let can_pay = self.wallet.balance().await?.outbound_msat / 1_000;
        if total + KEPT_SAT <= can_pay {
            self.wallet.pay(invoice).await.context("the wallet can't pay")?;
        } else {
            // What the wallet no longer has, the operator gives: the sats are on satchel's side of the channel.
            let paid = self.satchel().admin_post("/admin/v1/pay", json!({ "invoice": invoice })).await?;
            anyhow::ensure!(
                paid.get("status").and_then(Value::as_str) == Some("paid"),
                "the operator's own payment did not settle inside: {paid}"
            );
        }
        Ok(())
    }

    /// Gifts that can be redeemed, of one order.
    ///
    /// # Errors
    /// Satchel refuses the order, or it can't be paid.
    pub(crate) async fn funded_gifts(&self, sat: u64, count: usize) -> Result<Vec<String>> {
        let mut connection = self.connect().await?;
        let order = json!({ "amount": sat, "quantity": count }).to_string();
        let answer =
            connection.ask(&http::post(self.address, "/create", &order)).await?.json().context("/create")?;
        let invoice =
            answer.pointer("/lightningInvoice/payreq").and_then(Value::as_str).context("no invoice")?;
        let order_id = |gift: &Value| gift.get("orderId").and_then(Value::as_str).map(str::to_owned);
        let ids: Option<Vec<_>> = match answer.get("gifts").and_then(Value::as_array) {
            Some(gifts) => gifts.iter().map(order_id).collect(),
            None => order_id(&answer).map(|id| vec![id]),
        };
        let ids = ids.context("an order without ids")?;
        self.pay(invoice).await?;
        Ok(ids)
    }

    /// Stops everything in order.
    ///
    /// # Errors
    /// A part doesn't stop.
    pub(crate) async fn stop(self) -> Result<()> {
        self.network.shutdown().await
    }
}
