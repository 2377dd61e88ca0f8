//! Multipart bodies (RFC 2046 §5.1, RFC 5621 §3): their parts, and how one is written.
//!
//! Parts within parts are not looked into, and nothing is decoded: SIP carries binary.

use super::Params;

/// Parts of one body that are looked at; those behind them are passed over.
pub const PARTS_MAX: usize = 16;
/// RFC 2046 §5.1.1.
const BOUNDARY_BYTES_MAX: usize = 70;

/// One part: its fields and its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    fields: &'a str,
    pub body: &'a [u8],
}

impl<'a> Part<'a> {
    /// The first field of that name, unfolded by nobody: fields of parts are short.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'a str> {
        let mut fields = self.fields.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(word, _)| word.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    #[must_use]
    pub fn content_type(&self) -> Option<&'a str> {
        self.field("Content-Type")
    }

    /// The `cid:` URL that means this part (RFC 2392), without its scheme.
    #[must_use]
    pub fn content_id(&self) -> Option<&'a str> {
        self.field("Content-ID")?.strip_prefix('<')?.strip_suffix('>')
    }
}

/// Whether a Content-Type names this type, in any case and with any parameters.
#[must_use]
pub fn is_media_type(content_type: &str, wanted: &str) -> bool {
    content_type.split(';').next().is_some_and(|media_type| media_type.trim().eq_ignore_ascii_case(wanted))
}

/// The parts of a body, in order; none where it is no multipart, or has no boundary.
#[must_use]
pub fn parts<'a>(content_type: &str, body: &'a [u8]) -> Vec<Part<'a>> {
    let is_multipart = content_type.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/"));
    let parameters = content_type.find(';').and_then(|at| content_type.get(at..)).unwrap_or_default();
    let boundary = Params::find(parameters, "boundary").map(|boundary| boundary.trim().trim_matches('"'));
    let Some(boundary) = boundary.filter(|b| is_multipart && !b.is_empty() && b.len() <= BOUNDARY_BYTES_MAX)
    else {
        return Vec::new();
    };
    let delimiter = format!("--{boundary}");
    let begins_a_line = |at: &usize| *at == 0 || body.get(at - 1) == Some(&b'\n');
    let starts: Vec<usize> = memchr::memmem::find_iter(body, delimiter.as_bytes())
        .filter(begins_a_line)
        .take(PARTS_MAX + 1)
        .collect();
    let spans = starts.windows(2).filter_map(|pair| match pair {
        &[from, to] => body.get(from + delimiter.len()..to),
        _ => None,
    });
    spans.take_while(|span| !span.starts_with(b"--")).filter_map(part).collect()
}

/// What stands between two delimiters. The line end before a delimiter is the delimiter's.
fn part(span: &[u8]) -> Option<Part<'_>> {
    let line_end = memchr::memchr(b'\n', span)?;
    let inside = span.get(line_end + 1..)?;
    let inside = inside.strip_suffix(b"\r\n").unwrap_or(inside);
    if let Some(body) = inside.strip_prefix(b"\r\n") {
        return Some(Part { fields: "", body });
    }
    let fields_end = memchr::memmem::find(inside, b"\r\n\r\n")?;
    let fields = std::str::from_utf8(inside.get(..fields_end)?).ok()?;
    Some(Part { fields, body: inside.get(fields_end + 4..).unwrap_or_default() })
}

/// A part to be written.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    pub content_type: &'a str,
    /// Without its angle brackets.
    pub content_id: Option<&'a str>,
    pub body: &'a [u8],
}

/// A body of these parts. `boundary` must stand in none of them: it is drawn.
#[must_use]
pub fn write(boundary: &str, drafts: &[Draft<'_>]) -> Vec<u8> {
    let one_line = |text: &str| text.replace(['\r', '\n'], " ");
    let mut body = Vec::new();
    for draft in drafts {
        body.extend_from_slice(
            format!("--{boundary}\r\nContent-Type: {}\r\n", one_line(draft.content_type)).as_bytes(),
        );
        if let Some(id) = draft.content_id {
            body.extend_from_slice(format!("Content-ID: <{}>\r\n", one_line(id)).as_bytes());
        }
        body.extend_from_slice(b"\r\n");
        body.extend_from_slice(draft.body);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    body
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TYPE: &str = "multipart/mixed; charset=x;boundary=\"b;1\"";

    #[test]
    fn parts_are_found_between_their_delimiters_and_nowhere_else() {
        let body = "preamble\r\n--b;1 \r\nContent-Type: text/plain\r\nContent-ID: <a@b>\r\n\r\none --b;1 is no delimiter here\r\n\
                    --b;1\r\n\r\nwithout fields\r\n--b;1--\r\n--b;1\r\n\r\nafter the end\r\n--b;1--";
        let found = parts(TYPE, body.as_bytes());
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].content_type(), found[0].content_id()), (Some("text/plain"), Some("a@b")));
        assert_eq!(found[0].body, b"one --b;1 is no delimiter here");
        assert_eq!((found[1].content_type(), found[1].body), (None, &b"without fields"[..]));
    }

    #[test]
    fn what_is_no_multipart_has_no_parts() {
        for content_type in
            ["application/sdp", "multipart/mixed", "multipart/mixed;boundary=", "", "multipart"]
        {
            assert_eq!(parts(content_type, b"--\r\n\r\nx\r\n----"), [], "{content_type}");
        }
        assert_eq!(parts(TYPE, b"--b;1\r\nContent-Type: text/plain\r\n\r\nwithout an end"), []);
    }

    #[test]
    fn a_flood_of_parts_is_cut() {
        let body = "--b;1\r\n\r\nx\r\n".repeat(1000);
        assert_eq!(parts(TYPE, body.as_bytes()).len(), PARTS_MAX);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..PARTS_MAX)) {
            let drafts: Vec<Draft<'_>> = bodies
                .iter()
                .map(|body| Draft { content_type: "application/x", content_id: Some("i@d"), body })
                .collect();
            let written = write("a-boundary-that-is-drawn", &drafts);
            let read = parts("multipart/mixed;boundary=a-boundary-that-is-drawn", &written);
            prop_assert_eq!(read.iter().map(|part| part.body.to_vec()).collect::<Vec<_>>(), bodies);
        }

        #[test]
        fn nothing_panics(body in prop::collection::vec(prop::sample::select(b"-b;1\r\n: x".to_vec()), 0..300)) {
            let _ = parts(TYPE, &body);
        }
    }
}
