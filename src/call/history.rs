//! The way that a call took before it came here and takes from here on: History-Info (RFC 7044) and Diversion (RFC 5806), each read
//! and written in the other's terms (RFC 7544).
//!
//! Both are read into one list of stations, oldest first; a station that the call was *diverted* to carries the reason. What was
//! received is written on as it came, where it is written in the field that it came in. Not here: how many hops a call may take, and
//! who may divert it (that is `rules`).
//!
//! Invariants: an index is unique within the list, and that of a diversion is its parent's with one number more; nothing longer than
//! [`STATIONS_MAX`] is read or written.

use crate::rules::model::Diversion;
use crate::sip::{Message, Name, NameAddr, Params, Uri, Writer};

/// Stations of one call that are read; a call that has been through more is a loop by any budget.
pub const STATIONS_MAX: usize = 64;

/// What stands for a station that is not to be told (RFC 7044 §10.1.2).
const ANONYMOUS: &str = "sip:anonymous@anonymous.invalid";

/// Where a call has been.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    stations: Vec<Station>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Station {
    /// Without headers and without `cause`.
    uri: String,
    /// RFC 7044 §5: `1.1.2`.
    index: String,
    /// Why the call was diverted to here; `None` where it was routed, or began.
    diverted: Option<Diverted>,
    /// Whoever asks for privacy (RFC 7044 §10.1.1, RFC 5806) wants this untold to those outside of the trust domain.
    private: bool,
    /// As it came, where it came as an hi-entry.
    entry: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Diverted {
    /// A word of RFC 5806.
    reason: String,
    /// The index of the station that diverted (`mp` of RFC 7044 §5).
    by: String,
    /// How often it was diverted on this step.
    counter: u32,
}

impl History {
    /// What an INVITE says of its past. Where it says it twice, in both fields, the one that knows of more counts (RFC 7544).
    #[must_use]
    pub fn of(invite: &Message) -> History {
        let entries = History::of_entries(invite);
        let diversions = History::of_diversions(invite);
        if diversions.hops() > entries.hops() { diversions } else { entries }
    }

    fn of_entries(invite: &Message) -> History {
        let all_private = invite.values(Name::Privacy).flat_map(|value| value.split(';')).any(|word| {
            // RFC 7044 §10.1.1: `session` and `header` ask for it as well.
            ["history", "header", "session"].iter().any(|asks| word.trim().eq_ignore_ascii_case(asks))
        });
        let mut stations: Vec<Station> = Vec::new();
        for text in invite.elements(Name::HistoryInfo).take(STATIONS_MAX) {
            let Some(address) = NameAddr::parse(text) else { continue };
            let Some(index) = address.param("index").filter(|index| is_index(index)) else { continue };
            if stations.iter().any(|station| station.index == index) {
                continue;
            }
            let cause = address.uri.param("cause").and_then(|cause| cause.parse().ok());
            let mapped = address.param("mp").filter(|index| is_index(index));
            // RFC 4458 §2: the cause stands in the target that it led to. `mp` alone: to somebody else, nobody says why.
            let diverted = (cause.is_some() || mapped.is_some()).then(|| Diverted {
                reason: reason_of(cause.unwrap_or_default()).to_owned(),
                by: mapped.or_else(|| parent(index)).unwrap_or_default().to_owned(),
                counter: 1,
            });
            stations.push(Station {
                uri: bare(&address.uri),
                index: index.to_owned(),
                diverted,
                private: all_private || asks_for_privacy(&address.uri),
                entry: Some(text.to_owned()),
            });
        }
        History { stations }
    }

    /// The topmost Diversion is the newest (RFC 5806); each names who diverted, so the call itself is the last station.
    fn of_diversions(invite: &Message) -> History {
        let mut diversions: Vec<NameAddr<'_>> =
            invite.addresses(Name::Diversion).take(STATIONS_MAX - 1).collect();
        diversions.reverse();
        let mut history = History::default();
        let mut last: Option<(&str, u32)> = None;
        for diversion in &diversions {
            history.station(&bare(&diversion.uri), last);
            let counter = diversion.param("counter").and_then(|counter| counter.parse().ok()).unwrap_or(1);
            let private =
                diversion.param("privacy").is_some_and(|privacy| !privacy.eq_ignore_ascii_case("off"));
            if let (Some(station), true) = (history.stations.last_mut(), private) {
                station.private = true;
            }
            last = Some((diversion.param("reason").unwrap_or("unknown"), counter));
        }
        if let (Some(uri), Some(_)) = (Uri::parse(invite.request_uri()), last) {
            history.station(&bare(&uri), last);
        }
        history
    }

    /// One station more, diverted to from the one before (reason and counter) or not.
    fn station(&mut self, uri: &str, diverted: Option<(&str, u32)>) {
        let before = self.stations.last().map(|station| station.index.clone());
        let index = before.as_ref().map_or_else(|| "1".to_owned(), |before| format!("{before}.1"));
        let diverted = diverted.zip(before).map(|((reason, counter), by)| Diverted {
            reason: reason.to_owned(),
            by,
            counter: counter.max(1),
        });
        self.stations.push(Station { uri: uri.to_owned(), index, diverted, private: false, entry: None });
    }

    /// How often the call was diverted; at most [`STATIONS_MAX`] times, whatever it says.
    #[must_use]
    pub fn hops(&self) -> u32 {
        let counters =
            self.stations.iter().filter_map(|station| station.diverted.as_ref()).map(|d| d.counter);
        counters.fold(0, u32::saturating_add).min(STATIONS_MAX as u32)
    }

    /// Whether any of it is to be kept within the trust domain.
    #[must_use]
    pub fn is_private(&self) -> bool {
        self.stations.iter().any(|station| station.private)
    }

    /// Whoever diverted it: the user parts of their addresses.
    pub fn diverters(&self) -> impl Iterator<Item = &str> {
        self.stations.iter().filter_map(|station| {
            let by = &station.diverted.as_ref()?.by;
            let by = self.stations.iter().find(|other| other.index == *by)?;
            Uri::parse(&by.uri).map(|uri| uri.user)
        })
    }

    /// The call goes on to `to`, diverted by `by` (both URIs) for this reason (RFC 5806).
    pub fn divert(&mut self, by: &str, reason: &str, to: &str) {
        if self.stations.len() + 2 > STATIONS_MAX {
            return; // over any hop budget: such a call does not get so far
        }
        let user = |uri: &str| Uri::parse(uri).map(|uri| uri.user_unescaped().into_owned());
        let here = self.stations.last().is_some_and(|last| user(&last.uri) == user(by));
        if !here {
            self.station(by, None);
        }
        self.station(to, Some((reason, 1)));
    }

    /// Writes what a trunk wants to hear. One that is not `trusted` is not told whom privacy covers.
    pub fn write(&self, w: &mut Writer, wants: Diversion, trusted: bool) {
        if self.hops() == 0 {
            return; // a call that was never diverted needs no past
        }
        if matches!(wants, Diversion::HistoryInfo | Diversion::Both) {
            for station in &self.stations {
                w.header(Name::HistoryInfo, station.as_entry(trusted));
            }
        }
        if matches!(wants, Diversion::Diversion | Diversion::Both) {
            for station in self.stations.iter().rev() {
                let Some(diverted) = &station.diverted else { continue };
                let Some(by) = self.stations.iter().find(|by| by.index == diverted.by) else { continue };
                let (uri, privacy) = match (by.private, trusted) {
                    (true, false) => (ANONYMOUS, "full"),
                    (true, true) => (by.uri.as_str(), "full"),
                    (false, _) => (by.uri.as_str(), "off"),
                };
                let Diverted { reason, counter, .. } = diverted;
                w.header(
                    Name::Diversion,
                    format_args!("<{uri}>;reason={reason};counter={counter};privacy={privacy}"),
                );
            }
        }
    }
}

impl Station {
    fn as_entry(&self, trusted: bool) -> String {
        let hidden = self.private && !trusted;
        if let (Some(entry), false) = (&self.entry, hidden) {
            return entry.clone();
        }
        let uri = if hidden { ANONYMOUS } else { &self.uri };
        let privacy = if self.private && !hidden { "?Privacy=history" } else { "" };
        let index = &self.index;
        match &self.diverted {
            Some(Diverted { reason, by, .. }) => {
                format!("<{uri};cause={}{privacy}>;index={index};mp={by}", cause_of(reason))
            }
            None => match parent(index) {
                Some(parent) => format!("<{uri}{privacy}>;index={index};rc={parent}"),
                None => format!("<{uri}{privacy}>;index={index}"),
            },
        }
    }
}

/// Without its headers and its `cause`, which speak of the step and not of the place.
fn bare(uri: &Uri<'_>) -> String {
    let end = uri.text.len() - uri.headers.len() - uri.params.len();
    let mut bare = uri.text.get(..end).unwrap_or(uri.text).to_owned();
    for param in Params::new(uri.params).filter(|param| !param.name.eq_ignore_ascii_case("cause")) {
        bare.push(';');
        bare.push_str(param.text);
    }
    bare
}

/// RFC 7044 §10.1.1: `?Privacy=history` in the URI itself.
fn asks_for_privacy(uri: &Uri<'_>) -> bool {
    let mut fields = uri.headers.trim_start_matches('?').split('&').filter_map(|field| field.split_once('='));
    fields.any(|(name, value)| name.eq_ignore_ascii_case("Privacy") && value.eq_ignore_ascii_case("history"))
}

fn is_index(text: &str) -> bool {
    let number = |part: &str| (1..=4).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 4 * STATIONS_MAX && text.split('.').all(number)
}

fn parent(index: &str) -> Option<&str> {
    index.rsplit_once('.').map(|(parent, _)| parent)
}

/// RFC 7544: the cause (RFC 4458) of a reason of Diversion.
fn cause_of(reason: &str) -> u16 {
    match reason {
        "unconditional" => 302,
        "user-busy" => 486,
        "no-answer" => 408,
        "deflection" => 480,
        "unavailable" => 503,
        _ => 404, // unknown, time-of-day, do-not-disturb, follow-me, out-of-service, away
    }
}

/// And the way back.
fn reason_of(cause: u16) -> &'static str {
    match cause {
        302 => "unconditional",
        486 => "user-busy",
        408 => "no-answer",
        480 | 487 => "deflection",
        503 => "unavailable",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests;
