//! What agents and the judge read of a message: its lines as they stand, in one pass. Not our parser, and far leaner than a whole one.

/// A message, read as far as agents need it.
pub struct Heard<'a> {
    pub text: &'a str,
    /// Of a response; 0 of a request.
    pub status: u16,
    /// Of a request: its method and its Request-URI.
    pub method: &'a str,
    pub uri: &'a str,
    /// All Via lines, as they stand.
    pub vias: Vec<&'a str>,
    pub from: &'a str,
    pub to: &'a str,
    pub call_id: &'a str,
    pub cseq: u32,
    /// The method that CSeq names.
    pub about: &'a str,
    pub contact: &'a str,
    pub rseq: Option<u32>,
    pub event: &'a str,
    pub allow: bool,
    pub length: Option<usize>,
    pub body: &'a str,
}

impl<'a> Heard<'a> {
    /// `None`: it is not a whole message.
    pub fn read(text: &'a str) -> Option<Heard<'a>> {
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let mut start = lines.next()?.split(' ');
        let first = start.next()?;
        let second = start.next()?;
        let (status, method, uri) = match first {
            "SIP/2.0" => (second.parse().ok()?, "", ""),
            method => (0, method, second),
        };
        let mut heard = Heard {
            text,
            status,
            method,
            uri,
            vias: Vec::with_capacity(1),
            from: "",
            to: "",
            call_id: "",
            cseq: 0,
            about: "",
            contact: "",
            rseq: None,
            event: "",
            allow: false,
            length: None,
            body,
        };
        for line in lines {
            let (name, value) = line.split_once(':')?;
            let value = value.trim_ascii();
            match name {
                "Via" => heard.vias.push(line),
                "From" => heard.from = value,
                "To" => heard.to = value,
                "Call-ID" => heard.call_id = value,
                "CSeq" => {
                    let (number, about) = value.split_once(' ')?;
                    (heard.cseq, heard.about) = (number.parse().ok()?, about);
                }
                "Contact" => heard.contact = value,
                "RSeq" => heard.rseq = value.parse().ok(),
                "Event" => heard.event = value,
                "Allow" => heard.allow = true,
                "Content-Length" => heard.length = value.parse().ok(),
                _ => {}
            }
        }
        let whole = !heard.vias.is_empty()
            && !heard.from.is_empty()
            && !heard.call_id.is_empty()
            && !heard.about.is_empty();
        (whole && heard.length.is_none_or(|length| length == body.len())).then_some(heard)
    }

    pub fn branch(&self) -> &'a str {
        parameter(self.vias[0], "branch=")
    }

    pub fn senders_tag(&self) -> &'a str {
        parameter(self.from, "tag=")
    }

    pub fn to_tag(&self) -> &'a str {
        parameter(self.to, "tag=")
    }

    /// What stands between the angle brackets of its Contact.
    pub fn target(&self) -> &'a str {
        between(self.contact)
    }
}

fn parameter<'a>(value: &'a str, name: &str) -> &'a str {
    value.split(';').skip(1).find_map(|part| part.trim_ascii().strip_prefix(name)).unwrap_or("")
}

pub fn between(value: &str) -> &str {
    value.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or(value, |(uri, _)| uri)
}
