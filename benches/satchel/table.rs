//! The table that is printed at the end.

use std::fmt;

/// One line of it.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) measured: String,
    pub(crate) baseline: String,
    pub(crate) ratio: String,
    pub(crate) target: String,
    pub(crate) met: Option<bool>,
}

impl Row {
    /// A line that has nothing to be compared with.
    pub(crate) fn plain(what: impl Into<String>, measured: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            measured: measured.into(),
            baseline: String::new(),
            ratio: String::new(),
            target: String::new(),
            met: None,
        }
    }

    /// The same with a target.
    pub(crate) fn target(self, target: impl Into<String>, met: bool) -> Self {
        Self { target: target.into(), met: Some(met), ..self }
    }

    /// A rate beside its baseline, with the least ratio that is wanted.
    pub(crate) fn against(what: impl Into<String>, rate: f64, baseline: Option<f64>, least: f64) -> Self {
        let row = Self::plain(what, format!("{}/s", number(rate)));
        let Some(baseline) = baseline.filter(|baseline| *baseline > 0.0) else {
            return Self { target: format!("≥ {least} × baseline"), ..row };
        };
        let ratio = rate / baseline;
        Self { baseline: format!("{}/s", number(baseline)), ratio: format!("{ratio:.2}"), ..row }
            .target(format!("≥ {least} × baseline"), ratio >= least)
    }
}

/// A number as people read it: with thousands apart, and tenths only where they matter.
pub(crate) fn number(value: f64) -> String {
    if value < 1_000.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// All lines.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    /// Adds a line, and shows it at once on standard error.
    pub(crate) fn add(&mut self, row: Row) {
        let met = row.met.map_or("", yes_or_no);
        crate::progress(&format!("{}: {} {} {met}", row.what, row.measured, row.ratio));
        self.rows.push(row);
    }
}

fn yes_or_no(met: bool) -> &'static str {
    if met { "yes" } else { "no" }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = ["what", "measured", "baseline", "ratio", "target", "met"].map(str::to_owned);
        let mut lines = vec![head.clone(), head.map(|_| "---".to_owned())];
        lines.extend(self.rows.iter().cloned().map(|row| {
            let met = row.met.map_or(String::new(), |met| yes_or_no(met).to_owned());
            [row.what, row.measured, row.baseline, row.ratio, row.target, met]
        }));
        let mut widths = [0; 6];
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for line in &lines {
            f.write_str("|")?;
            for (width, cell) in widths.iter().zip(line) {
                let fill = if cell == "---" { "-" } else { " " };
                let cell = if cell == "---" { "" } else { cell };
                let padding = fill.repeat(width - cell.chars().count());
                write!(f, " {cell}{padding} |")?;
            }
            f.write_str("\n")?;
        }
        Ok(())
    }
}
