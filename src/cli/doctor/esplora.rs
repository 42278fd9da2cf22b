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

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;
    use bitcoin::consensus::encode::serialize_hex;

    use super::*;

    /// An esplora server on regtest's first block.
    async fn serve(router: Router) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn regtest(fees: &'static str) -> Router {
        let genesis = genesis_block(Network::Regtest);
        let hash = genesis.block_hash().to_string();
        let header = serialize_hex(&genesis.header);
        let tip = hash.clone();
        Router::new()
            .route("/blocks/tip/height", get(|| async { "0" }))
            .route("/block-height/0", get(|| async { hash }))
            .route("/blocks/tip/hash", get(|| async { tip }))
            .route("/block/{hash}/header", get(|| async { header }))
            .route("/fee-estimates", get(move || async move { fees }))
    }

    #[tokio::test]
    async fn a_server_says_where_it_is() {
        let url = serve(regtest(r#"{"1": 9.0, "3": 7.0, "6": 5.0, "144": 1.0, "504": 1.0}"#)).await;
        let seen = look(&url, Network::Regtest).await.ok().unwrap();
        assert!(seen.same_network && !seen.sparse_fees);
        assert_eq!((seen.height, seen.time, seen.fee_rate), (0, Some(1_296_688_602), Some(5.0)));
        let other = look(&url, Network::Bitcoin).await.ok().unwrap();
        assert!(!other.same_network);
        let sparse = serve(regtest("{}")).await;
        assert!(look(&sparse, Network::Regtest).await.ok().unwrap().sparse_fees);
    }

    #[tokio::test]
    async fn a_server_that_is_none_is_told() {
        let broken = Router::new().route("/blocks/tip/height", get(|| async { StatusCode::NOT_FOUND }));
        let url = serve(broken).await;
        let said = look(&url, Network::Regtest).await.err().unwrap();
        assert!(
            said.says.contains("status 404") && said.remedy.contains("chain.esplora_url"),
            "{}",
            said.says
        );
        let said = look("http://127.0.0.1:1", Network::Regtest).await.err().unwrap();
        assert!(said.says.contains("no connection"), "{}", said.says);
    }
}
