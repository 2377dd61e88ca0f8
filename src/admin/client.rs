//! The client of the admin socket: HTTP/1.1 over a Unix socket, one connection a request. The command line and the tests speak
//! through it.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, ETAG, HOST, IF_MATCH};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;

/// How long an answer may take; the daemon gives up before.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(90);
/// The largest answer that is read.
pub const ANSWER_BYTES_MAX: usize = 256 << 20;
/// The longest line of the event stream.
pub const EVENT_BYTES_MAX: usize = 4 << 20;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(
        "no daemon answers at {socket} ({why}); is `ringtree run` up, and is this its socket? Name another with --socket"
    )]
    Unreachable { socket: String, why: String },
    #[error("the daemon at {socket} broke off: {why}")]
    Broken { socket: String, why: String },
}

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    /// The generation that the answer shows (its ETag).
    pub generation: Option<u64>,
    pub body: Bytes,
}

/// One request.
pub struct Ask<'a> {
    pub method: Method,
    /// With its query, percent-encoded: see [`segment`].
    pub path: &'a str,
    pub body: Option<Vec<u8>>,
    /// Sent as If-Match.
    pub if_generation: Option<u64>,
}

impl<'a> Ask<'a> {
    #[must_use]
    pub fn new(method: Method, path: &'a str) -> Ask<'a> {
        Ask { method, path, body: None, if_generation: None }
    }
    #[must_use]
    pub fn json(mut self, body: &impl serde::Serialize) -> Ask<'a> {
        // Only maps with keys that aren't text fail, and we send none.
        self.body = serde_json::to_vec(body).ok();
        self
    }
}

#[derive(Clone, Debug)]
pub struct Client {
    socket: PathBuf,
}

impl Client {
    #[must_use]
    pub fn new(socket: &Path) -> Client {
        Client { socket: socket.to_owned() }
    }

    /// # Errors
    /// Nobody answers, or the connection breaks off.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Answer, ClientError> {
        let answer = async {
            let response = self.send(ask).await?;
            let status = response.status();
            let etag = response.headers().get(ETAG).and_then(|e| e.to_str().ok());
            let generation = etag.and_then(|e| e.trim_matches('"').parse().ok());
            let body = http_body_util::Limited::new(response.into_body(), ANSWER_BYTES_MAX);
            let body = body.collect().await.map_err(|e| self.broken(e))?.to_bytes();
            Ok(Answer { status, generation, body })
        };
        match tokio::time::timeout(ANSWER_WITHIN, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(self.broken(format!("no answer within {} s", ANSWER_WITHIN.as_secs()))),
        }
    }

    /// Follows the event stream: `listening` is called once no event can be missed any more; `each` gets the name and the data
    /// of every event, until it breaks or the daemon does.
    ///
    /// # Errors
    /// As [`Client::ask`]; the answer itself if it isn't a stream.
    pub async fn follow(
        &self,
        path: &str,
        listening: impl FnOnce(),
        mut each: impl FnMut(&str, &str) -> ControlFlow<()>,
    ) -> Result<Option<Answer>, ClientError> {
        let response = self.send(Ask::new(Method::GET, path)).await?;
        let status = response.status();
        let mut body = response.into_body();
        if status != StatusCode::OK {
            let body = body.collect().await.map_err(|e| self.broken(e))?.to_bytes();
            return Ok(Some(Answer { status, generation: None, body }));
        }
        // The daemon listens before it answers.
        listening();
        let mut lines = EventLines::default();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|e| self.broken(e))?.into_data() else { continue };
            if lines.push(&data, &mut each).map_err(|e| self.broken(e))?.is_break() {
                return Ok(None);
            }
        }
        Ok(None)
    }

    async fn send(&self, ask: Ask<'_>) -> Result<Response<hyper::body::Incoming>, ClientError> {
        let unreachable = |e: std::io::Error| ClientError::Unreachable {
            socket: self.socket.display().to_string(),
            why: e.to_string(),
        };
        let stream = UnixStream::connect(&self.socket).await.map_err(unreachable)?;
        let (mut sender, connection) =
            http1::handshake::<_, Full<Bytes>>(TokioIo::new(stream)).await.map_err(|e| self.broken(e))?;
        tokio::spawn(connection);
        let mut request = Request::builder().method(ask.method).uri(ask.path).header(HOST, "ringtree");
        if ask.body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(generation) = ask.if_generation {
            request = request.header(IF_MATCH, format!("\"{generation}\""));
        }
        let request =
            request.body(Full::new(Bytes::from(ask.body.unwrap_or_default()))).map_err(|e| self.broken(e))?;
        sender.send_request(request).await.map_err(|e| self.broken(e))
    }

    fn broken(&self, why: impl ToString) -> ClientError {
        ClientError::Broken { socket: self.socket.display().to_string(), why: why.to_string() }
    }
}

/// Server-sent events, line by line (WHATWG HTML §9.2.6, as much as the daemon sends).
#[derive(Default)]
struct EventLines {
    pending: Vec<u8>,
    event: String,
    data: String,
}

impl EventLines {
    fn push(
        &mut self,
        bytes: &[u8],
        each: &mut impl FnMut(&str, &str) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, String> {
        self.pending.extend_from_slice(bytes);
        while let Some(end) = memchr::memchr(b'\n', &self.pending) {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                let (event, data) = (std::mem::take(&mut self.event), std::mem::take(&mut self.data));
                if !data.is_empty() && each(&event, &data).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            } else if let Some(name) = line.strip_prefix("event:") {
                name.trim_start().clone_into(&mut self.event);
            } else if let Some(data) = line.strip_prefix("data:") {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            }
        }
        if self.pending.len() > EVENT_BYTES_MAX || self.data.len() > EVENT_BYTES_MAX {
            return Err("an event is longer than any that a daemon sends".into());
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// One segment of a path, percent-encoded (RFC 3986 §3.3).
#[must_use]
pub fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_however_the_stream_is_cut() {
        let stream = b": hello\n\nevent: call.started\ndata: {\"id\":\"1\"}\n\nevent: alarm\r\ndata: a\r\ndata: b\r\n\r\n";
        for cut in 1..stream.len() {
            let mut seen = Vec::new();
            let mut lines = EventLines::default();
            for part in stream.chunks(cut) {
                let _ = lines.push(part, &mut |e, d| {
                    seen.push((e.to_owned(), d.to_owned()));
                    ControlFlow::Continue(())
                });
            }
            let expected = [("call.started", "{\"id\":\"1\"}"), ("alarm", "a\nb")];
            assert_eq!(seen, expected.map(|(e, d)| (e.to_owned(), d.to_owned())), "cut at {cut}");
        }
    }

    #[test]
    fn a_segment_keeps_no_delimiter() {
        assert_eq!(segment("+1 202/x?"), "%2B1%20202%2Fx%3F");
        assert_eq!(segment("pbx.harbour.example"), "pbx.harbour.example");
    }
}
