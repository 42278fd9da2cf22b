//! A disk that takes no more: requests are refused with clear words, the node waits, and everything goes on by
//! itself when there is room again.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test's helpers fail it"
)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::{RECOVERY, SOON, Scene, until};
use regtest::{Network, Satchel};
use serde_json::json;

/// A disk that can be filled, and emptied again.
enum Disk {
    /// A small file system of its own: "no space left on device".
    Small(PathBuf),
    /// A limit on the size of files, for where nothing may be mounted: "file too large".
    Limited,
}

impl Disk {
    fn fill(&self, satchel: &Satchel) {
        match self {
            Self::Small(dir) => {
                let mut size = 1 << 22;
                let mut filler = fs::File::create(dir.join("filler")).unwrap();
                while size > 0 {
                    if std::io::Write::write_all(&mut filler, &vec![0; size]).is_err() {
                        size /= 2;
                    }
                }
            }
            Self::Limited => limit(satchel, "4096:"),
        }
    }

    fn empty(&self, satchel: &Satchel) {
        match self {
            Self::Small(dir) => fs::remove_file(dir.join("filler")).unwrap(),
            Self::Limited => limit(satchel, "unlimited:"),
        }
    }
}

fn limit(satchel: &Satchel, size: &str) {
    let pid = satchel.pid().expect("a process").to_string();
    let done = Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={size}")]).status().unwrap();
    assert!(done.success());
}

/// A mounted file system that goes when the test ends.
struct Mount(PathBuf);

impl Mount {
    /// None where the system forbids it.
    fn small(dir: &Path) -> Option<Self> {
        fs::create_dir_all(dir).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(dir).status();
        mount.is_ok_and(|status| status.success()).then(|| Self(dir.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: whoever still has a file open there is about to end.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_disk_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().canonicalize().unwrap().join("satchel");
    let Some(mount) = Mount::small(&dir) else {
        eprintln!("nothing may be mounted here; see the test with a limit on the size of files");
        return;
    };
    let scene = Scene::of(Network::builder().dir(folder.path())).await;
    full_for_a_while(&scene, &Disk::Small(dir)).await;
    scene.close().await;
    drop(mount);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_can_t_grow() {
    let folder = tempfile::tempdir().unwrap();
    let wrapper = folder.path().join("satchel");
    // Whoever meets the limit is told by an error instead of a signal.
    let text = format!("#!/bin/sh\ntrap '' XFSZ\nexec '{}' \"$@\"\n", env!("CARGO_BIN_EXE_satchel"));
    fs::write(&wrapper, text).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    let scene = Scene::with(Network::builder().satchel_bin(&wrapper)).await;
    full_for_a_while(&scene, &Disk::Limited).await;
    scene.close().await;
}

async fn full_for_a_while(scene: &Scene, disk: &Disk) {
    let (api, satchel, wallet) = (&scene.api, &scene.network.satchel, scene.wallet(1));
    let (open, held) = (scene.funded_gift(2_000, 0).await, scene.funded_gift(2_100, 0).await);
    let unpaid = api.create(2_200).await;
    let hold = scene.hold_for(&held, 1).await;
    api.redeem(&held.order_id, &hold.invoice).await.withdrawal_id();
    wallet.wait_held(&hold.payment_hash, SOON).await.unwrap();
    let (pid, invoice) = (satchel.pid(), scene.invoice_for(&open, 1).await);

    disk.fill(satchel);
    let refused = until("a gift can't be made", SOON, || async {
        let answer = api.post("/create", json!({"amount": 1_000})).await;
        Some(answer).filter(|answer| answer.status != 200)
    })
    .await;
    assert_eq!(refused.refusal(), (503, "NODE_UNAVAILABLE"));
    let refused = api.redeem(&open.order_id, &invoice.invoice).await;
    assert_eq!(refused.refusal(), (503, "NODE_UNAVAILABLE"));
    assert_eq!(api.gift(&open.order_id).await["spent"], false);
    assert_eq!(api.get("/health/live").await.status, 200);

    // Money moves meanwhile, as far as it can without satchel's writing anything down.
    wallet.claim(&hold.payment_hash).await.unwrap();
    scene.note_funding(0, &unpaid.payreq);
    let paying = scene.wallet(0).pay(&unpaid.payreq);
    let waiting = async {
        tokio::time::sleep(Duration::from_secs(6)).await;
        assert_eq!(satchel.pid(), pid, "it goes on");
        assert!(satchel.is_running(), "{}", satchel.log_tail());
        assert_eq!(api.gift(&open.order_id).await["spent"], false);
        disk.empty(satchel);
    };
    let (paid, ()) = tokio::join!(paying, waiting);
    paid.unwrap();
    api.wait_funded(&unpaid.order_id).await;
    api.wait_spent(&held.order_id, json!(true), RECOVERY).await;
    scene.received_once(&held.order_id).await;
    until("gifts can be made again", SOON, || async {
        let answer = api.post("/create", json!({"amount": 1_000})).await;
        (answer.status == 200).then_some(())
    })
    .await;
    api.redeem(&open.order_id, &invoice.invoice).await.withdrawal_id();
    api.wait_spent(&open.order_id, json!(true), RECOVERY).await;
    scene.received_once(&open.order_id).await;
    assert_eq!((satchel.pid(), scene.channels_closed().await), (pid, 0));
    scene.books_agree().await;

    // A power cut while the disk is full.
    let last = scene.funded_gift(2_300, 0).await;
    disk.fill(satchel);
    until("a gift can't be made", SOON, || async {
        (api.post("/create", json!({"amount": 1_000})).await.status != 200).then_some(())
    })
    .await;
    satchel.kill().await.unwrap();
    if let Disk::Small(dir) = disk {
        fs::remove_file(dir.join("filler")).unwrap();
    }
    satchel.start().await.unwrap();
    scene.network.wait_usable().await.unwrap();
    let invoice = scene.invoice_for(&last, 1).await;
    api.redeem(&last.order_id, &invoice.invoice).await.withdrawal_id();
    api.wait_spent(&last.order_id, json!(true), RECOVERY).await;
    scene.received_once(&last.order_id).await;
}
