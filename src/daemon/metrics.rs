//! `/metrics`: the counters of the switch as OpenMetrics text.

use crate::net::tally::{Handshakes, Tally, Voice};
use crate::net::traffic::{Count, Traffic, Wire};
use crate::store::Standing;
use crate::switch::Counters;
use std::fmt::Write;

pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `generations`: each domain and the generation of its rules.
#[must_use]
pub fn render<'a>(
    counters: &Counters,
    traffic: &Traffic,
    tally: &Tally,
    store: Standing,
    started: jiff::Timestamp,
    generations: impl Iterator<Item = (&'a str, u64)>,
) -> String {
    // All fields by name: a counter that is added and not shown doesn't compile.
    let Counters {
        calls_active,
        calls_total,
        registrations,
        subscriptions,
        requests_total,
        responses_total,
        bad_requests_total,
        challenges_total,
        auth_failures_total,
        strangers_shut_out,
        shut_outs_total,
        stranger_drops_total,
        urgent_admitted_total,
        transactions,
        ports_free,
        retransmissions_total,
        stray_responses_total,
        shed_total,
        overload,
        overloads_total,
        overload_calls_total,
        overload_registrations_total,
        overload_others_total,
        overload_dropped_total,
        budget_refusals_total,
        budget_ends_total,
        one_way_total,
        silent_total,
        recordings_failed_total,
        media_packets_total,
        media_lost_total,
        media_dropped_total,
        media_malformed_total,
    } = *counters;
    let mut out = String::new();
    for (name, value, help) in [
        ("calls_active", calls_active, "Calls that are up."),
        ("registrations", registrations, "Contacts in force."),
        ("subscriptions", subscriptions, "Subscriptions to events in force."),
        ("strangers_shut_out", strangers_shut_out, "Sources that are shut out."),
        ("overload", overload, "1 while requests that are new are refused for lack of time."),
        ("transactions", transactions, "SIP transactions in progress."),
        ("media_ports_free", ports_free, "Media port pairs that are open and free."),
    ] {
        family(&mut out, name, "gauge", help);
        line(&mut out, name, "", value);
    }
    for (name, value, help) in [
        ("calls", calls_total, "Calls since the start."),
        ("requests", requests_total, "SIP requests taken."),
        ("responses", responses_total, "SIP responses taken."),
        ("bad_requests", bad_requests_total, "SIP requests answered with 400."),
        ("challenges", challenges_total, "Digest challenges sent."),
        ("auth_failures", auth_failures_total, "Requests with wrong credentials."),
        ("shut_outs", shut_outs_total, "Times that a source was shut out after too many tries."),
        (
            "stranger_drops",
            stranger_drops_total,
            "Messages of strangers that were not read: too many, or shut out.",
        ),
        (
            "urgent_admitted",
            urgent_admitted_total,
            "Emergency calls that were read from sources that are shut out or send too much.",
        ),
        ("retransmissions", retransmissions_total, "SIP messages sent again, and retransmissions absorbed."),
        ("stray_responses", stray_responses_total, "SIP responses that match no transaction."),
        (
            "budget_refusals",
            budget_refusals_total,
            "Legs to the outside that did not begin because a budget was used up.",
        ),
        ("budget_ends", budget_ends_total, "Calls that were ended because a budget was used up."),
        ("calls_one_way", one_way_total, "Times that one party of a call was no longer heard, or never."),
        ("calls_silent", silent_total, "Times that neither party of a call was heard any longer."),
        (
            "recordings_failed",
            recordings_failed_total,
            "Recordings that were not made, or broke off: the record of the call says why.",
        ),
        ("media_packets", media_packets_total, "RTP packets relayed in calls that are over."),
        ("media_lost", media_lost_total, "RTP packets lost on their way here in calls that are over."),
        (
            "media_dropped",
            media_dropped_total,
            "Packets at media ports that were dropped in calls that are over: of strangers, or no RTP.",
        ),
        (
            "media_malformed",
            media_malformed_total,
            "Those of them that were neither RTP nor RTCP, or broken.",
        ),
        ("shed", shed_total, "SIP requests refused because a table of transactions was full."),
        ("overloads", overloads_total, "Times that requests began to be refused for lack of time."),
        ("overload_calls", overload_calls_total, "New calls refused for lack of time."),
        ("overload_registrations", overload_registrations_total, "REGISTERs refused for lack of time."),
        ("overload_others", overload_others_total, "Other new requests refused for lack of time."),
        ("overload_dropped", overload_dropped_total, "Requests of these that were not even answered."),
    ] {
        family(&mut out, name, "counter", help);
        line(&mut out, &format!("{name}_total"), "", value);
    }
    on_the_wire(&mut out, traffic);
    said_and_heard(&mut out, tally);
    of_the_store(&mut out, store);
    family(&mut out, "rules_generation", "gauge", "The generation of a domain's rules.");
    for (domain, generation) in generations {
        let escaped = domain.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        line(&mut out, "rules_generation", &format!("{{domain=\"{escaped}\"}}"), generation);
    }
    family(&mut out, "start_time_seconds", "gauge", "When the daemon started, in seconds since 1970.");
    line(&mut out, "start_time_seconds", "", started.as_second());
    out.push_str("# EOF\n");
    out
}

fn of_the_store(out: &mut String, store: Standing) {
    let Standing { is_written, dropped, late } = store;
    family(
        out,
        "store_writable",
        "gauge",
        "1; or 0 once a write has failed: nothing is stored until a restart.",
    );
    line(out, "store_writable", "", u8::from(is_written));
    for (name, value, help) in [
        ("store_dropped", dropped, "Registrations and call records that were not stored."),
        (
            "store_late",
            late,
            "Times that registrations and call records were stored later than 250 ms after they came.",
        ),
    ] {
        family(out, name, "counter", help);
        line(out, &format!("{name}_total"), "", value);
    }
}

/// One counter of a transport.
type Of = fn(&Wire) -> u64;

fn on_the_wire(out: &mut String, traffic: &Traffic) {
    let by_transport = [
        ("udp", &traffic.udp),
        ("tcp", &traffic.tcp),
        ("tls", &traffic.tls),
        ("ws", &traffic.ws),
        ("wss", &traffic.wss),
    ];
    let families: [(&str, Of, &str); 6] = [
        ("received", |w| w.received.value(), "Datagrams and framed messages received."),
        ("sent", |w| w.sent.value(), "Messages sent."),
        ("send_errors", |w| w.send_errors.value(), "Messages that could not be sent."),
        ("not_sip", |w| w.not_sip.value(), "What came and was no SIP."),
        ("keep_alives", |w| w.keep_alives.value(), "Keep-alives of phones."),
        ("oversize", |w| w.oversize.value(), "Messages larger than they may be."),
    ];
    for (name, value, help) in families {
        family(out, &format!("wire_{name}"), "counter", help);
        for (transport, wire) in by_transport {
            line(out, &format!("wire_{name}_total"), &format!("{{transport=\"{transport}\"}}"), value(wire));
        }
    }
    family(out, "connections", "gauge", "Connections that stand: TCP, TLS and WebSockets.");
    line(out, "connections", "", traffic.connections.value());
    family(
        out,
        "overload_sieve",
        "gauge",
        "1 while the kernel drops a part of what is new by UDP, because too much comes to be read and refused.",
    );
    line(out, "overload_sieve", "", traffic.sieve.value());
    for (name, value, help) in [
        ("connections_accepted", &traffic.connections_accepted, "Connections accepted."),
        ("connections_opened", &traffic.connections_opened, "Connections opened by us."),
        ("connections_refused", &traffic.connections_refused, "Connections closed at once: too many."),
        (
            "handshakes_failed",
            &traffic.handshakes_failed,
            "TLS and WebSocket handshakes that failed or took too long.",
        ),
        (
            "handshakes_limited",
            &traffic.handshakes_limited,
            "Connections closed at once: their source began too many TLS and WebSocket handshakes.",
        ),
        ("slow_readers", &traffic.slow_readers, "Connections closed because the peer did not read."),
        ("idle_closed", &traffic.idle_closed, "Connections closed because nothing came."),
    ] {
        family(out, name, "counter", help);
        line(out, &format!("{name}_total"), "", value.value());
    }
}

/// One figure of a voice thread.
type Figure = fn(&Voice) -> &Count;

/// What the media and voice planes count.
fn said_and_heard(out: &mut String, tally: &Tally) {
    let gauges: [(&str, Figure, &str); 3] = [
        ("voice_parties", |v| &v.parties, "Parties that we speak to."),
        ("voice_conference_members", |v| &v.members, "Parties in conference rooms."),
        ("voice_recordings_active", |v| &v.recordings, "Calls and conference rooms that are being recorded."),
    ];
    for (name, figure, help) in gauges {
        family(out, name, "gauge", help);
        line(out, name, "", tally.voices(figure));
    }
    let counters: [(&str, Figure, &str); 8] = [
        (
            "voice_played",
            |v| &v.played,
            "Lists of sounds (prompts, announcements) that were played to their end.",
        ),
        (
            "voice_missing",
            |v| &v.missing,
            "Sounds that could not be played: their files are missing or broken.",
        ),
        ("voice_keys", |v| &v.keys, "Keys that parties have pressed: as events, as INFO or in the sound."),
        ("voice_recordings", |v| &v.recorded, "Recordings that were begun."),
        (
            "voice_recording_gaps",
            |v| &v.gaps,
            "Pieces of 20 ms that are silent in recordings because the disk was too slow.",
        ),
        ("voice_late", |v| &v.late, "Packets that came too late to be heard by us."),
        ("voice_concealed", |v| &v.concealed, "Times that we made up sound that was lost on its way to us."),
        ("voice_unheard", |v| &v.unheard, "Packets that we did not hear because a voice thread was behind."),
    ];
    let voice = counters.map(|(name, figure, help)| (name, tally.voices(figure), help));
    let Handshakes { done, failed, dropped } = &*tally.handshakes;
    let handshakes = [
        ("media_handshakes", done, "DTLS handshakes of media that gave keys."),
        (
            "media_handshakes_failed",
            failed,
            "DTLS handshakes of media that failed: that side of its call has no media.",
        ),
        ("media_handshakes_dropped", dropped, "Datagrams of DTLS handshakes that found no room."),
    ];
    let handshakes = handshakes.map(|(name, count, help)| (name, count.value(), help));
    for (name, value, help) in voice.into_iter().chain(handshakes) {
        family(out, name, "counter", help);
        line(out, &format!("{name}_total"), "", value);
    }
    if let Some(fast) = &tally.fast {
        fast_path(out, fast.streams(), fast.packets());
    }
}

fn fast_path(out: &mut String, streams: u64, packets: u64) {
    family(
        out,
        "fast_path_streams",
        "gauge",
        "Streams that the kernel passes on, where there is a fast path.",
    );
    line(out, "fast_path_streams", "", streams);
    family(
        out,
        "fast_path_packets",
        "counter",
        "RTP packets that the kernel has passed on, where there is a fast path.",
    );
    line(out, "fast_path_packets_total", "", packets);
}

fn family(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a String can't fail.
    let _ = write!(out, "# TYPE ringtree_{name} {kind}\n# HELP ringtree_{name} {help}\n");
}

fn line(out: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    let _ = writeln!(out, "ringtree_{name}{labels} {value}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    fn rendered(counters: &Counters) -> String {
        let (traffic, tally) = (Traffic::default(), Tally::default());
        let store = Standing { is_written: true, dropped: 0, late: 2 };
        render(counters, &traffic, &tally, store, jiff::Timestamp::UNIX_EPOCH, [("a\"b", 7)].into_iter())
    }

    #[test]
    fn every_metric_stands_in_the_documentation_and_no_other() {
        let mut text = rendered(&Counters::default());
        fast_path(&mut text, 0, 0);
        let word = |line: &str, n| line.split(' ').nth(n).unwrap_or_default().to_owned();
        let kinds: Vec<_> =
            text.lines().filter(|line| line.starts_with("# TYPE ")).map(|line| word(line, 3)).collect();
        let helps = text.lines().filter_map(|line| line.strip_prefix("# HELP ringtree_")?.split_once(' '));
        let rows = helps.zip(kinds).map(|((name, help), kind)| match kind.as_str() {
            "counter" => format!("| `ringtree_{name}_total` | counter | {help} |"),
            kind => format!("| `ringtree_{name}` | {kind} | {help} |"),
        });
        let rows: BTreeSet<String> = rows.collect();
        let page = include_str!("../../docs/metrics.md");
        let written =
            page.lines().filter(|line| line.starts_with("| `ringtree_")).map(str::to_owned).collect();
        let missing: Vec<_> = rows.difference(&written).collect();
        assert!(missing.is_empty(), "docs/metrics.md lacks:\n{missing:#?}");
        let gone: Vec<_> = written.difference(&rows).collect();
        assert!(gone.is_empty(), "docs/metrics.md has, and nobody else:\n{gone:#?}");
    }

    #[test]
    fn figures_of_all_voice_threads_are_summed() {
        let tally = Tally { voice: vec![Arc::default(), Arc::default()], ..Tally::default() };
        tally.voice[0].keys.add_all(3);
        tally.voice[1].keys.add_all(4);
        tally.handshakes.failed.add_all(2);
        let mut text = String::new();
        said_and_heard(&mut text, &tally);
        for line in ["ringtree_voice_keys_total 7\n", "ringtree_media_handshakes_failed_total 2\n"] {
            assert!(text.contains(line), "{text}");
        }
    }

    #[test]
    fn every_family_is_typed_and_the_text_ends_as_openmetrics_asks() {
        let counters = Counters { calls_active: 3, calls_total: 9, ..Counters::default() };
        let text = rendered(&counters);
        assert!(text.ends_with("# EOF\n"));
        assert!(text.contains("\nringtree_calls_total 9\n"), "{text}");
        assert!(
            text.contains("\nringtree_store_writable 1\n")
                && text.contains("\nringtree_store_late_total 2\n"),
            "{text}"
        );
        assert!(text.contains("ringtree_rules_generation{domain=\"a\\\"b\"} 7\n"));
        for line in text.lines().filter(|l| !l.starts_with('#')) {
            let name = line.split([' ', '{']).next().unwrap().trim_end_matches("_total");
            assert!(text.contains(&format!("# TYPE {name} ")), "{line}");
        }
    }
}
