//! Lightning addresses of a simulated network, for tests.

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
pub(crate) struct FakeAddresses {
    pub(crate) sim: Arc<Sim>,
    pub(crate) refuse: AtomicBool,
    pub(crate) asked: Mutex<Vec<(String, u64)>>,
}

impl FakeAddresses {
    pub(crate) fn new(sim: Arc<Sim>) -> Self {
        Self { sim, refuse: AtomicBool::new(false), asked: Mutex::default() }
    }

    /// What amounts, in sat, were asked for since the last look.
    pub(crate) fn asked_for(&self) -> Vec<u64> {
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
