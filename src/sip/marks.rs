//! Where the three fields stand that every layer asks a message for, in all their parts: the topmost Via, From and To. Found once,
//! they are put together again from their places each time.

use super::parse::Span;
use super::uri::Scheme;
use super::{NameAddr, Uri, Via};

/// What a message has been found to say; `None` is what could not be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    pub(super) via: Option<ViaMark>,
    pub(super) from: Option<AddressMark>,
    pub(super) to: Option<AddressMark>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct ViaMark {
    transport: Span,
    host: Span,
    port: Option<u16>,
    params: Span,
}

impl ViaMark {
    /// `via` was read from `text`.
    pub(super) fn of(via: &Via<'_>, text: &str) -> ViaMark {
        let span = |part| Span::within(text, part);
        ViaMark {
            transport: span(via.transport),
            host: span(via.host),
            port: via.port,
            params: span(via.params),
        }
    }

    pub(super) fn in_text(self, text: &str) -> Via<'_> {
        let of = |span: Span| span.in_text(text);
        Via { transport: of(self.transport), host: of(self.host), port: self.port, params: of(self.params) }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct AddressMark {
    display: Span,
    params: Span,
    uri: Span,
    scheme: Scheme,
    user: Span,
    host: Span,
    port: Option<u16>,
    uri_params: Span,
    uri_headers: Span,
}

impl AddressMark {
    /// `address` was read from `text`.
    pub(super) fn of(address: &NameAddr<'_>, text: &str) -> AddressMark {
        let span = |part| Span::within(text, part);
        let uri = &address.uri;
        AddressMark {
            display: span(address.display),
            params: span(address.params),
            uri: span(uri.text),
            scheme: uri.scheme,
            user: span(uri.user),
            host: span(uri.host),
            port: uri.port,
            uri_params: span(uri.params),
            uri_headers: span(uri.headers),
        }
    }

    pub(super) fn in_text(self, text: &str) -> NameAddr<'_> {
        let of = |span: Span| span.in_text(text);
        let uri = Uri {
            text: of(self.uri),
            scheme: self.scheme,
            user: of(self.user),
            host: of(self.host),
            port: self.port,
            params: of(self.uri_params),
            headers: of(self.uri_headers),
        };
        NameAddr { display: of(self.display), uri, params: of(self.params) }
    }
}
