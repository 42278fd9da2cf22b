//! What each public route costs satchel's process in CPU time, and whether a client's quota bounds it.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::site::Site;
use crate::table::{Row, Table};
use crate::{Size, http, progress};

/// What a route may cost that no quota bounds.
const FREE: Duration = Duration::from_millis(2);

/// The system counts CPU time in steps of so much.
const TICK: Duration = Duration::from_millis(10);

/// Patterns of a proxy, at its limits.
const ENDPOINTS: usize = 200;
const LISTED: usize = 50;

/// A route that anybody may ask.
struct Route {
    name: &'static str,
    /// The request of a number.
    request: Box<dyn Fn(usize) -> Vec<u8>>,
    quota: bool,
}

/// Measures, and adds its lines.
///
/// # Errors
/// A connection breaks, or the system doesn't tell of CPU time.
pub(crate) async fn measure(site: &Site, size: Size, table: &mut Table) -> Result<()> {
    let proxy = proxy_at_its_limits(site).await?;
    let gift = site.funded_gifts(1_000, 1).await?.pop().context("no gift")?;
    let rounds = if size.payouts >= 2_000 { 500 } else { 50 };
    for route in routes(site, &proxy, &gift) {
        progress(&format!("{rounds} × {}", route.name));
        let mut connection = site.connect().await?;
        // Once before: what is made at the first time is not what it costs.
        connection.ask(&(route.request)(rounds)).await?;
        let before = cpu(site)?;
        for number in 0..rounds {
            let answer = connection.ask(&(route.request)(number)).await?;
            ensure!(answer.status < 500, "{} answers {}", route.name, answer.status);
        }
        let each = (cpu(site)?.saturating_sub(before)) / u32::try_from(rounds).context("too many")?;
        let bound = if route.quota { "quota" } else { "no quota" };
        let told = format!("{:.2} ms of CPU, {bound}", each.as_secs_f64() * 1_000.0);
        table.add(Row::plain(route.name, told).target("≤ 2 ms, or a quota", route.quota || each <= FREE));
    }
    Ok(())
}

fn routes(site: &Site, proxy: &str, gift: &str) -> Vec<Route> {
    let host = site.address;
    let plain = |name: &'static str, path: String, quota: bool| Route {
        name,
        request: Box::new(move |_| http::get(host, &path)),
        quota,
    };
    let long_path = |number: usize| {
        format!("/a/{}", format!("x{number}y").repeat(300)).chars().take(1_900).collect::<String>()
    };
    let (with_letters, of_endpoints) = (proxy.to_owned(), proxy.to_owned());
    vec![
        plain("GET /health/ready", "/health/ready".into(), false),
        plain("GET /", "/".into(), true),
        plain("GET /assets/style.css", "/assets/style.css".into(), true),
        plain("GET /docs", "/docs".into(), true),
        plain("GET /openapi.json", "/openapi.json".into(), true),
        Route {
            name: "GET /qr.svg, 1,500 characters",
            request: Box::new(move |number| {
                let text: String = format!("{number}aZ9").repeat(600).chars().take(1_500).collect();
                http::get(host, &format!("/qr.svg?text={text}"))
            }),
            quota: true,
        },
        plain("GET /redeem/{id}", format!("/redeem/{gift}"), true),
        plain("GET /gift/{id}", format!("/gift/{gift}"), true),
        plain("GET /status/{id}", format!("/status/{gift}"), true),
        plain("GET /lnurl/{id}", format!("/lnurl/{gift}"), true),
        plain("GET /lnurl", "/lnurl".into(), true),
        Route {
            name: "POST /create",
            request: Box::new(move |_| http::post(host, "/create", r#"{"amount":1000}"#)),
            quota: true,
        },
        plain("GET /api/tippee/tips?passphrase=", "/api/tippee/tips?passphrase=zoo+zoo+zoo".into(), true),
        plain("GET /api/rates", "/api/rates".into(), true),
        plain("GET /api/l402/content", "/api/l402/content".into(), true),
        plain("GET /api/l402/content/{slug}, unpaid", "/api/l402/content/what-is-l402".into(), true),
        plain("GET /.well-known/l402", "/.well-known/l402".into(), true),
        Route {
            name: "GET /l402/proxy/{id}/…, unpaid, patterns and path at their limits",
            request: Box::new(move |number| {
                http::get(host, &format!("{with_letters}{}", long_path(number % 10)))
            }),
            quota: true,
        },
        Route {
            name: "  the same with a credential that is worth nothing",
            request: Box::new(move |number| {
                let path = format!("{of_endpoints}{}", long_path(number % 10));
                let head = "authorization: L402 AGIAJEemVQUTEyNCR0exk7ek90Cg==:";
                let preimage = "00".repeat(32);
                format!("GET {path} HTTP/1.1\r\nhost: {host}\r\n{head}{preimage}\r\n\r\n").into_bytes()
            }),
            quota: true,
        },
    ]
}

/// A proxy with as many patterns as it may have, none of which is quickly told from a path.
async fn proxy_at_its_limits(site: &Site) -> Result<String> {
    let listed: Vec<_> = (0..LISTED).map(|number| format!("/**/b*{number}*c")).collect();
    let body = json!({
        "name": "Patterns", "targetBaseUrl": "http://127.0.0.1:65000", "defaultPriceSats": 1, "blockedPaths": listed,
    });
    let key = site.satchel().admin_key();
    let mut connection = site.connect().await?;
    let request = http::post_as(site.address, "/api/proxy", key, &body.to_string());
    let made: Value = connection.ask(&request).await?.json().context("a proxy")?;
    let text = |name: &str| made.get(name).and_then(Value::as_str).map(str::to_owned);
    let (id, path) = (text("proxyId").context("no id")?, text("proxyUrl").context("no path")?);
    for number in 0..ENDPOINTS {
        let endpoint = json!({
            "endpointId": format!("e{number}"), "path": format!("/**/x*{number}*y**y"), "method": "GET", "priceSats": 2,
        });
        let way = format!("/api/proxy/{id}/endpoints");
        let answer = connection.ask(&http::post_as(site.address, &way, key, &endpoint.to_string())).await?;
        ensure!(answer.status == 201, "no endpoint: {}", String::from_utf8_lossy(answer.body));
    }
    Ok(path)
}

/// CPU time of satchel's process so far.
fn cpu(site: &Site) -> Result<Duration> {
    let pid = site.satchel().pid().context("satchel doesn't run")?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("can't look at satchel's CPU time")?;
    // Behind the name, which may hold anything: state is the first, user and system time the 12th and 13th.
    let (_, rest) = stat.rsplit_once(") ").context("a strange stat")?;
    let mut times = rest.split(' ').skip(11).map(|ticks| ticks.parse::<u32>().ok());
    let (user, system) =
        (times.next().flatten().context("no time")?, times.next().flatten().context("no time")?);
    Ok(TICK * (user + system))
}
