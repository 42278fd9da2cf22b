//! `satchel mcp`: tools for a language-model agent, over standard input and output.
//!
//! Whoever runs agents starts it as a child process. It asks the running satchel with the agent's key; nothing but
//! messages of the protocol goes to standard output.

use std::fs::File;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::future::BoxFuture;
use reqwest::header::{HeaderMap, HeaderValue};
use rmcp::ServiceExt;
use rmcp::model::Extensions;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::args::Global;
use super::client::reachable;
use super::error::CliError;
use super::report::Report;
use crate::config::Config;
use crate::core::ids::Secret;
use crate::http::keys::Scope;
use crate::services::mcp::{Backend, Call, Reply, ToolServer};

/// A tool may wait for a service and for a payment.
const TIMEOUT: Duration = Duration::from_secs(660);

/// Options of the command.
#[derive(Args, Debug)]
pub struct McpArgs {
    /// The agent's API key; tools are what its scopes open
    #[arg(long, env = "SATCHEL_KEY", hide_env_values = true, value_name = "KEY")]
    #[arg(value_parser = |text: &str| Ok::<_, std::convert::Infallible>(Secret::new(text)))]
    key: Secret,
    /// Where satchel answers, like https://pay.example.com [default: the satchel of the data folder]
    #[arg(long, env = "SATCHEL_URL", value_name = "URL")]
    url: Option<String>,
}

pub async fn run(global: &Global, args: &McpArgs) -> Result<Report, CliError> {
    let base = match &args.url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => {
            let config = Config::load_unchecked(&global.overrides()).map_err(CliError::from)?;
            format!("http://{}", reachable(config.http.listen))
        }
    };
    let server = ToolServer::new(Arc::new(Remote::new(base, &args.key)?));
    let open = |stream: &dyn AsFd| {
        let copy = stream.as_fd().try_clone_to_owned();
        copy.map(|copy| tokio::fs::File::from_std(File::from(copy)))
    };
    let no_stream = |error: std::io::Error| CliError::failed(format!("standard input and output: {error}"));
    let input = open(&std::io::stdin()).map_err(no_stream)?;
    let output = open(&std::io::stdout()).map_err(no_stream)?;
    let running = server.serve((input, output)).await;
    let running = running.map_err(|error| CliError::failed(format!("no agent speaks here: {error}")))?;
    running.waiting().await.map_err(|error| CliError::failed(error.to_string()))?;
    Ok(Report::new(Value::Null, ""))
}

/// Asks a satchel over HTTP.
struct Remote {
    base: String,
    client: reqwest::Client,
    scopes: OnceCell<Vec<Scope>>,
}

impl Remote {
    fn new(base: String, key: &Secret) -> Result<Self, CliError> {
        let mut headers = HeaderMap::new();
        let mut value = HeaderValue::from_str(key.expose())
            .map_err(|_| CliError::usage("--key is no API key of satchel"))?;
        value.set_sensitive(true);
        headers.insert("x-api-key", value);
        let client = reqwest::Client::builder().default_headers(headers).no_proxy().timeout(TIMEOUT).build();
        let client = client.map_err(|error| CliError::failed(format!("no HTTP client: {error}")))?;
        Ok(Self { base, client, scopes: OnceCell::new() })
    }

    async fn ask(&self, call: Call) -> Result<Reply, String> {
        let url = format!("{}{}", self.base, call.path);
        let mut request = self.client.request(call.method, url);
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        if let Some(once) = &call.once {
            request = request.header("idempotency-key", once);
        }
        let unreachable = |_| format!("satchel does not answer at {}", self.base);
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let body = response.bytes().await.map_err(unreachable)?;
        Ok(Reply { status, body: body.to_vec() })
    }

    async fn find_scopes(&self) -> Result<Vec<Scope>, String> {
        let call = Call { method: axum::http::Method::GET, path: "/v1/key".into(), body: None, once: None };
        let reply = self.ask(call).await?;
        if reply.status != 200 {
            return Err("satchel refuses the API key".into());
        }
        let answer: Value = serde_json::from_slice(&reply.body).map_err(|error| error.to_string())?;
        let names = answer.get("scopes").and_then(Value::as_array).into_iter().flatten();
        Ok(names.filter_map(|name| name.as_str()?.parse().ok()).collect())
    }
}

impl Backend for Remote {
    fn scopes<'a>(&'a self, _: &'a Extensions) -> BoxFuture<'a, Result<Vec<Scope>, String>> {
        Box::pin(async move { self.scopes.get_or_try_init(|| self.find_scopes()).await.cloned() })
    }

    fn send<'a>(&'a self, _: &'a Extensions, call: Call) -> BoxFuture<'a, Result<Reply, String>> {
        Box::pin(self.ask(call))
    }
}
