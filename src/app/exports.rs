//! CSV tables for bookkeepers. Each family defines its own table.

use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::AdminService;
use crate::admin::{AdminError, ExportAdmin, TableKind};
use crate::ledger;
use crate::services::{gifts, l402, tips};
use crate::storage::export::{Place, Span, Table};

const fn table(kind: TableKind) -> Table {
    match kind {
        TableKind::Gifts => gifts::export::GIFTS,
        TableKind::Tips => tips::export::TIPS,
        TableKind::L402 => l402::export::SOLD,
        TableKind::Payouts => ledger::export::PAYOUTS,
        TableKind::Ledger => ledger::export::LEDGER,
    }
}

impl ExportAdmin for AdminService {
    fn part(
        &self,
        kind: TableKind,
        span: Span,
        place: Option<Place>,
    ) -> BoxFuture<'_, Result<Value, AdminError>> {
        Box::pin(async move {
            let table = table(kind);
            let page = self.0.store.read(move |connection| table.page(connection, span, place)).await?;
            Ok(json!({
                "head": table.head,
                "csv": page.csv,
                "lines": page.lines,
                "next": page.next.map(Place::to_text),
            }))
        })
    }
}
