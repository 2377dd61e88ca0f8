//! A new INVITE as the rules see it: who calls, what they dialled, what its way here was. Header fields become [`CallFacts`]; what of
//! them counts depends on whom they came from.

use crate::call::history::History;
use crate::call::office::Office;
use crate::clock::Now;
use crate::rules::domain::TrunkView;
use crate::rules::model::Called;
use crate::rules::{CallFacts, Caller, Dialled, Domain, Origin, Verified};
use crate::sip::{Message, Name, NameAddr, Params, Scheme, Uri};

/// Names longer than this are cut: they go into records and other people's displays.
const TEXT_CHARS_MAX: usize = 128;

/// The call as the rules see it, and as it will be told on.
pub struct Reading {
    pub facts: CallFacts,
    pub history: History,
    /// The call comes back to a number that diverted it before (RFC 7544): a loop through networks that keep no Via of ours.
    pub looped: bool,
}

/// Reads it.
#[must_use]
pub fn read(office: &Office, now: Now, message: &Message, domain: &Domain, origin: Origin) -> Reading {
    let trunk = match &origin {
        Origin::Trunk(name) => domain.trunk(name),
        _ => None,
    };
    let identity = Identity::of(message, trunk);
    let history = History::of(message);
    let dialled = match trunk {
        Some(trunk) => dialled_by(message, trunk, domain.registration(&trunk.name).map(|of| &*of.user)),
        None => dialled(message.request_uri()),
    };
    let called = match (&dialled, trunk) {
        (Dialled::Text(text), Some(trunk)) => domain.normalised(&trunk.name, text),
        _ => None,
    };
    let comes_back = |trunk: &TrunkView| {
        let ours = |by: &str| domain.normalised(&trunk.name, by).is_some_and(|by| Some(by) == called);
        called.is_some() && history.diverters().any(ours)
    };
    let facts = CallFacts {
        at: now.wall,
        psap_callback: trunk.is_some_and(|trunk| {
            // RFC 7090 §5: the mark counts from those that we trust. Without it, a call to the number that an emergency call has
            // just shown is taken for one (§1 names this way): better one unwanted call than a call-taker in a mailbox.
            (trunk.trust && is_marked_as_callback(message))
                || called.as_ref().is_some_and(|number| office.awaits_callback(now, domain.name(), number))
        }),
        verified: identity.verified,
        earlier_hops: history.hops(),
        caller: Caller { origin, raw: identity.raw, name: identity.name, anonymous: identity.withheld },
        dialled,
    };
    Reading { looped: trunk.is_some_and(comes_back), facts, history }
}

/// Who the INVITE says is calling.
struct Identity {
    raw: std::sync::Arc<str>,
    name: Option<std::sync::Arc<str>>,
    withheld: bool,
    verified: Verified,
}

impl Identity {
    fn of(message: &Message, trunk: Option<&TrunkView>) -> Identity {
        let trusted = trunk.is_some_and(|trunk| trunk.trust);
        // RFC 3325 §9.1: an asserted identity counts from those that we trust.
        let asserted = message.addresses(Name::PAssertedIdentity).next().filter(|_| trusted);
        // Never an RFC, and some trunks speak nothing else (draft-ietf-sip-privacy-04).
        let remote_party = message
            .addresses(Name::RemotePartyId)
            .find(|party| party.param("party").is_none_or(|party| party.eq_ignore_ascii_case("calling")))
            .filter(|_| trunk.is_some_and(|trunk| trunk.remote_party_id));
        let hidden_party = remote_party.as_ref().is_some_and(|party| {
            party.param("privacy").is_some_and(|privacy| !privacy.eq_ignore_ascii_case("off"))
        });
        let from = message.from();
        // RFC 3325 §9.2: a phone may say which of its identities it prefers; what comes of it is for the rules to say.
        let preferred =
            message.fields("P-Preferred-Identity").find_map(NameAddr::parse).filter(|_| trunk.is_none());
        let identity = asserted.or(remote_party).or(preferred).or(from);
        let name = identity.map(|identity| identity.display_unescaped().into_owned());
        let verified = |address: &NameAddr<'_>| verified(&address.uri);
        Identity {
            raw: identity.map(|identity| user(&identity.uri)).unwrap_or_default().as_str().into(),
            name: name.filter(|name| !name.is_empty()).map(|name| cut(&name).into()),
            withheld: is_withheld(message, from.as_ref()) || hidden_party,
            verified: match trusted {
                true => asserted.as_ref().and_then(verified).or_else(|| from.as_ref().and_then(verified)),
                false => None,
            }
            .unwrap_or_default(),
        }
    }
}

/// The user part without the parameters of a telephone subscriber (RFC 3261 §19.1.6), cut to a length that records bear.
fn user(uri: &Uri<'_>) -> String {
    let user = uri.user_unescaped();
    let number = user.split(';').next().filter(|number| !number.is_empty()).unwrap_or(&user);
    cut(number).to_owned()
}

/// What whoever checked the signature says (3GPP TS 24.229 §7.2A.20): `verstat` of the tel URI, or of the telephone subscriber that
/// stands before the `@`.
fn verified(uri: &Uri<'_>) -> Option<Verified> {
    let in_user = uri.user.find(';').and_then(|at| uri.user.get(at..)).unwrap_or_default();
    let said = Params::find(in_user, "verstat").or_else(|| uri.param("verstat"))?;
    let begins = |word: &str| said.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    Some(match said {
        _ if begins("TN-Validation-Passed") => Verified::Passed,
        _ if begins("TN-Validation-Failed") => Verified::Failed,
        _ => Verified::NotChecked, // `No-TN-Validation`, and words to come
    })
}

/// RFC 7090 §4.
fn is_marked_as_callback(message: &Message) -> bool {
    message.value(Name::Priority).is_some_and(|p| p.trim().eq_ignore_ascii_case("psap-callback"))
}

/// Identity withheld on purpose (RFC 3323, RFC 3261 §8.1.1.3, RFC 5079): not the same as no number.
fn is_withheld(message: &Message, from: Option<&NameAddr<'_>>) -> bool {
    let asks = |words: &[&str]| {
        let mut values = message.values(Name::Privacy).flat_map(|value| value.split(';'));
        values.any(|value| words.iter().any(|word| value.trim().eq_ignore_ascii_case(word)))
    };
    let privacy = asks(&["id", "user", "header"]) && !asks(&["none"]); // RFC 3323 §4.2: `none` stands alone, and wins
    let anonymous = from.is_some_and(|from| {
        from.uri.host.eq_ignore_ascii_case("anonymous.invalid")
            || from.uri.user.eq_ignore_ascii_case("anonymous")
            || from.display.eq_ignore_ascii_case("anonymous")
    });
    privacy || anonymous
}

fn dialled(request_uri: &str) -> Dialled {
    let Some(uri) = Uri::parse(request_uri) else { return Dialled::Text("".into()) };
    // RFC 5031: urn:service:sos and its sub-services.
    let service = uri.text.get(..15).is_some_and(|start| start.eq_ignore_ascii_case("urn:service:sos"));
    if uri.scheme == Scheme::Urn && service {
        return Dialled::Sos;
    }
    Dialled::Text(user(&uri).as_str().into())
}

/// What a trunk calls, where its `called` says that it stands. A Request-URI that is the Contact of our registration there (its user) says
/// nothing of it: then the next of these does.
fn dialled_by(message: &Message, trunk: &TrunkView, account: Option<&str>) -> Dialled {
    let of_uri = dialled(message.request_uri());
    let Dialled::Text(of_uri) = of_uri else { return of_uri };
    let to = message.to().map(|to| user(&to.uri)).unwrap_or_default();
    let party = message.fields("P-Called-Party-ID").find_map(NameAddr::parse).map(|party| user(&party.uri));
    let (to, party) = (to.into(), party.unwrap_or_default().into());
    let ordered: [&std::sync::Arc<str>; 3] = match trunk.called {
        Called::Uri => [&of_uri, &to, &party],
        Called::To => [&to, &of_uri, &party],
        Called::PCalledPartyId => [&party, &of_uri, &to], // RFC 7315 §4.2: what the caller dialled, before it was routed to us
    };
    let says = |text: &&&std::sync::Arc<str>| !text.is_empty() && account != Some(&***text);
    Dialled::Text((*ordered.iter().find(says).unwrap_or(&&of_uri)).clone())
}

fn cut(text: &str) -> &str {
    text.char_indices().nth(TEXT_CHARS_MAX).map_or(text, |(end, _)| &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let long = "é".repeat(500);
        assert_eq!(cut(&long).chars().count(), TEXT_CHARS_MAX);
        assert_eq!(cut("Rita"), "Rita");
    }

    #[test]
    fn a_service_urn_is_an_emergency_call() {
        assert_eq!(dialled("urn:service:sos"), Dialled::Sos);
        assert_eq!(dialled("URN:SERVICE:SOS.fire"), Dialled::Sos);
        assert_eq!(dialled("sip:101@pbx.example"), Dialled::Text("101".into()));
    }

    #[test]
    fn a_number_is_read_without_what_is_said_of_it() {
        let uri = "sip:+12025550150;verstat=TN-Validation-Passed@carrier.example;user=phone";
        assert_eq!(user(&Uri::parse(uri).unwrap()), "+12025550150");
        assert_eq!(dialled("sip:+12025550100;npdi@pbx.example"), Dialled::Text("+12025550100".into()));
    }

    fn trunk(trust: bool, remote_party_id: bool) -> TrunkView {
        TrunkView {
            name: "carrier".into(),
            proxy: None,
            registers_here: false,
            transport: crate::rules::model::TrunkTransport::Udp,
            diversion: crate::rules::model::Diversion::None,
            trust,
            strips_identity: false,
            remote_party_id,
            says_forwarded: true,
            screens_caller_id: false,
            channels: None,
            ping: None,
            called: crate::rules::model::Called::Uri,
            srtp: None,
        }
    }

    fn identity(fields: &str, trunk: &TrunkView) -> Identity {
        let text = format!(
            "INVITE sip:+12025550101@pbx.example SIP/2.0\r\nFrom: \"Rita\" <sip:+12025550150@c.example>;tag=1\r\n{fields}Content-Length: 0\r\n\r\n"
        );
        Identity::of(&Message::parse(text.into()).unwrap(), Some(trunk))
    }

    #[test]
    fn a_verification_counts_from_those_that_we_trust() {
        for (word, says) in [
            ("TN-Validation-Failed", Verified::Failed),
            ("TN-Validation-Passed-A", Verified::Passed),
            ("No-TN-Validation", Verified::NotChecked),
        ] {
            let field = format!("P-Asserted-Identity: <sip:+12025550177;verstat={word}@c.example>\r\n");
            assert_eq!(identity(&field, &trunk(true, false)).verified, says, "{word}");
            assert_eq!(identity(&field, &trunk(false, false)).verified, Verified::NotChecked);
            let field = format!("P-Asserted-Identity: <tel:+12025550177;verstat={word}>\r\n");
            let read = identity(&field, &trunk(true, false));
            assert_eq!((read.verified, &*read.raw), (says, "+12025550177"));
        }
    }

    fn called(fields: &str, called: Called) -> String {
        let text = format!(
            "INVITE sip:office@192.0.2.1 SIP/2.0\r\nTo: <sip:+12025550101@c.example>\r\n{fields}Content-Length: 0\r\n\r\n"
        );
        let trunk = TrunkView { called, ..trunk(false, false) };
        match dialled_by(&Message::parse(text.into()).unwrap(), &trunk, Some("office")) {
            Dialled::Text(text) => text.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_call_to_our_contact_is_for_the_number_that_stands_elsewhere() {
        let party = "P-Called-Party-ID: <sip:+12025550102@c.example>\r\n";
        assert_eq!(called(party, Called::Uri), "+12025550101", "the Request-URI is our own Contact");
        assert_eq!(called(party, Called::PCalledPartyId), "+12025550102");
        assert_eq!(called("", Called::PCalledPartyId), "+12025550101");
    }

    #[test]
    fn a_number_in_the_request_uri_counts_unless_the_trunk_says_otherwise() {
        let text = "INVITE sip:+12025550103@192.0.2.1 SIP/2.0\r\nTo: <sip:+12025550101@c.example>\r\nContent-Length: 0\r\n\r\n";
        let message = Message::parse(text.into()).unwrap();
        for (called, number) in [(Called::Uri, "+12025550103"), (Called::To, "+12025550101")] {
            let trunk = TrunkView { called, ..trunk(false, false) };
            let Dialled::Text(text) = dialled_by(&message, &trunk, Some("office")) else {
                panic!("a number")
            };
            assert_eq!(&*text, number);
        }
    }

    #[test]
    fn a_phone_may_say_which_identity_it_prefers_and_a_trunk_may_not() {
        let text = "INVITE sip:100@pbx.example SIP/2.0\r\nFrom: <sip:ann1@pbx.example>;tag=1\r\n\
                    P-Preferred-Identity: \"Ann\" <sip:+12025550100@pbx.example>\r\nContent-Length: 0\r\n\r\n";
        let message = Message::parse(text.into()).unwrap();
        assert_eq!(&*Identity::of(&message, None).raw, "+12025550100");
        assert_eq!(&*Identity::of(&message, Some(&trunk(true, true))).raw, "ann1");
    }

    #[test]
    fn who_asks_for_no_privacy_has_none() {
        for (value, withheld) in [
            ("id", true),
            ("user;id;critical", true),
            ("none", false),
            ("id;none", false),
            ("session", false),
        ] {
            let read = identity(&format!("Privacy: {value}\r\n"), &trunk(true, false));
            assert_eq!(read.withheld, withheld, "{value}");
        }
    }

    #[test]
    fn a_remote_party_counts_where_the_trunk_is_said_to_speak_so() {
        let field = "Remote-Party-ID: \"Sue\" <sip:+12025550177@c.example>;party=calling;privacy=full\r\n";
        let read = identity(field, &trunk(true, true));
        assert_eq!((&*read.raw, read.name.as_deref(), read.withheld), ("+12025550177", Some("Sue"), true));
        let read = identity(field, &trunk(true, false));
        assert_eq!((&*read.raw, read.name.as_deref(), read.withheld), ("+12025550150", Some("Rita"), false));
    }
}
