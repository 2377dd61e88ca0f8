//! A field of a message that has not been parsed, and may never be: for those who decide at the door what is to be read at all.
//!
//! What it is not: a parser. It unfolds nothing and judges nothing; what it finds is a hint, to be held against what is known.

use memchr::memchr;

/// Lines that are looked at: what stands further down is not found.
const LINES_MAX: usize = 32;

/// The value of the first field of this name, or of this compact form, with the blanks around it taken off. The start line is no field.
#[must_use]
pub fn field<'a>(bytes: &'a [u8], name: &str, compact: Option<u8>) -> Option<&'a [u8]> {
    let mut rest = bytes;
    for _ in 0..LINES_MAX {
        rest = rest.get(memchr(b'\n', rest)? + 1..)?;
        if rest.starts_with(b"\r\n") || rest.starts_with(b"\n") {
            return None; // what follows is its body
        }
        let colon = memchr(b':', rest.get(..name.len() + 4).unwrap_or(rest));
        let Some((said, value)) = colon.and_then(|at| Some((rest.get(..at)?, rest.get(at + 1..)?))) else {
            continue;
        };
        let said = said.trim_ascii();
        if said.eq_ignore_ascii_case(name.as_bytes())
            || compact.is_some_and(|compact| said.eq_ignore_ascii_case(&[compact]))
        {
            return value.get(..memchr(b'\n', value)?).map(<[u8]>::trim_ascii);
        }
    }
    None
}

/// The tag of that From or To.
#[must_use]
pub fn tag(field: &[u8]) -> Option<&[u8]> {
    param(field.rsplit(|byte| *byte == b'>').next()?, "tag")
}

/// The value of a parameter of that field, as it stands there.
#[must_use]
pub fn param<'a>(field: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut parts = field.split(|byte| *byte == b';');
    let of = |part: &'a [u8]| {
        let at = memchr(b'=', part)?;
        let (said, value) = (part.get(..at)?, part.get(at + 1..)?);
        said.trim_ascii().eq_ignore_ascii_case(name.as_bytes()).then_some(value)
    };
    let value = parts.find_map(of)?;
    let end = value.iter().position(|byte| b", >\t\r\n".contains(byte)).unwrap_or(value.len());
    value.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANSWER: &[u8] = b"SIP/2.0 200 OK\r\nv : SIP/2.0/UDP 192.0.2.1 ; rport ;branch=z9hG4bKa , SIP/2.0/UDP x;branch=b\r\nCSEQ: 7  INVITE\r\n\
        t: <sip:x@y;tag=uri>;x=1;Tag=mine\r\n\r\nCall-ID: body\r\n";

    #[test]
    fn fields_are_found_by_any_case_and_compact_form() {
        let via = field(ANSWER, "Via", Some(b'v')).unwrap();
        assert_eq!(param(via, "branch"), Some(&b"z9hG4bKa"[..]));
        assert_eq!(field(ANSWER, "CSeq", None), Some(&b"7  INVITE"[..]));
        assert_eq!(field(ANSWER, "To", Some(b't')).and_then(tag), Some(&b"mine"[..]));
        assert_eq!(field(ANSWER, "Call-ID", Some(b'i')), None);
    }

    #[test]
    fn what_is_no_message_has_no_fields() {
        for bytes in
            [&b""[..], b"\n", b"\n\n\n:", b"\r\n\r\n", b"SIP/2.0 200 OK", b"x\nVia", b"x\nVia:", b"x\nVia: y"]
        {
            assert_eq!(field(bytes, "Via", Some(b'v')), None, "{bytes:?}");
        }
        assert_eq!(param(b";branch", "branch"), None);
        assert_eq!(param(b"x;branch=", "branch"), Some(&b""[..]));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange_to_be_looked_at(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(via) = field(&bytes, "Via", Some(b'v')) {
                let _ = param(via, "branch");
            }
        }
    }
}
