//! Builds `bitcoind` from the source that the crate `libbitcoinkernel-sys` carries, for machines without one.
//!
//! Called by [`crate::bitcoind::locate`] when nothing else is found. It takes minutes, so it says on standard error
//! what it does. The result appears in the cache in one step: a build that is cut off leaves nothing that looks
//! finished, and of two builds at the same time the second waits for the first.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};
use serde_json::Value;

/// The crate whose source is built; its version is part of the cache's path.
const CRATE: &str = "libbitcoinkernel-sys";
/// The version of `CRATE`.
pub const VERSION: &str = "0.4.1";

/// A daemon without wallet, tests, graphical interface and optional libraries: all that a test network needs.
const CMAKE_FLAGS: [&str; 14] = [
    "-DBUILD_DAEMON=ON",
    "-DBUILD_CLI=ON",
    "-DENABLE_WALLET=OFF",
    "-DBUILD_TESTS=OFF",
    "-DBUILD_BENCH=OFF",
    "-DBUILD_GUI=OFF",
    "-DBUILD_TX=OFF",
    "-DBUILD_UTIL=OFF",
    "-DENABLE_IPC=OFF",
    "-DWITH_ZMQ=OFF",
    "-DWITH_EMBEDDED_ASMAP=OFF",
    "-DENABLE_EXTERNAL_SIGNER=OFF",
    "-DBUILD_BITCOIN_BIN=OFF",
    "-DCMAKE_BUILD_TYPE=Release",
];

/// A progress line at most this often while the compiler runs.
const REPORT_EVERY: Duration = Duration::from_secs(10);

/// Builds `bitcoind` and puts it at `target`. Blocks for minutes: call it from a thread that may.
///
/// # Errors
/// Tools or libraries are missing (the message has the line that installs them), the source can't be fetched, or the
/// build failed (the message has the end of its output).
pub fn build(target: &Path) -> Result<()> {
    let missing = missing_packages();
    if !missing.is_empty() {
        bail!(
            "there is no bitcoind here and these Debian packages are missing to build it: {0}\n  \
             apt-get install -y --no-install-recommends {0}\n\
             or set BITCOIND to a bitcoind of your own",
            missing.join(" ")
        );
    }
    let folder = target.parent().context("the target of the bitcoind build has no folder")?;
    fs::create_dir_all(folder).with_context(|| format!("can't create {}", folder.display()))?;
    let lock = File::create(folder.join(".build.lock")).context("can't create the build's lock file")?;
    if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
        report("another process is building bitcoind; waiting for it");
        flock(&lock, FlockOperation::LockExclusive).context("can't wait for the other build of bitcoind")?;
    }
    if target.is_file() {
        return Ok(());
    }
    let started = Instant::now();
    report("building bitcoind once (about 7 minutes on two cores); it is kept in the cache");
    let work =
        tempfile::Builder::new().prefix("bitcoind-build-").tempdir().context("can't create a folder")?;
    let source = fetch_source(&work.path().join("fetch"))?;
    let build = work.path().join("build");
    configure(&source, &build)?;
    compile(&build, started)?;
    install(&build.join("bin").join("bitcoind"), target)?;
    report(&format!("bitcoind is built, after {} s: {}", started.elapsed().as_secs(), target.display()));
    Ok(())
}

/// Debian packages that the build needs and this machine lacks.
pub fn missing_packages() -> Vec<&'static str> {
    let mut missing = Vec::new();
    for (program, package) in
        [("cmake", "cmake"), ("c++", "g++"), ("make", "make"), ("pkg-config", "pkg-config")]
    {
        if !runs(program, &["--version"]) {
            missing.push(package);
        }
    }
    if !Path::new("/usr/include/boost/version.hpp").exists() && !has_header("boost/version.hpp") {
        missing.push("libboost-dev");
    }
    if !runs("pkg-config", &["--exists", "libevent"]) {
        missing.push("libevent-dev");
    }
    missing
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Whether the C++ compiler finds a header, wherever the system keeps it.
fn has_header(header: &str) -> bool {
    runs("c++", &["-x", "c++", "-fsyntax-only", "-include", header, "/dev/null"])
}

fn report(line: &str) {
    eprintln!("[regtest] {line}");
}

/// Lets cargo fetch the crate and returns the folder of the Bitcoin source in it.
///
/// # Errors
/// Cargo is missing, or can't fetch the crate.
pub fn fetch_source(work: &Path) -> Result<PathBuf> {
    report(&format!("fetching the source ({CRATE} {VERSION})"));
    fs::create_dir_all(work.join("src")).context("can't create a folder for fetching the source")?;
    let manifest = work.join("Cargo.toml");
    // The empty workspace table keeps cargo from looking for a workspace further up.
    let project = format!(
        "[package]\nname = \"bitcoind-source\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n\
         [dependencies]\n{CRATE} = \"={VERSION}\"\n\n[workspace]\n"
    );
    fs::write(&manifest, project).context("can't write the project that fetches the source")?;
    fs::write(work.join("src").join("lib.rs"), "")
        .context("can't write the project that fetches the source")?;
    cargo(&manifest, &["fetch", "--quiet"])?;
    let metadata = cargo(&manifest, &["metadata", "--format-version", "1"])?;
    source_folder(&metadata)
        .with_context(|| format!("cargo fetched no {CRATE} {VERSION} with a bitcoin folder"))
}

fn cargo(manifest: &Path, arguments: &[&str]) -> Result<String> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(arguments)
        .arg("--manifest-path")
        .arg(manifest)
        .stdin(Stdio::null())
        .output()
        .context("can't run cargo, which fetches the source of bitcoind")?;
    if !output.status.success() {
        bail!("cargo {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn source_folder(metadata: &str) -> Option<PathBuf> {
    let metadata: Value = serde_json::from_str(metadata).ok()?;
    let package = metadata.get("packages")?.as_array()?.iter().find(|package| {
        package.get("name").and_then(Value::as_str) == Some(CRATE)
            && package.get("version").and_then(Value::as_str) == Some(VERSION)
    })?;
    let source = Path::new(package.get("manifest_path")?.as_str()?).parent()?.join("bitcoin");
    source.is_dir().then_some(source)
}

/// Runs CMake's configuration step.
///
/// # Errors
/// CMake refuses; the message has the end of its output.
pub fn configure(source: &Path, build: &Path) -> Result<()> {
    report("configuring");
    let output = Command::new("cmake")
        .arg("-S")
        .arg(source)
        .arg("-B")
        .arg(build)
        .args(CMAKE_FLAGS)
        .stdin(Stdio::null())
        .output()
        .context("can't run cmake")?;
    if !output.status.success() {
        bail!("cmake can't configure bitcoind:\n{}", tail(&String::from_utf8_lossy(&output.stderr), 30));
    }
    Ok(())
}

fn compile(build: &Path, started: Instant) -> Result<()> {
    let jobs = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).to_string();
    let log = build.join("compile-errors.log");
    let errors = File::create(&log).context("can't write the build's log")?;
    let mut child = Command::new("cmake")
        .args([OsStr::new("--build"), build.as_os_str(), OsStr::new("--target"), OsStr::new("bitcoind")])
        .args(["--parallel", &jobs])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(errors)
        .spawn()
        .context("can't run cmake")?;
    let output = child.stdout.take().context("no output from cmake")?;
    let mut reported = Instant::now();
    for line in BufReader::new(output).lines() {
        let line = line.context("can't read cmake's output")?;
        if let Some(percent) = percentage(&line)
            && reported.elapsed() >= REPORT_EVERY
        {
            reported = Instant::now();
            report(&format!("building bitcoind: {percent} %, {} s", started.elapsed().as_secs()));
        }
    }
    if !child.wait().context("can't wait for cmake")?.success() {
        let text = fs::read_to_string(&log).unwrap_or_default();
        bail!("the build of bitcoind failed:\n{}", tail(&text, 40));
    }
    Ok(())
}

/// The percentage at the start of a line of make's output, as `[ 42%] Building …`.
fn percentage(line: &str) -> Option<u8> {
    line.strip_prefix('[')?.split_once("%]")?.0.trim().parse().ok()
}

fn tail(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all.get(all.len().saturating_sub(lines)..).unwrap_or_default().join("\n")
}

/// Copies beside the target first: a rename within one file system is atomic.
fn install(built: &Path, target: &Path) -> Result<()> {
    let name = format!(".bitcoind.{}", std::process::id());
    let beside = target.with_file_name(name);
    fs::copy(built, &beside).with_context(|| format!("can't copy {} into the cache", built.display()))?;
    fs::rename(&beside, target).with_context(|| format!("can't put bitcoind at {}", target.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_percentages() {
        assert_eq!(percentage("[  3%] Building CXX object a.o"), Some(3));
        assert_eq!(percentage("[100%] Built target bitcoind"), Some(100));
        assert_eq!(percentage("-- Configuring done"), None);
    }

    #[test]
    fn tail_keeps_the_last_lines() {
        assert_eq!(tail("a\nb\nc", 2), "b\nc");
        assert_eq!(tail("a", 5), "a");
        assert_eq!(tail("", 5), "");
    }

    #[test]
    fn finds_the_source_in_cargos_answer() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("bitcoin")).unwrap();
        let manifest = folder.path().join("Cargo.toml");
        let metadata = |version: &str| {
            serde_json::json!({"packages": [
                {"name": "other", "version": VERSION, "manifest_path": "/x/Cargo.toml"},
                {"name": CRATE, "version": version, "manifest_path": manifest},
            ]})
            .to_string()
        };
        assert_eq!(source_folder(&metadata(VERSION)), Some(folder.path().join("bitcoin")));
        assert_eq!(source_folder(&metadata("0.0.9")), None);
        assert_eq!(source_folder("nonsense"), None);
    }

    #[test]
    fn installs_in_one_step_and_leaves_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let built = folder.path().join("built");
        fs::write(&built, "binary").unwrap();
        let cache = folder.path().join("cache");
        fs::create_dir(&cache).unwrap();
        install(&built, &cache.join("bitcoind")).unwrap();
        assert_eq!(fs::read_to_string(cache.join("bitcoind")).unwrap(), "binary");
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1);
    }

    #[test]
    #[ignore = "fetches a crate and runs cmake, for a minute or so"]
    fn the_source_configures() {
        let work = tempfile::tempdir().unwrap();
        let source = fetch_source(&work.path().join("fetch")).unwrap();
        configure(&source, &work.path().join("build")).unwrap();
        assert!(work.path().join("build").join("Makefile").exists());
    }
}
