//! The wallet's HTTP face, for programs that aren't written in Rust and for people with curl.

use std::net::TcpListener;
use std::sync::Arc;

use anyhow::{Context, Result};
use axum::extract::rejection::JsonRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::task::AbortHandle;

use super::error::WalletError;
use super::lnurl::{LnurlAuthDone, LnurlPayDone, LnurlPayRequest, LnurlWithdrawDone, LnurlWithdrawRequest};
use super::payment_types::{Invoice, InvoiceRequest, Paid, PayRequest, Payment};
use super::{Inner, WalletBalance, WalletInfo};
use crate::runtime;

type Wallet = State<Arc<Inner>>;
type Body<T> = Result<Json<T>, JsonRejection>;
type Answer<T> = Result<Json<T>, WalletError>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LnurlAuthRequest {
    lnurl: String,
}

/// Serves until the returned handle is used.
pub(super) fn serve(wallet: Arc<Inner>, listener: TcpListener) -> Result<AbortHandle> {
    let routes = Router::new()
        .route("/v1/info", get(info))
        .route("/v1/balance", get(balance))
        .route("/v1/invoice", post(invoice))
        .route("/v1/hold/{payment_hash}/claim", post(claim))
        .route("/v1/hold/{payment_hash}/fail", post(fail))
        .route("/v1/pay", post(pay))
        .route("/v1/payments/{payment_hash}", get(payment))
        .route("/v1/lnurl/withdraw", post(lnurl_withdraw))
        .route("/v1/lnurl/pay", post(lnurl_pay))
        .route("/v1/lnurl/auth", post(lnurl_auth))
        .fallback(|| async { WalletError::NotFound("no such route".to_owned()) })
        .method_not_allowed_fallback(|| async {
            (StatusCode::METHOD_NOT_ALLOWED, Json(json!({"error": "no such method here"})))
        })
        .with_state(wallet);
    let runtime = runtime::handle()?;
    let _inside = runtime.enter();
    let listener = tokio::net::TcpListener::from_std(listener).context("can't listen for HTTP")?;
    let server = runtime.spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::error!(%error, "a wallet's HTTP face ended");
        }
    });
    Ok(server.abort_handle())
}

impl IntoResponse for WalletError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Failed(_) => StatusCode::PAYMENT_REQUIRED,
            Self::Stopped => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(json!({"error": self.to_string()}))).into_response()
    }
}

fn parsed<T>(body: Body<T>) -> Result<T, WalletError> {
    match body {
        Ok(Json(value)) => Ok(value),
        Err(rejection) => Err(WalletError::BadRequest(rejection.body_text())),
    }
}

async fn info(State(wallet): Wallet) -> Answer<WalletInfo> {
    wallet.info().await.map(Json)
}

async fn balance(State(wallet): Wallet) -> Answer<WalletBalance> {
    wallet.balance().await.map(Json)
}

async fn invoice(State(wallet): Wallet, body: Body<InvoiceRequest>) -> Answer<Invoice> {
    wallet.invoice(parsed(body)?).await.map(Json)
}

async fn claim(State(wallet): Wallet, Path(payment_hash): Path<String>) -> Answer<Value> {
    wallet.claim(&payment_hash).await.map(|()| Json(json!({})))
}

async fn fail(State(wallet): Wallet, Path(payment_hash): Path<String>) -> Answer<Value> {
    wallet.fail(&payment_hash).await.map(|()| Json(json!({})))
}

async fn pay(State(wallet): Wallet, body: Body<PayRequest>) -> Answer<Paid> {
    wallet.pay(parsed(body)?).await.map(Json)
}

async fn payment(State(wallet): Wallet, Path(payment_hash): Path<String>) -> Answer<Payment> {
    wallet.payment(&payment_hash).await.map(Json)
}

async fn lnurl_withdraw(
    State(wallet): Wallet,
    body: Body<LnurlWithdrawRequest>,
) -> Answer<LnurlWithdrawDone> {
    wallet.lnurl_withdraw(parsed(body)?).await.map(Json)
}

async fn lnurl_pay(State(wallet): Wallet, body: Body<LnurlPayRequest>) -> Answer<LnurlPayDone> {
    wallet.lnurl_pay(parsed(body)?).await.map(Json)
}

async fn lnurl_auth(State(wallet): Wallet, body: Body<LnurlAuthRequest>) -> Answer<LnurlAuthDone> {
    wallet.lnurl_auth(&parsed(body)?.lnurl).await.map(Json)
}
