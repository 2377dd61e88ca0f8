//! The emergency numbers that are built in, by country: they are matched before everything else, and no rule has to name
//! them.
//!
//! Only numbers that reach the emergency services (police, fire, ambulance) or test that path; help lines are ordinary
//! numbers. Sources: the EU's Directive 2018/1972 for 112; the national regulators for the rest. Where a country has a
//! number of its own beside a common one, both stand here.

/// The numbers of one country, by its ISO 3166-1 code. A country without a row here gets 112, which the mobile standards
/// (3GPP TS 22.101) treat as emergency everywhere.
#[must_use]
pub fn emergency_numbers(country: &str) -> &'static [&'static str] {
    match country {
        // 933 reads back the address that is on file: the test number of North American emergency services.
        "US" | "CA" | "PR" => &["911", "933"],
        "BB" => &["911", "211", "311", "511"],
        "BM" | "BS" | "DO" | "MX" | "CR" | "PA" | "UY" | "PH" | "SA" | "PE" => &["911"],
        "JM" => &["119", "110"],
        "TT" => &["990", "999"],
        "GB" => &["999", "112"],
        "IE" => &["112", "999"],
        "AU" => &["000", "112", "106"],
        "NZ" => &["111"],
        "DE" => &["112", "110"],
        "FR" => &["112", "15", "17", "18", "114"],
        "AT" => &["112", "122", "133", "144"],
        "CH" | "LI" => &["112", "117", "118", "144"],
        "BE" => &["112", "100", "101"],
        "LU" => &["112", "113"],
        "ES" => &["112", "091", "062", "061", "080"],
        "IT" | "SM" | "VA" => &["112", "113", "115", "118"],
        "NO" => &["112", "110", "113"],
        "PL" => &["112", "997", "998", "999"],
        "CZ" => &["112", "150", "155", "158"],
        "SK" => &["112", "150", "155", "158"],
        "SI" => &["112", "113"],
        "HU" => &["112", "104", "105", "107"],
        "HR" => &["112", "192", "193", "194"],
        "GR" => &["112", "100", "166", "199"],
        "LV" | "LT" | "EE" | "FI" | "SE" | "DK" | "NL" | "PT" | "RO" | "BG" | "CY" | "MT" | "IS" => &["112"],
        "RS" => &["112", "192", "193", "194"],
        "UA" => &["112", "101", "102", "103"],
        "TR" => &["112"],
        "JP" => &["110", "118", "119"],
        "KR" => &["112", "119"],
        "CN" => &["110", "119", "120"],
        "TW" => &["110", "119", "112"],
        "HK" => &["999", "112"],
        "SG" => &["999", "995"],
        "MY" => &["999", "112"],
        "TH" => &["191", "199", "1669"],
        "VN" => &["113", "114", "115"],
        "ID" => &["112", "110", "113", "118", "119"],
        "IN" => &["112", "100", "101", "102", "108"],
        "IL" => &["100", "101", "102", "112"],
        "AE" => &["999", "998", "997", "112"],
        "BR" => &["190", "192", "193", "112", "911"],
        "AR" => &["911", "100", "101", "107"],
        "CL" => &["131", "132", "133"],
        "CO" => &["123"],
        "ZA" => &["112", "10111", "10177"],
        "KE" => &["999", "112"],
        "NG" => &["112"],
        "EG" => &["112", "122", "123", "180"],
        "MA" => &["112", "15", "19"],
        _ => &["112"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::number::COUNTRIES;

    #[test]
    fn every_country_of_the_table_has_short_dialable_emergency_numbers() {
        for country in COUNTRIES {
            let numbers = emergency_numbers(country.code);
            assert!(!numbers.is_empty());
            for number in numbers {
                assert!((2..=5).contains(&number.len()), "{} {number}", country.code);
                assert!(number.bytes().all(|byte| byte.is_ascii_digit()));
            }
        }
    }

    #[test]
    fn the_numbers_that_people_know_are_there() {
        for (country, number) in
            [("US", "911"), ("CA", "933"), ("GB", "999"), ("DE", "112"), ("AU", "000"), ("NZ", "111")]
        {
            assert!(emergency_numbers(country).contains(&number), "{country} {number}");
        }
    }
}
