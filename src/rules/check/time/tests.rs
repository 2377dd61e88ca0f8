//! Each lint over time fires where it should, and stays silent beside.

use super::super::super::source::load;
use super::super::trial::{codes, files, fires, silent};

/// Rules of a number by their frames, the last always.
fn number(frames: &[&str]) -> String {
    let rule = |(at, frame): (usize, &&str)| {
        format!("[[number.\"+12025550101\".rule]]\nname = \"R{at}\"\nwhen = {frame}\nto = \"user:desk\"\n")
    };
    let rules: String = frames.iter().enumerate().map(rule).collect();
    format!(
        "{rules}[[number.\"+12025550101\".rule]]\nname = \"Else\"\nwhen = \"always\"\nto = \"voicemail:desk\"\n"
    )
}

fn frame(name: &str, keys: &str) -> String {
    format!("[time_frame.{name}]\n{keys}\n")
}

/// The same, with the place of the finding before the rule of this index.
fn marked(rules: &str, at: usize) -> String {
    let name = format!("[[number.\"+12025550101\".rule]]\nname = \"R{at}\"");
    rules.replacen(&name, &format!("«{name}"), 1)
}

#[test]
fn a_rule_within_an_earlier_one_is_told_of() {
    let frames = format!(
        "{}{}",
        frame("open", "weekly = [\"mon-fri 08:00-18:00\"]"),
        frame("lunch", "weekly = [\"mon-fri 12:00-13:00\"]")
    );
    let wrong = number(&["\"open\"", "\"lunch\""]);
    fires(
        "covered-rule",
        &format!("{frames}{}", marked(&wrong, 1)),
        "whenever `R1` could be active, `R0` is",
    );
    silent("covered-rule", &format!("{frames}{}", number(&["\"lunch\"", "\"open\""])));
}

#[test]
fn a_rule_that_several_earlier_ones_cover_together_is_told_of() {
    let frames = format!(
        "{}{}{}",
        frame("morning", "weekly = [\"mon-fri 08:00-12:00\"]"),
        frame("afternoon", "weekly = [\"mon-fri 12:00-18:00\"]"),
        frame("lunch", "weekly = [\"mon-fri 11:30-12:30\"]")
    );
    let wrong = number(&["\"morning\"", "\"afternoon\"", "\"lunch\""]);
    fires("covered-rule", &format!("{frames}{}", marked(&wrong, 2)), "one of the rules before it is");
    silent("covered-rule", &format!("{frames}{}", number(&["\"morning\"", "\"lunch\"", "\"afternoon\""])));
}

#[test]
fn holidays_that_free_a_rule_are_seen_years_ahead() {
    let holidays = "[calendar.c]\nyearly = [{ on = \"07-04\" }]\n";
    let open = |except: &str| {
        let lunch = frame("lunch", "weekly = [\"mon-fri 12:00-13:00\"]");
        format!(
            "{holidays}{}{lunch}",
            frame("open", &format!("weekly = [\"mon-fri 08:00-18:00\"]\n{except}"))
        )
    };
    let rules = number(&["\"open\"", "\"lunch\"", "\"calendar:c\""]);
    fires("covered-rule", &format!("{}{}", open(""), marked(&rules, 1)), "`R1` could be active");
    silent("covered-rule", &format!("{}{rules}", open("except = [\"calendar:c\"]")));
}

#[test]
fn a_rule_by_override_alone_is_not_called_covered() {
    let storm = frame("storm", "override = \"off\"");
    silent(
        "covered-rule",
        &format!("{storm}{}{}", frame("open", "weekly = [\"daily\"]"), number(&["\"open\"", "\"storm\""])),
    );
}

#[test]
fn the_same_rules_of_many_users_are_told_of_each() {
    let user = |name: &str, ext: u32| {
        let device = format!(
            "[device.{name}]\nuser = \"{name}\"\nauth = {{ user = \"{name}\", secret = \"env:X\" }}\n"
        );
        format!(
            "[user.{name}]\next = \"{ext}\"\n[[user.{name}.rule]]\nname = \"A\"\nwhen = \"open\"\n[[user.{name}.rule]]\nname = \"B\"\nwhen = \"lunch\"\n[[user.{name}.rule]]\nname = \"C\"\nwhen = \"always\"\n{device}"
        )
    };
    let frames = format!(
        "{}{}",
        frame("open", "weekly = [\"mon-fri 08:00-18:00\"]"),
        frame("lunch", "weekly = [\"mon-fri 12:00-13:00\"]")
    );
    let found = codes(&files(&format!("{frames}{}{}", user("ann", 101), user("bob", 102))));
    assert_eq!(found.iter().filter(|code| **code == "covered-rule").count(), 2);
}

#[test]
fn a_frame_that_never_holds_is_told_of() {
    let rules = number(&["\"x\""]);
    fires(
        "never-matches",
        &format!("«{}{rules}", frame("x", "dates = [\"2025-05-01..2025-05-04\"]")),
        "`x` never holds",
    );
    let nothing_left = format!(
        "{}«{}{rules}",
        frame("w", "weekly = [\"mon-fri\"]"),
        frame("x", "weekly = [\"mon 09:00-10:00\"]\nexcept = [\"w\"]")
    );
    fires("never-matches", &nothing_left, "its exceptions leave nothing");
    for keys in ["dates = [2033-05-01]", "weekly = [\"mon\"]", "override = \"off\""] {
        silent("never-matches", &format!("{}{rules}", frame("x", keys)));
    }
}

#[test]
fn a_calendar_that_runs_out_is_told_of_and_its_frames_are_not() {
    let rules = number(&["\"x\""]);
    let text = |days: &str| format!("«[calendar.c]\n{days}\n{}{rules}", frame("x", "calendar = \"c\""));
    fires("calendar-ends", &text("dates = [{ on = 2026-12-25 }]"), "is 2026-12-25");
    fires("calendar-ends", &text("dates = [{ on = 2025-12-25 }]"), "was 2025-12-25");
    silent("never-matches", &text("dates = [{ on = 2025-12-25 }]").replace('«', ""));
    silent("calendar-ends", &text("dates = [{ on = 2027-02-25 }]").replace('«', ""));
    silent(
        "calendar-ends",
        &text("dates = [{ on = 2025-12-25 }]\nyearly = [{ on = \"07-04\" }]").replace('«', ""),
    );
}

#[test]
fn a_minute_between_two_frames_is_told_of() {
    let frames = |end: &str, begin: &str, mark: &str| {
        let morning = frame("morning", &format!("weekly = [\"mon-fri 08:00-{end}\"]"));
        format!(
            "{mark}{morning}{}{}",
            frame("afternoon", &format!("weekly = [\"mon-fri {begin}-17:00\"]")),
            number(&["\"morning\"", "\"afternoon\""])
        )
    };
    fires("schedule-gap", &frames("11:59", "12:00", "«"), "ends Mon 11:59, and the next time begins 12:00");
    silent("schedule-gap", &frames("12:00", "12:00", ""));
    silent("schedule-gap", &frames("12:00", "13:00", ""));
    let midnight = |hours: &str, mark: &str| {
        format!("{mark}{}{}", frame("all", &format!("weekly = [\"{hours}\"]")), number(&["\"all\""]))
    };
    fires("schedule-gap", &midnight("mon-fri 00:00-23:59", "«"), "write 00:00 as the end");
    silent("schedule-gap", &midnight("mon-fri 00:00-24:00", ""));
}

#[test]
fn an_edge_that_the_clock_skips_or_repeats_is_told_of_with_its_date() {
    let rules = number(&["\"x\""]);
    let x =
        |hours: &str, mark: &str| format!("{mark}{}{rules}", frame("x", &format!("weekly = [\"{hours}\"]")));
    fires(
        "dst-edge",
        &x("daily 02:30-05:00", "«"),
        "on 2027-03-14 the clock of America/New_York skips 02:30: `x` begins or ends at 03:00",
    );
    fires(
        "dst-edge",
        &x("sun 00:00-01:30", "«"),
        "on 2027-11-07 the clock of America/New_York reads 01:30 twice",
    );
    for quiet in ["daily 03:00-05:00", "daily 02:00-05:00", "daily 01:00-02:00", "mon-sat 02:30-05:00"] {
        silent("dst-edge", &x(quiet, ""));
    }
    let utc = frame("x", "weekly = [\"daily 02:30-05:00\"]\ntimezone = \"UTC\"");
    silent("dst-edge", &format!("{utc}{rules}"));
}

#[test]
fn without_a_moment_nothing_is_said_of_the_years_ahead() {
    let text = format!("{}{}", frame("x", "dates = [\"2025-05-01..2025-05-04\"]"), number(&["\"x\""]));
    assert!(load(&files(&text)).diagnostics.iter().all(|finding| finding.code != "never-matches"));
}
