//! What an esplora server says.

use bitcoin::Network;
use bitcoin::constants::genesis_block;
use esplora_client::{Builder, Error};

use super::chain::{NoView, PATIENCE, View};

/// A server that knows fewer targets than this guesses.
const FEW_TARGETS: usize = 5;

/// Blocks within which the fee rate shown confirms.
const TARGET: usize = 6;

pub async fn look(url: &str, network: Network) -> Result<View, NoView> {
    ask(url, network).await.map_err(|error| NoView {
        says: format!("{url}: {}", words(&error)),
        remedy: "check chain.esplora_url and the network, or use another source".into(),
    })
}

async fn ask(url: &str, network: Network) -> Result<View, Error> {
    let server = Builder::new(url).timeout(PATIENCE.as_secs()).max_retries(1).build_async()?;
    let height = server.get_height().await?;
    let genesis = server.get_block_hash(0).await?;
    let tip = server.get_tip_hash().await?;
    let header = server.get_header_by_hash(&tip).await?;
    let fees = server.get_fee_estimates().await?;
    Ok(View {
        source: url.to_owned(),
        height: u64::from(height),
        time: Some(u64::from(header.time)),
        same_network: genesis == genesis_block(network).block_hash(),
        sparse_fees: fees.len() < FEW_TARGETS,
        fee_rate: esplora_client::convert_fee_rate(TARGET, fees).map(f64::from),
        syncing: false,
        pruned: false,
    })
}

/// The library's own words repeat the URL and nest; these say what went wrong.
fn words(error: &Error) -> String {
    match error {
        Error::HttpResponse { status, .. } => format!("it answered with status {status}"),
        Error::Reqwest(error) if error.is_timeout() => "it does not answer in time".into(),
        Error::Reqwest(error) if error.is_connect() => "no connection".into(),
        other => format!("its answer can't be used: {other}"),
    }
}
