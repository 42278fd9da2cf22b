//! What a test asks a satchel: over its HTTP interface with the admin key, and by its command line.

use std::process::{Output, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use reqwest::Method;
use serde_json::Value;

use crate::{Satchel, runtime};

impl Satchel {
    /// Calls a route with the admin key; `path` begins with `/`. Gives the JSON of a successful answer.
    ///
    /// # Errors
    /// It can't be reached, or answers with an error; the message has the status and the body.
    pub async fn admin(&self, method: Method, path: &str, body: Option<Value>) -> Result<Value> {
        // The operator's routes are served apart from the public ones, which an admin key opens too.
        let operators = ["/admin/", "/metrics", "/events"].iter().any(|root| path.starts_with(root));
        let base = if operators { self.admin_url() } else { self.url() };
        let mut request =
            self.client.request(method.clone(), format!("{base}{path}")).bearer_auth(self.admin_key());
        if let Some(body) = &body {
            request = request.json(body);
        }
        let sent = async move {
            let answer = request.send().await?;
            Ok::<_, reqwest::Error>((answer.status(), answer.text().await?))
        };
        let (status, text) =
            runtime::run(sent).await?.with_context(|| format!("satchel doesn't answer {method} {path}"))?;
        if !status.is_success() {
            bail!("satchel answers {method} {path} with {status}: {text}");
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text)
            .with_context(|| format!("satchel answers {method} {path} without JSON: {text}"))
    }

    /// `GET` of [`Satchel::admin`].
    ///
    /// # Errors
    /// As there.
    pub async fn admin_get(&self, path: &str) -> Result<Value> {
        self.admin(Method::GET, path, None).await
    }

    /// `POST` of [`Satchel::admin`].
    ///
    /// # Errors
    /// As there.
    pub async fn admin_post(&self, path: &str, body: Value) -> Result<Value> {
        self.admin(Method::POST, path, Some(body)).await
    }

    /// The public key of its node, in hex.
    ///
    /// # Errors
    /// It doesn't answer.
    pub async fn node_id(&self) -> Result<String> {
        let node = self.admin_get("/admin/v1/node").await?;
        Ok(node.get("node_id").and_then(Value::as_str).context("satchel told no node_id")?.to_owned())
    }

    /// Runs a subcommand of the binary with this data folder and configuration, as `audit` with `--json`.
    ///
    /// # Errors
    /// The binary can't be run. A subcommand that fails is no error here: see the output's status.
    pub async fn command(&self, subcommand: &str, arguments: &[&str]) -> Result<Output> {
        let mut command = self.base_command(std::process::Command::new(&self.binary), subcommand);
        command.args(arguments).stdin(Stdio::null());
        runtime::blocking(move || command.output()).await?.context("can't run satchel")
    }

    /// The same with `--json`; gives the object that it printed.
    ///
    /// # Errors
    /// It failed or printed no JSON; the message has what it printed.
    pub async fn command_json(&self, subcommand: &str, arguments: &[&str]) -> Result<Value> {
        let mut all = arguments.to_vec();
        all.push("--json");
        let output = self.command(subcommand, &all).await?;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            bail!("satchel {subcommand} ended with {}: {out}{err}", output.status);
        }
        // The object stands alone on the last line that isn't empty.
        let line = out.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
        serde_json::from_str(line)
            .map_err(|error| anyhow!("satchel {subcommand} printed no JSON ({error}): {out}{err}"))
    }
}
