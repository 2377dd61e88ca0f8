//! The streams of a description in the places that a dialog has given them: an answer has those of its offer (RFC 3264 §6), an offer as many
//! as the dialog had before, in the same order (§8). So a party that had audio and video goes on with both lines when somebody comes who
//! offers audio alone.
//!
//! Invariant: the stream that is relayed stands where the peer has its own; every other place is refused, as it is anyway.

use super::SdpError;
use super::read::{MediaLine, Sections, lines};
use bytes::{BufMut, Bytes, BytesMut};

/// Our description with its streams where `theirs`, the one that the peer has given last, has them.
///
/// # Errors
/// One of the two can't be read.
pub(super) fn lay_out(ours: Bytes, theirs: &[u8]) -> Result<Bytes, SdpError> {
    let (said, heard) = (Sections::cut(&ours)?, Sections::cut(theirs)?);
    if fits(&said, &heard) {
        return Ok(ours.clone());
    }
    let mut out = BytesMut::with_capacity(ours.len() + theirs.len());
    out.put_slice(said.session);
    for (at, section) in heard.media.iter().enumerate() {
        if at == heard.audio {
            out.put_slice(said.audio());
            if !out.ends_with(b"\n") {
                out.put_slice(b"\r\n");
            }
        } else {
            let MediaLine { media, proto, formats, .. } = first_line(section)?;
            out.put_slice(format!("m={media} 0 {proto} {formats}\r\n").as_bytes());
        }
    }
    Ok(out.freeze())
}

/// Whether the streams stand there already.
fn fits(said: &Sections<'_>, heard: &Sections<'_>) -> bool {
    let same = |(ours, theirs): (&&[u8], &&[u8])| match (first_line(ours), first_line(theirs)) {
        (Ok(ours), Ok(theirs)) => ours.media.eq_ignore_ascii_case(theirs.media),
        _ => false,
    };
    said.audio == heard.audio
        && said.media.len() == heard.media.len()
        && said.media.iter().zip(&heard.media).all(same)
}

fn first_line<'a>(section: &&'a [u8]) -> Result<MediaLine<'a>, SdpError> {
    MediaLine::parse(lines(section).next().ok_or(SdpError::BadLine)?.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &str = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nc=IN IP4 10.0.0.1\r\nt=0 0\r\n";

    fn laid(ours: &str, theirs: &str) -> String {
        let ours = Bytes::from(format!("{HEAD}{ours}"));
        let laid = lay_out(ours, format!("{HEAD}{theirs}").as_bytes()).unwrap();
        std::str::from_utf8(&laid).unwrap().strip_prefix(HEAD).unwrap().to_owned()
    }

    #[test]
    fn places_that_the_peer_has_and_we_have_nothing_for_are_refused() {
        let audio = "m=audio 20000 RTP/AVP 0\r\na=sendrecv\r\n";
        let theirs = "m=video 4002 RTP/AVP 96\r\na=x\r\nm=audio 4000 RTP/AVP 8\r\nm=text 0 RTP/AVP 98\r\n";
        assert_eq!(laid(audio, theirs), format!("m=video 0 RTP/AVP 96\r\n{audio}m=text 0 RTP/AVP 98\r\n"));
    }

    #[test]
    fn what_we_refuse_anyway_needs_no_place_that_the_peer_does_not_have() {
        let ours = "m=audio 20000 RTP/AVP 0\r\nm=video 0 RTP/AVP 96\r\n";
        assert_eq!(laid(ours, "m=audio 4000 RTP/AVP 8\r\n"), "m=audio 20000 RTP/AVP 0\r\n");
    }

    #[test]
    fn what_fits_stays_as_it_is() {
        let ours = "m=audio 20000 RTP/AVP 0\r\nm=video 0 RTP/AVP 97\r\na=mid:1";
        assert_eq!(laid(ours, "m=audio 4000 RTP/AVP 8\r\nm=video 0 RTP/AVP 96\r\n"), ours);
    }

    fn streams() -> impl Strategy<Value = String> {
        let stream = prop_oneof![
            Just("m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n"),
            Just("m=audio 0 RTP/AVP 0\r\n"),
            Just("m=video 0 RTP/AVP 96\r\n"),
            Just("m=image 5000 udptl t38\r\n"),
        ];
        proptest::collection::vec(stream, 1..6).prop_map(|streams| streams.concat())
    }

    proptest! {
        #[test]
        fn the_relayed_stream_stands_where_the_peer_has_its_own(ours in streams(), theirs in streams()) {
            let [ours, theirs] = [ours, theirs].map(|streams| Bytes::from(format!("{HEAD}{streams}")));
            if let (Ok(said), Ok(heard)) = (Sections::cut(&ours), Sections::cut(&theirs)) {
                let once = lay_out(ours.clone(), &theirs).unwrap();
                let out = Sections::cut(&once).unwrap();
                prop_assert_eq!((out.audio, out.media.len()), (heard.audio, heard.media.len()));
                prop_assert_eq!(out.audio(), said.audio());
                prop_assert_eq!(lay_out(once.clone(), &theirs).unwrap(), once.clone());
            }
        }
    }
}
