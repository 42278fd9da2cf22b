//! The baseline of creating gifts: how many invoices a bare ldk-node makes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ldk_node::Node;
use ldk_node::lightning_invoice::{Bolt11InvoiceDescription, Description};

use crate::bare::Bare;

const AMOUNT_MSAT: u64 = 1_000_000;
const EXPIRY_SECS: u32 = 3_600;

/// Invoices a second, made by so many threads.
///
/// # Errors
/// The node refuses one.
pub(crate) async fn measure(bare: &Bare, threads: usize, seconds: u64) -> Result<f64> {
    let node = Arc::clone(&bare.node);
    tokio::task::spawn_blocking(move || run(&node, threads, Duration::from_secs(seconds)))
        .await
        .context("the baseline ended early")?
}

fn run(node: &Node, threads: usize, time: Duration) -> Result<f64> {
    let description = Description::new("Lightning Gift for 1000 sats".to_owned()).context("a description")?;
    let description = Bolt11InvoiceDescription::Direct(description);
    let began = Instant::now();
    let made = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| make_until(node, &description, began + time))).collect();
        let mut made = 0;
        for worker in workers {
            made += worker.join().map_err(|_| anyhow::anyhow!("a thread of the baseline died"))??;
        }
        Ok::<_, anyhow::Error>(made)
    })?;
    Ok(f64::from(made) / began.elapsed().as_secs_f64())
}

fn make_until(node: &Node, description: &Bolt11InvoiceDescription, end: Instant) -> Result<u32> {
    let payments = node.bolt11_payment();
    let mut made = 0;
    while Instant::now() < end {
        payments.receive(AMOUNT_MSAT, description, EXPIRY_SECS).context("the bare node makes no invoice")?;
        made += 1;
    }
    Ok(made)
}
