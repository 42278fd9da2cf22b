//! The baseline of payouts: how many payments a bare ldk-node makes, forty at once over one channel.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use ldk_node::bitcoin::hashes::Hash;
use ldk_node::lightning_invoice::Bolt11Invoice;
use ldk_node::{Event, Node, NodeError};
use regtest::InvoiceRequest;

use crate::bare::Bare;
use crate::payouts::{AT_ONCE, SAT};

/// How long one payment may take.
const PAYMENT_LIMIT: Duration = Duration::from_secs(60);
/// What a caller waits after "no route": all slots of the channel are taken.
const NO_ROUTE_WAIT: Duration = Duration::from_millis(5);

/// Who waits for which payment's end; `true` means it arrived.
type Waiting = Mutex<HashMap<[u8; 32], SyncSender<bool>>>;

/// Payments a second.
///
/// # Errors
/// One never ends, or the node refuses it for another reason than a full channel.
pub(crate) async fn measure(bare: &Bare, count: usize) -> Result<f64> {
    let mut invoices = Vec::with_capacity(count);
    for _ in 0..count {
        let invoice = bare.wallet.invoice(InvoiceRequest::sat(SAT)).await?.invoice;
        invoices.push(Bolt11Invoice::from_str(&invoice).context("a wallet's invoice can't be read")?);
    }
    let (node, runtime) = (Arc::clone(&bare.node), tokio::runtime::Handle::current());
    tokio::task::spawn_blocking(move || run(&node, &runtime, &invoices))
        .await
        .context("the baseline ended early")?
}

fn run(node: &Node, runtime: &tokio::runtime::Handle, invoices: &[Bolt11Invoice]) -> Result<f64> {
    let (waiting, done, next) = (Waiting::default(), AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| consume(node, runtime, &waiting, &done));
        let began = Instant::now();
        let payers: Vec<_> =
            (0..AT_ONCE).map(|_| scope.spawn(|| pay_next(node, &waiting, invoices, &next))).collect();
        let mut result = Ok(());
        for payer in payers {
            let ended = payer.join().map_err(|_| anyhow::anyhow!("a thread of the baseline died"));
            result = result.and(ended.and_then(|ended| ended));
        }
        let seconds = began.elapsed().as_secs_f64();
        done.store(true, Ordering::Relaxed);
        let count = u32::try_from(invoices.len()).context("too many payments")?;
        result.map(|()| f64::from(count) / seconds)
    })
}

/// The node's one consumer of events.
fn consume(node: &Node, runtime: &tokio::runtime::Handle, waiting: &Waiting, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        let wait = async { tokio::time::timeout(Duration::from_millis(200), node.next_event_async()).await };
        let Ok(event) = runtime.block_on(wait) else { continue };
        let end = match event {
            Event::PaymentSuccessful { payment_hash, .. } => Some((payment_hash.0, true)),
            Event::PaymentFailed { payment_hash: Some(hash), .. } => Some((hash.0, false)),
            _ => None,
        };
        if let Some((hash, arrived)) = end
            && let Some(waiter) = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&hash)
        {
            // A payer that gave up has said so.
            let _ = waiter.send(arrived);
        }
        if let Err(error) = node.event_handled() {
            eprintln!("bench: the bare node could not mark an event as handled: {error}");
        }
    }
}

fn pay_next(node: &Node, waiting: &Waiting, invoices: &[Bolt11Invoice], next: &AtomicUsize) -> Result<()> {
    while let Some(invoice) = invoices.get(next.fetch_add(1, Ordering::Relaxed)) {
        while !pay(node, waiting, invoice)? {}
    }
    Ok(())
}

/// One try; `false` if it has to be tried again.
fn pay(node: &Node, waiting: &Waiting, invoice: &Bolt11Invoice) -> Result<bool> {
    let (sender, ended) = sync_channel(1);
    let hash = invoice.payment_hash().to_byte_array();
    waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(hash, sender);
    match node.bolt11_payment().send(invoice, None) {
        Ok(_) => {}
        Err(NodeError::PaymentSendingFailed) => {
            std::thread::sleep(NO_ROUTE_WAIT);
            return Ok(false);
        }
        Err(error) => bail!("the bare node does not send: {error}"),
    }
    match ended.recv_timeout(PAYMENT_LIMIT) {
        Ok(arrived) => Ok(arrived),
        Err(RecvTimeoutError::Timeout) => {
            bail!("a payment of the bare node did not end in {PAYMENT_LIMIT:?}")
        }
        Err(RecvTimeoutError::Disconnected) => bail!("the bare node's events ended"),
    }
}
