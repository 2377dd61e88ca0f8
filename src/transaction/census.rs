//! How many transactions are in which state.

use super::client::Client;
use super::client_invite::ClientInvite;
use super::server::Server;
use super::server_invite::ServerInvite;
use super::{ClientId, Transactions, clients, servers};
use crate::sip::glance;
use serde::Serialize;

/// Live transactions by state (RFC 3261 §17, figures 5 to 8, and RFC 6026).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct States {
    pub client_invite_calling: usize,
    pub client_invite_proceeding: usize,
    pub client_invite_completed: usize,
    pub client_invite_accepted: usize,
    pub client_trying: usize,
    pub client_proceeding: usize,
    pub client_completed: usize,
    pub server_invite_proceeding: usize,
    pub server_invite_completed: usize,
    pub server_invite_confirmed: usize,
    pub server_invite_accepted: usize,
    pub server_trying: usize,
    pub server_proceeding: usize,
    pub server_completed: usize,
}

impl States {
    /// Each state by its name, with how many are in it.
    #[must_use]
    pub fn named(&self) -> [(&'static str, usize); 14] {
        [
            ("client INVITE calling", self.client_invite_calling),
            ("client INVITE proceeding", self.client_invite_proceeding),
            ("client INVITE completed", self.client_invite_completed),
            ("client INVITE accepted", self.client_invite_accepted),
            ("client trying", self.client_trying),
            ("client proceeding", self.client_proceeding),
            ("client completed", self.client_completed),
            ("server INVITE proceeding", self.server_invite_proceeding),
            ("server INVITE completed", self.server_invite_completed),
            ("server INVITE confirmed", self.server_invite_confirmed),
            ("server INVITE accepted", self.server_invite_accepted),
            ("server trying", self.server_trying),
            ("server proceeding", self.server_proceeding),
            ("server completed", self.server_completed),
        ]
    }
}

impl Transactions {
    /// Counts them; whose INVITEs that begin a dialog still wait for a final response is put into `awaiting`. One within a dialog may
    /// outlast it: its BYE is answered first (RFC 3261 §15.1.2).
    pub fn census(&self, awaiting: &mut Vec<ClientId>) -> States {
        let mut states = States::default();
        for (owner, machine) in self.clients.machines() {
            let waits = match machine {
                clients::Machine::Invite(ClientInvite::Calling { request, .. }) => {
                    states.client_invite_calling += 1;
                    begins_dialog(request)
                }
                clients::Machine::Invite(ClientInvite::Proceeding { request, .. }) => {
                    states.client_invite_proceeding += 1;
                    begins_dialog(request)
                }
                clients::Machine::Invite(ClientInvite::Completed { .. }) => {
                    states.client_invite_completed += 1;
                    false
                }
                clients::Machine::Invite(ClientInvite::Accepted { .. }) => {
                    states.client_invite_accepted += 1;
                    false
                }
                clients::Machine::Other(Client::Trying { .. }) => {
                    states.client_trying += 1;
                    false
                }
                clients::Machine::Other(Client::Proceeding { .. }) => {
                    states.client_proceeding += 1;
                    false
                }
                clients::Machine::Other(Client::Completed { .. }) => {
                    states.client_completed += 1;
                    false
                }
                clients::Machine::Invite(ClientInvite::Terminated)
                | clients::Machine::Other(Client::Terminated) => false,
            };
            if let (true, clients::Owner::User(id)) = (waits, owner) {
                awaiting.push(id);
            }
        }
        for machine in self.servers.machines() {
            let count = match machine {
                servers::Machine::Invite(ServerInvite::Proceeding { .. }) => {
                    &mut states.server_invite_proceeding
                }
                servers::Machine::Invite(ServerInvite::Completed { .. }) => {
                    &mut states.server_invite_completed
                }
                servers::Machine::Invite(ServerInvite::Confirmed { .. }) => {
                    &mut states.server_invite_confirmed
                }
                servers::Machine::Invite(ServerInvite::Accepted { .. }) => &mut states.server_invite_accepted,
                servers::Machine::Other(Server::Trying) => &mut states.server_trying,
                servers::Machine::Other(Server::Proceeding { .. }) => &mut states.server_proceeding,
                servers::Machine::Other(Server::Completed { .. }) => &mut states.server_completed,
                servers::Machine::Invite(ServerInvite::Terminated)
                | servers::Machine::Other(Server::Terminated) => continue,
            };
            *count += 1;
        }
        states
    }

    /// What else is kept beside them, by name: keys, peers, entries in the queues of deadlines.
    pub(crate) fn kept(&self) -> [(&'static str, usize); 7] {
        let ((client_keys, peers, client_deadlines), (server_keys, server_deadlines)) =
            (self.clients.kept(), self.servers.kept());
        [
            ("client transactions", self.clients.len()),
            ("client keys", client_keys),
            ("peers", peers),
            ("server transactions", self.servers.len()),
            ("server keys", server_keys),
            ("client deadlines", client_deadlines),
            ("server deadlines", server_deadlines),
        ]
    }
}

/// RFC 3261 §12.2.1.1: a request within a dialog has the tag of the other party.
fn begins_dialog(request: &[u8]) -> bool {
    glance::field(request, "To", Some(b't')).and_then(glance::tag).is_none()
}
