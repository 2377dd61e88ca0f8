//! The loop itself: one wait, then one receive and one send a packet, to whoever last sent to the other socket of the pair.

use ringtree::net::poll::{Events, Interest, Poll};
use std::net::{SocketAddr, UdpSocket};

/// Relays between the sockets of each pair (2n and 2n + 1); it never ends.
pub fn relay(sockets: &[UdpSocket]) -> ! {
    let poll = Poll::new().unwrap();
    for (n, socket) in (0..).zip(sockets) {
        socket.set_nonblocking(true).unwrap();
        poll.add(socket, n, Interest::IN).unwrap();
    }
    let mut peers: Vec<Option<SocketAddr>> = vec![None; sockets.len()];
    let mut events = Events::default();
    let mut buffer = [0; 2048];
    loop {
        poll.wait(&mut events, None).unwrap();
        for (token, _) in events.iter() {
            let (this, other) = (token as usize, token as usize ^ 1);
            let Ok((octets, from)) = sockets[this].recv_from(&mut buffer) else { continue };
            peers[this] = Some(from);
            if let Some(to) = peers[other] {
                let _ = sockets[other].send_to(&buffer[..octets], to);
            }
        }
    }
}
