//! Lightning addresses of the house's people.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use lightning_invoice::Bolt11Invoice;

use crate::lightning::sim::Sim;
use crate::money::Msat;
use crate::vouchers::returns::Resolve;

/// Lightning addresses, which give invoices of the simulated network until they are told to refuse.
pub(super) struct FakeAddresses {
    pub(super) sim: Arc<Sim>,
    pub(super) refuse: AtomicBool,
    pub(super) asked: Mutex<Vec<(String, u64)>>,
}

impl FakeAddresses {
    pub(super) fn new(sim: Arc<Sim>) -> Self {
        Self { sim, refuse: AtomicBool::new(false), asked: Mutex::default() }
    }

    /// What amounts, in sat, were asked for since the last look.
    pub(super) fn asked_for(&self) -> Vec<u64> {
        self.asked.lock().unwrap().drain(..).map(|(_, sat)| sat).collect()
    }
}

impl Resolve for FakeAddresses {
    fn invoice<'a>(&'a self, address: &'a str, amount: Msat) -> BoxFuture<'a, Result<Bolt11Invoice, String>> {
        async move {
            self.asked.lock().unwrap().push((address.to_owned(), amount.sat_floor()));
            if self.refuse.load(Ordering::SeqCst) {
                return Err("out of range".into());
            }
            let (invoice, _) = self.sim.invoice(amount, Duration::from_secs(3_600));
            Ok(invoice)
        }
        .boxed()
    }
}
