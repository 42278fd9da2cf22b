//! Tables as spreadsheets write them, and what is read out of them.

use super::text;
use crate::cli::names;
use crate::core::csv::Line;
use crate::core::csv::read::{decode, rows};
use crate::services::shop::csv;

pub(super) fn tables(data: &[u8]) {
    let Ok(text) = decode(data) else { return };
    let Ok(read) = rows(&text) else { return };
    let cells: usize = read.iter().map(|row| row.cells.len()).sum();
    assert!(cells <= text.chars().count() + 1, "no cell from nowhere");
    let mut last = 0;
    for row in &read {
        assert!(!row.cells.is_empty() && row.line > last);
        last = row.line;
    }
    // Written as we write tables they are read the same.
    let written: String = read
        .iter()
        .map(|row| row.cells.iter().fold(Line::default(), |line, cell| line.own(cell)).end())
        .collect();
    if read.first().is_some_and(|row| row.cells[0].starts_with(['\u{feff}', 's'])) {
        // A mark, or the line that says what cells are apart by.
        return;
    }
    let again = rows(&written).unwrap_or_else(|error| panic!("{error} {written:?}"));
    let of =
        |rows: &[crate::core::csv::read::Row]| rows.iter().map(|row| row.cells.clone()).collect::<Vec<_>>();
    assert_eq!(of(&again), of(&read), "{written:?}");
}

/// Lists of names, and products of a shop.
pub(super) fn imports(data: &[u8]) {
    if let Ok(text) = decode(data)
        && let Ok(names) = names::parse(&text)
    {
        assert!(
            names.iter().all(|name| !name.is_empty() && name.trim() == name && name.chars().count() <= 50)
        );
        assert!(!names.iter().any(|name| name.contains(char::is_control)));
        let list =
            names.iter().fold("name\r\n".to_owned(), |list, name| list + &Line::default().own(name).end());
        assert_eq!(names::parse(&list).as_ref(), Ok(&names), "{list:?}");
    }
    let text = text(data);
    let plain = csv::plain(text);
    assert!(plain.len() <= text.len(), "no text from nowhere");
    if let Ok(products) = csv::read(text) {
        let lines = text.lines().count();
        let variants: usize = products.iter().map(|product| product.variants.len()).sum();
        let images: usize = products.iter().map(|product| product.images.len()).sum();
        assert!(variants <= lines && images <= lines && products.iter().all(|one| !one.variants.is_empty()));
        let handles: std::collections::BTreeSet<_> = products.iter().map(|product| &product.handle).collect();
        assert_eq!(handles.len(), products.len(), "each product once");
    }
}
