//! The admin socket's file: ours if systemd hands it over, else bound here; a file that a dead daemon left is replaced, one that a
//! live daemon answers on is not.

use super::StartError;
use super::config::AdminConfig;
use crate::admin::peer::{Roles, is_alive};
use listenfd::ListenFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

/// The bound socket; dropping it removes the file, if we made it.
pub struct AdminSocket {
    pub listener: Option<UnixListener>,
    path: PathBuf,
    ours: bool,
}

impl AdminSocket {
    /// Where it is, for the operator.
    #[must_use]
    pub fn shown(&self) -> String {
        if self.ours { self.path.display().to_string() } else { "handed over by systemd".to_owned() }
    }
}

impl Drop for AdminSocket {
    fn drop(&mut self) {
        if self.ours {
            // Nothing is lost when it stays: the next start replaces it.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Nobody answers there: called before anything is opened, so that a second daemon stops at once.
///
/// # Errors
/// Somebody does.
pub fn is_free(config: &AdminConfig) -> Result<(), StartError> {
    let handed_over = std::env::var_os("LISTEN_FDS").is_some();
    if !handed_over && is_alive(&config.socket) {
        return Err(StartError::SocketInUse { socket: config.socket.display().to_string() });
    }
    Ok(())
}

/// Takes the socket. To be called with the store locked: then a file that is there belongs to nobody.
///
/// # Errors
/// It can't be bound.
pub fn take(config: &AdminConfig, roles: &Roles) -> Result<AdminSocket, StartError> {
    let refused = |why: String| StartError::Socket { socket: config.socket.display().to_string(), why };
    if let Some(listener) = ListenFd::from_env().take_unix_listener(0).map_err(|e| refused(e.to_string()))? {
        return Ok(AdminSocket { listener: Some(listener), path: config.socket.clone(), ours: false });
    }
    let stale = std::fs::symlink_metadata(&config.socket);
    match stale {
        Ok(found) if found.file_type().is_socket() => {
            std::fs::remove_file(&config.socket).map_err(|e| refused(e.to_string()))?;
        }
        Ok(_) => return Err(refused("there is a file of that name which is no socket".into())),
        Err(_) => {}
    }
    let listener = UnixListener::bind(&config.socket).map_err(|e| refused(e.to_string()))?;
    let socket = AdminSocket { listener: Some(listener), path: config.socket.clone(), ours: true };
    permit(&config.socket, roles).map_err(|e| refused(e.to_string()))?;
    Ok(socket)
}

/// The file's mode is the first gate, the peer's uid the second: with a group or with roles the file must let others knock.
fn permit(socket: &Path, roles: &Roles) -> std::io::Result<()> {
    let mode = if roles.names_others() {
        0o666
    } else if let Some(group) = roles.group() {
        std::os::unix::fs::chown(socket, None, Some(group.gid))?;
        0o660
    } else {
        0o600
    };
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(mode))
}
