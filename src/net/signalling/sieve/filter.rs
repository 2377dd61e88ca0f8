//! The socket filter: a program of the kernel's packet filter (Linux `Documentation/networking/filter.rst`) that sees each datagram before it is
//! queued, and drops a part of those that cannot be but new.
//!
//! It sees bytes, so it is told by what is plain: a REGISTER; or an INVITE for `sip:`, a user part without parameters, password or escapes, and `@`, whose
//! user is no emergency number. Our own Contact has no user part (`Office::contact`), so what comes within a call passes, and so does
//! everything else that is unusual.
//!
//! Invariants: forward jumps alone; nothing is read beyond [`LOOKED_AT`] octets, and what is shorter passes.

use socket2::{SockFilter, SockRef};
use std::io;
use std::net::{SocketAddr, UdpSocket};

/// A filter sees the UDP header first.
const PAYLOAD: u32 = 8;
/// A SIP request is longer than what is looked at (RFC 3261 §8.1.1: six header fields).
const LOOKED_AT: u32 = PAYLOAD + 96;
const URI: u32 = PAYLOAD + "INVITE sip:".len() as u32;
/// Longer user parts pass.
const USER_MAX: u32 = 24;
/// Emergency numbers that are compared with; where there are more, no INVITE is dropped. The kernel takes a filter of so many octets alone
/// (`net.core.optmem_max`, 20 KiB in older ones), and a comparison takes some hundred.
const NUMBERS_MAX: usize = 32;
const NUMBER_BYTES_MAX: usize = 16;

// linux/bpf_common.h, linux/filter.h
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const LOAD_LENGTH: u16 = 0x80;
const JUMP: u16 = 0x05;
const JUMP_EQUAL: u16 = 0x15;
const JUMP_AT_LEAST: u16 = 0x35;
const RETURN: u16 = 0x06;
/// `SKF_AD_OFF + SKF_AD_RANDOM`: 32 bits of the kernel's random numbers.
const RANDOM: u32 = 0xffff_f038;
const ALL: u32 = u32::MAX;
const NOTHING: u32 = 0;

/// Which part of each kind passes: 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::net::signalling) struct Shares {
    pub calls: f64,
    pub registrations: f64,
}

impl Shares {
    pub(super) fn is_all(&self) -> bool {
        self.calls >= 1.0 && self.registrations >= 1.0
    }
}

/// From now on that passes to these sockets. `numbers`: those that are called for help; `None`: they can't be told, so no call is dropped.
///
/// # Errors
/// The kernel takes no filter for that one; then none has one.
pub(in crate::net::signalling) fn apply<'s>(
    sockets: impl Iterator<Item = (SocketAddr, &'s UdpSocket)> + Clone,
    shares: Shares,
    numbers: Option<&[String]>,
) -> Result<(), (SocketAddr, io::Error)> {
    let program = (!shares.is_all()).then(|| program(shares, numbers));
    for (local, socket) in sockets.clone() {
        let done = match &program {
            Some(program) => attach(socket, program),
            None => detach(socket),
        };
        if let Err(error) = done {
            sockets.for_each(|(_, socket)| _ = detach(socket));
            return Err((local, error));
        }
    }
    Ok(())
}

fn attach(socket: &UdpSocket, program: &[SockFilter]) -> io::Result<()> {
    let socket = SockRef::from(socket);
    socket.attach_filter(program).or_else(|_| {
        let _ = socket.detach_filter(); // there may be no room beside the one that is there
        socket.attach_filter(program)
    })
}

fn detach(socket: &UdpSocket) -> io::Result<()> {
    match SockRef::from(socket).detach_filter() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()), // there was none
        result => result,
    }
}

/// Whether these calls for help can be told from others; else no call is dropped.
pub(in crate::net::signalling) fn can_tell(numbers: &[String]) -> bool {
    numbers.len() <= NUMBERS_MAX && numbers.iter().all(|number| number.len() <= NUMBER_BYTES_MAX)
}

/// Whether the program drops such a message, but for calls for help: what else comes is not thinned out.
pub(in crate::net::signalling) fn drops(message: &[u8]) -> bool {
    if message.len() < (LOOKED_AT - PAYLOAD) as usize {
        return false;
    }
    let Some(uri) = message.strip_prefix(b"INVITE sip:") else { return message.starts_with(b"REGI") };
    let user = uri.iter().take(USER_MAX as usize).position(|byte| !matches!(byte, b'&'..=b'9' | b'A'..));
    user.is_some_and(|end| uri.get(end) == Some(&b'@'))
}

fn program(shares: Shares, numbers: Option<&[String]>) -> Vec<SockFilter> {
    let mut program = Program::default();
    program.op(LOAD_LENGTH, 0);
    program.unless(JUMP_AT_LEAST, LOOKED_AT, |it| it.op(RETURN, ALL));
    program.op(LOAD_WORD, PAYLOAD);
    program.when(word(b"REGI"), |it| it.draw(shares.registrations));
    match numbers.filter(|numbers| can_tell(numbers)) {
        Some(numbers) => program.calls(shares.calls, numbers),
        None => program.op(RETURN, ALL),
    }
    program.0.into_iter().map(|(code, yes, no, value)| SockFilter::new(code, yes, no, value)).collect()
}

fn word(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// Instructions: what to do, how many to skip where it is so and where it isn't, and a value.
#[derive(Default)]
struct Program(Vec<(u16, u8, u8, u32)>);

impl Program {
    fn op(&mut self, code: u16, value: u32) {
        self.0.push((code, 0, 0, value));
    }

    /// Does that unless the comparison of what was loaded holds.
    fn unless(&mut self, comparison: u16, value: u32, then: impl FnOnce(&mut Program)) {
        let mut block = Program::default();
        then(&mut block);
        let skipped = u8::try_from(block.0.len()).unwrap_or(u8::MAX); // a handful
        self.0.push((comparison, skipped, 0, value));
        self.0.append(&mut block.0);
    }

    /// Does that where what was loaded is this.
    fn when(&mut self, value: u32, then: impl FnOnce(&mut Program)) {
        let mut block = Program::default();
        then(&mut block);
        let skipped = u8::try_from(block.0.len()).unwrap_or(u8::MAX); // likewise
        self.0.push((JUMP_EQUAL, 0, skipped, value));
        self.0.append(&mut block.0);
    }

    /// What isn't this text there passes.
    fn pass_unless(&mut self, at: u32, text: &[u8]) {
        for (at, code, part) in parts(at, text) {
            self.op(code, at);
            self.unless(JUMP_EQUAL, word(part), |it| it.op(RETURN, ALL));
        }
    }

    /// Passes what is this text there.
    fn pass_if(&mut self, at: u32, text: &[u8]) {
        let parts: Vec<_> = parts(at, text).collect();
        for (n, (at, code, part)) in parts.iter().enumerate() {
            self.op(*code, *at);
            let left = 2 * (parts.len() - n) - 1; // beyond the end of all, which is a RETURN
            self.0.push((JUMP_EQUAL, 0, u8::try_from(left).unwrap_or(u8::MAX), word(part)));
        }
        self.op(RETURN, ALL);
    }

    /// The end: that part passes, by lot.
    fn draw(&mut self, part: f64) {
        let below = (part.clamp(0.0, 1.0) * f64::from(u32::MAX)) as u32;
        self.op(LOAD_WORD, RANDOM);
        self.unless(JUMP_AT_LEAST, below, |it| it.op(RETURN, ALL));
        self.op(RETURN, NOTHING);
    }

    fn calls(&mut self, part: f64, numbers: &[String]) {
        self.pass_unless(PAYLOAD, b"INVITE sip:");
        // The user part up to its `@`: from each place where that may be to the same further one. What may stand in it as it is (RFC 3261 §25.1)
        // lies between `&` and `9`, or behind the `@`; the rest passes.
        let mut ends = Vec::new();
        for at in URI..URI + USER_MAX {
            self.op(LOAD_BYTE, at);
            self.0.push((JUMP_AT_LEAST, 5, 0, word(b"A"))); // on to the next place
            self.0.push((JUMP_AT_LEAST, 0, 1, word(b"@")));
            ends.push(self.0.len());
            self.op(JUMP, 0); // it is the `@`: where to is filled in below
            self.0.push((JUMP_AT_LEAST, 1, 0, word(b":"))); // to the RETURN
            self.0.push((JUMP_AT_LEAST, 1, 0, word(b"&"))); // on to the next place
            self.op(RETURN, ALL);
        }
        self.op(RETURN, ALL);
        let here = self.0.len();
        for end in ends {
            if let Some((.., value)) = self.0.get_mut(end) {
                *value = u32::try_from(here - end - 1).unwrap_or_default();
            }
        }
        for number in numbers {
            self.pass_if(URI, format!("{number}@").as_bytes());
        }
        self.draw(part);
    }
}

/// A text, by the words, halves and bytes that are compared at once.
fn parts(mut at: u32, mut text: &[u8]) -> impl Iterator<Item = (u32, u16, &[u8])> {
    std::iter::from_fn(move || {
        let (code, size) = match text.len() {
            0 => return None,
            1 => (LOAD_BYTE, 1),
            2..4 => (LOAD_HALF, 2),
            _ => (LOAD_WORD, 4),
        };
        let (part, rest) = text.split_at_checked(size)?;
        let here = at;
        (at, text) = (at + size as u32, rest);
        Some((here, code, part))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const NONE: Shares = Shares { calls: 0.0, registrations: 0.0 };
    const FILLED: &str = "SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b@b>;tag=2\r\n\
        Call-ID: a\r\nCSeq: 1 X\r\nContent-Length: 0\r\n\r\n";

    fn texts(numbers: &[&str]) -> Vec<String> {
        numbers.iter().map(|number| (*number).to_owned()).collect()
    }

    fn set(socket: &UdpSocket, shares: Shares, numbers: Option<&[String]>) {
        let sockets = [(socket.local_addr().unwrap(), socket)];
        apply(sockets.into_iter(), shares, numbers).unwrap();
    }

    /// What of these passes the kernel, in a real socket.
    fn passed(shares: Shares, numbers: Option<&[String]>, sent: &[String]) -> Vec<String> {
        let (ours, theirs) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        ours.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        theirs.connect(ours.local_addr().unwrap()).unwrap();
        set(&ours, shares, numbers);
        let (mut passed, mut buffer) = (Vec::new(), [0; 2_048]);
        let mut read = |passed: &mut Vec<String>| {
            let octets = ours.recv(&mut buffer).unwrap();
            let text = String::from_utf8(buffer[..octets].to_vec()).unwrap();
            (text != "end").then(|| passed.push(text)).is_some()
        };
        // An end after each: what was sent before it has been decided on when it comes.
        for text in sent {
            theirs.send(text.as_bytes()).unwrap();
            theirs.send(b"end").unwrap();
            while read(&mut passed) {}
        }
        passed
    }

    fn requests(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| format!("{line} {FILLED}")).collect()
    }

    #[test]
    fn what_cannot_be_but_new_is_dropped() {
        let sent = requests(&[
            "INVITE sip:u17@pbx.example",
            "INVITE sip:+12025550150@192.0.2.1:5060;transport=udp",
            "INVITE sip:9110@pbx.example",
            "INVITE sip:91@pbx.example",
            "INVITE sip:@pbx.example",
            "INVITE sip:a-user-of-twenty-3-octs@pbx.example",
            "REGISTER sip:pbx.example",
        ]);
        assert_eq!(passed(NONE, Some(&texts(&["911", "9911", "112"])), &sent), [""; 0]);
        assert!(sent.iter().all(|text| drops(text.as_bytes())));
    }

    #[test]
    fn calls_for_help_what_was_begun_and_all_that_is_unusual_pass() {
        let mut sent = requests(&[
            "INVITE sip:911@pbx.example",
            "INVITE sip:9911@pbx.example",
            "INVITE sip:112@192.0.2.1:5060",
            "INVITE sip:11111111111111@pbx.example",
            "INVITE sip:911;phone-context=x@pbx.example",
            "INVITE sip:911:secret@pbx.example",
            "INVITE sip:%39%31%31@pbx.example",
            "INVITE sip:\"911\"@pbx.example",
            "INVITE sip:9<1=1>@pbx.example",
            "INVITE sips:911@pbx.example",
            "INVITE SIP:911@pbx.example",
            "INVITE tel:911",
            "INVITE urn:service:sos",
            // Our Contact: what comes within a call.
            "INVITE sip:192.0.2.1:5060",
            "INVITE sip:192.0.2.1",
            "INVITE sip:[2001:db8::1]:5060",
            "INVITE sip:pbx.example;x=a@b",
            "INVITE  sip:u17@pbx.example",
            "INVITE sip:a-user-of-twenty-four-oct@pbx.example",
            "ACK sip:u17@pbx.example",
            "BYE sip:u17@pbx.example",
            "CANCEL sip:u17@pbx.example",
            "OPTIONS sip:u17@pbx.example",
            "INFO sip:u17@pbx.example",
        ]);
        sent.push(format!("SIP/2.0 200 OK\r\n{FILLED}"));
        sent.extend(texts(&["\r\n\r\n", "x", "", "INVITE sip:u17@pbx.example SIP/2.0\r\n\r\n"]));
        let numbers = texts(&["911", "9911", "112", "11111111111111"]);
        assert_eq!(passed(NONE, Some(&numbers), &sent), sent);
        assert_eq!(passed(NONE, Some(&[]), &sent), sent[4..], "without numbers, these");
        assert!(sent.iter().all(|text| drops(text.as_bytes()) == sent[..4].contains(text)));
    }

    #[test]
    fn where_the_numbers_for_help_are_too_many_or_can_not_be_told_calls_pass() {
        let sent = requests(&["INVITE sip:u17@pbx.example", "REGISTER sip:pbx.example"]);
        let many: Vec<String> = (0..=NUMBERS_MAX).map(|n| format!("{n}")).collect();
        let long = texts(&["12345678901234567"]);
        for numbers in [None, Some(&many[..]), Some(&long[..])] {
            assert_eq!(passed(NONE, numbers, &sent), sent[..1]);
        }
        let full: Vec<String> = (0..NUMBERS_MAX).map(|n| format!("10{n:04}")).collect();
        let help = requests(&["INVITE sip:100031@pbx.example", "INVITE sip:100032@pbx.example"]);
        assert_eq!(passed(NONE, Some(&full), &help), help[..1]);
    }

    #[test]
    fn a_part_passes_of_each_kind() {
        let shares = Shares { calls: 0.25, registrations: 1.0 };
        let sent =
            vec![requests(&["INVITE sip:u17@pbx.example", "REGISTER sip:pbx.example"]); 2_000].concat();
        let passed = passed(shares, Some(&[]), &sent);
        let calls = passed.iter().filter(|text| text.starts_with("INVITE")).count();
        assert_eq!(passed.len() - calls, 2_000);
        assert!((350..650).contains(&calls), "{calls} of 2,000"); // 7 sigma
    }

    #[test]
    fn it_is_taken_off_again() {
        let (ours, theirs) =
            (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let all = Shares { calls: 1.0, registrations: 1.0 };
        set(&ours, all, None); // none was there
        set(&ours, NONE, None);
        set(&ours, all, None);
        ours.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let text = requests(&["REGISTER sip:pbx.example"]).remove(0);
        theirs.send_to(text.as_bytes(), ours.local_addr().unwrap()).unwrap();
        assert_eq!(ours.recv(&mut [0; 2_048]).unwrap(), text.len());
    }
}
