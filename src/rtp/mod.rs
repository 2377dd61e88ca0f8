//! RTP and RTCP packets (RFC 3550): what the relay reads of a header, without copying.
