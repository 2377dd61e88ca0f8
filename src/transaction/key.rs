//! What a message is matched to its transaction by (RFC 3261 §17.1.3, §17.2.3).
//!
//! A key is a run of bytes: branch, sent-by and method, or for a branch without the magic cookie what RFC 2543 compared.
//! Keys are built in a buffer that the layer reuses, so that looking up allocates nothing.

use crate::sip::{Message, Name, Via, glance};

/// Every branch made by the rules of RFC 3261 begins so (§8.1.1.7).
const MAGIC_COOKIE: &str = "z9hG4bK";

/// Separates the parts; it stands in no token, URI or host.
const SEPARATOR: u8 = b'\n';

/// The key of the server transaction that `request` belongs to, were its method `method` (that of an ACK and of what a
/// CANCEL cancels is INVITE). `via` is its topmost one.
pub(super) fn server(key: &mut Vec<u8>, request: &Message, via: Option<&Via<'_>>, method: &str) {
    key.clear();
    match via.and_then(|via| Some((via, via.branch().filter(|branch| has_cookie(branch))?))) {
        Some((via, branch)) => {
            key.extend_from_slice(branch.as_bytes());
            key.push(SEPARATOR);
            key.extend(via.host.bytes().map(|byte| byte.to_ascii_lowercase()));
            key.push(SEPARATOR);
            key.extend_from_slice(&via.port.unwrap_or(0).to_be_bytes());
        }
        None => rfc_2543(key, request),
    }
    key.push(SEPARATOR);
    key.extend_from_slice(method.as_bytes());
}

/// RFC 3261 §17.2.3, the second list. The To tag is left out: an ACK has that of our response where its INVITE had none.
fn rfc_2543(key: &mut Vec<u8>, request: &Message) {
    let via = request.elements(Name::Via).next().unwrap_or_default();
    let from = request.from().and_then(|from| from.tag()).unwrap_or_default();
    for part in [request.request_uri(), from, request.call_id(), via] {
        key.extend_from_slice(part.as_bytes());
        key.push(SEPARATOR);
    }
    key.extend_from_slice(&request.cseq().map_or(0, |cseq| cseq.number).to_be_bytes());
}

/// A branch that is the cookie and nothing else tells nothing apart (RFC 4475 §3.2.1): matched as RFC 2543 did.
fn has_cookie(branch: &str) -> bool {
    branch.len() > MAGIC_COOKIE.len()
        && branch.get(..MAGIC_COOKIE.len()).is_some_and(|start| start.eq_ignore_ascii_case(MAGIC_COOKIE))
}

/// The key of the client transaction that a response belongs to (RFC 3261 §17.1.3). `false` where it has no branch.
pub(super) fn response(key: &mut Vec<u8>, response: &Message) -> bool {
    let Some(via) = response.top_via() else { return false };
    let Some(branch) = via.branch() else { return false };
    client(key, branch.as_bytes(), response.method_text().as_bytes());
    true
}

/// As [`response`], of a response that is not parsed.
pub(super) fn unread_response(key: &mut Vec<u8>, response: &[u8]) -> bool {
    let branch = glance::field(response, "Via", Some(b'v')).and_then(|via| glance::param(via, "branch"));
    let Some(branch) = branch else { return false };
    let Some(cseq) = glance::field(response, "CSeq", None) else { return false };
    let method = cseq.rsplit(u8::is_ascii_whitespace).next().unwrap_or_default();
    client(key, branch, method);
    true
}

/// The key of a request that we wrote, read without parsing it: the method, then `Via:` as the first field.
/// `false` where it isn't so.
pub(super) fn our_request(key: &mut Vec<u8>, request: &[u8]) -> bool {
    const BRANCH: &[u8] = b";branch=";
    let Some(method_end) = memchr::memchr(b' ', request) else { return false };
    let Some(line_end) = memchr::memchr(b'\n', request) else { return false };
    let Some((method, header)) = request.get(..method_end).zip(request.get(line_end + 1..)) else {
        return false;
    };
    let via_end = memchr::memchr(b'\r', header).unwrap_or(header.len());
    let Some(via) = header.get(..via_end).filter(|via| via.starts_with(b"Via:")) else { return false };
    let Some(start) = memchr::memmem::find(via, BRANCH) else { return false };
    let Some(branch) = via.get(start + BRANCH.len()..) else { return false };
    let end = branch.iter().position(|byte| matches!(byte, b';' | b',' | b' ')).unwrap_or(branch.len());
    client(key, branch.get(..end).unwrap_or_default(), method);
    true
}

fn client(key: &mut Vec<u8>, branch: &[u8], method: &[u8]) {
    key.clear();
    key.extend_from_slice(branch);
    key.push(SEPARATOR);
    key.extend_from_slice(method);
}
