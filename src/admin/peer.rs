//! Who speaks on the admin socket: the peer's uid by SO_PEERCRED, and the role that the configuration gives it. The kernel vouches
//! for the uid, so there are no passwords here.

use super::problem::Problem;
use crate::daemon::config::{AdminConfig, Role};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::serve::{IncomingStream, Listener};
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections at once; a further one waits in the listen queue until another is closed.
pub const CONNECTIONS_MAX: usize = 64;

/// The process at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub uid: u32,
    pub gid: u32,
}

/// Which role a uid has.
#[derive(Debug)]
pub struct Roles {
    own_uid: u32,
    by_uid: BTreeMap<u32, Role>,
    group: Option<Group>,
}

/// A group of `/etc/group`: only files are asked, so that a directory server that hangs can't lock the operator out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub gid: u32,
    members: Vec<u32>,
}

impl Roles {
    /// # Errors
    /// A user or the group that the configuration names is not known: one line.
    pub fn new(config: &AdminConfig) -> Result<Roles, String> {
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let groups = std::fs::read_to_string("/etc/group").unwrap_or_default();
        Roles::from_files(config, &passwd, &groups)
    }

    fn from_files(config: &AdminConfig, passwd: &str, groups: &str) -> Result<Roles, String> {
        let mut by_uid = BTreeMap::new();
        for (who, role) in &config.roles {
            let uid = who.parse().ok().or_else(|| uid_of(passwd, who));
            let uid = uid.ok_or_else(|| format!("[admin.roles] names `{who}`, who is not in /etc/passwd"))?;
            by_uid.insert(uid, *role);
        }
        let group = match &config.group {
            None => None,
            Some(name) => Some(group_of(groups, passwd, name).ok_or_else(|| {
                format!("[admin] group `{name}` is not in /etc/group; make it with `groupadd {name}`")
            })?),
        };
        Ok(Roles { own_uid: rustix::process::geteuid().as_raw(), by_uid, group })
    }

    /// The group that the socket file is given to.
    #[must_use]
    pub fn group(&self) -> Option<&Group> {
        self.group.as_ref()
    }

    /// Whether single users have roles, so that the file's group can't be the gate.
    #[must_use]
    pub fn names_others(&self) -> bool {
        !self.by_uid.is_empty()
    }

    /// The role of a peer, if it has one.
    #[must_use]
    pub fn of(&self, peer: Peer) -> Option<Role> {
        if peer.uid == 0 || peer.uid == self.own_uid {
            return Some(Role::Admin);
        }
        let by_group = || {
            let group = self.group.as_ref()?;
            (group.gid == peer.gid || group.members.contains(&peer.uid)).then_some(Role::Operator)
        };
        self.by_uid.get(&peer.uid).copied().or_else(by_group)
    }
}

/// `name:password:uid:gid:...`
fn uid_of(passwd: &str, name: &str) -> Option<u32> {
    let line = passwd.lines().find(|l| l.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

/// Who made a generation, for people: a uid with the name that `/etc/passwd` has for it, `root (0)`; anything else as it is.
#[must_use]
pub fn author_shown(origin: &str, passwd: &str) -> String {
    let of_uid = |line: &&str| line.split(':').nth(2) == Some(origin);
    match passwd.lines().find(of_uid).and_then(|line| line.split(':').next()) {
        Some(name) if origin.parse::<u32>().is_ok() => format!("{name} ({origin})"),
        _ => origin.to_owned(),
    }
}

/// `name:password:gid:member,member`
fn group_of(groups: &str, passwd: &str, name: &str) -> Option<Group> {
    let line = groups.lines().find(|l| l.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    let gid = fields.next()?.parse().ok()?;
    let members = fields.next().unwrap_or_default().split(',').filter_map(|m| uid_of(passwd, m)).collect();
    Some(Group { gid, members })
}

/// Lets a request pass whose peer has at least this role.
pub async fn require(roles: Arc<Roles>, least: Role, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<Peer>>().map(|ConnectInfo(p)| *p);
    match peer.and_then(|p| roles.of(p)) {
        Some(role) if role >= least => next.run(request).await,
        role => {
            let uid = peer.map_or_else(|| "unknown".to_owned(), |p| p.uid.to_string());
            let has = role.map_or_else(|| "no role".to_owned(), |r| format!("the role {r:?}").to_lowercase());
            let detail = format!("uid {uid} has {has}; this needs {}", format!("{least:?}").to_lowercase());
            Problem::new(StatusCode::FORBIDDEN, "forbidden", detail).into_response()
        }
    }
}

/// The listening socket with its cap.
pub struct Gate {
    listener: UnixListener,
    permits: Arc<Semaphore>,
}

impl Gate {
    #[must_use]
    pub fn new(listener: UnixListener) -> Gate {
        Gate { listener, permits: Arc::new(Semaphore::new(CONNECTIONS_MAX)) }
    }
}

impl Listener for Gate {
    type Io = Guarded;
    type Addr = Peer;

    async fn accept(&mut self) -> (Guarded, Peer) {
        let mut pause = tokio::time::interval(std::time::Duration::from_secs(1));
        loop {
            // The semaphore is never closed; without a permit the connection would only be uncounted.
            let permit = self.permits.clone().acquire_owned().await.ok();
            let accepted = self.listener.accept().await.and_then(|(stream, _)| {
                let cred = stream.peer_cred()?;
                Ok((stream, Peer { uid: cred.uid(), gid: cred.gid() }))
            });
            match accepted {
                Ok((stream, peer)) => return (Guarded { stream, _permit: permit }, peer),
                Err(error) => {
                    // Out of file descriptors, most likely: trying again at once would only spin.
                    tracing::warn!(%error, "the admin socket could not accept a connection");
                    pause.tick().await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Peer> {
        Ok(Peer { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() })
    }
}

impl Connected<IncomingStream<'_, Gate>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Gate>) -> Peer {
        *stream.remote_addr()
    }
}

/// A connection that counts against the cap while it stands.
pub struct Guarded {
    stream: UnixStream,
    _permit: Option<OwnedSemaphorePermit>,
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Whether a daemon answers on this socket file.
#[must_use]
pub fn is_alive(socket: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(socket).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str =
        "root:x:0:0::/root:/bin/sh\nada:x:4001:4001::/:/bin/sh\nben:x:4002:4002::/:/bin/sh\n";
    const GROUPS: &str = "root:x:0:\nringtree:x:4100:ada\n";

    fn roles(group: Option<&str>, roles: &[(&str, Role)]) -> Result<Roles, String> {
        let roles = roles.iter().map(|(w, r)| ((*w).to_owned(), *r)).collect();
        let config = AdminConfig { socket: "x".into(), group: group.map(str::to_owned), roles };
        Roles::from_files(&config, PASSWD, GROUPS)
    }
    fn peer(uid: u32, gid: u32) -> Peer {
        Peer { uid, gid }
    }

    #[test]
    fn without_roles_root_and_our_own_uid_are_admin_and_the_group_operates() {
        let roles = roles(Some("ringtree"), &[]).unwrap();
        assert_eq!(roles.of(peer(0, 0)), Some(Role::Admin));
        assert_eq!(roles.of(peer(rustix::process::geteuid().as_raw(), 9)), Some(Role::Admin));
        assert_eq!(roles.of(peer(4001, 4001)), Some(Role::Operator), "by /etc/group");
        assert_eq!(roles.of(peer(4002, 4100)), Some(Role::Operator), "by its own gid");
        assert_eq!(roles.of(peer(4002, 4002)), None);
    }

    #[test]
    fn a_uid_is_shown_with_its_name_where_it_has_one() {
        assert_eq!(author_shown("4001", PASSWD), "ada (4001)");
        assert_eq!(author_shown("4999", PASSWD), "4999");
        assert_eq!(author_shown("file:rules", PASSWD), "file:rules");
    }

    #[test]
    fn a_configured_role_goes_before_the_group() {
        let roles = roles(Some("ringtree"), &[("ada", Role::Viewer), ("4002", Role::Admin)]).unwrap();
        assert_eq!(roles.of(peer(4001, 4100)), Some(Role::Viewer));
        assert_eq!(roles.of(peer(4002, 4002)), Some(Role::Admin));
    }

    #[test]
    fn names_that_nobody_has_are_refused_at_start() {
        assert!(roles(None, &[("eve", Role::Admin)]).unwrap_err().contains("`eve`"));
        assert!(roles(Some("wheel"), &[]).unwrap_err().contains("groupadd wheel"));
    }
}
