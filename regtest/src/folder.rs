//! Where a network keeps its files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// A folder for one network. A temporary one is deleted at the end, unless the network didn't come up, the test
/// failed, or `REGTEST_KEEP` is set.
#[derive(Debug)]
pub(crate) enum Folder {
    Given(PathBuf),
    Temporary(TempDir),
}

impl Folder {
    /// Makes a folder; a given one must not hold a network already, whose ports and keys would be lost.
    pub(crate) fn new(given: Option<PathBuf>) -> Result<Self> {
        let Some(path) = given else {
            let folder = tempfile::Builder::new().prefix("satchel-regtest-").tempdir();
            return Ok(Self::Temporary(folder.context("can't create a folder for the network")?));
        };
        std::fs::create_dir_all(&path).with_context(|| format!("can't create {}", path.display()))?;
        if path.join("bitcoind").exists() {
            bail!("{} holds an earlier network: delete it or name another folder", path.display());
        }
        let path = path.canonicalize().with_context(|| format!("can't find {}", path.display()))?;
        Ok(Self::Given(path))
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Given(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }

    /// Leaves the files for someone to look at.
    pub(crate) fn keep(&mut self) {
        if let Self::Temporary(folder) = self {
            folder.disable_cleanup(true);
            eprintln!("[regtest] the network's files stay in {}", folder.path().display());
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() || std::env::var_os("REGTEST_KEEP").is_some() {
            self.keep();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_temporary_folder_goes_unless_it_is_kept() {
        let folder = Folder::new(None).unwrap();
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());

        let mut folder = Folder::new(None).unwrap();
        folder.keep();
        let path = folder.path().to_owned();
        drop(folder);
        assert!(path.exists());
        std::fs::remove_dir(path).unwrap();
    }

    #[test]
    fn a_used_folder_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("network");
        assert!(Folder::new(Some(path.clone())).is_ok());
        assert!(Folder::new(Some(path.clone())).is_ok());
        std::fs::create_dir(path.join("bitcoind")).unwrap();
        assert!(Folder::new(Some(path.clone())).is_err());
        assert!(path.exists());
    }
}
