//! What runs beside the workers and moves no money by itself: webhooks, upkeep, numbers.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::build::House;
use crate::admin;
use crate::lnurl::pay::Addresses;
use crate::telemetry::metrics as names;
use crate::vouchers::returns::Returns;
use crate::vouchers::upkeep::Upkeep;
use crate::webhooks::fetch::NoClient;
use crate::webhooks::worker::{self, WorkerSettings};

/// How often the node is asked for its numbers.
const OBSERVE_EVERY: Duration = Duration::from_secs(15);

/// How often what is over is tidied up.
const UPKEEP_EVERY: Duration = Duration::from_secs(1);

/// How long a lightning address may take to answer.
const ADDRESS_TIMEOUT: Duration = Duration::from_secs(10);

/// Starts them all; they end by themselves once `stopped` says so.
pub(super) fn start(house: &Arc<House>, stopped: &watch::Receiver<bool>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    match house.guard.client(Duration::from_secs(house.config.webhooks.timeout_secs)) {
        Ok(client) => {
            let settings = WorkerSettings {
                give_up_after: Duration::from_secs(
                    u64::from(house.config.webhooks.give_up_after_days) * 86_400,
                ),
                ..WorkerSettings::default()
            };
            tasks.spawn(worker::run(
                house.store.clone(),
                house.outbox.clone(),
                client,
                settings,
                until(stopped.clone()),
            ));
        }
        Err(error) => tracing::error!(%error, "webhooks can't be delivered"),
    }
    tasks.spawn(Arc::clone(&house.limits).keep_tidy(until(stopped.clone())));
    let (watched, stop) = (Arc::clone(house), stopped.clone());
    tasks.spawn(every(OBSERVE_EVERY, stop, move || {
        let house = Arc::clone(&watched);
        async move {
            metrics::gauge!(names::STORE_WRITABLE).set(names::flag(house.store.is_writable()));
            if let Err(error) = admin::observe(&house.asked).await {
                tracing::debug!(%error, "the node gives no numbers");
            }
        }
    }));
    match returns(house) {
        Ok(returns) => {
            let upkeep = Arc::new(Upkeep::new(returns));
            tasks.spawn(every(UPKEEP_EVERY, stopped.clone(), move || {
                let upkeep = Arc::clone(&upkeep);
                async move { upkeep.round().await }
            }));
        }
        Err(error) => tracing::error!(%error, "expired vouchers can't be given back"),
    }
    tasks
}

/// What gives expired vouchers back.
fn returns(house: &House) -> Result<Returns, NoClient> {
    let client = house.guard.client(ADDRESS_TIMEOUT)?;
    let rules = house.gifts.rules().clone();
    Ok(Returns {
        ledger: house.ledger.clone(),
        vouchers: house.vouchers.clone(),
        resolve: Arc::new(Addresses {
            client,
            network: house.config.network,
            clock: house.ledger.clock.clone(),
        }),
        max_fee: Arc::new(move |amount| rules.max_fee(amount)),
    })
}

async fn until(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stop| *stop).await;
}

/// Does something again and again until told to stop.
async fn every<F: Future<Output = ()> + Send>(
    pause: Duration,
    mut stopped: watch::Receiver<bool>,
    mut action: impl FnMut() -> F + Send,
) {
    loop {
        action().await;
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}
