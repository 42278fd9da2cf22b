//! Child processes that never outlive this one.
//!
//! Used for `bitcoind` and `satchel`. A child is killed when its handle is dropped. Against a parent that is itself
//! killed without a chance to clean up, children are started through util-linux's `setpriv --pdeathsig KILL` where that
//! is installed: the kernel then kills them when the thread that started them ends, which is why one thread that lives
//! as long as the process starts them all.

use std::io;
use std::process::{Child, Command, ExitStatus};
use std::sync::{LazyLock, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How often a waiting caller looks whether a child has ended.
const POLL: Duration = Duration::from_millis(20);

type Job = (Command, mpsc::Sender<io::Result<Child>>);

static SPAWNER: LazyLock<mpsc::Sender<Job>> = LazyLock::new(|| {
    let (sender, jobs) = mpsc::channel::<Job>();
    std::thread::spawn(move || {
        for (mut command, answer) in jobs {
            if let Err(mpsc::SendError(Ok(mut orphan))) = answer.send(command.spawn()) {
                // Nobody waits for this child any more, so nobody else would end it.
                let _ = orphan.kill();
                let _ = orphan.wait();
            }
        }
    });
    sender
});

static SETPRIV: LazyLock<bool> = LazyLock::new(|| {
    Command::new("setpriv")
        .arg("--help")
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("--pdeathsig"))
});

/// A command for `program` whose process dies with this one, where the system can do that.
pub fn command(program: &std::path::Path) -> Command {
    if *SETPRIV {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    }
}

/// A running child process. Dropping it kills it.
#[derive(Debug)]
pub struct Managed {
    child: Child,
    name: &'static str,
}

impl Managed {
    /// Starts a child. `name` is for messages.
    ///
    /// # Errors
    /// The program can't be started.
    pub fn spawn(name: &'static str, command: Command) -> Result<Self> {
        let (answer, child) = mpsc::channel();
        SPAWNER.send((command, answer)).map_err(|_| anyhow!("the thread that starts processes has ended"))?;
        let child = child
            .recv()
            .map_err(|_| anyhow!("the thread that starts processes has ended"))?
            .with_context(|| format!("can't start {name}"))?;
        Ok(Self { child, name })
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The exit status, once the child has ended.
    ///
    /// # Errors
    /// The system can't tell.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("can't ask for the state of {}", self.name))
    }

    /// Asks the child to stop (SIGTERM). A child that has already ended is no error.
    ///
    /// # Errors
    /// The signal can't be sent.
    pub fn terminate(&mut self) -> Result<()> {
        if self.exited()?.is_some() {
            return Ok(());
        }
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .context("a process id out of range")?;
        kill_process(pid, Signal::TERM).with_context(|| format!("can't send SIGTERM to {}", self.name))
    }

    /// Ends the child at once (SIGKILL) and waits until it is gone.
    ///
    /// # Errors
    /// The signal can't be sent.
    pub fn kill(&mut self) -> Result<()> {
        if self.exited()?.is_none() {
            self.child.kill().with_context(|| format!("can't kill {}", self.name))?;
            self.child.wait().with_context(|| format!("can't wait for {}", self.name))?;
        }
        Ok(())
    }

    /// Waits until the child has ended by itself.
    ///
    /// # Errors
    /// It still runs after `limit`.
    pub async fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let end = Instant::now() + limit;
        loop {
            if let Some(status) = self.exited()? {
                return Ok(status);
            }
            if Instant::now() >= end {
                bail!("{} (process {}) still runs after {limit:?}", self.name, self.pid());
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

impl Drop for Managed {
    fn drop(&mut self) {
        // At this point nothing more can be done about a failure.
        let _ = self.kill();
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn sleeper() -> Managed {
        let mut command = command(Path::new("/bin/sleep"));
        command.arg("1000");
        Managed::spawn("sleep", command).unwrap()
    }

    fn runs(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}")).exists()
    }

    #[tokio::test]
    async fn terminates_and_tells_the_status() {
        let mut child = sleeper();
        assert!(child.wait(Duration::from_millis(50)).await.is_err());
        child.terminate().unwrap();
        assert!(!child.wait(Duration::from_secs(5)).await.unwrap().success());
        child.terminate().unwrap();
    }

    #[test]
    fn a_dropped_child_is_gone() {
        let child = sleeper();
        let pid = child.pid();
        assert!(runs(pid));
        drop(child);
        assert!(!runs(pid));
    }

    #[test]
    fn a_missing_program_is_an_error_or_a_failed_child() {
        match Managed::spawn("nothing", command(Path::new("/no/such/program"))) {
            Err(_) => {}
            Ok(mut child) => assert!(!child.child.wait().unwrap().success()),
        }
    }
}
