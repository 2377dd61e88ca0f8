//! Sound for a phone that has none, as sipp: it plays a tone as PCMU, keeps what comes, and speaks telephone-event (RFC 4733) both ways.

use super::{clock, tone};
use rtp_rs::{RtpPacketBuilder, RtpReader, Seq};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const PCMU: u8 = 0;
const PACKET: Duration = Duration::from_millis(20);
const PACKET_SAMPLES: usize = 160;
/// A digit lasts so many packets, and its end is said three times (RFC 4733 §2.5.1.4).
const DIGIT_PACKETS: u16 = 8;
const DIGIT_ENDS: u16 = 3;
const DIGITS: &str = "0123456789*#ABCD";
/// The tones of each row and column of the keys (ITU-T Q.23), and where each key stands.
const ROWS_HZ: [u32; 4] = [697, 770, 852, 941];
const COLUMNS_HZ: [u32; 4] = [1209, 1336, 1477, 1633];
const KEYS: &str = "123A456B789C*0#D";

/// How a digit is dialled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Dials {
    /// As telephone-event.
    Events,
    /// As its two tones in the sound.
    Tones,
}

/// A running player and recorder. It ends when it is dropped.
pub struct Sound {
    pub port: u16,
    shared: Arc<Shared>,
    digits: SyncSender<char>,
}

#[derive(Default)]
struct Shared {
    /// Where it plays to, and the payload type of telephone-event there.
    to: Mutex<Option<(SocketAddr, u8)>>,
    heard: Mutex<Vec<i16>>,
}

impl Sound {
    /// Plays `hz`; says each digit that it hears.
    pub fn open(ip: Ipv4Addr, hz: u32, dials: Dials, digit: impl FnMut(char) + Send + 'static) -> Sound {
        let socket = UdpSocket::bind((ip, 0)).expect("a socket");
        let port = socket.local_addr().expect("bound").port();
        let shared = Arc::new(Shared::default());
        let (digits, dialled) = sync_channel(DIGITS.len());
        let player = Player {
            socket,
            shared: Arc::clone(&shared),
            dialled,
            dials,
            hz,
            at: 0,
            packets: 0,
            dialling: None,
        };
        std::thread::spawn(move || player.run(digit));
        Sound { port, shared, digits }
    }

    /// From now on it plays there.
    pub fn plays_to(&self, to: SocketAddr, event: u8) {
        *locked(&self.shared.to) = Some((to, event));
    }

    pub fn dial(&self, digit: char) {
        self.digits.send(digit).expect("the player runs as long as this");
    }

    pub fn heard(&self) -> Vec<i16> {
        locked(&self.shared.heard).clone()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Player {
    socket: UdpSocket,
    shared: Arc<Shared>,
    dialled: Receiver<char>,
    dials: Dials,
    hz: u32,
    /// Samples since it began.
    at: usize,
    packets: u16,
    dialling: Option<Dialling>,
}

/// A digit that is being sent: which, since which sample, and how many packets of it are out.
struct Dialling {
    digit: char,
    since: usize,
    packets: u16,
}

impl Player {
    fn run(mut self, mut digit: impl FnMut(char)) {
        let mut due = clock();
        let mut newest_event = None;
        loop {
            let wait = due.saturating_duration_since(clock());
            if wait.is_zero() {
                match self.dialled.try_recv() {
                    Ok(digit) => {
                        self.dialling = Some(Dialling { digit, since: self.at, packets: 0 });
                    }
                    Err(TryRecvError::Empty) => {}
                    Err(TryRecvError::Disconnected) => return,
                }
                self.play();
                due += PACKET;
                continue;
            }
            self.socket.set_read_timeout(Some(wait)).expect("not zero");
            let mut packet = [0; 2048];
            // What is no packet of sound, and a wait that is over, are nothing that is heard.
            let Ok(length) = self.socket.recv(&mut packet) else { continue };
            let Ok(packet) = RtpReader::new(&packet[..length]) else { continue };
            if packet.payload_type() == PCMU {
                locked(&self.shared.heard).extend(packet.payload().iter().map(|byte| tone::linear(*byte)));
            } else if let Some(event) = packet.payload().first().and_then(|e| DIGITS.chars().nth((*e).into()))
                && newest_event.replace(packet.timestamp()) != Some(packet.timestamp())
            {
                digit(event);
            }
        }
    }

    /// Twenty milliseconds of the tone, or of a digit.
    fn play(&mut self) {
        let at = self.at;
        self.at += PACKET_SAMPLES;
        let Some((to, event)) = *locked(&self.shared.to) else { return };
        self.packets = self.packets.wrapping_add(1);
        let (payload, payload_type, since, marked) = match &mut self.dialling {
            Some(dialling) => {
                dialling.packets += 1;
                match self.dials {
                    Dials::Events => {
                        (said(dialling.digit, dialling.packets), event, dialling.since, dialling.packets == 1)
                    }
                    Dials::Tones => (sounded(dialling.digit, at), PCMU, at, false),
                }
            }
            None => (samples(at, |n| tone::sample(self.hz, n)), PCMU, at, false),
        };
        if self.dialling.as_ref().is_some_and(|d| d.packets == DIGIT_PACKETS + DIGIT_ENDS) {
            self.dialling = None;
        }
        let packet = RtpPacketBuilder::new()
            .payload_type(payload_type)
            .ssrc(u32::from(self.hz as u16))
            .sequence(Seq::from(self.packets))
            .timestamp(since as u32)
            .marked(marked)
            .payload(&payload)
            .build()
            .expect("a packet");
        // Nobody there is a call that has just ended.
        let _ = self.socket.send_to(&packet, to);
    }
}

fn samples(at: usize, sample: impl Fn(u32) -> i16) -> Vec<u8> {
    (at..at + PACKET_SAMPLES).map(|n| tone::mu_law(sample(n as u32))).collect()
}

/// That packet of a digit, as telephone-event.
fn said(digit: char, packet: u16) -> Vec<u8> {
    let event = DIGITS.find(digit).expect("a digit") as u8;
    let lasted = packet.min(DIGIT_PACKETS) * PACKET_SAMPLES as u16;
    let flags = if packet > DIGIT_PACKETS { 0x8a } else { 0x0a };
    [&[event, flags], &lasted.to_be_bytes()[..]].concat()
}

/// Twenty milliseconds of a digit's two tones.
fn sounded(digit: char, at: usize) -> Vec<u8> {
    let key = KEYS.find(digit).expect("a key");
    let (row, column) = (ROWS_HZ[key / 4], COLUMNS_HZ[key % 4]);
    samples(at, |n| tone::sample(row, n) / 2 + tone::sample(column, n) / 2)
}
