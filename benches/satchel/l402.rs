//! Requests that are paid for: what a token costs to verify, as a function and over HTTP.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use ::l402::{Credential, Identifier, Mint, Preimage, Terms, VerificationParams};
use anyhow::{Context, Result, ensure};
use satchel::services::l402::Price;
use serde_json::Value;

use crate::site::Site;
use crate::table::{Row, Table, number};
use crate::{Size, http, open_loop, progress};

/// Tokens verified in a second on one core, at least.
const VERIFIED: f64 = 100_000.0;

/// Of a route's rate without a price, what is left with one, at least.
const LEFT: f64 = 0.8;

/// A route with a price, and one that answers as little without.
const PRICED: &str = "/l402/test/ping";
const FREE: &str = "/api/l402/status";

/// Measures, and adds its lines.
///
/// # Errors
/// Satchel gives a wrong answer, or the wallet can't pay.
pub(crate) async fn measure(site: &Site, size: Size, table: &mut Table) -> Result<()> {
    let time = Duration::from_secs(size.seconds);
    progress("verifying tokens on one core");
    let rate = tokio::task::block_in_place(|| verify(time))?;
    let row = Row::plain("tokens verified on one core", format!("{}/s", number(rate)));
    table.add(row.target("≥ 100,000/s", rate >= VERIFIED));

    let credential = buy(site, PRICED).await?;
    let address = site.address;
    progress("a paid request and a free one, flat out");
    let (free, priced) = tokio::task::block_in_place(|| -> Result<(f64, f64)> {
        let free = [http::get(address, FREE)];
        let priced = [get_with(address, PRICED, &credential)];
        let free = open_loop::flat_out(address, &free, time, |body| contains(body, b"authenticated"))?;
        Ok((free, open_loop::flat_out(address, &priced, time, |body| contains(body, b"pong"))?))
    })?;
    table.add(Row::against("paid requests over HTTP, beside free ones", priced, Some(free), LEFT));
    Ok(())
}

/// Reads and verifies a credential again and again, as is done for each request.
fn verify(time: Duration) -> Result<f64> {
    let (mint, preimage) = (Mint::new(&[7; 32], "satchel"), Preimage([3; 32]));
    let identifier = Identifier { payment_hash: preimage.payment_hash(), token: [4; 32] };
    let price = Price::new(PRICED, 1);
    let terms = Terms { path: &price.resource, merchant: 0, amount_sat: 1, valid_until: i64::MAX };
    let header = format!("L402 {}:{preimage}", mint.token(&identifier, &terms));
    let params = VerificationParams {
        resource: Some(&price.resource),
        merchant: Some(0),
        price_sat: Some(price.sats),
        now: 1,
        ..VerificationParams::default()
    };
    let began = Instant::now();
    let mut count = 0_u32;
    while began.elapsed() < time {
        for _ in 0..100 {
            let Some(Ok(Credential::Token { macaroons, preimage })) = Credential::read(&header) else {
                anyhow::bail!("a token that can't be read");
            };
            ::l402::verify(&mint, &macaroons, &preimage, &params)?;
        }
        count += 100;
    }
    Ok(f64::from(count) / began.elapsed().as_secs_f64())
}

/// Pays for a token of a path.
///
/// # Errors
/// The path isn't sold, or the wallet can't pay.
pub(crate) async fn buy(site: &Site, path: &str) -> Result<String> {
    let mut connection = site.connect().await?;
    let answer = connection.ask(&http::get(site.address, path)).await?;
    ensure!(answer.status == 402, "{path} answers {}", answer.status);
    let asked: Value = serde_json::from_slice(answer.body).context("a 402 that isn't JSON")?;
    let text = |name: &str| asked.pointer(name).and_then(Value::as_str).map(str::to_owned);
    let (macaroon, invoice) = (text("/l402/macaroon"), text("/l402/invoice"));
    let paid = site.wallet.pay(&invoice.context("a 402 without an invoice")?).await?;
    Ok(format!("L402 {}:{}", macaroon.context("a 402 without a token")?, paid.preimage))
}

/// A `GET` that shows a credential.
pub(crate) fn get_with(host: SocketAddr, path: &str, credential: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: {credential}\r\n\r\n").into_bytes()
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    body.windows(text.len()).any(|window| window == text)
}
