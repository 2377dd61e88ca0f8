//! A scripted phone that changes the session of a call that is up.

use super::*;

impl Phone {
    /// A session of this phone with these media lines, each with its line end.
    pub fn described(&self, media: &str) -> String {
        let ip = self.address.ip();
        format!("v=0\r\no=- 1 2 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\n{media}")
    }

    /// Offers another session in a call that this phone made or answered.
    pub fn reoffer(&mut self, now: Duration, call_id: &str, description: &str) {
        self.reinvite(now, call_id, "", description);
    }

    /// The same, with these fields more. Without a description the other side is asked for its offer, and the ACK answers.
    pub fn reinvite(&mut self, now: Duration, call_id: &str, fields: &str, description: &str) {
        self.now = now;
        self.count += 1;
        let (branch, cseq) = (self.fresh("z9hG4bK"), 100 + self.count);
        let bytes = self.in_dialog(call_id, "INVITE", cseq, &branch, fields, description);
        self.reoffers.insert(branch.clone(), (call_id.to_owned(), cseq, description.is_empty()));
        self.send_repeating(format!("{branch}INVITE"), bytes);
    }

    /// A final response to such a request. `false`: it is to another one.
    pub(super) fn hears_of_reoffer(&mut self, response: &rsip::Response, status: u16) -> bool {
        let branch = branch_of(response);
        let Some((call_id, cseq, late)) = self.reoffers.get(&branch).cloned() else { return false };
        let text = response.to_string();
        if self.reoffered.last() != Some(&text) {
            self.reoffered.push(text);
        }
        // RFC 3261 §17.1.1.3: the ACK to a refusal has the INVITE's branch; to a 2xx it is a request of its own.
        let branch = if status < 300 { self.fresh("z9hG4bKack") } else { branch };
        let answer = if late && status < 300 { self.offer() } else { String::new() };
        let bytes = self.in_dialog(&call_id, "ACK", cseq, &branch, "", &answer);
        self.outbox.push(bytes);
        true
    }

    /// A request in a dialog of this phone.
    pub(super) fn in_dialog(
        &self,
        call_id: &str,
        method: &str,
        cseq: u64,
        branch: &str,
        fields: &str,
        body: &str,
    ) -> Bytes {
        let (address, user) = (self.named, &self.user);
        let (from, to) = match (self.outgoing.get(call_id), self.incoming.get(call_id)) {
            (Some(call), _) => {
                let tag = call.to_tag.clone().unwrap_or_default();
                let domain = crate::DOMAIN;
                (format!("<sip:{user}@{domain}>;tag=t{call_id}"), format!("<sip:x@{domain}>;tag={tag}"))
            }
            (None, Some(call)) => {
                let value = |header: &str| header.split_once(':').unwrap().1.trim().to_owned();
                let us = value(&call.invite.to_header().unwrap().to_string());
                let them = value(&call.invite.from_header().unwrap().to_string());
                (format!("{us};tag={}", call.tag), them)
            }
            (None, None) => panic!("no call {call_id}"),
        };
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} sip:{} SIP/2.0\r\nVia: SIP/2.0/UDP {address};branch={branch}\r\nMax-Forwards: 70\r\nFrom: {from}\r\nTo: {to}\r\n\
             Call-ID: {call_id}\r\nCSeq: {cseq} {method}\r\nContact: <sip:{user}@{address}>\r\n{fields}{content}Content-Length: {}\r\n\r\n{body}",
            crate::net::switch_address(),
            body.len()
        )
        .into()
    }
}
