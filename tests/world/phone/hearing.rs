//! What a scripted phone does with the requests and responses that it gets.

use super::*;

impl Phone {
    pub(super) fn receive_request(&mut self, request: rsip::Request) {
        let call_id = request.call_id_header().unwrap().value().to_owned();
        let branch = format!("{}{}", branch_of(&request), request.method());
        if let Some(answer) = self.answers.get(&branch) {
            return self.outbox.push(answer.clone());
        }
        if let Some((status, fields)) =
            self.guard.as_mut().and_then(|guard| guard.judge(&request.to_string()))
        {
            return self.turn_away(&request, status, &fields, &branch);
        }
        self.heard.push(request.method().to_string());
        match request.method() {
            rsip::Method::Invite => self.receive_invite(call_id, branch, request),
            rsip::Method::Ack => {
                self.acks += 1;
                if !request.body().is_empty() {
                    self.answered_offers += 1;
                    self.last_answer = request.to_string();
                }
                self.repeats.remove(&format!("{call_id} final"));
                if let Some(acked) = self.open_answers.get_mut(&call_id) {
                    *acked = true;
                }
            }
            rsip::Method::Cancel => {
                let reasons =
                    request.headers().iter().map(ToString::to_string).filter(|h| h.starts_with("Reason:"));
                self.cancels.push(reasons.map(|h| h["Reason:".len()..].trim().to_owned()).collect());
                self.reply(&request, 200, "x", "", &branch);
                if let Some(invite) = self.asked.take() {
                    let key = format!("{}INVITE", branch_of(&invite));
                    let bytes = self.reply(&invite, 487, "x", "", &key);
                    return self.send_again(format!("{call_id} final"), bytes);
                }
                if let Some(call) = self.incoming.get_mut(&call_id)
                    && !call.finished
                {
                    call.finished = true;
                    let (invite, tag) = (call.invite.clone(), call.tag.clone());
                    let key = format!("{}INVITE", branch_of(&invite));
                    let bytes = self.reply(&invite, 487, &tag, "", &key);
                    self.send_again(format!("{call_id} final"), bytes);
                }
            }
            rsip::Method::Bye => {
                self.byes += 1;
                self.ends.push(request.to_string());
                self.open_answers.remove(&call_id);
                self.repeats.remove(&format!("{call_id} final"));
                if let Some(call) = self.outgoing.get_mut(&call_id) {
                    call.hang_up_at = None;
                }
                self.reply(&request, 200, "x", "", &branch);
            }
            rsip::Method::PRack => {
                self.reply(&request, 200, "x", "", &branch);
                let rack = request.headers().iter().map(ToString::to_string).find(|h| h.starts_with("RAck:"));
                self.pracks.push(rack.unwrap()["RAck:".len()..].trim().to_owned());
                self.repeats.remove(&format!("{call_id} provisional"));
                if let Some(call) = self.incoming.get_mut(&call_id) {
                    call.unacknowledged = false;
                }
                self.wake(self.now);
            }
            rsip::Method::Notify => {
                self.notifies.push(request.to_string());
                match self.notify_status {
                    0 => {}
                    status => drop(self.reply(&request, status, "x", "", &branch)),
                }
            }
            rsip::Method::Message => {
                self.messages.push(String::from_utf8_lossy(request.body()).into_owned());
                self.texts.push(request.to_string());
                match self.message_status {
                    0 => {}
                    status => drop(self.reply(&request, status, "x", "", &branch)),
                }
            }
            method => {
                if *method == rsip::Method::Options {
                    self.options += 1;
                }
                self.reply(&request, 200, "x", "", &branch);
            }
        }
    }

    fn turn_away(&mut self, request: &rsip::Request, status: u16, fields: &str, branch: &str) {
        let plain = self.reply(request, status, "away", "", branch);
        self.outbox.pop();
        let text =
            String::from_utf8_lossy(&plain).replacen("Content-Length", &format!("{fields}Content-Length"), 1);
        let bytes = Bytes::from(text);
        self.answers.insert(branch.to_owned(), bytes.clone());
        self.outbox.push(bytes.clone());
        if *request.method() == rsip::Method::Invite {
            let call_id = request.call_id_header().unwrap().value().to_owned();
            self.send_again(format!("{call_id} final"), bytes);
        }
    }

    fn receive_invite(&mut self, call_id: String, branch: String, request: rsip::Request) {
        if request.to_header().unwrap().value().contains("tag=") {
            return self.receive_reinvite(&call_id, &branch, &request);
        }
        self.invites.push(request.to_string());
        if self.script == Script::Dead {
            return;
        }
        let tag = self.own_tag.clone().unwrap_or_else(|| self.fresh("tag"));
        let due = match self.script {
            Script::Answer { after } | Script::Refuse { after, .. } | Script::EarlyAnswer { after } => {
                Some(self.now + after)
            }
            Script::Fails(_) => Some(self.now),
            Script::Ring | Script::EarlyMedia | Script::Dead => None,
        };
        let (first, body) = match self.script {
            Script::Fails(_) => (100, String::new()),
            Script::EarlyMedia | Script::EarlyAnswer { .. } => (183, self.offer()),
            _ => (180, String::new()),
        };
        let bytes = self.reply(&request, first, &tag, &body, &branch);
        let reliably = self.reliable && first > 100;
        if reliably {
            self.outbox.pop();
            let text = String::from_utf8_lossy(&bytes).replacen(
                "Content-Length",
                "Require: 100rel\r\nRSeq: 700\r\nContent-Length",
                1,
            );
            let bytes = Bytes::from(text);
            self.answers.insert(branch, bytes.clone());
            self.send_repeating(format!("{call_id} provisional"), bytes);
        }
        self.incoming.insert(
            call_id,
            Incoming { invite: request, tag, due, finished: false, unacknowledged: reliably },
        );
        let now = self.now;
        self.wake(now);
    }

    /// Another session in a call that is up.
    fn receive_reinvite(&mut self, call_id: &str, branch: &str, request: &rsip::Request) {
        self.reinvites.push(request.to_string());
        let status = self.reinvite_status;
        let body = if status == 200 { self.offer() } else { String::new() };
        let bytes = self.reply(request, status, "x", &body, branch);
        match status {
            100 => {}
            ..200 => self.asked = Some(request.clone()),
            _ => self.send_again(format!("{call_id} final"), bytes),
        }
    }

    pub(super) fn answer(&mut self, call_id: &str) {
        let Some(call) = self.incoming.get_mut(call_id) else { return };
        call.finished = true;
        self.repeats.remove(&format!("{call_id} provisional"));
        let (invite, tag) = (call.invite.clone(), call.tag.clone());
        let key = format!("{}INVITE", branch_of(&invite));
        let (status, body) = match self.script {
            Script::Refuse { status, .. } => (status, String::new()),
            Script::Fails(status) => (status, String::new()),
            _ if self.changes_its_mind => (200, self.offer().replace("AVP 0", "AVP 8")),
            _ => (200, self.offer()),
        };
        if status == 200 {
            self.open_answers.insert(call_id.to_owned(), false);
        }
        let bytes = self.reply(&invite, status, &tag, &body, &key);
        self.send_again(format!("{call_id} final"), bytes);
    }

    pub(super) fn hang_up(&mut self, call_id: &str) {
        let Some(call) = self.outgoing.get_mut(call_id) else { return };
        call.hang_up_at = None;
        let tag = call.to_tag.clone();
        let uri = format!("sip:{}", crate::net::switch_address());
        self.request("BYE", &uri, "x", tag.as_deref(), call_id, 1_000_000, "", "");
    }

    pub(super) fn receive_response(&mut self, response: &rsip::Response) {
        let status = response.status_code().code();
        let call_id = response.call_id_header().unwrap().value().to_owned();
        let cseq = response.cseq_header().unwrap().value().to_owned();
        let branch = branch_of(response);
        let method = cseq.split_whitespace().nth(1).unwrap();
        if status > 100 && status < 200 {
            self.provisionals.push(status);
            let to = response.to_header().unwrap().value().to_owned();
            if let Some(call) = self.outgoing.get_mut(&call_id).filter(|call| call.to_tag.is_none()) {
                call.early_tag = to.split("tag=").nth(1).map(str::to_owned);
            }
            self.acknowledge(response, &call_id);
        }
        if status >= 200 || method == "INVITE" {
            self.repeats.remove(&format!("{branch}{method}"));
        }
        if matches!(method, "REFER" | "BYE" | "INFO" | "MESSAGE") && status >= 200 {
            self.told.push((method.to_owned(), status));
        }
        if method == "PRACK" && status >= 200 {
            self.pracked.push(status);
        }
        if method == "SUBSCRIBE" && status >= 200 {
            self.subscribed.push(response.to_string());
            let to = response.to_header().unwrap().value().to_owned();
            if let (200, Some(tag)) = (status, to.split("tag=").nth(1)) {
                self.dialogs.entry(call_id.clone()).or_insert((tag.to_owned(), 1));
            }
        }
        if method == "INVITE" && status >= 200 && !self.hears_of_reoffer(response, status) {
            self.final_response(response, status, &call_id);
        }
    }

    /// RFC 3262 §4: PRACK, once and in order.
    fn acknowledge(&mut self, response: &rsip::Response, call_id: &str) {
        let fields: Vec<String> = response.headers().iter().map(ToString::to_string).collect();
        let value = |name: &str| fields.iter().find_map(|field| field.strip_prefix(name)).map(str::trim);
        let (Some("100rel"), Some(rseq)) = (value("Require:"), value("RSeq:")) else { return };
        let rseq: u32 = rseq.parse().unwrap();
        let Some(call) = self.outgoing.get_mut(call_id) else { return };
        if call.rseq.is_some_and(|last| rseq != last + 1) {
            return;
        }
        let cseq = call.rseq.map_or(2, |last| 3 + (rseq - last));
        call.rseq = Some(rseq);
        let answers = !response.body().is_empty() && call.describes == Describes::Ack;
        let to = response.to_header().unwrap().value().to_owned();
        let tag = to.split("tag=").nth(1).map(str::to_owned);
        let uri = format!("sip:{}", crate::net::switch_address());
        let extra = format!("RAck: {rseq} 1 INVITE\r\n");
        let body = if answers { self.offer() } else { String::new() };
        self.request("PRACK", &uri, "x", tag.as_deref(), call_id, cseq, &extra, &body);
    }

    fn final_response(&mut self, response: &rsip::Response, status: u16, call_id: &str) {
        let to = response.to_header().unwrap().value().to_owned();
        let tag = to.split("tag=").nth(1).map(str::to_owned);
        let (now, Some(call)) = (self.now, self.outgoing.get_mut(call_id)) else { return };
        let finals = self.finals.entry(call_id.to_owned()).or_default();
        let again = call.to_tag.is_some() && call.to_tag == tag;
        if status == 200 && !again {
            let without = u32::from(response.body().is_empty());
            self.described = (self.described.0 + 1 - without, self.described.1 + without);
        }
        if !again {
            finals.push(status);
        }
        call.to_tag = tag.clone();
        if status < 300 && !again {
            call.hang_up_at = Some(now + call.talk);
        }
        let answers = status == 200 && !response.body().is_empty() && call.describes == Describes::Ack;
        // RFC 3261 §17.1.1.3: the ACK to a refusal has the INVITE's branch; to a 2xx it is a request of its own.
        let branch = if status < 300 { self.fresh("z9hG4bKack") } else { call.invite_branch.clone() };
        let uri = format!("sip:{}", crate::net::switch_address());
        let body = if answers { self.offer() } else { String::new() };
        let bytes = self.message("ACK", &uri, "x", tag.as_deref(), call_id, 1, &branch, "", &body);
        self.outbox.push(bytes);
    }
}
