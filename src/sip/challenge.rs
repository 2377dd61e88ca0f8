//! The client's side of the digest scheme (RFC 7616, RFC 8760): what a challenge of theirs asks, and the credentials that answer it.
//! How a server of ours asks is `registrar::digest`; the computation is [`auth`](super::auth).
//!
//! Invariant: no secret, and nothing that is computed of one but the response itself, is ever shown.

use super::auth::{self, Algorithm, Credentials};
use super::params::{BLANK, Elements, after_blanks, before_blanks};
use super::{Message, Name};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Challenges that one request answers before we take a server for one that can't be pleased.
pub const ANSWERS_MAX: usize = 4;

/// Who we are towards a server, and what proves it.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    pub user: Arc<str>,
    pub secret: Secret,
}

/// What proves it.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    Password(Zeroizing<String>),
    /// `H(user ":" realm ":" password)` as lower-case hex: answers challenges of this algorithm alone.
    Ha1(Algorithm, Zeroizing<String>),
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").field("user", &self.user).finish_non_exhaustive()
    }
}

impl Secret {
    fn ha1(&self, algorithm: Algorithm, user: &str, realm: &str) -> Option<Zeroizing<String>> {
        match self {
            Secret::Password(password) => Some(auth::ha1(algorithm, user, realm, password)),
            Secret::Ha1(of, hex) => (*of == algorithm).then(|| hex.clone()),
        }
    }
}

/// One WWW-Authenticate or Proxy-Authenticate field, its texts as written between their quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge<'a> {
    pub realm: &'a str,
    pub nonce: &'a str,
    pub opaque: Option<&'a str>,
    pub algorithm: Algorithm,
    /// Whether `qop=auth` is on offer; without any `qop` the answer is that of RFC 2069.
    pub qop: bool,
    /// The secret was right, the nonce too old (RFC 7616 §3.3).
    pub stale: bool,
}

impl<'a> Challenge<'a> {
    /// `None` where we can't answer: another scheme or algorithm, `auth-int` alone, no realm or nonce, a parameter twice.
    #[must_use]
    pub fn parse(value: &'a str) -> Option<Challenge<'a>> {
        let (scheme, rest) = after_blanks(value).split_once(BLANK)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return None;
        }
        let (mut realm, mut nonce, mut opaque) = (None, None, None);
        let (mut algorithm, mut qop, mut stale) = (None, None, None);
        for element in Elements::new(rest) {
            let (name, value) = element.split_once('=')?;
            let value = after_blanks(value);
            let value = match value.strip_prefix('"') {
                Some(inner) => inner.strip_suffix('"')?,
                None => value,
            };
            let slot = match before_blanks(name).to_ascii_lowercase().as_str() {
                "realm" => &mut realm,
                "nonce" => &mut nonce,
                "opaque" => &mut opaque,
                "algorithm" => &mut algorithm,
                "qop" => &mut qop,
                "stale" => &mut stale,
                _ => continue,
            };
            if slot.replace(value).is_some() {
                return None;
            }
        }
        let offers_auth =
            |offered: &str| offered.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth"));
        if qop.is_some_and(|offered| !offers_auth(offered)) {
            return None;
        }
        Some(Challenge {
            realm: realm?,
            nonce: nonce?,
            opaque,
            algorithm: algorithm.map_or(Some(Algorithm::Md5), Algorithm::parse)?, // RFC 7616 §3.4
            qop: qop.is_some(),
            stale: stale.is_some_and(|stale: &str| stale.eq_ignore_ascii_case("true")),
        })
    }
}

/// The field that a status asks by, and the one that answers it (RFC 3261 §22.2, §22.3).
fn fields(status: u16) -> Option<(Name, Name)> {
    match status {
        401 => Some((Name::WwwAuthenticate, Name::Authorization)),
        407 => Some((Name::ProxyAuthenticate, Name::ProxyAuthorization)),
        _ => None,
    }
}

/// A challenge that we can answer, as often as its nonce is good for.
#[derive(Clone)]
pub struct Session {
    /// Authorization or Proxy-Authorization.
    field: Name,
    user: Arc<str>,
    realm: Box<str>,
    nonce: Box<str>,
    opaque: Option<Box<str>>,
    algorithm: Algorithm,
    qop: bool,
    ha1: Zeroizing<String>,
    /// Requests that carried this nonce.
    count: u32,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("realm", &self.realm)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// For the challenge of a 401 or 407 that is worth most: SHA-256 before MD5, whatever their order, since only one who could
    /// break the weaker gains by its being first (RFC 8760 §2.3 has the server's order; both of its algorithms are ours).
    /// `None` where we can answer none.
    #[must_use]
    pub fn of(login: &Login, response: &Message) -> Option<(Session, bool)> {
        let (asks, field) = fields(response.status())?;
        let with_ha1 = |challenge: Challenge<'_>| {
            let ha1 = login.secret.ha1(challenge.algorithm, &login.user, challenge.realm)?;
            let session = Session {
                field,
                user: login.user.clone(),
                realm: challenge.realm.into(),
                nonce: challenge.nonce.into(),
                opaque: challenge.opaque.map(Box::from),
                algorithm: challenge.algorithm,
                qop: challenge.qop,
                ha1,
                count: 0,
            };
            Some((session, challenge.stale))
        };
        let answerable = response.values(asks).filter_map(Challenge::parse).filter_map(with_ha1);
        answerable.min_by_key(|(session, _)| session.algorithm != Algorithm::Sha256)
    }

    /// The field for one more request, and its value. `cnonce` is ours to choose: unpredictable, and no quotes in it.
    #[must_use]
    pub fn credentials(&mut self, method: &str, uri: &str, cnonce: &str) -> (Name, String) {
        self.count = self.count.saturating_add(1);
        let nc_text = format!("{:08x}", self.count);
        let credentials = Credentials {
            username: Cow::Borrowed(&self.user),
            realm: &self.realm,
            nonce: &self.nonce,
            uri,
            response: "",
            algorithm: None,
            cnonce: self.qop.then_some(cnonce),
            qop: self.qop.then_some("auth"),
            nc: Some(self.count),
            nc_text: &nc_text,
            opaque: self.opaque.as_deref(),
        };
        let response = auth::response(self.algorithm, &self.ha1, method, &credentials);
        let user = self.user.replace('\\', "\\\\").replace('"', "\\\"");
        let Session { realm, nonce, algorithm, .. } = self;
        let mut value = format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", algorithm={}",
            algorithm.word()
        );
        if self.qop {
            value += &format!(", qop=auth, nc={nc_text}, cnonce=\"{cnonce}\"");
        }
        if let Some(opaque) = &self.opaque {
            value += &format!(", opaque=\"{opaque}\"");
        }
        (self.field, value)
    }
}

/// What has been answered on behalf of one request.
#[derive(Clone, Debug, Default)]
pub struct Answered(Vec<(Name, Box<str>)>);

impl Answered {
    /// The session for one more try of the request that got this response. `None`: what we know was refused, or can't answer.
    /// Once a nonce; after a first answer only a challenge that says that the nonce alone was at fault is answered again
    /// (RFC 3261 §22.2: the same credentials aren't sent twice).
    #[must_use]
    pub fn answer(&mut self, login: &Login, response: &Message) -> Option<Session> {
        let (session, stale) = Session::of(login, response)?;
        let mut before = self.0.iter().filter(|(field, _)| *field == session.field).peekable();
        let is_first = before.peek().is_none();
        let is_new = before.all(|(_, nonce)| **nonce != *session.nonce);
        if self.0.len() >= ANSWERS_MAX || !is_new || !(is_first || stale) {
            return None;
        }
        self.0.push((session.field, session.nonce.clone()));
        Some(session)
    }

    /// Whether any challenge was answered.
    #[must_use]
    pub fn any(&self) -> bool {
        !self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Login {
        Login { user: "Mufasa".into(), secret: Secret::Password("Circle of Life".to_owned().into()) }
    }

    fn refused(status: u16, fields: &str) -> Message {
        let text = format!("SIP/2.0 {status} No\r\n{fields}Content-Length: 0\r\n\r\n");
        Message::parse(text.into()).unwrap()
    }

    const RFC_7616: &str = "realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
        nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";

    #[test]
    fn both_examples_of_rfc_7616_section_3_9_1_are_answered_as_it_says() {
        for (word, expected) in [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ] {
            let response =
                refused(401, &format!("WWW-Authenticate: Digest {RFC_7616}, algorithm={word}\r\n"));
            let (mut session, stale) = Session::of(&login(), &response).unwrap();
            let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
            let (field, value) = session.credentials("GET", "/dir/index.html", cnonce);
            assert_eq!((field, stale), (Name::Authorization, false));
            let read = Credentials::parse(&value).unwrap();
            assert_eq!((read.response, read.nc, read.qop), (expected, Some(1), Some("auth")), "{value}");
            assert_eq!(read.opaque, Some("FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"));
            let (_, second) = session.credentials("GET", "/dir/index.html", cnonce);
            assert_eq!(Credentials::parse(&second).unwrap().nc, Some(2), "one nonce, counted");
        }
    }

    #[test]
    fn sha_256_is_taken_before_md5_and_what_is_unknown_is_passed_over() {
        let offers = "Proxy-Authenticate: Digest realm=\"r\", nonce=\"1\", algorithm=MD5-sess\r\n\
                      Proxy-Authenticate: Digest realm=\"r\", nonce=\"2\", algorithm=MD5\r\n\
                      Proxy-Authenticate: Digest realm=\"r\", nonce=\"3\", algorithm=SHA-256\r\n\
                      Proxy-Authenticate: Bearer realm=\"r\"\r\n";
        let (mut session, _) = Session::of(&login(), &refused(407, offers)).unwrap();
        let (field, value) = session.credentials("INVITE", "sip:r", "c");
        assert_eq!(field, Name::ProxyAuthorization);
        assert!(value.contains("nonce=\"3\"") && value.contains("algorithm=SHA-256"), "{value}");
        assert!(!value.contains("qop"), "none was on offer: RFC 2069");
    }

    #[test]
    fn an_ha1_answers_its_own_algorithm_alone() {
        let ha1 = auth::ha1(Algorithm::Md5, "Mufasa", "r", "Circle of Life");
        let known = Login { user: "Mufasa".into(), secret: Secret::Ha1(Algorithm::Md5, ha1) };
        let offer = |word| {
            refused(401, &format!("WWW-Authenticate: Digest realm=\"r\", nonce=\"n\", algorithm={word}\r\n"))
        };
        assert!(Session::of(&known, &offer("SHA-256")).is_none());
        let (mut by_ha1, _) = Session::of(&known, &offer("MD5")).unwrap();
        let (mut by_password, _) = Session::of(&login(), &offer("MD5")).unwrap();
        assert_eq!(
            by_ha1.credentials("REGISTER", "sip:r", "c"),
            by_password.credentials("REGISTER", "sip:r", "c")
        );
    }

    #[test]
    fn what_was_refused_is_not_said_again_unless_the_nonce_alone_was_stale() {
        let challenge = |nonce: &str, more: &str| {
            refused(401, &format!("WWW-Authenticate: Digest realm=\"r\", nonce=\"{nonce}\"{more}\r\n"))
        };
        let mut answered = Answered::default();
        assert!(answered.answer(&login(), &challenge("1", "")).is_some());
        assert!(
            answered.answer(&login(), &challenge("2", "")).is_none(),
            "another nonce is no better secret"
        );
        assert!(answered.answer(&login(), &challenge("1", ", stale=true")).is_none(), "once a nonce");
        assert!(answered.answer(&login(), &challenge("3", ", stale=TRUE")).is_some());
        for nonce in 4..20 {
            let _ = answered.answer(&login(), &challenge(&nonce.to_string(), ", stale=true"));
        }
        assert_eq!(answered.0.len(), ANSWERS_MAX, "a server that is never pleased is left");
    }

    #[test]
    fn a_proxy_and_a_server_behind_it_are_answered_each() {
        let mut answered = Answered::default();
        let proxy = refused(407, "Proxy-Authenticate: Digest realm=\"p\", nonce=\"1\"\r\n");
        let server = refused(401, "WWW-Authenticate: Digest realm=\"s\", nonce=\"1\"\r\n");
        assert!(answered.answer(&login(), &proxy).is_some());
        assert!(answered.answer(&login(), &server).is_some());
    }

    #[test]
    fn no_secret_is_shown() {
        let (session, _) =
            Session::of(&login(), &refused(401, "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n"))
                .unwrap();
        let shown = format!("{:?} {session:?}", login());
        assert!(!shown.contains("Circle") && !shown.contains(session.ha1.as_str()), "{shown}");
    }

    #[test]
    fn challenges_that_cannot_be_answered_are_none() {
        for broken in [
            "Digest realm=\"r\"",
            "Digest nonce=\"n\"",
            "Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\"",
            "Digest realm=\"r\", nonce=\"n\", realm=\"q\"",
            "Digest realm=\"r\", nonce=\"n",
            "Digest",
        ] {
            assert_eq!(Challenge::parse(broken), None, "{broken}");
        }
    }
}
