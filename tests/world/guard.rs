//! A trunk that asks who we are, and keeps who has registered: what a registrar out there does, in a few lines.

use ringtree::sip::auth::{self, Algorithm, Credentials};
use ringtree::sip::{Message, Name};

pub struct Guard {
    pub password: &'static str,
    /// 403 to everybody.
    pub locked: bool,
    /// Requests within calls are asked for credentials too.
    pub strict: bool,
    /// 503 to everybody, with this Retry-After.
    pub unwell: Option<u32>,
    /// Credentials by another nonce than the last are stale.
    nonce: u32,
    /// Of each REGISTER that was let in, as it was asked for: Call-ID, CSeq, Expires.
    pub registered: Vec<(String, u32, u32)>,
    /// The last of these REGISTERs, as text.
    pub last: String,
    /// REGISTERs and INVITEs that came.
    pub asked: u32,
}

impl Guard {
    pub fn new(password: &'static str) -> Guard {
        Guard {
            password,
            locked: false,
            strict: false,
            unwell: None,
            nonce: 1,
            registered: Vec::new(),
            last: String::new(),
            asked: 0,
        }
    }

    /// The next credentials will be stale.
    pub fn restart(&mut self) {
        self.nonce += 1;
    }

    /// A refusal and its fields; nothing where the request is let in.
    pub fn judge(&mut self, text: &str) -> Option<(u16, String)> {
        let request = Message::parse(text.to_owned().into()).expect("a request");
        let (status, asks, answers) = match request.method_text() {
            "REGISTER" => (401, "WWW-Authenticate", Name::Authorization),
            "INVITE" => (407, "Proxy-Authenticate", Name::ProxyAuthorization),
            "BYE" | "INFO" | "UPDATE" | "NOTIFY" | "PRACK" if self.strict => {
                (407, "Proxy-Authenticate", Name::ProxyAuthorization)
            }
            _ => return None,
        };
        self.asked += 1;
        if let Some(seconds) = self.unwell {
            return Some((503, format!("Retry-After: {seconds} (maintenance)\r\n")));
        }
        if self.locked {
            return Some((403, String::new()));
        }
        let nonce = format!("nonce{}", self.nonce);
        let challenge = |more| {
            format!(
                "{asks}: Digest realm=\"carrier\", nonce=\"{nonce}\", algorithm=SHA-256, qop=\"auth\"{more}\r\n"
            )
        };
        let Some(credentials) = request.value(answers).and_then(Credentials::parse) else {
            return Some((status, challenge("")));
        };
        let ha1 = auth::ha1(Algorithm::Sha256, &credentials.username, "carrier", self.password);
        let expected = auth::response(Algorithm::Sha256, &ha1, request.method_text(), &credentials);
        if expected != credentials.response {
            return Some((status, challenge("")));
        }
        if credentials.nonce != nonce {
            return Some((status, challenge(", stale=true")));
        }
        if status == 401 {
            let cseq = request.cseq().expect("a CSeq").number;
            let expires = request.number(Name::Expires).expect("Expires");
            self.last = text.to_owned();
            self.registered.push((request.call_id().to_owned(), cseq, expires));
        }
        None
    }
}
