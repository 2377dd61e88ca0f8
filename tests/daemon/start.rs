//! The daemon's start and stop: it runs, or it says one line, exits with 2 and leaves nothing behind.

use super::running::{Place, Running};
use rustix::process::Signal;
use std::os::unix::net::UnixListener;

#[test]
fn run_prints_what_it_bound_and_sigterm_ends_it_cleanly() {
    let place = Place::new();
    let running = place.start();
    let listening = running.lines.iter().filter_map(|l| l.strip_prefix("SIP    ")).collect::<Vec<_>>();
    let [udp, tcp] = listening.as_slice() else { panic!("{:?}", running.lines) };
    assert!(udp.starts_with("udp://127.0.0.1:") && tcp.starts_with("tcp://127.0.0.1:"));
    assert!(!udp.ends_with(":0"), "the port that was picked: {udp}");
    assert!(
        running.lines.contains(&"rules  pbx.test.example, generation 1".to_owned()),
        "{:?}",
        running.lines
    );
    assert_eq!(running.stop(), 0);
    assert!(!place.path("ringtree-data/admin.sock").exists());
}

/// It does not start, says one line, and no other daemon would notice that it tried.
#[track_caller]
fn refuses(place: &Place, says: &str) {
    let ran = place.run(&["run"]).ended(2);
    assert!(ran.last_line().contains(says), "{}", ran.err);
    assert_eq!(ran.out, "", "nothing was bound");
}

#[test]
fn a_busy_port_is_one_line_and_exit_2() {
    let place = Place::new();
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    place.write(
        "ringtree.toml",
        &format!(
            "[sip]\nlisten = [\"udp://{address}\"]\n[media]\nports = \"0\"\n[rules]\nload = [\"rules\"]\n"
        ),
    );
    refuses(&place, &format!("udp://{address}: the port is in use"));
    assert!(!place.path("ringtree-data/admin.sock").exists(), "a client must not find half a daemon");
    drop(taken);
    place.start();
}

#[test]
fn a_socket_that_a_daemon_answers_on_is_not_taken() {
    let place = Place::new();
    let running = place.start();
    refuses(&place, "a daemon answers on");
    running.run(&["calls"]).ended(0);
}

#[test]
fn a_store_that_another_daemon_has_is_not_opened() {
    let place = Place::new();
    let _running = place.start();
    let config = std::fs::read_to_string(place.path("ringtree.toml")).unwrap();
    place.write("ringtree.toml", &format!("{config}[admin]\nsocket = \"other.sock\"\n"));
    refuses(&place, "another process holds the store");
}

#[test]
fn a_stale_socket_is_replaced_and_a_file_is_not() {
    let place = Place::new();
    std::fs::create_dir(place.path("ringtree-data")).unwrap();
    drop(UnixListener::bind(place.path("ringtree-data/admin.sock")).unwrap());
    assert_eq!(place.start().stop(), 0);
    place.write("ringtree-data/admin.sock", "somebody's notes");
    refuses(&place, "which is no socket");
    assert_eq!(std::fs::read_to_string(place.path("ringtree-data/admin.sock")).unwrap(), "somebody's notes");
}

#[test]
fn missing_directories_and_mistakes_in_the_configuration_are_one_line() {
    let place = Place::new();
    for (config, says) in [
        ("[store]\npath = \"no/such/place/store\"", "no/such/place does not exist"),
        ("[rules]\nload = [\"no-rules\"]", "no-rules does not exist"),
        ("[sip]\nlisen = []", "ringtree.toml:2:1: unknown key `lisen` in [sip]; did you mean `listen`?"),
        ("[admin]\ngroup = \"no-such-group\"", "`no-such-group` is not in /etc/group"),
        (
            "[sip]\nlisten = [\"udp://127.0.0.1:0\"]\n[media]\nlisten = \"192.0.2.1\"\nports = \"0\"",
            "[media]",
        ),
        ("[sip]\nlisten = [\"udp://192.0.2.1:0\"]", "no such address"),
    ] {
        place.write(
            "ringtree.toml",
            &if config.starts_with("[rules]") {
                config.to_owned()
            } else {
                format!("{config}\n[rules]\nload = [\"rules\"]\n")
            },
        );
        refuses(&place, says);
    }
    let missing = place.run(&["run", "--config", "nowhere.toml"]).ended(2);
    assert!(missing.last_line().contains("nowhere.toml"));
}

#[test]
fn broken_rules_and_an_empty_store_are_every_error_and_exit_2() {
    let place = Place::new();
    place.write("rules/more.toml", "[user.eve]\nex = \"103\"\n[user.bob]\next = \"101\"\n");
    let ran = place.run(&["run"]).ended(2);
    assert!(ran.err.contains("more.toml:2:1") && ran.err.contains("more.toml:4:"), "{}", ran.err);
    ran.last_line();
    std::fs::remove_file(place.path("rules/more.toml")).unwrap();
    let running = place.start();
    assert!(
        running.lines.contains(&"rules  pbx.test.example, generation 1".to_owned()),
        "nothing was written before"
    );
}

#[test]
fn the_store_wins_over_files_that_have_changed_and_the_log_says_so() {
    let place = Place::new();
    assert_eq!(place.start().stop(), 0);
    place.write("rules/more.toml", "[user.eve]\next = \"103\"\nname = \"Eve\"\n");
    let running = place.start();
    running.run(&["user", "show", "eve"]).ended(1);
    assert!(place.log().contains("rules differs from generation 1 of the store"), "{}", place.log());
    // Even when they are broken: the store is what runs.
    assert_eq!(running.stop(), 0);
    place.write("rules/more.toml", "[user.eve\n");
    place.start().run(&["user", "show", "ada"]).ended(0);
}

/// Waits for an event of this name that says this; the rules of the start may still be news.
fn wait_for(running: &Running<'_>, event: &str, says: &str, cause: impl FnOnce()) -> String {
    let client = running.client();
    let mut seen = None;
    super::running::block_on(async {
        let follow = client.follow("/v1/events", cause, |name, data| {
            if name == event && data.contains(says) {
                seen = Some(data.to_owned());
                return std::ops::ControlFlow::Break(());
            }
            std::ops::ControlFlow::Continue(())
        });
        tokio::time::timeout(std::time::Duration::from_secs(20), follow).await.unwrap().unwrap();
    });
    seen.unwrap()
}

#[test]
fn sighup_loads_files_again_only_where_they_are_what_runs() {
    let place = Place::new();
    let running = place.start();
    place.write("rules/more.toml", "[user.eve]\next = \"103\"\nname = \"Eve\"\n");
    let applied = wait_for(&running, "rules.applied", "\"generation\":2", || running.signal(Signal::HUP));
    assert_eq!(applied, r#"{"domain":"pbx.test.example","generation":2}"#);
    running.run(&["user", "show", "eve"]).ended(0);

    // Another generation, over the socket: now the files are not what runs.
    place.write("rules/more.toml", "");
    running.run(&["apply", "rules"]).ended(0);
    place.write("rules/more.toml", "[user.kim]\next = \"104\"\nname = \"Kim\"\n");
    running.signal(Signal::HUP);
    place.wait_for_log("is not loaded again: generation 3 did not come from it");
    assert_eq!(running.stop(), 0);
}

#[test]
fn systemd_hears_ready_while_the_plane_answers_and_stopping() {
    let place = Place::new();
    let path = place.path("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let mut buffer = [0; 512];
    let mut hear = || {
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let running = place.start_with(&[("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "100000")]);
    assert!(hear().starts_with("READY=1"));
    for _ in 0..3 {
        assert!(hear().starts_with("WATCHDOG=1"));
    }
    running.signal(Signal::TERM);
    while !hear().starts_with("STOPPING=1") {}
}

#[test]
fn a_default_domain_that_is_not_loaded_is_warned_of_by_name() {
    let place = Place::new();
    place.write(
        "ringtree.toml",
        "[sip]\nlisten = [\"udp://127.0.0.1:0\"]\ndefault_domain = \"pbx.tset.example\"\n[media]\nports = \"0\"\n[rules]\nload = [\"rules\"]\n",
    );
    let _running = place.start();
    let log = place.log();
    assert!(
        log.contains("default_domain names pbx.tset.example, which is not loaded (loaded: pbx.test.example)"),
        "{log}"
    );
}

#[test]
fn listening_on_every_address_says_which_one_phones_are_told() {
    let place = Place::new();
    let config = |sip: &str| {
        format!(
            "[sip]\nlisten = [\"udp://0.0.0.0:0\"]\n{sip}\n[media]\nports = \"0\"\n[rules]\nload = [\"rules\"]\n"
        )
    };
    place.write("ringtree.toml", &config("advertise = \"pbx.test.example\""));
    let running = place.start();
    let port = running.lines[0].strip_prefix("SIP    udp://0.0.0.0:").unwrap().split(',').next().unwrap();
    assert_eq!(running.lines[0], format!("SIP    udp://0.0.0.0:{port}, as pbx.test.example:{port}"));
}

#[test]
fn a_registration_survives_a_restart() {
    let place = Place::new();
    let free = "\n[device.102b]\nuser = \"ben\"\naccept_from = [\"127.0.0.1\"]\n";
    place.write("rules/users.toml", &format!("{}{free}", super::running::USERS));
    let running = place.start();
    let phone = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    phone.set_read_timeout(Some(std::time::Duration::from_secs(20))).unwrap();
    let local = phone.local_addr().unwrap();
    let register = format!(
        "REGISTER sip:pbx.test.example SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bKr\r\n\
         From: <sip:102b@pbx.test.example>;tag=1\r\nTo: <sip:102b@pbx.test.example>\r\nCall-ID: r\r\n\
         CSeq: 1 REGISTER\r\nMax-Forwards: 70\r\nContact: <sip:102b@{local}>;expires=600\r\nContent-Length: 0\r\n\r\n"
    );
    let server = running.lines[0].strip_prefix("SIP    udp://").unwrap();
    phone.send_to(register.as_bytes(), server).unwrap();
    let mut buffer = [0; 2048];
    let length = phone.recv(&mut buffer).unwrap();
    assert!(buffer[..length].starts_with(b"SIP/2.0 200 "), "{}", String::from_utf8_lossy(&buffer[..length]));
    let registered = |running: &Running<'_>| running.run(&["registrations", "--json"]).ended(0).json();
    let before = registered(&running);
    assert_eq!(
        (&before[0]["device"], &before[0]["contact"]),
        (&"102b".into(), &format!("sip:102b@{local}").into())
    );
    assert_eq!(running.stop(), 0);
    let mut after = registered(&place.start());
    // A refresh that moved the end by less than a minute may not have been written: none is forgotten that was promised more.
    let ends =
        |of: &serde_json::Value| of[0]["expires"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let longer = ends(&after).duration_since(ends(&before)).as_secs();
    assert!((0..=60).contains(&longer), "{longer} s longer than it was");
    after[0]["expires"] = before[0]["expires"].clone();
    assert_eq!(after, before);
}
