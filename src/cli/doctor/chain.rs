//! The chain source: does it answer, is it on our network, is it up to date, does it know fees. And the
//! clock of this machine, which the chain is the best witness of.

use std::time::Duration;

use bitcoin::Network;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Check, bitcoind, esplora};
use crate::cli::show::{duration, grouped, now};
use crate::config::{ChainSource, Config};

/// Slower than this and the node would not start either.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// A block's time may be at most so far ahead of the clocks of those who accept it.
const FUTURE_BLOCK_SECS: u64 = 2 * 3_600;

/// On a network with regular blocks, so long without one is rare enough to be told.
const NO_BLOCK_SECS: u64 = 3 * 3_600;

/// What a chain source says of itself.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Its name for the operator.
    pub source: String,
    /// Best block.
    pub height: u64,
    /// That block's time, unix seconds.
    pub time: Option<u64>,
    /// Whether it is on our network.
    pub same_network: bool,
    /// Fee rate for confirmation within an hour or so, sat/vB.
    pub fee_rate: Option<f64>,
    /// It knows too few fee targets for a good estimate.
    pub sparse_fees: bool,
    /// It is still catching up.
    pub syncing: bool,
    /// Old blocks are gone.
    pub pruned: bool,
}

/// Why there is no view: what is wrong, what to do.
pub struct NoView {
    pub says: String,
    pub remedy: String,
}

const NAME: &str = "chain source";

pub async fn look(config: &Config) -> Vec<Check> {
    let chain = &config.chain;
    let view = match chain.source {
        ChainSource::Esplora => esplora::look(&chain.esplora_url, config.network).await,
        ChainSource::Electrum => return vec![electrum(&chain.electrum_url).await],
        ChainSource::Bitcoind | ChainSource::BitcoindRest => bitcoind::look(chain, config.network).await,
    };
    match view {
        Ok(view) => judge(&view, config.network, now()),
        Err(NoView { says, remedy }) => vec![Check::fail(NAME, says, remedy)],
    }
}

/// Whether somebody listens there; what they say, the node itself finds out.
async fn electrum(url: &str) -> Check {
    let address = url.rsplit("://").next().unwrap_or(url);
    match timeout(PATIENCE, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Check::ok(NAME, format!("{url} takes connections")),
        Ok(Err(error)) => {
            Check::fail(NAME, format!("{url}: {error}"), "check chain.electrum_url and the server")
        }
        Err(_) => {
            Check::fail(NAME, format!("{url} does not answer"), "check chain.electrum_url and the network")
        }
    }
}

fn judge(view: &View, network: Network, now: u64) -> Vec<Check> {
    if !view.same_network {
        let says = format!("{} is not on {network}", view.source);
        return vec![Check::fail(NAME, says, "make `network` and [chain] agree")];
    }
    let mut checks = vec![tip(view)];
    if network != Network::Regtest {
        checks.push(fees(view));
        if let Some(time) = view.time.filter(|_| !view.syncing) {
            checks.push(clock(time, now));
        }
    }
    checks
}

fn tip(view: &View) -> Check {
    let says = format!("{} is at block {}", view.source, grouped(view.height));
    if view.syncing {
        return Check::fail(NAME, format!("{says} and still catching up"), "wait until it is up to date");
    }
    if view.pruned {
        let remedy = "a node that was away longer than blocks are kept can't catch up: keep more, or all";
        return Check::warn(NAME, format!("{says}, without old blocks"), remedy);
    }
    Check::ok(NAME, says)
}

fn fees(view: &View) -> Check {
    match view.fee_rate {
        None => Check::fail("fee rates", "the chain source has none", "wait, or use another source"),
        Some(rate) if view.sparse_fees => {
            let remedy = "closing channels may be too cheap or too dear: prefer your own bitcoind";
            Check::warn("fee rates", format!("{rate:.1} sat/vB, of few targets only"), remedy)
        }
        Some(rate) => Check::ok("fee rates", format!("{rate:.1} sat/vB to confirm within an hour")),
    }
}

fn clock(tip_time: u64, now: u64) -> Check {
    let remedy = "set the clock (`timedatectl set-ntp true`), or wait for the chain source to catch up";
    if tip_time > now + FUTURE_BLOCK_SECS {
        let says = format!("this machine is {} behind the newest block", duration(tip_time - now));
        return Check::fail("clock", says, remedy);
    }
    let age = now.saturating_sub(tip_time);
    if age > NO_BLOCK_SECS {
        return Check::warn("clock", format!("the newest block is {} old", duration(age)), remedy);
    }
    Check::ok("clock", "agrees with the newest block")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Level;

    fn good() -> View {
        View {
            height: 900_000,
            time: Some(1_000_000),
            same_network: true,
            fee_rate: Some(3.0),
            ..View::default()
        }
    }

    fn levels(view: &View, network: Network, now: u64) -> Vec<Level> {
        judge(view, network, now).iter().map(|check| check.level).collect()
    }

    #[test]
    fn each_fault_of_a_source_is_told() {
        let now = 1_000_600;
        assert_eq!(levels(&good(), Network::Bitcoin, now), [Level::Ok; 3]);
        assert_eq!(levels(&View { same_network: false, ..good() }, Network::Bitcoin, now), [Level::Fail]);
        assert_eq!(
            levels(&View { syncing: true, ..good() }, Network::Bitcoin, now),
            [Level::Fail, Level::Ok]
        );
        assert_eq!(levels(&View { pruned: true, ..good() }, Network::Bitcoin, now)[0], Level::Warn);
        assert_eq!(levels(&View { fee_rate: None, ..good() }, Network::Bitcoin, now)[1], Level::Fail);
        assert_eq!(levels(&View { sparse_fees: true, ..good() }, Network::Bitcoin, now)[1], Level::Warn);
        assert_eq!(levels(&View { fee_rate: None, ..good() }, Network::Regtest, now), [Level::Ok]);
    }

    #[test]
    fn the_chain_is_a_witness_of_the_clock() {
        assert_eq!(clock(1_000_000, 1_000_000 - 7_201).level, Level::Fail);
        assert_eq!(clock(1_000_000, 1_000_000 - 7_000).level, Level::Ok);
        assert_eq!(clock(1_000_000, 1_000_000 + 20_000).level, Level::Warn);
    }

    #[tokio::test]
    async fn an_electrum_server_must_take_connections() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("tcp://{}", listener.local_addr().unwrap());
        assert_eq!(electrum(&url).await.level, Level::Ok);
        drop(listener);
        assert_eq!(electrum(&url).await.level, Level::Fail);
    }
}
