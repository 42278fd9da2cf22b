//! `[admin]`: where the operator's API listens.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::fields;

/// `[admin]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Admin {
    /// The address of the operator's API, apart from the public one; `None`: none, for commands by the socket alone.
    #[serde(with = "fields::optional_address")]
    pub listen: Option<SocketAddr>,
    /// Whether it listens on a Unix socket in the data folder too.
    pub socket: bool,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: Some(SocketAddr::from(([127, 0, 0, 1], 3001))), socket: true }
    }
}

/// The Unix socket of the operator's API.
pub fn admin_socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.sock")
}
