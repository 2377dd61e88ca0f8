//! What calls, registrations and trunks have brought about, passed on as actions and events, in order.

use super::{Action, Event, Switch, registered};
use crate::call::conference::Attended;
use crate::call::office::Effect;
use crate::call::wake::Push;
use crate::registrar::{Binding, Change, Location};
use crate::trunk::News;

impl Switch {
    /// Passes changes of registrations on.
    pub(super) fn changed(&mut self, changes: Vec<Change>) {
        self.office.effects.extend(changes.into_iter().map(Effect::Binding));
    }

    pub(super) fn flush(&mut self, out: &mut Vec<Action>) {
        out.extend(self.office.budgets.take_notes().into_iter().map(Action::Spent));
        let nothing = self.finished.is_empty() && self.told.is_empty() && self.office.effects.is_empty();
        if nothing && !self.registrations.has_news() && !self.health.has_news() {
            return;
        }
        out.extend(self.finished.drain(..).map(Action::Noticed));
        out.extend(self.told.drain(..).map(Action::Event));
        for effect in self.office.effects.drain(..) {
            match effect {
                Effect::Send { flow, bytes } => out.push(Action::Send { flow, bytes }),
                Effect::Media(command) => out.push(Action::Media(command)),
                Effect::Voice(command) => out.push(Action::Voice(command)),
                Effect::Binding(change) => {
                    out.extend(registration_event(&change, &self.office.location).map(Action::Event));
                    let is_told =
                        !matches!(change, Change::Refreshed(_)) && self.notifier.watches_registrations();
                    if is_told {
                        self.moved.push(change.clone());
                    }
                    out.push(Action::Binding(change));
                }
                Effect::Started { id, domain, from, to } => {
                    out.push(Action::Event(Event::CallStarted { id, domain, from, to }));
                }
                Effect::Ringing { id, leg } => out.push(Action::Event(Event::CallRinging { id, leg })),
                Effect::Answered { id, answered_by } => {
                    out.push(Action::Event(Event::CallAnswered { id, answered_by }));
                }
                Effect::Emergency(alert) => out.push(Action::Event(Event::Emergency(alert))),
                Effect::Stopped(stop) => {
                    self.counters.count_stop(&stop);
                    out.push(Action::Event(Event::BudgetStopped(stop)));
                }
                Effect::Ended(record) => out.push(Action::Event(Event::CallEnded(record))),
                Effect::Audio { id, audio } => {
                    self.counters.count_silence(audio);
                    out.push(Action::Event(Event::CallAudio { id, audio }));
                }
                Effect::Attended(attended) => out.push(Action::Event(attended_event(attended))),
                Effect::Push(push) => out.push(Action::Event(push_event(push))),
            }
        }
        let news = self.registrations.take_news().into_iter().chain(self.health.take_news());
        out.extend(news.flat_map(trunk_events).map(Action::Event));
    }
}

/// A refresh is no event.
fn registration_event(change: &Change, location: &Location) -> Option<Event> {
    match change {
        Change::Added(Binding { key, .. }) | Change::Removed { key, .. } if key.device.trunk().is_some() => {
            registered::trunk_event(change, &key.device, location)
        }
        Change::Added(binding) => Some(Event::RegistrationAdded {
            domain: binding.key.device.domain.to_string(),
            device: binding.key.device.device.to_string(),
            contact: binding.uri.to_string(),
        }),
        Change::Refreshed(_) => None,
        Change::Removed { key, why } => Some(Event::RegistrationRemoved {
            domain: key.device.domain.to_string(),
            device: key.device.device.to_string(),
            contact: key.contact.to_string(),
            why: why.word().to_owned(),
        }),
    }
}

fn attended_event(attended: Attended) -> Event {
    let Attended { call, conference: (domain, conference), came, people } = attended;
    let (domain, conference) = (domain.to_string(), conference.to_string());
    if came {
        Event::ConferenceJoined { domain, conference, call, people }
    } else {
        Event::ConferenceLeft { domain, conference, call, people }
    }
}

fn push_event(push: Push) -> Event {
    let Push { device, provider, prid, param, call } = push;
    let (domain, device) = (device.domain.to_string(), device.device.to_string());
    Event::PushWanted { domain, device, provider, prid, param, call }
}

/// A trunk that has refused us needs somebody to see to it: an alarm as well.
fn trunk_events(news: News) -> Vec<Event> {
    match news {
        News::Up { trunk: (domain, trunk) } => {
            vec![Event::TrunkUp { domain: domain.to_string(), trunk: trunk.to_string() }]
        }
        News::Down { trunk: (domain, trunk), why, refused } => {
            let down =
                Event::TrunkDown { domain: domain.to_string(), trunk: trunk.to_string(), why: why.clone() };
            let what = format!(
                "{domain}: trunk {trunk} refuses our registration ({why}); it is tried again when the rules are next applied"
            );
            if refused { vec![down, Event::Alarm { what }] } else { vec![down] }
        }
    }
}
