//! Tools for language-model agents, by the Model Context Protocol: over HTTP at `/mcp`, and over standard input and
//! output by `satchel mcp`.
//!
//! A tool is one route of the API with a schema (`tools`): what the API refuses, the tool refuses with the same
//! words, and a key sees the tools that its scopes open. Nothing is decided here. [`Backend`] is how a route is asked:
//! in this process ([`here`]), or over HTTP, which is `cli`'s.

mod call;
pub mod here;
mod tools;

use std::borrow::Cow;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, Extensions, Implementation,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};
use serde_json::{Value, json};

use crate::http::keys::Scope;

pub use call::Call;

/// What a model is told at first.
const INSTRUCTIONS: &str = "A Lightning node and its services. Amounts are in satoshis (sat). Which tools there are \
    depends on the API key. A refusal says which limit holds and how much is left. `fetch` asks an HTTP service and \
    pays what it asks for, within the purse's limits; after a time-out, send the same call with the same \
    idempotencyKey again, and nothing is paid twice.";

/// What a route answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// JSON, unless something is wrong.
    pub body: Vec<u8>,
}

/// Asks the API with the caller's key. The error is a text for whoever asked.
pub trait Backend: Send + Sync + 'static {
    /// What the caller's key opens.
    fn scopes<'a>(&'a self, asked: &'a Extensions) -> BoxFuture<'a, Result<Vec<Scope>, String>>;

    /// One request.
    fn send<'a>(&'a self, asked: &'a Extensions, call: Call) -> BoxFuture<'a, Result<Reply, String>>;
}

/// The protocol's server. Cheap to clone.
#[derive(Clone)]
pub struct ToolServer {
    backend: Arc<dyn Backend>,
}

impl ToolServer {
    /// With what asks the API.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend }
    }

    async fn scopes(&self, asked: &Extensions) -> Result<Vec<Scope>, ErrorData> {
        let found = self.backend.scopes(asked).await;
        found.map_err(|why| ErrorData::internal_error(why, None))
    }
}

impl ServerHandler for ToolServer {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("satchel", env!("CARGO_PKG_VERSION")))
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let scopes = self.scopes(&context.extensions).await?;
        let open = tools::ALL.iter().filter(|tool| tool.is_open_to(&scopes));
        Ok(ListToolsResult::with_all_items(open.map(tools::ToolSpec::describe).collect::<Vec<Tool>>()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let scopes = self.scopes(&context.extensions).await?;
        let found = tools::ALL.iter().find(|tool| tool.name == request.name && tool.is_open_to(&scopes));
        let Some(tool) = found else {
            let message = format!("there is no tool {:?} for this API key", request.name);
            return Err(ErrorData::invalid_params(message, None));
        };
        let call = match Call::of(tool, request.arguments.unwrap_or_default()) {
            Ok(call) => call,
            Err(why) => return Ok(refused("INVALID_ARGUMENTS", why).into()),
        };
        match self.backend.send(&context.extensions, call).await {
            Ok(reply) => Ok(told(&reply).into()),
            Err(why) => Ok(refused("UNAVAILABLE", why).into()),
        }
    }
}

fn refused(code: &str, why: impl Into<Cow<'static, str>>) -> CallToolResult {
    CallToolResult::structured_error(json!({ "code": code, "message": why.into() }))
}

/// An answer as the protocol tells it: structured content is an object.
fn told(reply: &Reply) -> CallToolResult {
    let read = serde_json::from_slice::<Value>(&reply.body);
    let value = match read {
        Ok(object @ Value::Object(_)) => object,
        Ok(Value::Array(items)) => json!({ "items": items }),
        Ok(other) => json!({ "answer": other }),
        Err(_) if reply.body.is_empty() => json!({ "done": (200..300).contains(&reply.status) }),
        Err(_) => json!({ "answer": String::from_utf8_lossy(&reply.body) }),
    };
    if (200..300).contains(&reply.status) {
        CallToolResult::structured(value)
    } else {
        CallToolResult::structured_error(value)
    }
}
