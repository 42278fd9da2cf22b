//! The pages at `/privacy` and `/terms`: the operator's own text, or one that says what is stored and for how long.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use utoipa::{OpenApi, openapi};

use super::WebSettings;
use super::page::{Site, html};

/// Bytes of an operator's text.
pub const LARGEST_TEXT: usize = 262_144;

/// Both pages are read at the start, and may be kept for an hour.
const CACHING: &str = "max-age=3600";

/// What the default texts say.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Who runs this server; may be empty.
    pub operator: String,
    /// How to reach them; may be empty.
    pub contact: String,
    /// Days that an order which nobody paid is kept.
    pub keep_unpaid_days: u32,
    /// Seconds for which requests of an address are counted; `None` if they aren't.
    pub limit_secs: Option<u64>,
    /// Days for which a webhook is tried.
    pub webhook_days: u32,
    /// Letters are sent.
    pub mail: bool,
    /// Blocks come from the operator's own bitcoind.
    pub own_chain: bool,
    /// Public servers are asked what a bitcoin costs.
    pub asks_rates: bool,
    /// Public DNS servers are asked for names that sats go to.
    pub asks_names: bool,
    /// Events of agents are published to Nostr relays.
    pub relays: bool,
    /// What an account costs, in sat, if they are sold.
    pub signup_sat: Option<u64>,
    /// What a gift costs besides its amount: at least so many sat, and percent.
    pub gift_fee: (u64, u32),
    /// The same of a tip.
    pub tip_fee: (u64, u32),
}

/// A text of the operator's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// Put into the page as it is. The page's policy lets no script in it run.
    Html(String),
    /// Paragraphs and headings.
    Plain(Vec<Block>),
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// A heading.
    Heading(String),
    /// A paragraph.
    Paragraph(String),
}

impl Text {
    /// Blank lines part paragraphs; a paragraph that begins with `# ` is a heading.
    pub fn plain(text: &str) -> Self {
        let text = text.replace("\r\n", "\n");
        let block = |part: &str| {
            let part = part.trim();
            match part.strip_prefix('#') {
                Some(rest) => Block::Heading(rest.trim_start_matches('#').trim().to_owned()),
                None => Block::Paragraph(part.to_owned()),
            }
        };
        Self::Plain(text.split("\n\n").filter(|part| !part.trim().is_empty()).map(block).collect())
    }
}

/// What both pages say.
#[derive(Clone, Debug)]
pub struct LegalTexts {
    /// The operator's own, if there is one.
    pub privacy: Option<Text>,
    /// The same.
    pub terms: Option<Text>,
    /// For the defaults.
    pub facts: Facts,
}

struct Pages {
    settings: WebSettings,
    texts: LegalTexts,
}

#[derive(Template)]
#[template(path = "legal_own.html")]
struct OwnPage<'a> {
    site: Site<'a>,
    title: &'a str,
    text: &'a Text,
}

#[derive(Template)]
#[template(path = "privacy.html")]
struct PrivacyPage<'a> {
    site: Site<'a>,
    facts: &'a Facts,
}

#[derive(Template)]
#[template(path = "terms.html")]
struct TermsPage<'a> {
    site: Site<'a>,
    facts: &'a Facts,
}

/// Both pages.
pub fn router<S: Clone + Send + Sync + 'static>(settings: WebSettings, texts: LegalTexts) -> Router<S> {
    Router::new()
        .route("/privacy", get(privacy))
        .route("/terms", get(terms))
        .with_state(Arc::new(Pages { settings, texts }))
}

/// What the API's document says of them.
pub fn document() -> openapi::OpenApi {
    #[derive(OpenApi)]
    #[openapi(paths(privacy, terms))]
    struct Legal;
    Legal::openapi()
}

/// What is stored, and for how long.
#[utoipa::path(
    get, path = "/privacy", tag = "pages",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"))
)]
async fn privacy(State(pages): State<Arc<Pages>>) -> Response {
    let (site, texts) = (Site::new(&pages.settings), &pages.texts);
    match &texts.privacy {
        Some(text) => html(StatusCode::OK, CACHING, &OwnPage { site, title: "Privacy", text }),
        None => html(StatusCode::OK, CACHING, &PrivacyPage { site, facts: &texts.facts }),
    }
}

/// What whoever uses this server can expect.
#[utoipa::path(
    get, path = "/terms", tag = "pages",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"))
)]
async fn terms(State(pages): State<Arc<Pages>>) -> Response {
    let (site, texts) = (Site::new(&pages.settings), &pages.texts);
    match &texts.terms {
        Some(text) => html(StatusCode::OK, CACHING, &OwnPage { site, title: "Terms", text }),
        None => html(StatusCode::OK, CACHING, &TermsPage { site, facts: &texts.facts }),
    }
}

#[cfg(test)]
mod tests;
