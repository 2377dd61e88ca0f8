//! A small office in which everything has a secret, and what goes on there.

use crate::Secrets;
use crate::sip::{Asked, DOMAIN, Phone, field, reply, serve};
use crate::support::daemon::{Daemon, Home, binary};
use crate::support::{trunk_address, until};
use ringtree::sip::auth::{Algorithm, ha1};
use ringtree::sip::challenge::{Login, Secret};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// A domain that nobody is in.
pub const RULES_OF_NOBODY: &str =
    "schema = 1\n[domain]\nname = \"secrets.example\"\ntimezone = \"Etc/UTC\"\ncountry = \"US\"\n";

const ALICE: &str = "tulip-Anvil-3391";
const BOB: &str = "quartz-Heron-5102";
const CAROL: &str = "walnut-Comet-6630";
const DAVE: &str = "saffron-Otter-2214";
const CARRIER: &str = "basalt-Pigeon-9047";
const DEAF: &str = "cobalt-Lantern-1183";
const GATEWAY: &str = "juniper-Saddle-4475";
const MAIL: &str = "granite-Mail-7720";
const PIN: &str = "8041725369";
const BOARD_PIN: &str = "VQA1BVvBkRbEILuS+waAqQ$KUp8Ye1KKihAdUSs6QrtsZBuag/8BsbkxdNeyzS35Fs";
const WRONG: &str = "marble-Wrong-0001";
/// What Alice's phone protects with, as its description says it.
const KEY: &str = "PS1uQCVeeCFCanVmcjkpPywjNWhcYD0mXXtxaVBR";
const DAVE_VARIABLE: &str = "RINGTREE_TEST_DAVE";

pub struct Office {
    pub home: Home,
    pub daemon: Daemon,
    alice: Phone,
    bob: Phone,
    carol: Phone,
    dave: Phone,
    gateway: Phone,
    stranger: Phone,
    /// What the mail server was told by way of credentials.
    letters: Arc<Mutex<Vec<String>>>,
}

/// `ringtree events`, written to a file.
pub struct Events {
    child: Child,
    file: PathBuf,
}

impl Events {
    pub fn text(&self) -> String {
        std::fs::read_to_string(&self.file).unwrap_or_default()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rules(carrier: SocketAddr, deaf: SocketAddr) -> String {
    let of_bob = ha1(Algorithm::Sha256, "bob", DOMAIN, BOB).to_string();
    format!(
        "{RULES_OF_NOBODY}[defaults.voicemail]\nenabled = false\n\
         [user.alice]\next = \"101\"\n[device.alice]\nuser = \"alice\"\nauth = {{ user = \"alice\", secret = \"plain:{ALICE}\" }}\n\
         [user.bob]\next = \"102\"\n[device.bob]\nuser = \"bob\"\nauth = {{ user = \"bob\", secret = \"ha1:{of_bob}\" }}\n\
         [user.carol]\next = \"103\"\n[device.carol]\nuser = \"carol\"\nauth = {{ user = \"carol\", secret = \"file:secrets/carol\" }}\n\
         [user.dave]\next = \"104\"\n[device.dave]\nuser = \"dave\"\nauth = {{ user = \"dave\", secret = \"env:{DAVE_VARIABLE}\" }}\n\
         [device.lost]\nuser = \"dave\"\nauth = {{ user = \"lost\", secret = \"file:secrets/nobody\" }}\nrecord = \"never\"\nprimary = false\n\
         [trunk.carrier]\nproxy = \"{carrier}\"\nregister = {{ user = \"harbour\", secret = \"plain:{CARRIER}\" }}\n\
         [trunk.deaf]\nproxy = \"{deaf}\"\nregister = {{ user = \"nobody\", secret = \"plain:{DEAF}\" }}\n\
         [trunk.named]\nproxy = \"carrier.example\"\n\
         [trunk.gateway]\nauth = {{ user = \"gw\", secret = \"plain:{GATEWAY}\" }}\n\
         [class.emergency]\nmatch = [\"911\"]\n[[route]]\nclasses = [\"emergency\"]\nvia = [\"carrier\"]\n\
         [emergency]\ncallback = \"desk\"\nlocation = \"hq\"\nnotify = [\"user:carol\", \"mailto:boss@mail.example\"]\n\
         [callback.desk]\nnumber = \"+12025550100\"\nname = \"Desk\"\n\
         [location.hq]\ncountry = \"US\"\nA1 = \"DC\"\nA3 = \"Washington\"\nRD = \"Harbor St\"\nHNO = \"200\"\n\
         [number.\"+12025550100\"]\nto = \"user:bob\"\n\
         [conference.room]\next = \"820\"\npin = \"plain:{PIN}\"\n\
         [conference.board]\next = \"821\"\npin = \"hash:$argon2id$v=19$m=19456,t=2,p=1${BOARD_PIN}\"\n"
    )
}

/// A registrar that lets in whoever answers its challenge, or nobody at all; it takes no call.
fn registrar(lets_in: bool) -> SocketAddr {
    let socket = UdpSocket::bind((trunk_address(0), 0)).expect("a port");
    let at = socket.local_addr().expect("bound");
    let mut nonce = 0;
    serve(socket, move |method, text| match method {
        "REGISTER" if lets_in && text.contains("Authorization: ") => {
            let contact = field(text, "Contact").unwrap_or_default();
            Some(reply(text, "200 OK", &format!("Contact: {contact};expires=600\r\n"), ""))
        }
        "REGISTER" => {
            nonce += 1;
            let asks = format!(
                "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n{nonce}\", algorithm=MD5, qop=\"auth\"\r\n"
            );
            Some(reply(text, "401 Unauthorized", &asks, ""))
        }
        "INVITE" => Some(reply(text, "486 Busy Here", "", "")),
        "ACK" | "SIP/2.0" => None,
        _ => Some(reply(text, "200 OK", "", "")),
    });
    at
}

/// A mail server that wants to know who we are, and then knows us not.
fn mail_server(told: Arc<Mutex<Vec<String>>>) -> SocketAddr {
    let listener = TcpListener::bind((crate::support::address(), 0)).expect("a port");
    let at = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let mut answers = stream.try_clone().expect("a stream");
            let _ = answers.write_all(b"220 mail.example\r\n");
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let answer: &[u8] = match line.split(' ').next().unwrap_or_default() {
                    "EHLO" => b"250-mail.example\r\n250 AUTH PLAIN LOGIN\r\n",
                    "AUTH" => {
                        told.lock().unwrap().extend(line.split(' ').nth(2).map(str::to_owned));
                        b"535 5.7.8 no\r\n"
                    }
                    _ => b"250 ok\r\n",
                };
                let _ = answers.write_all(answer);
            }
        }
    });
    at
}

fn login(user: &str, password: &str) -> Login {
    Login { user: user.into(), secret: Secret::Password(password.to_owned().into()) }
}

/// Sound in the clear, or protected with this key.
fn description(phone: &Phone, key: Option<&str>) -> String {
    let (ip, port) = (phone.at().ip(), phone.at().port());
    let (profile, line) = match key {
        Some(key) => ("RTP/SAVP", format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n")),
        None => ("RTP/AVP", String::new()),
    };
    format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} {profile} 0\r\n{line}a=rtpmap:0 PCMU/8000\r\n"
    )
}

const SDP: &str = "Content-Type: application/sdp\r\n";

impl Office {
    pub fn open() -> Office {
        let letters = Arc::default();
        let mail = mail_server(Arc::clone(&letters));
        // A name is looked up at somebody who knows nothing of names: what does that says most at `trace`.
        let nobody =
            UdpSocket::bind((crate::support::address(), 0)).expect("a port").local_addr().expect("bound");
        let home = Home::new(DOMAIN, &[("domain.toml", &rules(registrar(true), registrar(false)))])
            .sip(&format!("nameservers = [\"{nobody}\"]"));
        std::fs::create_dir(home.path().join("rules/secrets")).expect("created");
        std::fs::write(home.path().join("rules/secrets/carol"), format!("{CAROL}\n")).expect("written");
        home.configure(
            "[store]",
            &format!("[log]\nlevel = \"trace\"\n\n[mail]\nsmtp = \"smtp://mailer:{MAIL}@{mail}\"\n\n[store]"),
        );
        let daemon = home.start_with(&[(DAVE_VARIABLE, DAVE)]);
        let phone = |user| Phone::new(user, daemon.udp);
        let (alice, bob, carol) = (phone("alice"), phone("bob"), phone("carol"));
        let (dave, gateway, stranger) = (phone("dave"), phone("gw"), phone("eve"));
        Office { home, daemon, alice, bob, carol, dave, gateway, stranger, letters }
    }

    /// Every secret of the office, in each form in which it is as good as itself.
    pub fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        let passwords = [
            ("alice", DOMAIN, ALICE),
            ("bob", DOMAIN, BOB),
            ("carol", DOMAIN, CAROL),
            ("dave", DOMAIN, DAVE),
            ("gw", DOMAIN, GATEWAY),
            ("harbour", "carrier", CARRIER),
            ("nobody", "carrier", DEAF),
            ("alice", DOMAIN, WRONG),
        ];
        for (user, realm, password) in passwords {
            secrets.add(&format!("the password of {user}"), password);
            for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
                let ha1 = ha1(algorithm, user, realm, password);
                secrets.add(&format!("the HA1 of {user} by {}", algorithm.word()), ha1.as_str());
            }
        }
        secrets.add("the password of the mail server", MAIL);
        secrets.add("a PIN", PIN);
        secrets.add("the hash of a PIN", BOARD_PIN);
        secrets.add("a key of media", KEY);
        secrets
    }

    pub fn follow(&self) -> Events {
        let file = self.home.path().join("events");
        let out = std::fs::File::create(&file).expect("created");
        let mut command = Command::new(binary());
        command.arg("events").env("RINGTREE_SOCKET", self.daemon.socket()).stdin(Stdio::null()).stdout(out);
        let events = Events { child: command.spawn().expect("started"), file };
        // It listens once it hears something: a status is something.
        until("an event", || {
            self.edit(
                "PATCH",
                &format!("/v1/domains/{DOMAIN}/users/dave/status"),
                &json!({ "dnd": true }),
                200,
            );
            events.text().contains("status.changed").then_some(())
        });
        events
    }

    fn register(&self, phone: &Phone, login: &Login) -> u16 {
        let target = format!("sip:{DOMAIN}");
        let fields = "Expires: 600\r\n".to_owned();
        let asked = Asked { method: "REGISTER", target: &target, fields, body: String::new() };
        phone.ask(&asked, Some(login)).0
    }

    pub fn phones_register_right_and_wrong(&self) {
        assert_eq!(self.register(&self.alice, &login("alice", WRONG)), 401);
        let of_bob = Secret::Ha1(Algorithm::Sha256, ha1(Algorithm::Sha256, "bob", DOMAIN, BOB));
        for (phone, login) in [
            (&self.alice, login("alice", ALICE)),
            (&self.bob, Login { user: "bob".into(), secret: of_bob }),
            (&self.carol, login("carol", CAROL)),
            (&self.dave, login("dave", DAVE)),
        ] {
            assert_eq!(self.register(phone, &login), 200, "{}", phone.user);
        }
        // What stands in no file can't be known, and is said by name.
        assert_eq!(self.register(&self.dave, &login("lost", WRONG)), 401);
        // From an address of its own, since that is what is shut out.
        let guesses = UdpSocket::bind((trunk_address(1), 0)).expect("a port");
        guesses.set_read_timeout(Some(std::time::Duration::from_millis(500))).expect("set");
        let guesser = Phone { socket: guesses, ..Phone::new("eve", self.daemon.udp) };
        for guess in 0..10 {
            assert_eq!(self.register(&guesser, &login("alice", &format!("{WRONG}{guess}"))), 401);
        }
        for phone in [&self.bob, &self.carol, &self.dave] {
            let (sdp, socket) = (description(phone, None), phone.socket.try_clone().expect("a socket"));
            socket.set_read_timeout(None).expect("set");
            let user = phone.user;
            serve(socket, move |method, text| match method {
                "INVITE" if user == "bob" => {
                    Some(reply(text, "200 OK", &format!("Contact: <sip:bob@{DOMAIN}>\r\n{SDP}"), &sdp))
                }
                "INVITE" => Some(reply(text, "603 Decline", "", "")),
                "ACK" | "SIP/2.0" => None,
                _ => Some(reply(text, "200 OK", "", "")),
            });
        }
    }

    pub fn trunks_register_right_and_wrong(&self) {
        let state = |name: &str| {
            let trunks = self.daemon.list("/v1/trunks");
            let trunk = trunks.into_iter().find(|trunk| trunk["name"] == name)?;
            Some(trunk["registration"]["state"].as_str()?.to_owned())
        };
        until("both registrars have decided", || {
            (state("carrier")? == "registered" && state("deaf")? == "refused").then_some(())
        });
    }

    /// Alice calls with a key; hers and ours are secrets.
    pub fn a_call_with_keys(&self, secrets: &mut Secrets) {
        let (status, answer, mut dialog) =
            self.invite(&self.alice, "102", &description(&self.alice, Some(KEY)), None);
        assert_eq!(status, 200, "{answer}");
        let ours = answer.split("inline:").nth(1).and_then(|rest| rest.split(['\r', '|']).next());
        secrets.add("our key of media", ours.expect("a key of ours"));
        self.alice.says("BYE", "", "", &mut dialog);
    }

    fn invite(
        &self,
        phone: &Phone,
        to: &str,
        sdp: &str,
        login: Option<&Login>,
    ) -> (u16, String, crate::sip::Dialog) {
        let target = format!("sip:{to}@{DOMAIN}");
        let asked = Asked { method: "INVITE", target: &target, fields: SDP.to_owned(), body: sdp.to_owned() };
        phone.ask(&asked, login)
    }

    pub fn calls_that_fail(&self) {
        let plain = description(&self.alice, None);
        assert_eq!(self.invite(&self.alice, "103", &plain, None).0, 603);
        assert_eq!(self.invite(&self.alice, "999", &plain, None).0, 404);
        // A key that is none, with the real one beside it.
        let broken = description(&self.alice, Some(&format!("{KEY}{KEY}")));
        assert_eq!(self.invite(&self.alice, "102", &broken, None).0, 488);
        let wrong = login("alice", WRONG);
        let (status, answer, _) =
            self.invite(&self.stranger, "102", &description(&self.stranger, None), Some(&wrong));
        assert!([401, 407, 403].contains(&status), "{answer}");
    }

    pub fn calls_by_the_gateway_right_and_wrong(&self) {
        let sdp = description(&self.gateway, None);
        let (status, answer, _) = self.invite(&self.gateway, "+12025550100", &sdp, Some(&login("gw", WRONG)));
        assert!([401, 407].contains(&status), "{answer}");
        let (status, answer, mut dialog) =
            self.invite(&self.gateway, "+12025550100", &sdp, Some(&login("gw", GATEWAY)));
        assert_eq!(status, 200, "{answer}");
        self.gateway.says("BYE", "", "", &mut dialog);
    }

    pub fn a_conference_with_its_pin(&self, events: &Events) {
        for (room, pin, joins) in [("821", PIN, false), ("820", "7770000111", false), ("820", PIN, true)] {
            let (status, answer, mut dialog) =
                self.invite(&self.alice, room, &description(&self.alice, None), None);
            assert_eq!(status, 200, "{answer}");
            for key in pin.chars().chain(['#']) {
                let keys = format!("Signal={key}\r\nDuration=160\r\n");
                self.alice.says("INFO", "Content-Type: application/dtmf-relay\r\n", &keys, &mut dialog);
            }
            if joins {
                until("the door to open", || events.text().contains("conference.joined").then_some(()));
            }
            self.alice.says("BYE", "", "", &mut dialog);
        }
    }

    /// The mail server is told who we are; that is as good as the password.
    pub fn a_call_for_help(&self, secrets: &mut Secrets) {
        let (status, answer, _) = self.invite(&self.alice, "911", &description(&self.alice, None), None);
        assert_eq!(status, 486, "{answer}");
        let told = until("the mail server to be asked", || self.letters.lock().unwrap().first().cloned());
        secrets.add("the credentials of the mail server", told);
        self.daemon.logged("mail of an emergency call is lost");
    }

    fn edit(&self, method: &str, path: &str, body: &serde_json::Value, wanted: u16) -> String {
        let (status, answer) =
            self.daemon.request(method, path, Some(body)).expect("the admin socket answers");
        assert_eq!(status, wanted, "{method} {path}: {answer}");
        answer.to_string()
    }

    pub fn edits_right_and_wrong(&self, secrets: &mut Secrets) {
        const NEW: &str = "amber-Falcon-8862";
        secrets.add("a new password", NEW);
        let device = format!("/v1/domains/{DOMAIN}/devices/alice");
        let auth = |secret: &str| json!({ "auth": { "user": "alice", "secret": secret } });
        let answers = [
            self.edit("PATCH", &device, &auth(NEW), 422),
            self.edit("PATCH", &device, &auth(&format!("plain:{NEW}")), 200),
            self.edit("PATCH", &device, &auth("plain:***"), 200),
            self.edit(
                "PATCH",
                &format!("/v1/domains/{DOMAIN}/conferences/room"),
                &json!({ "pin": format!("{PIN}0000000") }),
                422,
            ),
        ];
        let rules = |path: &str| format!("/v1/domains/{DOMAIN}/rules/{path}");
        let other = json!({ "domain.toml": format!("{RULES_OF_NOBODY}[device.alice]\nauth = {{ user = \"alice\", secret = \"plain:{WRONG}\" }}\n") });
        let broken = json!({ "domain.toml": format!("{RULES_OF_NOBODY}[device.alice]\nauth = {{ usr = \"alice\", secret = \"plain:{NEW}\" }}\n") });
        let more = [
            self.edit("POST", &rules("diff"), &other, 200),
            self.edit("POST", &rules("plan"), &other, 200),
            self.edit("POST", &rules("check"), &broken, 200),
            self.edit("POST", &rules("apply"), &broken, 422),
        ];
        for answer in answers.iter().chain(&more) {
            secrets.assert_not_in("the answer to an edit", answer);
        }
    }

    /// Every place where the daemon tells of what it has, and what it tells there.
    pub fn everything_that_is_told(&self) -> Vec<(String, String)> {
        let of_domain = [
            "users",
            "devices",
            "numbers",
            "lists",
            "time-frames",
            "calendars",
            "trunks",
            "classes",
            "sites",
            "roles",
            "hunts",
            "queues",
            "attendants",
            "conferences",
            "directories",
            "mailboxes",
            "announcements",
            "moh",
            "callbacks",
            "locations",
            "users/alice",
            "devices/alice",
            "devices/bob",
            "devices/carol",
            "trunks/carrier",
            "trunks/gateway",
            "conferences/room",
            "conferences/board",
            "rules/history",
            "rules/export",
            "rules/export?generation=1",
            "rules/blame/device:alice",
            "rules/blame/conference:room",
            "trees/101",
            "calendar/101",
            "who-reaches/101",
            "blast-radius/trunk:carrier",
        ];
        let mut paths: Vec<String> = ["status", "domains", "calls", "registrations", "records", "trunks"]
            .map(|path| format!("/v1/{path}"))
            .into();
        paths.extend(of_domain.map(|path| format!("/v1/domains/{DOMAIN}/{path}")));
        paths.push("/metrics".to_owned());
        let records = self.daemon.list("/v1/records");
        assert!(records.len() >= 6, "{records:#?}");
        paths.extend(
            records.iter().map(|record| format!("/v1/calls/{}/explanation", record["id"].as_str().unwrap())),
        );
        let mut told: Vec<(String, String)> =
            paths.into_iter().map(|path| (path.clone(), self.get(&path))).collect();
        for verb in [
            &["device", "show", "alice"][..],
            &["trunk", "show", "carrier"],
            &["export", "exported"],
            &["diff", "rules"],
            &["history"],
            &["blame", "device:alice"],
            &["registrations"],
            &["calls"],
            &["trunks"],
            &["route", "--to", "820", "--from", "101"],
        ] {
            let ran = self.daemon.verb(verb);
            let said =
                String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
            assert!(ran.status.code() < Some(2), "{verb:?}: {said}");
            told.push((format!("{verb:?}"), said));
        }
        let exported =
            std::fs::read_to_string(self.home.path().join("exported/domain.toml")).expect("exported");
        told.push(("the exported file".to_owned(), exported));
        told
    }

    /// The whole answer, head and body, whatever it is.
    fn get(&self, path: &str) -> String {
        let mut stream = UnixStream::connect(self.daemon.socket()).expect("it listens");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: ringtree\r\nConnection: close\r\n\r\n").expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        assert!(answer.starts_with("HTTP/1.1 200"), "{path}: {answer}");
        answer
    }

    /// SIGTERM, and the end of what it says.
    pub fn stop(&self) {
        self.daemon.terminate();
        self.daemon.logged("stopped");
    }
}
