//! Tables in Shopify's format of exported products.

use serde_json::json;

use super::setup::World;
use crate::admin::StoreAdmin;
use crate::services::shop::csv::{BadTable, plain, read};

const TABLE: &str = include_str!("products_export.csv");

#[test]
fn export_is_read_as_shopify_writes_it() {
    let products = read(TABLE).unwrap();
    let handles: Vec<_> = products.iter().map(|product| product.handle.as_str()).collect();
    assert_eq!(handles, ["lightning-tee", "node-mug", "sticker-pack", "workshop-ticket", "old-poster"]);
    let tee = &products[0];
    assert_eq!(tee.title, "Lightning Tee");
    assert_eq!(tee.description, "A soft shirt, \"made\" in Portugal.\n100 % cotton\nWash at 30°");
    assert_eq!(tee.images.len(), 2);
    let variants: Vec<_> = tee
        .variants
        .iter()
        .map(|variant| {
            (variant.title.as_str(), variant.sku.as_str(), variant.price.to_string(), variant.stock)
        })
        .collect();
    assert_eq!(
        variants,
        [
            ("S / Black", "TEE-S-BLK", "25".into(), Some(12)),
            ("M / Black", "TEE-M-BLK", "25".into(), Some(0)),
            ("L / Orange", "TEE-L-ORG", "27.5".into(), Some(3)),
        ]
    );
    assert!(tee.variants[1].oversell && !tee.variants[0].oversell);
    assert_eq!(products[1].variants[0].title, "Default Title");
    assert_eq!(products[2].variants[0].stock, None);
    assert!(!products[3].variants[0].ships && !products[3].variants[0].taxable);
    assert!(products[0].active && !products[4].active);
}

#[test]
fn bad_tables_are_refused_with_their_line() {
    assert_eq!(read(""), Err(BadTable::NoColumn("Handle")));
    assert_eq!(read("Handle,Title\na,b\n"), Err(BadTable::NoColumn("Variant Price")));
    let head = "Handle,Title,Variant Price,Variant Inventory Tracker,Variant Inventory Qty\n";
    let of = |lines: &str| match read(&format!("{head}{lines}")) {
        Err(BadTable::Line { line, .. }) => line,
        other => panic!("{other:?}"),
    };
    assert_eq!(of("a,A,1,,\nb,B,cheap,,\n"), 3);
    assert_eq!(of("a,\"A\nA\",1,,\n,B,1,,\n"), 4);
    assert_eq!(of("a,A,1,shopify,many\n"), 2);
    assert_eq!(of("a,\"A,1,,\n"), 2);
    assert_eq!(read(&format!("{head}\n,,,,\n")).unwrap(), []);
}

#[test]
fn table_of_a_spreadsheet_is_read_too() {
    let table = "\u{feff}Handle;Title;Variant Price\r\nmug;\"Mug; blue, large\";12.50\r\n";
    let products = read(table).unwrap();
    assert_eq!(
        (products[0].title.as_str(), products[0].variants[0].price.to_string()),
        ("Mug; blue, large", "12.5".into())
    );
    assert_eq!(read(&table.replace(';', "\t").replace("Mug\t", "Mug;")).unwrap(), products);
}

#[test]
fn markup_becomes_plain_text() {
    assert_eq!(plain("<p>One &amp; two</p><ul><li>a</li><li>b</li></ul>"), "One & two\na\nb");
    assert_eq!(plain("1 < 2"), "1 < 2");
    assert_eq!(plain("<script>alert(1)</script>"), "alert(1)");
    assert_eq!(plain("&amp;lt;"), "&lt;");
}

#[tokio::test(flavor = "multi_thread")]
async fn imported_twice_is_one_catalogue() {
    let world = World::new().await;
    for _ in 0..2 {
        StoreAdmin::put(&world.shop, "mugs".into(), read(TABLE).unwrap()).await.unwrap();
    }
    let shown = world.get("/api/shopify/mugs/catalog").await.ok();
    let products = shown["products"].as_array().unwrap();
    assert_eq!(products.len(), 4);
    let variants = products[0]["variants"].as_array().unwrap();
    let available: Vec<_> = variants.iter().map(|variant| variant["available"].as_bool().unwrap()).collect();
    assert_eq!(available, [true, true, true]);
    assert_eq!(variants[2]["priceUsd"], json!(27.5));
    // What needs no shipping costs none, and no tax if it says so.
    let ticket = products[3]["variants"][0]["variantId"].as_i64().unwrap();
    assert_eq!(world.ask("mugs", ticket).await["totalUsd"], 49);
}
