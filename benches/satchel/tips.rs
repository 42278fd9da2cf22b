//! Tips: a group as large as they come, its claims and withdrawals, and a long list.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use regtest::InvoiceRequest;
use reqwest::{Client, Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::load::Latencies;
use crate::payouts::{AT_ONCE, BATCH, SAT};
use crate::site::Site;
use crate::table::{Row, Table, number};
use crate::{Size, progress};

/// When a paid group must be there, from its payer's success.
const SHOWN_WITHIN: Duration = Duration::from_secs(1);
/// How much of the gifts' payout rate the tips' must reach.
const LEAST: f64 = 0.8;
/// What 99 of 100 first pages shall stay within.
const PAGE_WITHIN: Duration = Duration::from_millis(20);
/// Tips of one page.
const PAGE: usize = 100;
/// Pages that are asked for.
const PAGES: usize = 500;
/// Between two looks at a group that is being paid.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// One recipient: their session, their tip, where it goes.
struct Recipient {
    cookie: String,
    tip: String,
    invoice: String,
}

/// Measures, and adds its lines. `gifts` is the rate of the gifts' payouts in this run.
///
/// # Errors
/// Satchel gives a wrong answer.
pub(crate) async fn measure(site: &Site, size: Size, gifts: f64, table: &mut Table) -> Result<()> {
    let api = Arc::new(Api::new(site)?);
    let recipients = group(site, &api, table).await?;
    let rate = withdraw(&api, recipients).await?;
    table.add(Row::against("claims and withdrawals of a group of 500, 40 at once", rate, Some(gifts), LEAST));
    list(&api, size, table).await
}

/// The HTTP of a tipper and of recipients.
struct Api {
    client: Client,
    url: String,
    key: String,
}

impl Api {
    fn new(site: &Site) -> Result<Self> {
        let client = Client::builder().pool_max_idle_per_host(AT_ONCE).build().context("no HTTP client")?;
        Ok(Self { client, url: site.satchel().url(), key: site.satchel().admin_key().to_owned() })
    }

    async fn as_tipper(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value> {
        let request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.key);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let answer = request.send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        ensure!(status == StatusCode::OK, "{path}: {status}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    /// What a recipient's page does; nothing is answered.
    async fn as_recipient(&self, cookie: &str, path: &str, body: Value) -> Result<()> {
        let request = self.client.post(format!("{}{path}", self.url)).header(header::COOKIE, cookie);
        let answer = request.json(&body).send().await?;
        let status = answer.status();
        ensure!(status == StatusCode::NO_CONTENT, "{path}: {status}: {}", answer.text().await?);
        Ok(())
    }

    async fn guest(&self) -> Result<String> {
        let answer = self.client.post(format!("{}/api/auth/guest", self.url)).json(&json!({})).send().await?;
        let cookie = answer.headers().get(header::SET_COOKIE).context("a guest got no cookie")?.to_str()?;
        Ok(cookie.split(';').next().unwrap_or_default().to_owned())
    }

    async fn order(&self, sat: u64, quantity: usize) -> Result<Value> {
        let order = json!({ "amount": sat, "quantity": quantity, "expiry": "2030-01-01T00:00:00.000Z" });
        self.as_tipper(Method::POST, "/api/tipper/tips", Some(&order)).await
    }
}

/// Orders, pays and shows a group; then everybody opens their tip's page.
async fn group(site: &Site, api: &Api, table: &mut Table) -> Result<Vec<Recipient>> {
    progress(&format!("a group of {BATCH} tips of {SAT} sat"));
    let began = Instant::now();
    let group = api.order(SAT, BATCH).await?;
    let created = began.elapsed();
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let (id, invoice) =
        (text(&group, "id").context("no id")?, text(&group, "invoice").context("no invoice")?);
    site.pay(&invoice).await?;
    let paid = Instant::now();
    let path = format!("/api/tipGroups/{id}");
    let tips = loop {
        let group = api.as_tipper(Method::GET, &path, None).await?;
        let tips = group.get("tips").and_then(Value::as_array).cloned().unwrap_or_default();
        let open = tips.iter().filter(|tip| text(tip, "status").as_deref() == Some("UNSEEN")).count();
        if text(&group, "status").as_deref() == Some("FUNDED") && open == BATCH {
            break tips;
        }
        ensure!(paid.elapsed() < Duration::from_secs(30), "a paid group is not open: {open} of {BATCH}");
        tokio::time::sleep(LOOK_EVERY).await;
    };
    let shown = paid.elapsed();
    let measured =
        format!("{} ms after the payer's success, created in {} ms", shown.as_millis(), created.as_millis());
    table.add(
        Row::plain("group of 500 tips, all open and shown", measured).target("< 1 s", shown < SHOWN_WITHIN),
    );
    let mut recipients = Vec::with_capacity(BATCH);
    for tip in &tips {
        let tip = text(tip, "id").context("a tip without id")?;
        let cookie = api.guest().await?;
        api.as_recipient(&cookie, &format!("/api/tippee/tips/{tip}/markSeen"), json!({})).await?;
        let invoice = site.wallet.invoice(InvoiceRequest::sat(SAT)).await?.invoice;
        recipients.push(Recipient { cookie, tip, invoice });
    }
    Ok(recipients)
}

/// Everybody claims and withdraws; answers how many did in a second.
async fn withdraw(api: &Arc<Api>, recipients: Vec<Recipient>) -> Result<f64> {
    progress("claiming and withdrawing them, 40 at once");
    let (recipients, next) = (Arc::new(recipients), Arc::new(AtomicUsize::new(0)));
    let count = f64::from(u32::try_from(recipients.len()).context("too many to count")?);
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (api, recipients, next) = (Arc::clone(api), Arc::clone(&recipients), Arc::clone(&next));
        clients.spawn(async move {
            while let Some(recipient) = recipients.get(next.fetch_add(1, Ordering::Relaxed)) {
                let Recipient { cookie, tip, invoice } = recipient;
                api.as_recipient(cookie, &format!("/api/tippee/tips/{tip}/claim"), json!({})).await?;
                let body = json!({ "invoice": invoice, "flow": "tippee" });
                api.as_recipient(cookie, "/api/invoices", body).await?;
            }
            Ok::<_, anyhow::Error>(())
        });
    }
    while let Some(ended) = clients.join_next().await {
        ended.context("a client ended early")??;
    }
    Ok(count / began.elapsed().as_secs_f64())
}

/// The first page of a long list.
async fn list(api: &Api, size: Size, table: &mut Table) -> Result<()> {
    progress(&format!("ordering {} tips", size.gifts));
    let began = Instant::now();
    for _ in 0..size.gifts.div_ceil(BATCH) {
        api.order(1, BATCH).await?;
    }
    let rate =
        f64::from(u32::try_from(size.gifts).context("too many to count")?) / began.elapsed().as_secs_f64();
    let mut times = Vec::with_capacity(PAGES);
    let path = format!("/api/tipper/tips?limit={PAGE}");
    for _ in 0..PAGES {
        let began = Instant::now();
        let page = api.as_tipper(Method::GET, &path, None).await?;
        times.push(began.elapsed());
        ensure!(page.as_array().is_some_and(|tips| tips.len() == PAGE), "a page is not full");
    }
    let latencies = Latencies::new(times);
    let within = latencies.percentile(99) < PAGE_WITHIN;
    let what = format!("GET /api/tipper/tips, first {PAGE} of {}", size.gifts);
    table.add(Row::plain(what, latencies.to_string()).target("p99 < 20 ms", within));
    table.add(Row::plain("  tips ordered in groups of 500", format!("{}/s", number(rate))));
    Ok(())
}
