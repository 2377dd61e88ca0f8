//! The texts of time frames: `mon-thu 08:00-17:30`, `07-04`, `nov 4th thu`.

use super::days::YearlyOn;
use super::weekly::{Hours, Weekly, bit};
use jiff::civil::Weekday;

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

const DAYS_IN_MONTH: [i8; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// `mon-thu 08:00-17:30`, `daily 22:00-06:00`, `sat,sun`.
///
/// # Errors
/// What is wrong and how to write it.
pub fn parse_weekly(text: &str) -> Result<Weekly, String> {
    let mut words = text.split_ascii_whitespace();
    let days = words.next().ok_or("write days and hours: `mon-fri 08:00-17:30`")?;
    if days.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!("days come first: write `daily {}`", text.trim()));
    }
    let days = parse_days(days)?;
    let Some(hours) = words.next() else { return Ok(Weekly::new(days, Hours::ALL_DAY, text)) };
    if words.next().is_some() {
        return Err("one range of hours an entry, without spaces inside: write `mon-fri 08:00-17:30`, and a second entry for \
                    further hours"
            .into());
    }
    Ok(Weekly::new(days, parse_hours(hours)?, text))
}

/// `08:00-17:30`; what ends before it begins crosses midnight.
///
/// # Errors
/// What is wrong and how to write it.
pub fn parse_hours(text: &str) -> Result<Hours, String> {
    let (start, end) = text.split_once('-').ok_or("hours are a range: write `08:00-17:30`")?;
    let (start, end) = (parse_clock(start)?, parse_clock(end)?);
    if start == MINUTES_AT_END {
        return Err("`24:00` is an end only: begin at `00:00`".into());
    }
    if start == end {
        return Err("both ends are the same: leave the hours out for all day".into());
    }
    Ok(Hours { start, end })
}

const MINUTES_AT_END: u16 = 24 * 60;

fn parse_days(text: &str) -> Result<u8, String> {
    if text == "daily" {
        return Ok(0b111_1111);
    }
    let mut days = 0;
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last) = (parse_day(first)?, parse_day(last)?);
        let mut day = first;
        days |= bit(day);
        // Ranges wrap: fri-mon is four days.
        while day != last {
            day = day.next();
            days |= bit(day);
        }
    }
    Ok(days)
}

fn parse_day(text: &str) -> Result<Weekday, String> {
    if let Some((_, day)) = DAYS.iter().find(|(name, _)| *name == text) {
        return Ok(*day);
    }
    let lower = text.to_ascii_lowercase();
    match DAYS.iter().find(|(name, _)| lower.starts_with(name)) {
        Some((name, _)) => Err(format!("`{text}` is written `{name}`")),
        None => Err(format!(
            "`{text}` is no day: write `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun` or `daily`"
        )),
    }
}

/// `08:30` as minutes from midnight; `24:00` too.
///
/// # Errors
/// What is wrong and how to write it.
pub fn parse_clock(text: &str) -> Result<u16, String> {
    let wrong = || format!("`{text}` is no time of day: write `08:30`, hours 00 to 23");
    let (hours, minutes) = text.split_once(':').ok_or_else(wrong)?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !two_digits(hours) || !two_digits(minutes) {
        return Err(wrong());
    }
    match (hours.parse::<u16>(), minutes.parse::<u16>()) {
        (Ok(24), Ok(0)) => Ok(MINUTES_AT_END),
        (Ok(hours @ 0..24), Ok(minutes @ 0..60)) => Ok(hours * 60 + minutes),
        _ => Err(wrong()),
    }
}

/// `07-04`, `nov 4th thu`, `may last mon`.
///
/// # Errors
/// What is wrong and how to write it.
pub fn parse_yearly(text: &str) -> Result<YearlyOn, String> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    match words.as_slice() {
        [month_day] => parse_month_day(month_day),
        [month, ordinal, weekday] => {
            let at = MONTHS
                .iter()
                .position(|name| name == month)
                .ok_or_else(|| format!("`{month}` is no month: write `jan` to `dec`, as in `nov 4th thu`"))?;
            let nth = match *ordinal {
                "1st" => 1,
                "2nd" => 2,
                "3rd" => 3,
                "4th" => 4,
                "5th" => 5,
                "last" => -1,
                other => {
                    return Err(format!("`{other}` is none of `1st`, `2nd`, `3rd`, `4th`, `5th`, `last`"));
                }
            };
            let weekday = parse_day(weekday)?.to_monday_zero_offset();
            Ok(YearlyOn::Ordinal { month: i8::try_from(at + 1).unwrap_or(12), nth, weekday })
        }
        _ => Err("write a month and day (`07-04`) or an ordinal (`nov 4th thu`)".into()),
    }
}

fn parse_month_day(text: &str) -> Result<YearlyOn, String> {
    let wrong = || format!("`{text}` is no day of the year: write month and day, `07-04`");
    let (month, day) = text.split_once('-').ok_or_else(wrong)?;
    if month.len() != 2 || day.len() != 2 {
        return Err(wrong());
    }
    let (month, day) = (month.parse::<i8>().map_err(|_| wrong())?, day.parse::<i8>().map_err(|_| wrong())?);
    let longest = usize::try_from(month).ok().and_then(|month| DAYS_IN_MONTH.get(month.checked_sub(1)?));
    match longest {
        Some(longest) if (1..=*longest).contains(&day) => Ok(YearlyOn::MonthDay { month, day }),
        _ => Err(wrong()),
    }
}
