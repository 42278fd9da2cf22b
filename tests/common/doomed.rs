//! Starts satchel so that it dies at a named point.

use std::fs;
use std::path::PathBuf;

use regtest::Satchel;

use super::{SOON, Scene};

/// A satchel that will die.
pub struct Doomed<'a> {
    satchel: &'a Satchel,
    switch: PathBuf,
}

impl<'a> Doomed<'a> {
    /// Starts satchel again with a point set, which counts from [`Doomed::arm`] on.
    pub async fn start(scene: &'a Scene, point: &str, skip: u32) -> Self {
        let action = if skip == 0 { "return".to_owned() } else { format!("{skip}*off->return") };
        Self::start_with(scene, &format!("{point}={action}")).await
    }

    /// The same with the value of `FAILPOINTS`.
    pub async fn start_with(scene: &'a Scene, points: &str) -> Self {
        let satchel = &scene.network.satchel;
        let switch = satchel.data_dir().join("armed");
        let env = [
            ("FAILPOINTS".to_owned(), points.to_owned()),
            ("FAILPOINTS_ARMED_BY".to_owned(), switch.display().to_string()),
        ];
        satchel.stop().await.unwrap();
        satchel.start_with(&env).await.unwrap();
        scene.network.wait_usable().await.unwrap();
        Self { satchel, switch }
    }

    /// From now on times count.
    pub fn arm(&self) {
        fs::write(&self.switch, "").unwrap();
    }

    /// Sees it die, and starts it as usual.
    pub async fn dies_and_rises(self) {
        self.dies().await;
        super::rises(self.satchel).await;
    }

    /// From now on nothing happens at the points any more.
    pub fn disarm(&self) {
        fs::remove_file(&self.switch).unwrap();
    }

    /// Kills it, and leaves it so.
    pub async fn kill(&self) {
        self.satchel.kill().await.unwrap();
        self.disarm();
    }

    /// Sees it die, and leaves it so.
    pub async fn dies(&self) {
        let status = self.satchel.wait_exit(SOON).await.unwrap();
        assert!(!status.success(), "{status}");
        fs::remove_file(&self.switch).unwrap();
    }
}
