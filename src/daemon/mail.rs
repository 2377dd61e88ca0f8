//! Mail to staff about emergency calls (`mailto:` of `[emergency] notify`): a thread that hands letters to the server of `[mail] smtp`.
//!
//! What it is not: it keeps nothing on disk, and no call ever waits for it. A letter is queued and forgotten by whoever tells of the call.
//!
//! Invariants: no more than [`LETTERS_MAX`] letters wait; each is delivered, refused for good, or given up after [`Pace::give_up`], and what
//! doesn't arrive is an `alarm`.

use crate::admin::events::Announcer;
use crate::call::alert::Alert;
use crate::net::{clock, tls};
use crate::switch::Event;
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::SmtpTransportBuilder;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{Address, Message, SmtpTransport, Transport};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Letters that wait to be taken up, and as many that wait to be tried again; one more is told by the alarm alone.
pub const LETTERS_MAX: usize = 256;
/// How long the server may be silent.
const PATIENCE: Duration = Duration::from_secs(20);

/// `[mail]` of the configuration.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// `smtp://` or `smtps://`, with the password where there is one: never printed.
    pub smtp: String,
    /// Who letters are from; `None`: `ringtree@` and the domain of the call.
    pub from: Option<String>,
    /// The authorities that a server by TLS is believed for.
    pub ca: Option<std::path::PathBuf>,
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mail").field("from", &self.from).finish_non_exhaustive()
    }
}

/// When a letter that was not taken is tried again.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The first wait; each is twice the one before, up to a tenth of `give_up`.
    pub first: Duration,
    pub give_up: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { first: Duration::from_secs(5), give_up: Duration::from_secs(3600) }
    }
}

/// Where letters are left.
pub struct Mailer {
    letters: SyncSender<Letter>,
}

struct Letter {
    to: String,
    domain: String,
    subject: String,
    text: String,
}

/// A letter that the server did not take yet.
struct Waiting {
    letter: Letter,
    again: Instant,
    wait: Duration,
    end: Instant,
}

/// What became of a letter that was handed over.
enum Outcome {
    Delivered,
    /// Nobody there, or not now.
    Later(String),
    /// For good.
    Refused(String),
}

impl Mail {
    /// # Errors
    /// What is wrong with the address of the server or of the sender, and what to write.
    pub fn check(&self) -> Result<(), String> {
        SmtpTransport::from_url(&self.smtp).map_err(|_| {
            "write `smtp://HOST:PORT`, `smtp://USER:PASSWORD@HOST?tls=required` or `smtps://USER:PASSWORD@HOST`"
                .to_owned()
        })?;
        match self.from.as_deref().map(str::parse::<Mailbox>) {
            Some(Err(_)) => Err("write `name@example.com` as `from`".to_owned()),
            Some(Ok(_)) | None => Ok(()),
        }
    }

    /// # Errors
    /// The address of the server is none, or the authorities can't be read.
    fn transport(&self) -> Result<SmtpTransport, String> {
        let why = |error: lettre::transport::smtp::Error| error.to_string();
        let plain = SmtpTransport::from_url(&self.smtp).map_err(why)?.timeout(Some(PATIENCE));
        let is = |word: &str| self.smtp.contains(word);
        let secured = |wrap: fn(TlsParameters) -> Tls, plain: SmtpTransportBuilder| {
            Ok::<_, String>(plain.tls(wrap(self.parameters()?)))
        };
        let builder = match self.smtp.split_once(':').map(|(scheme, _)| scheme) {
            Some("smtps") => secured(Tls::Wrapper, plain)?,
            _ if is("tls=required") => secured(Tls::Required, plain)?,
            _ if is("tls=opportunistic") => secured(Tls::Opportunistic, plain)?,
            _ => plain,
        };
        Ok(builder.build())
    }

    /// The server has to show a certificate for its name, signed by an authority that trunks are believed for too.
    fn parameters(&self) -> Result<TlsParameters, String> {
        let file = self.ca.as_deref().unwrap_or(Path::new(tls::SYSTEM_CA));
        let pem = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let authorities = Certificate::from_pem(&pem).map_err(|error| error.to_string())?;
        let parameters = TlsParameters::builder(self.host().to_owned())
            .certificate_store(CertificateStore::None)
            .add_root_certificate(authorities);
        parameters.build().map_err(|error| error.to_string())
    }

    fn host(&self) -> &str {
        let rest = self.smtp.split_once("://").map_or(&*self.smtp, |(_, rest)| rest);
        let authority = rest.split(['/', '?']).next().unwrap_or_default();
        let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
        place.rsplit_once(':').map_or(place, |(host, _)| host)
    }
}

impl Mailer {
    /// Starts the thread. It ends when this is dropped, and what is queued then has been tried once.
    ///
    /// # Errors
    /// What of the configuration can't be carried out, or no thread can be had.
    pub fn start(mail: &Mail, pace: Pace, events: Arc<Announcer>) -> Result<Mailer, String> {
        let (letters, queue) = sync_channel(LETTERS_MAX);
        let office = Office { transport: mail.transport()?, from: mail.from.clone(), pace, events };
        let thread = std::thread::Builder::new().name("mail".into());
        thread.spawn(move || office.run(&queue)).map_err(|error| error.to_string())?;
        Ok(Mailer { letters })
    }

    /// Tells of an emergency call. Never waits. Those who could not be told, since too many letters wait.
    #[must_use]
    pub fn tell(&self, alert: &Alert) -> Vec<String> {
        let letter = |to: &Arc<str>| Letter {
            to: to.to_string(),
            domain: alert.domain.clone(),
            subject: format!("EMERGENCY: {} was called", alert.dialled),
            text: format!("{}\n\nCall {} at {}\n", alert.text(), alert.id, alert.domain),
        };
        let lost = |to: &&Arc<str>| self.letters.try_send(letter(to)).is_err();
        alert.mail.iter().filter(lost).map(ToString::to_string).collect()
    }
}

/// The thread's own.
struct Office {
    transport: SmtpTransport,
    from: Option<String>,
    pace: Pace,
    events: Arc<Announcer>,
}

impl Office {
    fn run(&self, queue: &Receiver<Letter>) {
        let mut waiting: Vec<Waiting> = Vec::new();
        loop {
            let now = clock::mono();
            let next = waiting.iter().map(|it| it.again).min();
            let until = next.map_or(self.pace.give_up, |next| next.saturating_duration_since(now));
            match queue.recv_timeout(until) {
                Ok(letter) => {
                    let (first, end) = (self.pace.first, clock::mono() + self.pace.give_up);
                    self.hand_over(&mut waiting, Waiting { letter, again: now, wait: first, end });
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let now = clock::mono();
            let (due, later) = waiting.into_iter().partition(|it| it.again <= now);
            waiting = later;
            for it in due {
                self.hand_over(&mut waiting, it);
            }
        }
    }

    fn hand_over(&self, waiting: &mut Vec<Waiting>, it: Waiting) {
        match self.deliver(&it.letter) {
            Outcome::Delivered => tracing::info!(to = it.letter.to, "mail of an emergency call is delivered"),
            Outcome::Later(_) if clock::mono() < it.end && waiting.len() < LETTERS_MAX => {
                let wait = (it.wait * 2).min(self.pace.give_up / 10).max(it.wait);
                waiting.push(Waiting { again: clock::mono() + it.wait, wait, ..it });
            }
            Outcome::Later(why) | Outcome::Refused(why) => self.events.announce(lost(&it.letter.to, &why)),
        }
    }

    fn deliver(&self, letter: &Letter) -> Outcome {
        let message = match self.write(letter) {
            Ok(message) => message,
            Err(why) => return Outcome::Refused(why),
        };
        match self.transport.send(&message) {
            Ok(_) => Outcome::Delivered,
            Err(error) if error.is_permanent() => Outcome::Refused(error.to_string()),
            Err(error) => Outcome::Later(error.to_string()),
        }
    }

    fn write(&self, letter: &Letter) -> Result<Message, String> {
        let ours = || format!("ringtree@{}", letter.domain);
        let from: Mailbox =
            self.from.clone().unwrap_or_else(ours).parse().map_err(|_| "no sender".to_owned())?;
        let to: Address = letter.to.parse().map_err(|_| "no mail address".to_owned())?;
        let message = Message::builder().from(from).to(to.into()).subject(&letter.subject);
        message
            .message_id(None)
            .header(ContentType::TEXT_PLAIN)
            .body(letter.text.clone())
            .map_err(|error| error.to_string())
    }
}

/// Somebody who was to hear of an emergency call by mail won't.
#[must_use]
pub fn lost(to: &str, why: &str) -> Event {
    tracing::error!(to, "mail of an emergency call is lost: {why}");
    Event::Alarm { what: format!("mail of an emergency call to {to} is lost: {why}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};
    use std::thread::JoinHandle;

    /// A server of so many connections, each of which answers RCPT by the status that stands for it; the letters that it took.
    fn server(listener: TcpListener, recipients: &'static [u16]) -> JoinHandle<Vec<String>> {
        std::thread::spawn(move || {
            let mut letters = Vec::new();
            for status in recipients {
                let (stream, _) = listener.accept().unwrap();
                serve(stream, *status, &mut letters);
            }
            letters
        })
    }

    fn serve(mut stream: TcpStream, recipient: u16, letters: &mut Vec<String>) {
        stream.write_all(b"220 mail.test\r\n").unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        while let Some(Ok(line)) = lines.next() {
            let answer = match line.split([' ', ':']).next().unwrap() {
                "RCPT" => format!("{recipient} so\r\n"),
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").unwrap();
                    let text: Vec<String> =
                        lines.by_ref().map(Result::unwrap).take_while(|line| line != ".").collect();
                    letters.push(text.join("\n"));
                    "250 taken\r\n".to_owned()
                }
                "QUIT" => {
                    let _ = stream.write_all(b"221 bye\r\n");
                    return;
                }
                _ => "250 ok\r\n".to_owned(),
            };
            stream.write_all(answer.as_bytes()).unwrap();
        }
    }

    fn alert(to: &[&str]) -> Alert {
        Alert {
            id: "c1".into(),
            domain: "pbx.example".into(),
            from: "100".into(),
            origin: "device:ann1".into(),
            dialled: "911".into(),
            callback: Some("+12025550100".into()),
            location: Some("lab".into()),
            address: Some("200 Harbor St".into()),
            mail: to.iter().map(|to| Arc::from(*to)).collect(),
        }
    }

    fn mail(listener: &TcpListener) -> Mail {
        Mail { smtp: format!("smtp://{}", listener.local_addr().unwrap()), from: None, ca: None }
    }

    const SOON: Pace = Pace { first: Duration::from_millis(1), give_up: Duration::from_secs(60) };

    #[test]
    fn staff_get_a_letter_of_an_emergency_call_also_where_the_server_was_busy_at_first() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mail = mail(&listener);
        let taken = server(listener, &[451, 250]);
        let mailer = Mailer::start(&mail, SOON, Arc::default()).unwrap();
        assert!(mailer.tell(&alert(&["boss@x.example"])).is_empty());
        let letters = taken.join().unwrap();
        let [letter] = &letters[..] else { panic!("one letter, once: {letters:?}") };
        for has in [
            "From: ringtree@pbx.example",
            "To: boss@x.example",
            "Subject: EMERGENCY: 911 was called",
            "200 Harbor St",
            "+12025550100",
        ] {
            assert!(letter.contains(has), "{has} in {letter}");
        }
    }

    #[test]
    fn who_is_refused_for_good_is_an_alarm_and_the_others_get_theirs() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mail = mail(&listener);
        let taken = server(listener, &[550, 250]);
        let events: Arc<Announcer> = Arc::default();
        let mut heard = events.subscribe();
        let mailer = Mailer::start(&mail, SOON, events).unwrap();
        assert!(mailer.tell(&alert(&["gone@x.example", "boss@x.example"])).is_empty());
        assert_eq!(taken.join().unwrap().len(), 1);
        let Event::Alarm { what } = &*heard.blocking_recv().unwrap() else { panic!("an alarm") };
        assert!(what.starts_with("mail of an emergency call to gone@x.example is lost"), "{what}");
    }

    #[test]
    fn a_server_that_never_answers_keeps_nobody_waiting_and_the_queue_has_an_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap(); // it accepts nothing
        let mailer = Mailer::start(&mail(&listener), SOON, Arc::default()).unwrap();
        let lost: usize = (0..LETTERS_MAX + 2).map(|_| mailer.tell(&alert(&["boss@x.example"])).len()).sum();
        assert!((1..=2).contains(&lost), "one of them is being handed over: {lost}");
    }

    #[test]
    fn what_is_no_server_is_refused_and_no_password_is_printed() {
        let mail = |smtp: &str| Mail { smtp: smtp.into(), from: None, ca: None };
        assert_eq!(mail("smtp://10.0.0.1:25").check(), Ok(()));
        assert_eq!(mail("smtps://u:p@mail.example").check(), Ok(()));
        assert!(mail("mail.example").check().is_err() && mail("http://mail.example").check().is_err());
        assert!(Mail { from: Some("nobody".into()), ..mail("smtp://10.0.0.1") }.check().is_err());
        let secret = mail("smtps://u:hunter2@mail.example:465/x?tls=required");
        assert_eq!(secret.host(), "mail.example");
        assert!(!format!("{secret:?}").contains("hunter2"));
    }
}
