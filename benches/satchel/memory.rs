//! What satchel's process holds in memory.

use std::fs;

use anyhow::{Context, Result};

use crate::site::Site;

/// In MB of 1,024 × 1,024 bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    /// Now.
    pub(crate) resident_mb: f64,
    /// The most since its start, or since [`forget_peak`].
    pub(crate) peak_mb: f64,
}

impl Memory {
    /// Of satchel as it runs now.
    ///
    /// # Errors
    /// It doesn't run, or the system doesn't tell.
    pub(crate) fn of(site: &Site) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{}/status", pid(site)?))
            .context("can't look at satchel's memory")?;
        let mb = |name: &str| -> Result<f64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).context("no such line")?;
            let kib: f64 = line.trim_end_matches("kB").trim().parse().context("no number")?;
            Ok(kib / 1_024.0)
        };
        Ok(Self { resident_mb: mb("VmRSS:")?, peak_mb: mb("VmHWM:")? })
    }
}

/// Lets the peak begin anew from what is held now.
///
/// # Errors
/// It doesn't run, or the system doesn't allow it.
pub(crate) fn forget_peak(site: &Site) -> Result<()> {
    fs::write(format!("/proc/{}/clear_refs", pid(site)?), "5").context("can't reset satchel's memory peak")
}

fn pid(site: &Site) -> Result<u32> {
    site.satchel().pid().context("satchel doesn't run")
}
