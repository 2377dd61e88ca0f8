//! The references of what answers calls itself: hunts, queues, attendants, mailboxes, feature codes.

use super::collect::Collected;
use super::{How, Kind, Object};
use crate::rules::model::{Attendant, DirectoryScope, Feature, Hunt, Notice, Queue, Voicemail};

impl Collected<'_> {
    pub(super) fn services(&mut self) {
        let services = &self.model.services;
        for (name, hunt) in &services.hunts {
            self.hunt(&Object::new(Kind::Hunt, name), hunt);
        }
        for (name, queue) in &services.queues {
            self.queue(&Object::new(Kind::Queue, name), queue);
        }
        for (name, attendant) in &services.attendants {
            self.attendant(&Object::new(Kind::Attendant, name), attendant);
        }
        for (name, directory) in &services.directories {
            let from = Object::new(Kind::Directory, name);
            for scope in &directory.from {
                let (kind, named) = match &scope.value {
                    DirectoryScope::Site(named) => (Kind::Site, named),
                    DirectoryScope::Role(named) => (Kind::Role, named),
                    DirectoryScope::User(named) => (Kind::User, named),
                };
                self.uses(&from, kind, named, "from", scope.span);
            }
        }
        for (name, mailbox) in &services.mailboxes {
            self.mailbox(&Object::new(Kind::Mailbox, name), &mailbox.voicemail, mailbox.span);
        }
        let codes = Object { kind: Kind::Codes, name: "".into() };
        for feature in services.codes.by_code.values() {
            if let Feature::TimeFrame(frame) = &feature.value {
                self.uses(&codes, Kind::TimeFrame, frame, "time_frame", feature.span);
            }
        }
        self.everybodys();
    }

    fn hunt(&mut self, from: &Object, hunt: &Hunt) {
        self.ring(from, &hunt.ring, "targets", None);
        if let Some(to) = &hunt.on_failure {
            self.goes(from, &to.value, "on_failure", Some("nobody takes the call"), to.span);
        }
    }

    fn queue(&mut self, from: &Object, queue: &Queue) {
        for agent in &queue.agents {
            self.add(from, Object::new(Kind::User, &agent.value), How::Rings, "agents", None, agent.span);
        }
        if let Some(to) = &queue.overflow {
            self.goes(from, &to.value, "overflow", Some("the wait is over or the queue is full"), to.span);
        }
        if let Some(music) = &queue.wait.moh {
            self.uses(from, Kind::Music, music, "wait.moh", queue.span);
        }
        if let Some(announce) = &queue.wait.announce {
            self.uses(from, Kind::Announce, announce, "wait.announce", queue.span);
        }
    }

    fn attendant(&mut self, from: &Object, attendant: &Attendant) {
        for (key, to) in &attendant.keys {
            self.goes(from, &to.value, &format!("keys.{key}"), Some(&format!("{key} is pressed")), to.span);
        }
        if let Some(to) = &attendant.no_input {
            self.goes(from, &to.value, "no_input", Some("no key is pressed"), to.span);
        }
        if let Some(to) = &attendant.invalid {
            self.goes(from, &to.value, "invalid", Some("no such key"), to.span);
        }
    }

    pub(super) fn mailbox(
        &mut self,
        from: &Object,
        voicemail: &Voicemail,
        span: crate::rules::diagnostic::Span,
    ) {
        if let Some(to) = &voicemail.operator {
            self.goes(from, to, "operator", Some("0 is pressed"), span);
        }
    }

    /// What the domain itself names: its operator, and who is told of an emergency call.
    fn everybodys(&mut self) {
        let domain = Object { kind: Kind::Domain, name: "".into() };
        if let Some(operator) = &self.model.domain.operator {
            let pressed = Some("0 is pressed in a mailbox");
            self.goes(&domain, &operator.value, "operator", pressed, operator.span);
        }
        for notice in &self.model.notify {
            if let Notice::Call(to) = &notice.value
                && let Some((to, _)) = super::target(self.model, to)
            {
                self.add(&domain, to, How::Uses, "emergency.notify", None, notice.span);
            }
        }
    }
}
