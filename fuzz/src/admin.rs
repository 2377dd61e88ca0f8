//! What the admin socket is given: the bodies of status changes and of calls to decide, moments, rule files with masked secrets. Read or refused
//! with a reason of one line; what is read is sound; a mask hides every literal secret, and taking it off gives back what was there.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ringtree::admin::mask::{is_masked, mask, unmask};
use ringtree::admin::status::{FrameChange, SeatChange, UserChange};
use ringtree::admin::{client, moment, until};
use ringtree::rules::Domain;
use ringtree::rules::diagnostic::Files;
use ringtree::rules::given::parse_given;
use ringtree::rules::route::{Query, route};
use ringtree::rules::source::load;
use std::sync::{Arc, LazyLock};

const RULES: &str = include_str!("../../routing-rules/behaviour/screening/domain.toml");
/// What a refusal may say of what it refuses, beside itself.
const REASON_MAX: usize = 512;

static DOMAIN: LazyLock<Option<Arc<Domain>>> = LazyLock::new(|| {
    let mut files = Files::default();
    for (name, text) in [
        ("domain.toml", RULES),
        ("lists.toml", include_str!("../../routing-rules/behaviour/screening/lists.toml")),
        ("white_list.toml", include_str!("../../routing-rules/behaviour/screening/white_list.toml")),
        ("busy.toml", include_str!("../../routing-rules/behaviour/screening/busy.toml")),
        ("lists/breeders.txt", include_str!("../../routing-rules/behaviour/screening/lists/breeders.txt")),
    ] {
        files.0.insert(name.into(), text.into());
    }
    Domain::compile(&load(&files).model?, Default::default(), 1).ok().map(Arc::new)
});

pub fn admin(data: &[u8]) {
    let Some((kind, body)) = data.split_first() else { return };
    let zone = TimeZone::get("America/New_York").unwrap_or(TimeZone::UTC);
    let now = Timestamp::from_second(1_800_000_000).unwrap_or_default();
    match kind % 6 {
        0 => reason(body, UserChange::parse(body, &zone, now)),
        1 => reason(body, FrameChange::parse(body, &zone, now)),
        2 => reason(body, SeatChange::parse(body, &zone, now)),
        3 => moments(super::text(body), &zone, now),
        4 => masks(super::text(body)),
        _ => asked(body, now),
    }
}

fn reason<T>(body: &[u8], read: Result<T, String>) {
    if let Err(why) = read {
        assert!(!why.is_empty() && why.len() <= 4 * body.len() + REASON_MAX, "{why}");
    }
}

fn moments(text: &str, zone: &TimeZone, now: Timestamp) {
    match until::parse(text, zone, now) {
        Ok(moment) => assert!(moment > now, "it has passed"),
        Err(why) => assert!(!why.is_empty()),
    }
    let _ = (moment::millis(text), moment::civil(text, zone));
    let segment = client::segment(text);
    assert!(segment.bytes().all(|byte| byte.is_ascii_graphic() && !b"/?#".contains(&byte)), "{segment}");
}

fn masks(text: &str) {
    let files = Files([("domain.toml".into(), text.into())].into());
    let masked = mask(&files);
    assert_eq!(mask(&masked), masked, "masked once is masked");
    if is_masked(&files) || masked == files {
        return;
    }
    assert!(is_masked(&masked));
    // A key that stands twice is no TOML, and what stands there is none's to give back.
    if text.parse::<toml_edit::DocumentMut>().is_ok() {
        assert_eq!(unmask(&masked, &files), Ok(files));
    }
}

/// `POST /v1/route`: a query, and behind a NUL what is given to be.
fn asked(body: &[u8], now: Timestamp) {
    let mut parts = body.splitn(2, |byte| *byte == 0);
    let (Some(query), given) = (parts.next(), parts.next().unwrap_or_default()) else { return };
    let given = parse_given(&[super::text(given)]).unwrap_or_default();
    let Ok(query) = serde_json::from_slice::<Query>(query) else { return };
    let back = serde_json::to_vec(&query).expect("it was read");
    assert_eq!(serde_json::from_slice::<Query>(&back).ok().as_ref(), Some(&query));
    let Some(domain) = &*DOMAIN else { return };
    if let Ok(explanation) = route(domain, &query, &given, None, now) {
        assert!(!explanation.text().is_empty());
    }
}
