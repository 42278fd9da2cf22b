//! What a running satchel tells of keys: which are shared, which are used for more than one purpose, and which stand
//! where logs keep them. And whether its public address leads to it.

use std::time::Duration;

use reqwest::Url;
use serde_json::Value;

use super::Check;
use crate::cli::client::Client;
use crate::cli::show::{items, number, text};
use crate::config::{Config, is_this_machine};
use crate::http::keys::DEFAULT_ACCOUNT;
use crate::outbound::fetch::{FetchError, read_body};

/// For an answer from the public address.
const PATIENCE: Duration = Duration::from_secs(5);

/// More than any of our answers there.
const LONGEST_ANSWER: usize = 4_096;

pub async fn look(client: &Client, config: &Config, node: &Value) -> Vec<Check> {
    let mut checks = judge_seen(node);
    if let Ok(keys) = client.get("keys").await {
        checks.extend(judge_keys(&keys));
    }
    checks.extend(public_url(&config.http.public_url).await);
    checks
}

/// What requests have shown since the start.
fn judge_seen(node: &Value) -> Vec<Check> {
    let nothing = Value::Null;
    let seen = node.get("seen").unwrap_or(&nothing);
    let count = |name: &str| Some(number(seen, name)).filter(|count| *count > 0);
    let queries = count("keys_in_queries").map(|count| {
        let says = format!("{count} requests had a key in their query string, which a proxy in front writes into its log");
        let remedy = "send API keys in headers (Authorization: Bearer, or X-API-Key); links of senders need their key in \
                      the address, so leave the query out of the proxy's log: in nginx a log_format with $uri in place of \
                      $request, in Caddy `format filter { request>uri query { delete key delete apiKey } }`";
        Check::warn("keys in addresses", says, remedy)
    });
    let refused = count("metrics_refused").map(|count| {
        let says = format!("{count} requests for /metrics showed a key of another scope and got nothing");
        let remedy = "give Prometheus a key of its own: `satchel key create prometheus --scope metrics`";
        Check::warn("metrics key", says, remedy)
    });
    let admin = count("metrics_by_admin").map(|count| {
        let says = format!("/metrics was read {count} times with a key that may also move money");
        let remedy = "give Prometheus a key that only reads: `satchel key create prometheus --scope metrics`";
        Check::warn("metrics key", says, remedy)
    });
    [queries, refused, admin].into_iter().flatten().collect()
}

fn judge_keys(keys: &Value) -> Vec<Check> {
    let opens = |key: &Value, scope: &str| items(key, "scopes").any(|held| held == scope);
    let live = || items(keys, "keys").filter(|key| key.get("revoked_at").is_none_or(Value::is_null));
    let list = |keys: Vec<&Value>| {
        let names: Vec<_> =
            keys.iter().map(|key| format!("{} ({})", text(key, "name"), text(key, "prefix"))).collect();
        names.join(", ")
    };
    let mut checks = Vec::new();
    // The operator's own may stand there: it sees everything anyway.
    let shared: Vec<_> =
        live().filter(|key| text(key, "account") == DEFAULT_ACCOUNT && !opens(key, "admin")).collect();
    if shared.len() > 1 {
        let says = format!(
            "{} keys share the account \"{DEFAULT_ACCOUNT}\" and can move each other's things: {}",
            shared.len(),
            list(shared)
        );
        let remedy = "give each purpose a key of its own account: `satchel key create NAME --scope …`, then `satchel key \
                      revoke ID` once what was made with the old one is done";
        checks.push(Check::warn("shared account", says, remedy));
    }
    let watches = |key: &&Value| {
        let name = text(key, "name").to_lowercase();
        ["prometheus", "metrics", "grafana", "monitor"].iter().any(|word| name.contains(word))
            && !opens(key, "metrics")
    };
    let watchers: Vec<_> = live().filter(watches).collect();
    if !watchers.is_empty() {
        let says = format!("of another scope than metrics, by its name: {}", list(watchers));
        let remedy = "make one with `satchel key create prometheus --scope metrics`, give it to Prometheus and revoke this";
        checks.push(Check::warn("metrics key", says, remedy));
    }
    let both: Vec<_> = live()
        .filter(|key| !opens(key, "admin") && opens(key, "metrics") && items(key, "scopes").count() > 1)
        .collect();
    if !both.is_empty() {
        let says = format!("a key that monitoring has opens more than /metrics: {}", list(both));
        checks.push(Check::warn("metrics key", says, "make a key of the scope metrics alone for it"));
    }
    checks
}

/// Whether the address that links are made of leads to a satchel, path and all.
async fn public_url(address: &str) -> Option<Check> {
    const NAME: &str = "public URL";
    let url = Url::parse(&format!("{}/health/live", address.trim_end_matches('/'))).ok()?;
    // Of this machine's own address has been told; and onion addresses are not reached from here.
    let host = url.host_str().unwrap_or_default();
    if is_this_machine(host) || host.ends_with(".onion") {
        return None;
    }
    Some(match answer(&url).await {
        Ok(body) if is_ours(&body) => Check::ok(NAME, format!("{url} leads here")),
        Ok(_) => {
            let path = url.path().trim_end_matches("/health/live");
            let remedy = if path.is_empty() {
                "let the proxy in front send all of this host to http.listen, or correct http.public_url"
                    .into()
            } else {
                format!(
                    "let the proxy in front take {path} off before it asks satchel (in nginx `location {path}/ {{ \
                     proxy_pass http://…:3000/; }}`, with that slash), or correct http.public_url"
                )
            };
            Check::warn(NAME, format!("{url} answers, but not as satchel does"), remedy)
        }
        Err(why) => {
            let remedy = "check http.public_url, the DNS, the certificate and the proxy in front; if only others can reach \
                          it, ignore this";
            Check::warn(NAME, format!("{url} can't be reached from here: {why}"), remedy)
        }
    })
}

async fn answer(url: &Url) -> Result<Vec<u8>, String> {
    let told = |error: reqwest::Error| {
        if error.is_timeout() { "no answer in time".to_owned() } else { error.to_string() }
    };
    let client =
        reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build();
    let answer = client.map_err(told)?.get(url.clone()).send().await.map_err(told)?;
    match read_body(answer, LONGEST_ANSWER).await {
        // Nothing of ours is that long.
        Err(FetchError::TooLarge) => Ok(Vec::new()),
        read => read.map_err(|error| error.to_string()),
    }
}

/// An answer of `/health/live`, whatever it says.
fn is_ours(body: &[u8]) -> bool {
    serde_json::from_slice::<Value>(body)
        .is_ok_and(|answer| answer.get("status").is_some_and(Value::is_string))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use serde_json::json;

    use super::*;
    use crate::cli::doctor::Level;

    #[test]
    fn keys_where_logs_keep_them_are_told_with_a_way_out() {
        assert!(judge_seen(&json!({})).is_empty());
        let none = json!({ "seen": { "keys_in_queries": 0, "metrics_refused": 0, "metrics_by_admin": 0 } });
        assert!(judge_seen(&none).is_empty());
        let seen = json!({ "seen": { "keys_in_queries": 3, "metrics_refused": 2, "metrics_by_admin": 1 } });
        let [queries, refused, admin] = &judge_seen(&seen)[..] else { panic!() };
        assert!(
            queries.level == Level::Warn && queries.says.starts_with("3 requests had a key"),
            "{queries:?}"
        );
        assert!(queries.remedy.as_deref().unwrap().contains("log_format"), "{queries:?}");
        assert!(
            refused.says.contains("another scope") && admin.says.contains("move money"),
            "{refused:?} {admin:?}"
        );
    }

    #[test]
    fn shared_keys_and_keys_of_two_purposes_are_told() {
        let key = |name: &str, account: &str, scopes: &[&str]| json!({ "name": name, "account": account, "prefix": "satchel_12345678", "scopes": scopes, "revoked_at": null });
        let of = |keys: Vec<Value>| {
            judge_keys(&json!({ "keys": keys })).into_iter().map(|check| check.says).collect::<Vec<_>>()
        };
        let fine = vec![
            key("operator", "default", &["admin"]),
            key("shop", "default", &["payments"]),
            key("prometheus", "prometheus", &["metrics"]),
        ];
        assert!(of(fine.clone()).is_empty());
        let mut revoked = key("other", "default", &["gifts"]);
        revoked["revoked_at"] = json!(5);
        assert!(of([fine.clone(), vec![revoked]].concat()).is_empty());
        let told = of([fine.clone(), vec![key("other", "default", &["gifts"])]].concat());
        assert!(told.len() == 1 && told[0].contains("shop (satchel_12345678), other"), "{told:?}");
        let told = of(vec![key("Prometheus", "p", &["scheduler"])]);
        assert!(told.len() == 1 && told[0].contains("another scope"), "{told:?}");
        let told = of(vec![key("watcher", "p", &["metrics", "tips"])]);
        assert!(told.len() == 1 && told[0].contains("opens more"), "{told:?}");
    }

    #[tokio::test]
    async fn public_address_of_this_machine_or_of_a_hidden_service_is_not_asked() {
        assert_eq!(public_url("http://127.0.0.1:3000").await, None);
        assert_eq!(public_url("http://abc.onion").await, None);
        let nobody = public_url("http://nobody.invalid/pay").await.unwrap();
        assert!(nobody.level == Level::Warn && nobody.says.contains("can't be reached"), "{nobody:?}");
    }

    #[tokio::test]
    async fn what_answers_in_place_of_satchel_is_told_from_it() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url: Url = format!("http://{}/pay/health/live", listener.local_addr().unwrap()).parse().unwrap();
        let long = format!("{{\"status\":\"live\"}}{}", " ".repeat(LONGEST_ANSWER));
        let server = std::thread::spawn(move || {
            for body in ["{\"status\":\"live\"}", "<html>Welcome to nginx!", &long] {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = stream.read(&mut [0; 1_024]).unwrap();
                let head =
                    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).unwrap();
            }
        });
        assert!(is_ours(&answer(&url).await.unwrap()));
        assert!(!is_ours(&answer(&url).await.unwrap()));
        assert!(!is_ours(&answer(&url).await.unwrap()), "longer than any answer of ours");
        server.join().unwrap();
    }
}
