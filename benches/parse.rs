//! What a message costs: read, judged, answered; and what one that isn't SIP costs, or one made to be slow. Prints the
//! allocations of each first, then times them (`cargo bench --bench parse`).

#![allow(clippy::unwrap_used, reason = "a bench that can't start has nothing to measure")]

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ringtree::sip::stream::Framer;
use ringtree::sip::{Message, Name, Writer};
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts calls to the allocator.
struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: hands every call to the system's allocator unchanged; counting touches no memory of its callers.
#[allow(unsafe_code, reason = "a global allocator can be had in no other way; the bench alone has it")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// An INVITE of 1.4 kB as a desk phone sends it through a proxy, with credentials and an offer.
fn invite() -> Bytes {
    let offer = "v=0\r\no=- 20518 20518 IN IP4 192.168.1.57\r\ns=call\r\nc=IN IP4 192.168.1.57\r\nt=0 0\r\n\
        m=audio 11780 RTP/AVP 9 0 8 18 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\n\
        a=rtpmap:8 PCMA/8000\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\n\
        a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n";
    let mut writer = Writer::request("INVITE", "sip:+12025550101@pbx.example.com;user=phone");
    writer
        .header(Name::Via, "SIP/2.0/UDP 203.0.113.9:5060;branch=z9hG4bK2d4790.1c3a6a.1")
        .header(Name::Via, "SIP/2.0/UDP 192.168.1.57:5060;branch=z9hG4bK1473918254;rport=5060;received=198.51.100.7")
        .header(Name::RecordRoute, "<sip:203.0.113.9;lr;ftag=3478194230>")
        .header(Name::From, "\"Dr. Osei, Harbour Dental\" <sip:101@pbx.example.com>;tag=3478194230")
        .header(Name::To, "<sip:+12025550101@pbx.example.com;user=phone>")
        .header(Name::CallId, "0_1189563827@192.168.1.57")
        .header(Name::CSeq, "2 INVITE")
        .header(Name::Contact, "<sip:101@192.168.1.57:5060;transport=udp>;+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-805EC0A1B2C3>\"")
        .header(Name::Authorization, "Digest username=\"101\", realm=\"pbx.example.com\", nonce=\"66b1c5a2:9f86d081884c7d65\", uri=\"sip:+12025550101@pbx.example.com;user=phone\", response=\"8ca523f5e9506fed4657c9700eebdbec\", algorithm=MD5, cnonce=\"0a4f113b\", qop=auth, nc=00000001")
        .header(Name::MaxForwards, 69)
        .header(Name::UserAgent, "Yealink SIP-T46U 108.86.0.90")
        .header(Name::Allow, "INVITE, INFO, PRACK, ACK, BYE, CANCEL, OPTIONS, NOTIFY, REGISTER, SUBSCRIBE, REFER, PUBLISH, UPDATE, MESSAGE")
        .header(Name::Supported, "replaces, 100rel, timer")
        .field("Session-Expires", "1800")
        .field("Allow-Events", "talk,hold,conference,refer,check-sync");
    writer.body("application/sdp", offer.as_bytes())
}

/// 64 kB of the shortest fields.
fn adversarial() -> Bytes {
    let mut text = b"OPTIONS sip:a SIP/2.0\r\n".to_vec();
    while text.len() < 65_000 {
        text.extend_from_slice(b"a:\n");
    }
    text.extend_from_slice(b"\r\n");
    text.into()
}

/// 64 kB of folds and commas in one value.
fn folded() -> Bytes {
    let mut text = b"OPTIONS sip:a SIP/2.0\r\nVia: ".to_vec();
    while text.len() < 65_000 {
        text.extend_from_slice(b",\r\n ");
    }
    text.extend_from_slice(b"x\r\n\r\n");
    text.into()
}

fn read(bytes: &Bytes) -> Message {
    let message = Message::parse(bytes.clone()).unwrap();
    let _ = black_box((message.check(), message.from(), message.to(), message.top_via(), message.cseq()));
    message
}

fn answer(message: &Message) -> Bytes {
    Writer::reply(message, 180, "Ringing", Some("8f3e2d1c")).finish()
}

fn report(what: &str, work: impl Fn()) {
    work();
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    work();
    println!("{what}: {} allocations", ALLOCATIONS.load(Ordering::Relaxed) - before);
}

fn benches(c: &mut Criterion) {
    let invite = invite();
    let parsed = Message::parse(invite.clone()).unwrap();
    let mut from_peer = parsed.clone();
    from_peer.set_source("198.51.100.7:5060".parse().unwrap());
    println!("the INVITE has {} bytes, {} fields", invite.len(), parsed.headers().count());
    report("parse", || drop(black_box(Message::parse(invite.clone()))));
    report("parse, check, typed values", || drop(black_box(read(&invite))));
    report("write a 180", || drop(black_box(answer(&from_peer))));

    let mut group = c.benchmark_group("sip");
    group.throughput(Throughput::Bytes(invite.len() as u64));
    group.bench_function("parse", |b| b.iter(|| Message::parse(black_box(&invite).clone())));
    group.bench_function("parse_check_typed", |b| b.iter(|| read(black_box(&invite))));
    group.bench_function("write_180", |b| b.iter(|| answer(black_box(&from_peer))));
    group.bench_function("frame_in_segments_of_536", |b| {
        b.iter_batched_ref(
            Framer::default,
            |framer| {
                invite.chunks(536).for_each(|segment| {
                    framer.push(segment);
                    let _ = black_box(framer.next());
                });
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();

    let mut group = c.benchmark_group("hostile");
    let garbage = Bytes::from(vec![0xd5; 1_400]);
    let other = Bytes::from(format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(1_300)));
    group.bench_function("binary_garbage", |b| b.iter(|| Message::parse(black_box(&garbage).clone())));
    group.bench_function("another_protocol", |b| b.iter(|| Message::parse(black_box(&other).clone())));
    let (adversarial, folded) = (adversarial(), folded());
    group.bench_function("64kB_of_fields", |b| {
        b.iter(|| Message::parse(black_box(&adversarial).clone()).map(|m| m.check()));
    });
    group.bench_function("64kB_of_folds", |b| {
        b.iter(|| {
            Message::parse(black_box(&folded).clone()).map(|m| (m.check(), m.elements(Name::Via).count()))
        });
    });
    group.finish();
}

criterion_group!(all, benches);
criterion_main!(all);
