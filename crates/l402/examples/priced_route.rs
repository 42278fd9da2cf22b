//! A route that costs 10 sat, with a fake wallet in place of a Lightning node.
//!
//! `cargo run -p l402 --example priced_route`, then ask for `http://127.0.0.1:4020/weather`.

use axum::routing::get;
use axum::{Extension, Router};
use l402::{
    Admitted, Challenger, Invoice, InvoiceRequest, MemoryLeaseStore, Paywall, PaywallSettings, Preimage,
    Price,
};

/// Makes invoices that everybody has the preimage of: it is printed, and stands in the invoice.
struct FakeWallet;

impl Challenger for FakeWallet {
    type Error = getrandom::Error;

    async fn create_invoice(&self, request: InvoiceRequest) -> Result<Invoice, getrandom::Error> {
        let mut preimage = Preimage([0; 32]);
        getrandom::fill(&mut preimage.0)?;
        println!("{} sat for {:?}: the preimage is {preimage}", request.amount_sat, request.description);
        Ok(Invoice { payment_hash: preimage.payment_hash(), bolt11: format!("fake{preimage}") })
    }
}

/// The routes.
pub fn app() -> Router {
    let settings =
        PaywallSettings { secret: [7; 32], realm: "weather.example".into(), network: "regtest".into() };
    let paywall = Paywall::new(settings, FakeWallet, MemoryLeaseStore::new());
    let weather = async |Extension(paid): Extension<Admitted>| format!("sunny, for {} sat", paid.amount_sat);
    let price = Price::sat(10).description("The weather of today");
    Router::new().route("/weather", get(weather).layer(paywall.priced(price)))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:4020").await?;
    axum::serve(listener, app()).await
}
