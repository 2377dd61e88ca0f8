//! How each country writes and dials its numbers: calling code, prefixes, lengths of national numbers.
//!
//! From the national numbering plans (ITU-T E.129 and E.164.1 list them). A table of our own and not libphonenumber's
//! metadata: normalising needs five columns of it, and here they can be read. To add a country, add its row; the rows stand
//! in the order of their codes, which a test checks.

/// One country's row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Country {
    /// ISO 3166-1 alpha-2.
    pub code: &'static str,
    pub calling_code: &'static str,
    /// Dialled before a calling code.
    pub international: &'static str,
    /// Dialled before an area code; empty where numbers are dialled whole (an Italian
    /// number keeps its 0 abroad: there it is no prefix).
    pub trunk: &'static str,
    /// Digits of a number without calling code and trunk prefix, shortest and longest (special numbers included).
    pub digits: (u8, u8),
    /// Digits dialled within one area code, where that is still done: 7 in North America.
    pub local_digits: Option<u8>,
}

const fn row(
    code: &'static str,
    calling_code: &'static str,
    international: &'static str,
    trunk: &'static str,
    digits: (u8, u8),
) -> Country {
    Country { code, calling_code, international, trunk, digits, local_digits: None }
}

/// North America dials seven digits within an area, 1 before ten, 011 abroad.
const fn nanp(code: &'static str) -> Country {
    Country {
        code,
        calling_code: "1",
        international: "011",
        trunk: "1",
        digits: (10, 10),
        local_digits: Some(7),
    }
}

/// In the order of their codes.
pub const COUNTRIES: &[Country] = &[
    row("AE", "971", "00", "0", (8, 9)),
    row("AR", "54", "00", "0", (10, 11)),
    row("AT", "43", "00", "0", (4, 13)),
    row("AU", "61", "0011", "0", (6, 10)),
    nanp("BB"),
    row("BE", "32", "00", "0", (8, 9)),
    row("BG", "359", "00", "0", (7, 9)),
    nanp("BM"),
    row("BR", "55", "00", "0", (10, 11)),
    nanp("BS"),
    nanp("CA"),
    row("CH", "41", "00", "0", (9, 9)),
    row("CL", "56", "00", "", (9, 9)),
    row("CN", "86", "00", "0", (8, 11)),
    row("CO", "57", "00", "0", (8, 10)),
    row("CR", "506", "00", "", (8, 8)),
    row("CY", "357", "00", "", (8, 8)),
    row("CZ", "420", "00", "", (9, 9)),
    row("DE", "49", "00", "0", (5, 13)),
    row("DK", "45", "00", "", (8, 8)),
    nanp("DO"),
    row("EE", "372", "00", "", (7, 8)),
    row("EG", "20", "00", "0", (8, 10)),
    row("ES", "34", "00", "", (9, 9)),
    row("FI", "358", "00", "0", (5, 12)),
    row("FR", "33", "00", "0", (9, 9)),
    row("GB", "44", "00", "0", (9, 10)),
    row("GR", "30", "00", "", (10, 10)),
    row("HK", "852", "001", "", (8, 8)),
    row("HR", "385", "00", "0", (8, 9)),
    row("HU", "36", "00", "06", (8, 9)),
    row("ID", "62", "001", "0", (7, 12)),
    row("IE", "353", "00", "0", (7, 10)),
    row("IL", "972", "00", "0", (8, 9)),
    row("IN", "91", "00", "0", (8, 11)),
    row("IS", "354", "00", "", (7, 9)),
    row("IT", "39", "00", "", (6, 11)),
    nanp("JM"),
    row("JP", "81", "010", "0", (9, 10)),
    row("KE", "254", "000", "0", (7, 10)),
    row("KR", "82", "00", "0", (8, 11)),
    row("LI", "423", "00", "", (7, 7)),
    row("LT", "370", "00", "0", (8, 8)),
    row("LU", "352", "00", "", (4, 11)),
    row("LV", "371", "00", "", (8, 8)),
    row("MA", "212", "00", "0", (9, 9)),
    row("MT", "356", "00", "", (8, 8)),
    row("MX", "52", "00", "", (10, 10)),
    row("MY", "60", "00", "0", (8, 10)),
    row("NG", "234", "009", "0", (8, 10)),
    row("NL", "31", "00", "0", (9, 10)),
    row("NO", "47", "00", "", (5, 8)),
    row("NZ", "64", "00", "0", (8, 10)),
    row("PA", "507", "00", "", (7, 8)),
    row("PE", "51", "00", "0", (8, 9)),
    row("PH", "63", "00", "0", (8, 10)),
    row("PL", "48", "00", "", (9, 9)),
    nanp("PR"),
    row("PT", "351", "00", "", (9, 9)),
    row("RO", "40", "00", "0", (9, 9)),
    row("RS", "381", "00", "0", (8, 9)),
    row("SA", "966", "00", "0", (8, 9)),
    row("SE", "46", "00", "0", (7, 13)),
    row("SG", "65", "001", "", (8, 8)),
    row("SI", "386", "00", "0", (8, 8)),
    row("SK", "421", "00", "0", (9, 9)),
    row("SM", "378", "00", "", (6, 10)),
    row("TH", "66", "001", "0", (8, 9)),
    row("TR", "90", "00", "0", (10, 10)),
    nanp("TT"),
    row("TW", "886", "002", "0", (8, 9)),
    row("UA", "380", "00", "0", (9, 9)),
    nanp("US"),
    row("UY", "598", "00", "0", (8, 8)),
    row("VA", "39", "00", "", (6, 11)),
    row("VN", "84", "00", "0", (9, 10)),
    row("ZA", "27", "00", "0", (9, 9)),
];

/// The row of a country by its ISO 3166-1 code in capital letters.
#[must_use]
pub fn country(code: &str) -> Option<&'static Country> {
    COUNTRIES.binary_search_by(|row| row.code.cmp(code)).ok().and_then(|at| COUNTRIES.get(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_order_and_lengths_make_sense() {
        assert!(COUNTRIES.is_sorted_by(|a, b| a.code < b.code));
        for row in COUNTRIES {
            assert!(row.digits.0 <= row.digits.1, "{}", row.code);
            assert!(
                usize::from(row.digits.1) + row.calling_code.len() <= 15,
                "{}: E.164 has 15 digits",
                row.code
            );
            assert!(row.digits.0 >= 4, "{}", row.code);
            assert!(row.international.starts_with('0'), "{}", row.code);
        }
    }

    #[test]
    fn a_country_is_found_by_its_code() {
        assert_eq!(country("DE").map(|row| row.calling_code), Some("49"));
        assert!(country("XX").is_none());
    }
}
