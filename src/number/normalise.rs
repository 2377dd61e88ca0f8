//! What somebody dialled, or a trunk sent, to E.164. Done once, at the edge; everything behind it compares E.164 alone.
//!
//! Not validation: a number that has a possible length for its country is taken. Invariant: the result of [`normalise`]
//! normalises to itself in any locale.

use super::country::{Country, country};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Digits of E.164, the calling code included: no more (ITU-T E.164 §6.2.1), and fewer than this is a short code.
const E164_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// Longer input is no number: nothing is copied.
const RAW_BYTES_MAX: usize = 128;

/// By what a number is normalised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locale {
    /// ISO 3166-1 alpha-2: `US`.
    pub country: Arc<str>,
    /// For dialling within the area: `202`.
    pub area_code: Option<Arc<str>>,
}

/// Whether this is E.164 as the rules write it: `+`, a first digit that is not 0, 7 to 15 digits, nothing else.
#[must_use]
pub fn is_e164(text: &str) -> bool {
    let Some(digits) = text.strip_prefix('+') else { return false };
    E164_DIGITS.contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// To E.164 with `+`, or `None` where it can't be: too short, letters, a feature code. Accepts `tel:` URIs with their
/// parameters, the separators of RFC 3966 §5.1.1, and spaces.
#[must_use]
pub fn normalise(raw: &str, locale: &Locale) -> Option<String> {
    if raw.len() > RAW_BYTES_MAX {
        return None;
    }
    let (number, context) = split_uri(raw);
    let mut digits = String::with_capacity(24);
    let mut global = false;
    for (at, character) in number.chars().enumerate() {
        match character {
            '+' if at == 0 => global = true,
            '0'..='9' => digits.push(character),
            '-' | '.' | '(' | ')' | ' ' | '/' => {}
            _ => return None,
        }
    }
    if global {
        return e164(&digits);
    }
    // RFC 3966 §5.1.5: a local number within a global context is that context's.
    if let Some(context) = context.and_then(|context| context.strip_prefix('+')) {
        let context: String = context.chars().filter(char::is_ascii_digit).collect();
        return e164(&format!("{context}{digits}"));
    }
    national(&digits, country(&locale.country)?, locale.area_code.as_deref())
}

/// The number and the `phone-context` of what may be a `tel:` URI.
fn split_uri(raw: &str) -> (&str, Option<&str>) {
    let raw = raw.trim();
    let bare = match raw.get(..4) {
        Some(scheme) if scheme.eq_ignore_ascii_case("tel:") => raw.get(4..).unwrap_or_default(),
        _ => raw,
    };
    let (number, parameters) = bare.split_once(';').unwrap_or((bare, ""));
    let context = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.eq_ignore_ascii_case("phone-context").then_some(value)
    });
    (number.trim(), context)
}

fn e164(digits: &str) -> Option<String> {
    let number = format!("+{digits}");
    is_e164(&number).then_some(number)
}

/// Digits without `+`, as dialled in this country.
fn national(digits: &str, country: &Country, area_code: Option<&str>) -> Option<String> {
    if let Some(abroad) = digits.strip_prefix(country.international) {
        // A calling code never begins with 0 (E.164 §6.2.1), so `000` stays what it is.
        return e164(abroad);
    }
    let possible = |digits: &str| {
        let (shortest, longest) = country.digits;
        (usize::from(shortest)..=usize::from(longest)).contains(&digits.len())
    };
    let whole = |digits: &str| e164(&format!("{}{digits}", country.calling_code));
    if !country.trunk.is_empty()
        && let Some(significant) = digits.strip_prefix(country.trunk)
    {
        return if possible(significant) { whole(significant) } else { None };
    }
    if let (Some(local), Some(area)) = (country.local_digits, area_code)
        && digits.len() == usize::from(local)
    {
        return whole(&format!("{area}{digits}"));
    }
    // Where a trunk prefix is dialled, a number without it is local and wants the area code.
    let local =
        area_code.filter(|_| !country.trunk.is_empty() && country.local_digits.is_none()).map(|area| {
            let area = area.strip_prefix(country.trunk).unwrap_or(area);
            format!("{area}{digits}")
        });
    if let Some(joined) = local.filter(|joined| digits.len() >= LOCAL_DIGITS_MIN && possible(joined)) {
        return whole(&joined);
    }
    // Carriers send national numbers without the prefix, and international ones without `+`.
    if possible(digits) {
        return whole(digits);
    }
    digits.strip_prefix(country.calling_code).filter(|significant| possible(significant)).and_then(whole)
}

/// Fewer digits than this are a short code or an extension, never a local number.
const LOCAL_DIGITS_MIN: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::COUNTRIES;
    use proptest::prelude::*;

    fn locale(country: &str, area_code: Option<&str>) -> Locale {
        Locale { country: country.into(), area_code: area_code.map(Arc::from) }
    }

    #[test]
    fn north_america_dials_seven_ten_and_eleven_digits() {
        let here = locale("US", Some("202"));
        for raw in [
            "5550150",
            "2025550150",
            "12025550150",
            "+12025550150",
            "+1 (202) 555-0150",
            "tel:+1-202-555-0150",
            "TEL:+12025550150;isub=1",
            "tel:5550150;phone-context=+1202",
            "011 1 202 555 0150",
        ] {
            assert_eq!(normalise(raw, &here).as_deref(), Some("+12025550150"), "{raw}");
        }
        assert_eq!(normalise("011442079460100", &here).as_deref(), Some("+442079460100"));
        assert_eq!(normalise("5550150", &locale("US", None)), None);
    }

    #[test]
    fn short_codes_and_words_are_no_numbers() {
        for country in COUNTRIES {
            for raw in ["", "911", "112", "101", "*97", "anonymous", "000", "+", "+0123456789", "++123", "0"]
            {
                assert_eq!(normalise(raw, &locale(country.code, Some("20"))), None, "{} {raw}", country.code);
            }
        }
    }

    #[test]
    fn each_country_drops_its_own_trunk_prefix() {
        for (country, raw, e164) in [
            ("GB", "020 7946 0100", "+442079460100"),
            ("GB", "001 202 555 0150", "+12025550150"),
            ("DE", "030/123456", "+4930123456"),
            ("FR", "01 99 00 12 34", "+33199001234"),
            ("IT", "06 1234 5678", "+390612345678"),
            ("ES", "912 345 678", "+34912345678"),
            ("AU", "0011 1 202 555 0150", "+12025550150"),
            ("AU", "02 5550 0123", "+61255500123"),
            ("DK", "32 12 34 56", "+4532123456"),
            ("JP", "010 1 202 555 0150", "+12025550150"),
            ("JP", "03-1234-5678", "+81312345678"),
            ("HU", "06 1 234 5678", "+3612345678"),
            ("CH", "044 668 18 00", "+41446681800"),
            ("MX", "55 1234 5678", "+525512345678"),
            ("GB", "442079460100", "+442079460100"),
            ("GB", "2079460100", "+442079460100"),
        ] {
            assert_eq!(normalise(raw, &locale(country, None)).as_deref(), Some(e164), "{country} {raw}");
        }
    }

    #[test]
    fn a_local_number_takes_the_area_code() {
        assert_eq!(normalise("7946 0100", &locale("GB", Some("20"))).as_deref(), Some("+442079460100"));
        assert_eq!(normalise("123456", &locale("DE", Some("030"))).as_deref(), Some("+4930123456"));
    }

    proptest! {
        #[test]
        fn normalising_is_idempotent(
            raw in "(\\+|tel:\\+?|0{0,3}|1)?[0-9 ./()-]{0,20}", at in 0..COUNTRIES.len(), area in "[1-9][0-9]{0,3}",
        ) {
            let here = locale(COUNTRIES[at].code, Some(&area));
            if let Some(number) = normalise(&raw, &here) {
                prop_assert!(is_e164(&number));
                prop_assert_eq!(normalise(&number, &here), Some(number.clone()));
            }
        }

        #[test]
        fn no_text_makes_it_panic(raw in ".{0,60}", at in 0..COUNTRIES.len()) {
            let _ = normalise(&raw, &locale(COUNTRIES[at].code, None));
        }
    }
}
