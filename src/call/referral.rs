//! What a REFER asks for (RFC 3515 §2.4), read. It decides nothing.

use crate::dialog::DialogId;
use crate::sip::{Message, NameAddr, Params, Replaces, Scheme};

/// Whom somebody is to be transferred to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferTo<'a> {
    /// As a Request-URI may have it.
    pub uri: &'a str,
    /// What was dialled.
    pub user: &'a str,
    /// The dialog whose place is to be taken (RFC 3891), as the party that holds it sees it: that is us.
    pub replaces: Option<DialogId>,
}

/// The target of a REFER.
///
/// # Errors
/// The status that refuses it.
pub fn refer_to(request: &Message) -> Result<ReferTo<'_>, u16> {
    let mut values = values(request, "Refer-To", "r");
    // RFC 3515 §2.4.2: none, or more than one.
    let (Some(value), None) = (values.next(), values.next()) else { return Err(400) };
    let address = NameAddr::parse(value).ok_or(400_u16)?;
    let uri = address.uri;
    if !matches!(uri.scheme, Scheme::Sip | Scheme::Sips | Scheme::Tel) {
        return Err(416);
    }
    let calls = uri.param("method").is_none_or(|method| method.eq_ignore_ascii_case("INVITE"));
    if !calls {
        return Err(501); // nothing but calls
    }
    let replaces = match uri.header("Replaces") {
        Some(value) => Some(dialog_of(&Replaces::parse(&value).ok_or(400_u16)?)),
        None => None,
    };
    if uri.user.is_empty() && replaces.is_none() {
        return Err(400);
    }
    Ok(ReferTo { uri: uri.without_headers(), user: uri.user, replaces })
}

/// The dialog that a Replaces names, as we hold it (RFC 3891 §3).
#[must_use]
pub fn dialog_of(replaces: &Replaces<'_>) -> DialogId {
    DialogId {
        call_id: replaces.call_id.to_owned(),
        local_tag: replaces.to_tag.to_owned(),
        remote_tag: replaces.from_tag.to_owned(),
    }
}

/// The dialog that a Target-Dialog names, as we hold it (RFC 4538 §7): its tags stand as whoever gets the request sees them.
#[must_use]
pub fn target_dialog(request: &Message) -> Option<DialogId> {
    let mut values = values(request, "Target-Dialog", "Target-Dialog");
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (call_id, params) = value.split_once(';')?;
    let tag = |name| Params::find(params, name).filter(|tag| !tag.is_empty()).map(str::to_owned);
    let (local_tag, remote_tag) = (tag("local-tag")?, tag("remote-tag")?);
    let call_id = call_id.trim().to_owned();
    (!call_id.is_empty()).then_some(DialogId { call_id, local_tag, remote_tag })
}

/// Whether whoever refers wants to hear what comes of it: not with `Refer-Sub: false` (RFC 4488 §4).
#[must_use]
pub fn wants_notice(request: &Message) -> bool {
    let word = values(request, "Refer-Sub", "Refer-Sub").next().unwrap_or_default();
    !word.split(';').next().is_some_and(|word| word.trim().eq_ignore_ascii_case("false"))
}

/// The values of a header field that has no [`crate::sip::Name`], by its long or compact form.
fn values<'a>(request: &'a Message, long: &'a str, compact: &'a str) -> impl Iterator<Item = &'a str> {
    let named = move |name: &[u8]| {
        name.eq_ignore_ascii_case(long.as_bytes()) || name.eq_ignore_ascii_case(compact.as_bytes())
    };
    let fields = request.headers().filter(move |(_, name, _)| named(name));
    fields.filter_map(|(_, _, value)| std::str::from_utf8(value).ok()).map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refer(fields: &str) -> Message {
        let text = format!("REFER sip:pbx.example SIP/2.0\r\n{fields}Content-Length: 0\r\n\r\n");
        Message::parse(text.into()).unwrap()
    }

    fn read(fields: &str) -> Result<String, u16> {
        refer_to(&refer(fields)).map(|to| to.uri.to_owned())
    }

    #[test]
    fn the_target_is_read_in_both_forms_and_without_headers() {
        assert_eq!(read("Refer-To: <sip:300@pbx.example>\r\n").unwrap(), "sip:300@pbx.example");
        assert_eq!(read("r: sip:300@pbx.example\r\n").unwrap(), "sip:300@pbx.example");
        assert_eq!(
            read("Refer-To: <sip:300@pbx.example;user=phone?Subject=x>\r\n").unwrap(),
            "sip:300@pbx.example;user=phone"
        );
        assert_eq!(read("Refer-To: <tel:+12025550100>\r\n").unwrap(), "tel:+12025550100");
    }

    #[test]
    fn what_is_no_call_to_be_made_is_refused() {
        assert_eq!(read(""), Err(400));
        assert_eq!(read("Refer-To: <sip:1@a>\r\nRefer-To: <sip:2@a>\r\n"), Err(400));
        assert_eq!(read("Refer-To: nobody\r\n"), Err(400));
        assert_eq!(read("Refer-To: <sip:pbx.example>\r\n"), Err(400), "nobody is named");
        assert_eq!(read("Refer-To: <http://pbx.example/>\r\n"), Err(416));
        assert_eq!(read("Refer-To: <sip:300@pbx.example;method=BYE>\r\n"), Err(501));
        assert_eq!(read("Refer-To: <sip:300@pbx.example?Replaces=x%3Bto-tag%3D1>\r\n"), Err(400));
    }

    #[test]
    fn the_dialog_to_be_replaced_is_read_from_its_escapes() {
        let field =
            "Refer-To: <sip:300@pbx.example?Require=replaces&replaces=x%40y%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n";
        let refer = refer(field);
        let to = refer_to(&refer).unwrap();
        let id = DialogId { call_id: "x@y".into(), local_tag: "1".into(), remote_tag: "2".into() };
        assert_eq!((to.uri, to.replaces), ("sip:300@pbx.example", Some(id)));
    }

    #[test]
    fn a_target_dialog_is_named_whole_and_once() {
        let named =
            "Target-Dialog: fa77as7dad8-sd98ajzz@host.example.com ;local-tag=kkaz-;remote-tag=6544\r\n";
        let read = |fields: &str| target_dialog(&refer(fields));
        let id = DialogId {
            call_id: "fa77as7dad8-sd98ajzz@host.example.com".into(),
            local_tag: "kkaz-".into(),
            remote_tag: "6544".into(),
        };
        assert_eq!(read(named), Some(id));
        assert_eq!(read(""), None);
        assert_eq!(read(&format!("{named}{named}")), None);
        for value in
            ["x", "x;local-tag=1", "x;remote-tag=1", "x;local-tag;remote-tag=1", ";local-tag=1;remote-tag=2"]
        {
            assert_eq!(read(&format!("Target-Dialog: {value}\r\n")), None, "{value}");
        }
    }

    #[test]
    fn a_notice_is_wanted_unless_it_is_declined() {
        assert!(wants_notice(&refer("")));
        assert!(wants_notice(&refer("Refer-Sub: true\r\n")));
        assert!(!wants_notice(&refer("Refer-Sub: FALSE;x=1\r\n")));
    }
}
