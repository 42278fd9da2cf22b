//! `satchel proxy add|list|price|retire`

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::channel::segment;
use super::client::Client;
use super::error::CliError;
use super::report::{Report, table};
use super::show::{cell, fields, items, text};
use crate::core::ids::Secret;

/// What to do with proxies: HTTP services that are sold by the request.
#[derive(Debug, Subcommand)]
pub enum ProxyCommand {
    /// Put a price in front of an HTTP service
    Add(AddArgs),
    /// All proxies, newest first
    List {
        /// Which page of the list
        #[arg(long, default_value_t = 1)]
        page: u64,
        /// At most so many, from 1 to 100
        #[arg(long, default_value_t = 50)]
        limit: u64,
    },
    /// Set the price of a proxy, or of one path of it
    Price {
        /// The proxy's id
        id: String,
        /// Sats; 0, for a path, makes it free
        sats: u64,
        /// Only for this path: ? is a character, * a segment, ** any number of segments
        #[arg(long)]
        path: Option<String>,
        /// And this method [default: every method]
        #[arg(long, requires = "path")]
        method: Option<String>,
    },
    /// Take a proxy out of service for good
    Retire {
        /// Its id
        id: String,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
}

/// A new proxy.
#[derive(Args, Debug)]
pub struct AddArgs {
    /// Where the service is, like https://api.example.com. One on this machine or network must stand in
    /// l402.proxy.allow_hosts
    target: String,
    /// What people know it by [default: the service's host]
    #[arg(long)]
    name: Option<String>,
    /// Sats for a request
    #[arg(long, default_value_t = 10)]
    price: u64,
    /// A few words about it
    #[arg(long)]
    description: Option<String>,
    /// Whose it is [default: the operator's own]
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// A header for the service, like "X-Api-Key: secret"
    #[arg(long, value_name = "HEADER", env = "SATCHEL_PROXY_AUTH", hide_env_values = true)]
    #[arg(value_parser = |text: &str| Ok::<_, std::convert::Infallible>(Secret::new(text)))]
    auth: Option<Secret>,
    /// Only these paths; may be given several times
    #[arg(long, value_name = "PATTERN")]
    allow: Vec<String>,
    /// Not these, nor what lies below; may be given several times
    #[arg(long, value_name = "PATTERN")]
    block: Vec<String>,
    /// Only these methods; may be given several times
    #[arg(long, value_name = "METHOD")]
    method: Vec<String>,
    /// Seconds until the service's answer must begin
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

pub async fn run(client: &Client, command: ProxyCommand) -> Result<Report, CliError> {
    match command {
        ProxyCommand::Add(args) => add(client, args).await,
        ProxyCommand::List { page, limit } => list(client, page, limit).await,
        ProxyCommand::Price { id, sats, path, method } => {
            let body = json!({ "sats": sats, "path": path, "method": method });
            let answer = client.post(&format!("proxies/{}/price", segment(&id)?), body).await?;
            let text = match &path {
                Some(path) => priced(&answer, &id, path, sats),
                None => format!("{id} costs {sats} sat"),
            };
            Ok(Report::new(answer, text))
        }
        ProxyCommand::Retire { id, reason } => {
            let path = format!("proxies/{}/retire", segment(&id)?);
            let answer = client.post(&path, json!({ "reason": reason })).await?;
            let before = answer.get("alreadyRetired").and_then(Value::as_bool) == Some(true);
            let text = if before { "was out of service already" } else { "is out of service" };
            Ok(Report::new(answer, format!("{id} {text}")))
        }
    }
}

async fn add(client: &Client, args: AddArgs) -> Result<Report, CliError> {
    let mut body = Map::new();
    body.insert("name".into(), json!(args.name.unwrap_or_else(|| host(&args.target))));
    body.insert("targetBaseUrl".into(), json!(args.target));
    body.insert("defaultPriceSats".into(), json!(args.price));
    body.insert("allowedPaths".into(), json!(args.allow));
    body.insert("blockedPaths".into(), json!(args.block));
    body.insert("allowedMethods".into(), json!(args.method));
    for (name, value) in [("description", args.description), ("account", args.account)] {
        if let Some(value) = value {
            body.insert(name.into(), json!(value));
        }
    }
    if let Some(timeout) = args.timeout {
        body.insert("timeout".into(), json!(timeout));
    }
    if let Some(auth) = args.auth {
        let line = auth.expose().split_once(':');
        let (name, value) = line.ok_or_else(|| CliError::usage("--auth must be like \"Name: value\""))?;
        body.insert("authHeader".into(), json!(name.trim()));
        body.insert("authValue".into(), json!(value.trim()));
    }
    let answer = client.post("proxies", Value::Object(body)).await?;
    let said = format!("{}\nask below {}, and pay", fields(&answer), text(&answer, "proxyUrl"));
    Ok(Report::new(answer, said))
}

/// What requests for a part of a proxy cost now, by method, as the server says.
fn priced(answer: &Value, id: &str, path: &str, sats: u64) -> String {
    let costs: Vec<_> = answer
        .get("costs")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .filter_map(|(method, sats)| Some((method.as_str(), sats.as_u64()?)))
        .collect();
    let Some((_, first)) = costs.first() else { return format!("{path} of {id} has a price of {sats} sat") };
    let methods =
        |costs: &[(&str, u64)]| costs.iter().map(|(method, _)| *method).collect::<Vec<_>>().join(", ");
    if costs.iter().all(|(_, sats)| sats == first) {
        let methods = if costs.len() == 7 { "every method".into() } else { methods(&costs) };
        let dearer = if *first == sats { "" } else { ": another endpoint that fits as closely is dearer" };
        return format!("{path} of {id} costs {first} sat ({methods}){dearer}");
    }
    let each: Vec<_> = costs.iter().map(|(method, sats)| format!("{method} {sats}")).collect();
    format!("{path} of {id} costs, in sat: {}; other endpoints fit as closely", each.join(", "))
}

/// A name for a service that nobody named.
fn host(target: &str) -> String {
    let url = url::Url::parse(target).ok();
    url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "service".into())
}

async fn list(client: &Client, page: u64, limit: u64) -> Result<Report, CliError> {
    let answer = client.get(&format!("proxies?page={page}&page_size={limit}")).await?;
    let columns = ["proxyId", "name", "defaultPriceSats", "isActive", "targetBaseUrl"];
    let rows: Vec<_> = items(&answer, "items")
        .map(|proxy| columns.iter().map(|name| cell(proxy, name)).collect::<Vec<_>>())
        .collect();
    let text = match rows.as_slice() {
        [] => "no proxies here".into(),
        rows => table(&["ID", "NAME", "SATS", "IN SERVICE", "LEADS TO"], &[2], rows),
    };
    Ok(Report::new(answer, text))
}
