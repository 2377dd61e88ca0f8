//! Session timers (RFC 4028) of one dialog: what is negotiated, who refreshes, and until when the session holds without a refresh.
//!
//! What it is not: it sends nothing; `refresh` does, when this says that it is time to.

use crate::clock::Now;
use crate::sip::{Message, Name, Writer};
use std::time::{Duration, Instant};

/// The option tag.
pub const TAG: &str = "timer";
/// RFC 4028 §4: no Min-SE is less, and without the field this counts.
pub const MIN_SE_S: u32 = 90;
/// RFC 4028 §10: a session ends by so much, or a third, before its interval is over.
const MARGIN: Duration = Duration::from_secs(32);
/// Between two tries to refresh while something is in the way.
const PAUSE: Duration = Duration::from_secs(2);

/// What we ask for and put up with, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Our Session-Expires.
    pub expires_s: u32,
    /// Our Min-SE.
    pub min_s: u32,
}

impl Default for Limits {
    /// RFC 4028 §4 recommends 1800 s.
    fn default() -> Limits {
        Limits { expires_s: 1800, min_s: MIN_SE_S }
    }
}

/// Whose task it is to refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refresher {
    Us,
    Them,
}

/// A session with an end.
#[derive(Clone, Copy, Debug)]
struct Running {
    interval_s: u32,
    refresher: Refresher,
    /// When we refresh; `None`: they do, or we are at it.
    refresh: Option<Instant>,
    end: Instant,
}

/// What the clock asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    Refresh,
    /// Nobody has refreshed in time: the session is over.
    End,
}

/// The timer of one dialog.
#[derive(Debug)]
pub struct SessionTimer {
    limits: Limits,
    running: Option<Running>,
}

impl SessionTimer {
    #[must_use]
    pub fn new(limits: Limits) -> SessionTimer {
        SessionTimer { limits, running: None }
    }

    /// Takes what the peer says with 422, or in a request, of the shortest interval that it puts up with. `false`: that is no more than we
    /// ask for anyway.
    pub fn lengthen(&mut self, response: &Message) -> bool {
        let Some(min_s) = response.number(Name::MinSe) else { return false };
        let longer = min_s > self.asked_s();
        self.limits.min_s = self.limits.min_s.max(min_s);
        self.limits.expires_s = self.limits.expires_s.max(min_s);
        if let Some(running) = &mut self.running {
            running.interval_s = running.interval_s.max(min_s);
        }
        longer
    }

    fn asked_s(&self) -> u32 {
        self.running.map_or(self.limits.expires_s, |running| running.interval_s)
    }

    /// Session-Expires and Min-SE of a request of ours that begins, changes or refreshes a session (RFC 4028 §7.1, §7.4).
    #[must_use]
    pub fn asked(&self) -> (String, u32) {
        let refresher = match self.running.map(|running| running.refresher) {
            Some(Refresher::Them) => "uas",
            Some(Refresher::Us) | None => "uac",
        };
        (format!("{};refresher={refresher}", self.asked_s()), self.limits.min_s)
    }

    /// Writes them.
    pub fn write_request(&self, w: &mut Writer) {
        let (expires, min_s) = self.asked();
        w.header(Name::SessionExpires, expires);
        if min_s != MIN_SE_S {
            w.header(Name::MinSe, min_s);
        }
    }

    /// The session has no end any more.
    pub fn stop(&mut self) {
        self.running = None;
    }

    /// A request of the peer that begins, changes or refreshes a session gets a 2xx (RFC 4028 §9): its fields are written, and time runs
    /// anew.
    pub fn accept(&mut self, now: Now, request: &Message, w: &mut Writer) {
        let asked = Asked::of(request);
        let floor = self.limits.min_s.max(request.number(Name::MinSe).unwrap_or(0));
        let interval_s = match asked.interval_s {
            Some(theirs) => theirs.min(self.limits.expires_s).max(floor),
            None => self.limits.expires_s.max(floor),
        };
        // RFC 4028 §9, table 2: who doesn't know the extension can't refresh; who leaves it open is refreshed by us.
        let refresher = match asked.refresher {
            Some("uac") if asked.supported => Refresher::Them,
            _ => Refresher::Us,
        };
        let word = match refresher {
            Refresher::Us => "uas",
            Refresher::Them => {
                w.header(Name::Require, TAG);
                "uac"
            }
        };
        w.header(Name::SessionExpires, format_args!("{interval_s};refresher={word}"));
        self.run(now, interval_s, refresher);
    }

    /// A 2xx to a request of ours that began, changed or refreshed the session (RFC 4028 §7.2). Where it says nothing, the peer doesn't
    /// know the extension: then we refresh.
    pub fn accepted(&mut self, now: Now, response: &Message) {
        let asked = Asked::of(response);
        let refresher = match asked.refresher {
            Some("uas") if asked.interval_s.is_some() => Refresher::Them,
            _ => Refresher::Us,
        };
        // What is briefer than we put up with would have us refresh all the time.
        let interval_s = asked.interval_s.unwrap_or_else(|| self.asked_s()).max(self.limits.min_s);
        self.run(now, interval_s, refresher);
    }

    fn run(&mut self, now: Now, interval_s: u32, refresher: Refresher) {
        let interval = Duration::from_secs(u64::from(interval_s));
        let refresh = (refresher == Refresher::Us).then(|| now.mono + interval / 2);
        let end = now.mono + interval.saturating_sub(MARGIN.min(interval / 3));
        self.running = Some(Running { interval_s, refresher, refresh, end });
    }

    /// What is due. A refresh is said to be due once: then its outcome is awaited, or [`SessionTimer::put_off`] called.
    pub fn timeout(&mut self, now: Now) -> Due {
        let Some(running) = &mut self.running else { return Due::Nothing };
        if running.end <= now.mono {
            self.running = None;
            Due::End
        } else if running.refresh.take_if(|at| *at <= now.mono).is_some() {
            Due::Refresh
        } else {
            Due::Nothing
        }
    }

    /// A refresh could not be sent, or was refused: once more in so long, or in a while.
    pub fn put_off(&mut self, now: Now, wait: Option<Duration>) {
        if let Some(running) = &mut self.running {
            running.refresh = Some(now.mono + wait.unwrap_or(PAUSE));
        }
    }

    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let running = self.running.as_ref()?;
        Some(running.refresh.map_or(running.end, |refresh| refresh.min(running.end)))
    }
}

/// 422 (RFC 4028 §9): the Min-SE to answer with, where the request asks for a session briefer than we put up with. Who doesn't know the
/// extension could not repeat the request, and is not refused.
#[must_use]
pub fn too_brief(limits: Limits, request: &Message) -> Option<u32> {
    let asked = Asked::of(request);
    let brief = asked.interval_s.is_some_and(|interval_s| interval_s < limits.min_s);
    (brief && asked.supported).then_some(limits.min_s)
}

/// What a message says of session timers.
struct Asked<'a> {
    interval_s: Option<u32>,
    refresher: Option<&'a str>,
    supported: bool,
}

impl Asked<'_> {
    fn of(message: &Message) -> Asked<'_> {
        let names = |name| message.elements(name).any(|tag| tag.eq_ignore_ascii_case(TAG));
        let params = message.value(Name::SessionExpires).and_then(|value| value.split_once(';'));
        let refresher = params.and_then(|(_, params)| {
            params.split(';').find_map(|param| {
                let (name, value) = param.split_once('=')?;
                name.trim().eq_ignore_ascii_case("refresher").then(|| value.trim())
            })
        });
        let known =
            ["uac", "uas"].into_iter().find(|word| refresher.is_some_and(|r| r.eq_ignore_ascii_case(word)));
        Asked {
            interval_s: message.number(Name::SessionExpires),
            refresher: known,
            supported: names(Name::Supported) || names(Name::Require),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { expires_s: 1800, min_s: 90 };

    fn message(start: &str, fields: &str) -> Message {
        Message::parse(format!("{start}\r\n{fields}Content-Length: 0\r\n\r\n").into()).unwrap()
    }

    fn request(fields: &str) -> Message {
        message("INVITE sip:x@y SIP/2.0", fields)
    }

    fn response(fields: &str) -> Message {
        message("SIP/2.0 200 OK", fields)
    }

    fn accepted(fields: &str) -> (String, bool, SessionTimer) {
        let now = crate::net::clock::now();
        let mut timer = SessionTimer::new(LIMITS);
        let mut w = Writer::response(200, "OK");
        timer.accept(now, &request(fields), &mut w);
        let said = Message::parse(w.finish()).unwrap();
        (said.value(Name::SessionExpires).unwrap().to_owned(), said.value(Name::Require).is_some(), timer)
    }

    #[test]
    fn the_interval_is_never_raised_and_the_refresher_is_as_they_want() {
        for (fields, says, requires) in [
            ("", "1800;refresher=uas", false),
            ("Session-Expires: 600\r\n", "600;refresher=uas", false),
            ("Supported: timer\r\nx: 600;refresher=UAC\r\n", "600;refresher=uac", true),
            ("Supported: timer\r\nSession-Expires: 600;refresher=uas\r\n", "600;refresher=uas", false),
            ("Supported: timer\r\nSession-Expires: 9000\r\n", "1800;refresher=uas", false),
            ("Supported: timer\r\nSession-Expires: 9000\r\nMin-SE: 3600\r\n", "3600;refresher=uas", false),
            // Who doesn't know the extension can't be the one who refreshes, nor be refused.
            ("Session-Expires: 20;refresher=uac\r\n", "90;refresher=uas", false),
        ] {
            let (said, required, _) = accepted(fields);
            assert_eq!((said.as_str(), required), (says, requires), "{fields}");
        }
    }

    #[test]
    fn what_is_too_brief_is_refused_to_who_knows_how_to_ask_again() {
        assert_eq!(too_brief(LIMITS, &request("Supported: timer\r\nSession-Expires: 89\r\n")), Some(90));
        assert_eq!(too_brief(LIMITS, &request("Supported: timer\r\nSession-Expires: 90\r\n")), None);
        assert_eq!(too_brief(LIMITS, &request("Session-Expires: 89\r\n")), None);
        assert_eq!(too_brief(LIMITS, &request("Supported: timer\r\n")), None);
    }

    #[test]
    fn we_refresh_at_half_the_interval_and_they_have_until_shortly_before_its_end() {
        let now = crate::net::clock::now();
        let (_, _, mut ours) = accepted("Session-Expires: 600\r\n");
        let at =
            |timer: &SessionTimer| timer.deadline().unwrap().saturating_duration_since(now.mono).as_secs();
        assert!((299..=301).contains(&at(&ours)), "{}", at(&ours));
        let later = |seconds| Now { mono: now.mono + Duration::from_secs(seconds), ..now };
        assert_eq!(ours.timeout(later(200)), Due::Nothing);
        assert_eq!(ours.timeout(later(302)), Due::Refresh);
        assert_eq!(ours.timeout(later(303)), Due::Nothing, "its outcome is awaited");
        ours.put_off(later(303), None);
        assert_eq!(ours.timeout(later(306)), Due::Refresh);
        assert_eq!(ours.timeout(later(570)), Due::End);
        let mut theirs = SessionTimer::new(LIMITS);
        theirs.accepted(now, &response("Session-Expires: 90;refresher=uas\r\n"));
        assert_eq!(at(&theirs), 60, "a third, where that is less than 32 s");
        assert_eq!(theirs.timeout(later(61)), Due::End);
    }

    #[test]
    fn who_says_nothing_of_it_is_refreshed_by_us() {
        let now = crate::net::clock::now();
        let mut timer = SessionTimer::new(LIMITS);
        timer.accepted(now, &response(""));
        assert_eq!(timer.deadline(), Some(now.mono + Duration::from_secs(900)));
    }

    #[test]
    fn a_422_is_taken_to_heart_once() {
        let mut timer = SessionTimer::new(LIMITS);
        let refused = message("SIP/2.0 422 Session Interval Too Small", "Min-SE: 3600\r\n");
        assert!(timer.lengthen(&refused));
        assert!(!timer.lengthen(&refused), "there is nothing new to say");
        let mut w = Writer::request("INVITE", "sip:x@y");
        timer.write_request(&mut w);
        let said = Message::parse(w.finish()).unwrap();
        assert_eq!(said.value(Name::SessionExpires), Some("3600;refresher=uac"));
        assert_eq!(said.value(Name::MinSe), Some("3600"));
    }
}
