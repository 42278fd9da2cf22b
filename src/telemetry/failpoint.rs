//! Named places where a test can end the process as `SIGKILL` would, to prove what a crash leaves behind.
//!
//! With the feature `failpoints`, `FAILPOINTS="payout.after_send=3*off->return"` ends the process the
//! fourth time that place is reached. With `FAILPOINTS_ARMED_BY` naming a file, times are counted only
//! from when that file exists: a start passes many of these places itself. Without the feature the macro
//! is nothing at all.

/// Ends the process here if a test asked for it.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        {
            fail::fail_point!($name, $crate::telemetry::failpoint::armed(), |_| {
                $crate::telemetry::failpoint::die($name)
            });
        }
    };
}

/// Ends the process at once: no destructor, no flush, no answer to anybody.
#[cfg(feature = "failpoints")]
pub fn die(name: &str) -> ! {
    eprintln!("failpoint {name}: ending the process");
    std::process::abort();
}

/// Whether times are counted yet.
#[cfg(feature = "failpoints")]
pub fn armed() -> bool {
    use std::path::PathBuf;
    use std::sync::OnceLock;
    static SWITCH: OnceLock<Option<PathBuf>> = OnceLock::new();
    let switch = SWITCH.get_or_init(|| std::env::var_os("FAILPOINTS_ARMED_BY").map(PathBuf::from));
    switch.as_ref().is_none_or(|file| file.exists())
}

/// Reads `FAILPOINTS` from the environment; the guard must live as long as the process.
#[cfg(feature = "failpoints")]
pub fn setup() -> fail::FailScenario<'static> {
    fail::FailScenario::setup()
}
