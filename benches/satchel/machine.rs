//! What this machine is, so that the numbers mean something to somebody else.

use std::fs;
use std::io::Write;
use std::time::Instant;

/// Writes for the disk's part.
const SYNCS: usize = 200;

/// A few lines for above the table.
pub(crate) fn facts() -> String {
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let kernel = read("/proc/sys/kernel/osrelease");
    let processor =
        read("/proc/cpuinfo").lines().find_map(|line| line.strip_prefix("model name")).map_or_else(
            || "unknown processor".to_owned(),
            |rest| rest.trim_start_matches([' ', '\t', ':']).to_owned(),
        );
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("?");
    let disk = match sync_latency() {
        Ok((median, slow)) => {
            format!("4 KiB written and fdatasync'd: median {median} µs, 99 % within {slow} µs")
        }
        Err(error) => format!("the disk could not be measured: {error}"),
    };
    format!(
        "{cores} cores ({processor}), Linux {}, load {load} at the end\n{disk} (in {})\n",
        kernel.trim(),
        std::env::temp_dir().display()
    )
}

/// Median and 99th percentile of small synchronous writes, in microseconds.
fn sync_latency() -> std::io::Result<(u128, u128)> {
    let mut file = tempfile::tempfile()?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        let began = Instant::now();
        file.write_all(&[7; 4_096])?;
        file.sync_data()?;
        times.push(began.elapsed().as_micros());
    }
    times.sort_unstable();
    let at = |share: usize| times.get(SYNCS * share / 100).copied().unwrap_or_default();
    Ok((at(50), at(99)))
}
