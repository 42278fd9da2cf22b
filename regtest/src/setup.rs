//! The steps that make a network usable: coins, channels, confirmations, connections.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{Bitcoind, Satchel, Wallet};

/// LDK waits for six confirmations.
pub(crate) const CONFIRMATIONS: u32 = 6;
/// A mined coin can be spent after so many further blocks.
const MATURITY: u32 = 100;
/// Two cores may be busy with other networks.
const STEP_LIMIT: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(100);

/// Repeats `attempt` until it gives something, or the time is over.
///
/// # Errors
/// `what` and what `attempt` said last.
pub(crate) async fn until<T, F>(what: &str, limit: Duration, mut attempt: impl FnMut() -> F) -> Result<T>
where
    F: Future<Output = Result<Option<T>>>,
{
    let end = Instant::now() + limit;
    loop {
        let last = attempt().await;
        if let Ok(Some(value)) = last {
            return Ok(value);
        }
        if Instant::now() >= end {
            return match last {
                Err(error) => Err(error.context(format!("{what}: not after {limit:?}"))),
                Ok(_) => bail!("{what}: not after {limit:?}"),
            };
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Mines coins to every wallet (one coin of 50) and to satchel (one for each channel, and one more), and makes them mature.
pub(crate) async fn fund(
    bitcoind: &Bitcoind,
    satchel: Option<&Satchel>,
    wallets: &[Arc<Wallet>],
) -> Result<()> {
    if let Some(satchel) = satchel {
        let answer = satchel.admin_post("/admin/v1/address", json!({})).await?;
        let address = answer.get("address").and_then(Value::as_str).context("satchel gave no address")?;
        let coins = u32::try_from(wallets.len()).context("too many wallets")?.saturating_add(1);
        bitcoind.mine_to(coins, address).await?;
    }
    for wallet in wallets {
        bitcoind.mine_to(1, &wallet.address().await?).await?;
    }
    bitcoind.mine(MATURITY).await?;
    sync(bitcoind, satchel, wallets).await?;
    for wallet in wallets {
        until(&format!("{} has coins", wallet.name()), STEP_LIMIT, || async {
            wallet.sync().await?;
            Ok((wallet.balance().await?.spendable_onchain_sat > 0).then_some(()))
        })
        .await?;
    }
    Ok(())
}

/// Brings everyone who runs up to the newest block. Does nothing while the chain is stopped.
pub(crate) async fn sync(
    bitcoind: &Bitcoind,
    satchel: Option<&Satchel>,
    wallets: &[Arc<Wallet>],
) -> Result<()> {
    if !bitcoind.is_running() {
        return Ok(());
    }
    let height = bitcoind.height().await?;
    let satchel = async {
        match satchel {
            Some(satchel) if satchel.is_running() => sync_satchel(satchel, height).await,
            _ => Ok(()),
        }
    };
    let wallets = async {
        for wallet in wallets.iter().filter(|wallet| wallet.is_running()) {
            sync_wallet(wallet, height).await?;
        }
        Ok(())
    };
    let (satchel, wallets) = tokio::join!(satchel, wallets);
    satchel.and(wallets)
}

/// A sync that is asked for while another runs gets the answer of the other, which may have begun too early to see
/// the newest block; so the height decides.
async fn sync_satchel(satchel: &Satchel, height: u32) -> Result<()> {
    until(&format!("satchel sees block {height}"), STEP_LIMIT, || async {
        satchel.admin_post("/admin/v1/sync", json!({})).await?;
        let node = satchel.admin_get("/admin/v1/node").await?;
        let seen =
            node.get("block_height").and_then(Value::as_u64).context("satchel told no block_height")?;
        Ok((seen >= u64::from(height)).then_some(()))
    })
    .await
}

/// As [`sync_satchel`].
async fn sync_wallet(wallet: &Wallet, height: u32) -> Result<()> {
    until(&format!("{} sees block {height}", wallet.name()), STEP_LIMIT, || async {
        wallet.sync().await?;
        Ok((wallet.info().await?.block_height >= height).then_some(()))
    })
    .await
}

/// Lets satchel open a channel to a wallet and give it `push_sat`; the channel has its first confirmation afterwards.
///
/// Until the node has seen one funding transaction in a block or the mempool, it would spend the same coin for the next
/// channel, whose funding then never confirms.
pub(crate) async fn open_by_satchel(
    bitcoind: &Bitcoind,
    satchel: &Satchel,
    wallet: &Wallet,
    amount_sat: u64,
    push_sat: u64,
) -> Result<()> {
    let request = json!({
        "node_id": wallet.node_id().await?.to_string(),
        "address": wallet.p2p().to_string(),
        "amount_sat": amount_sat,
        "push_sat": push_sat,
    });
    until(&format!("satchel opens a channel to {}", wallet.name()), STEP_LIMIT, || async {
        satchel.admin_post("/admin/v1/channels", request.clone()).await.map(Some)
    })
    .await?;
    wait_funding(bitcoind, 1).await?;
    sync_satchel(satchel, bitcoind.mine(1).await?).await
}

/// Lets a wallet open a channel to satchel and give it `push_sat`.
pub(crate) async fn open_by_wallet(
    satchel: &Satchel,
    wallet: &Wallet,
    amount_sat: u64,
    push_sat: u64,
) -> Result<()> {
    let node_id = satchel.node_id().await?.parse().context("satchel's node_id isn't a public key")?;
    Ok(wallet.open_channel(node_id, satchel.p2p(), amount_sat, push_sat).await?)
}

/// Waits until so many transactions, the funding of channels, are in the mempool.
pub(crate) async fn wait_funding(bitcoind: &Bitcoind, count: usize) -> Result<()> {
    until(&format!("{count} funding transactions appear"), STEP_LIMIT, || async {
        Ok((bitcoind.mempool_count().await? >= count).then_some(()))
    })
    .await
    .context("a channel wasn't funded: its opener's log says why")
}

/// Waits until each wallet has a usable channel, and satchel says the same of its channels.
pub(crate) async fn wait_usable(
    bitcoind: &Bitcoind,
    satchel: Option<&Satchel>,
    wallets: &[Arc<Wallet>],
) -> Result<()> {
    sync(bitcoind, satchel, wallets).await?;
    for wallet in wallets {
        until(&format!("the channel of {} is usable", wallet.name()), STEP_LIMIT, || async {
            Ok(wallet.info().await?.channels.iter().any(|channel| channel.usable).then_some(()))
        })
        .await?;
    }
    if let Some(satchel) = satchel {
        until("satchel's channels are usable", STEP_LIMIT, || async {
            Ok((usable_channels(satchel).await? >= wallets.len()).then_some(()))
        })
        .await?;
    }
    Ok(())
}

async fn usable_channels(satchel: &Satchel) -> Result<usize> {
    let answer = satchel.admin_get("/admin/v1/channels").await?;
    let channels =
        answer.get("channels").and_then(Value::as_array).context("satchel gave no list of channels")?;
    let usable = |channel: &&Value| channel.get("usable").and_then(Value::as_bool) == Some(true);
    Ok(channels.iter().filter(usable).count())
}
