//! Binding the signalling sockets: all of them or none, before anything is started.

use super::signalling::connections::Limits;
use super::tls::{Tls, TlsError};
use crate::sip::Transport;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;

/// The most listeners.
pub const LISTENERS_MAX: usize = 64;
/// Octets the kernel may keep for one UDP listener: a burst of some thousand requests. The system may allow less
/// (`net.core.rmem_max`).
const UDP_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Connections that wait to be accepted.
const TCP_BACKLOG: i32 = 1024;

/// Why a listener can't be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    #[error("{}://{address}: {}", .transport.scheme(), describe(.source))]
    Listener { transport: Transport, address: SocketAddr, source: io::Error },
    #[error("{0} listeners, of at most {LISTENERS_MAX}")]
    TooMany(usize),
    #[error("{0}")]
    Tls(#[from] TlsError),
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "the port is in use by another process".into(),
        io::ErrorKind::AddrNotAvailable => "this machine has no such address".into(),
        io::ErrorKind::PermissionDenied => {
            "not permitted (a port below 1024 needs CAP_NET_BIND_SERVICE)".into()
        }
        _ => error.to_string(),
    }
}

/// Sockets that are bound and read by nobody yet.
#[derive(Debug)]
pub struct Bound {
    pub(super) listeners: Vec<(SocketAddr, Listener)>,
    pub(super) tls: Arc<Tls>,
    pub(super) limits: Limits,
}

#[derive(Debug)]
pub(super) enum Listener {
    Udp(UdpSocket),
    /// TCP, and what stands on it.
    Stream(Transport, TcpListener),
}

impl Bound {
    /// With these certificates, and connections held to these limits.
    #[must_use]
    pub fn with(self, tls: Arc<Tls>, limits: Limits) -> Bound {
        Bound { tls, limits, ..self }
    }

    /// What was bound, in the order asked for; a port that was asked for as 0 is the one the system chose.
    pub fn addresses(&self) -> impl Iterator<Item = (Transport, SocketAddr)> + '_ {
        self.listeners.iter().map(|(address, listener)| match listener {
            Listener::Udp(_) => (Transport::Udp, *address),
            Listener::Stream(transport, _) => (*transport, *address),
        })
    }
}

/// Binds every listener. A TCP listener with port 0 takes the port of the UDP listener before it on the same IP address,
/// where that is free: phones expect one port for both.
///
/// # Errors
/// The first one that can't be bound; the others are closed again.
pub fn bind(listeners: &[(Transport, SocketAddr)]) -> Result<Bound, BindError> {
    if listeners.len() > LISTENERS_MAX {
        return Err(BindError::TooMany(listeners.len()));
    }
    let mut bound: Vec<(SocketAddr, Listener)> = Vec::with_capacity(listeners.len());
    for &(transport, address) in listeners {
        let error = |source| BindError::Listener { transport, address, source };
        let before = bound.iter().rev().map(|(address, _)| *address).find(|a| a.ip() == address.ip());
        let listener = match (transport, before) {
            (Transport::Udp, _) => udp(address),
            (Transport::Tcp, Some(before)) if address.port() == 0 => {
                stream(transport, before).or_else(|_| stream(transport, address))
            }
            (Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss, _) => {
                stream(transport, address)
            }
        };
        bound.push(listener.map_err(error)?);
    }
    let tls = Arc::new(Tls::none()?);
    Ok(Bound { listeners: bound, tls, limits: Limits::default() })
}

fn udp(address: SocketAddr) -> io::Result<(SocketAddr, Listener)> {
    let socket = socket(address, Type::DGRAM, Protocol::UDP)?;
    // Sizes are a wish.
    let _ = socket.set_recv_buffer_size(UDP_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(UDP_BUFFER_BYTES);
    socket.bind(&SockAddr::from(address))?;
    let socket = UdpSocket::from(socket);
    Ok((socket.local_addr()?, Listener::Udp(socket)))
}

fn stream(transport: Transport, address: SocketAddr) -> io::Result<(SocketAddr, Listener)> {
    let socket = socket(address, Type::STREAM, Protocol::TCP)?;
    // A restart must not wait for the connections of the last run (TIME_WAIT). Another listener still is an error.
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(address))?;
    socket.listen(TCP_BACKLOG)?;
    let listener = TcpListener::from(socket);
    Ok((listener.local_addr()?, Listener::Stream(transport, listener)))
}

fn socket(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    socket.set_nonblocking(true)?;
    if address.is_ipv6() {
        // `0.0.0.0` and `[::]` are two listeners.
        socket.set_only_v6(true)?;
    }
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loopback(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 73, 1], port))
    }

    #[test]
    fn port_0_gives_udp_and_tcp_one_port() {
        let bound = bind(&[(Transport::Udp, loopback(0)), (Transport::Tcp, loopback(0))]).unwrap();
        let addresses: Vec<_> = bound.addresses().collect();
        assert_eq!(addresses[0].1, addresses[1].1);
        assert_eq!((addresses[0].0, addresses[1].0), (Transport::Udp, Transport::Tcp));
    }

    #[test]
    fn a_busy_port_is_one_clear_line() {
        for transport in [Transport::Udp, Transport::Tcp] {
            let first = bind(&[(transport, loopback(0))]).unwrap();
            let (_, address) = first.addresses().next().unwrap();
            let error = bind(&[(transport, address)]).unwrap_err().to_string();
            let word = transport.scheme();
            assert_eq!(error, format!("{word}://{address}: the port is in use by another process"));
        }
    }

    #[test]
    fn a_foreign_address_is_one_clear_line() {
        let error = bind(&[(Transport::Udp, "192.0.2.1:5060".parse().unwrap())]).unwrap_err();
        assert_eq!(error.to_string(), "udp://192.0.2.1:5060: this machine has no such address");
    }
}
