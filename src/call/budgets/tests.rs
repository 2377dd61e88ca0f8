use super::*;
use crate::net::clock;
use crate::rules::Span;

/// A clock of our own: both at once.
struct Clock(Now);

impl Clock {
    /// At that moment of wall time.
    fn at(wall: &str) -> Clock {
        Clock(Now { mono: clock::mono(), wall: wall.parse().unwrap() })
    }

    fn now(&self) -> Now {
        self.0
    }

    fn pass(&mut self, seconds: u64) -> Now {
        let time = Duration::from_secs(seconds);
        self.0 = Now { mono: self.0.mono + time, wall: self.0.wall + time };
        self.0
    }
}

const ZONE: &str = "America/New_York";
/// Ten in the morning there.
const TEN: &str = "2026-11-24T15:00:00Z";

fn domain() -> Arc<str> {
    "pbx.test".into()
}

fn charge(at_once: Option<u32>, per_hour: Option<u32>, seconds_per_day: Option<u64>) -> Charge {
    Charge {
        user: "ann".into(),
        class: "world".into(),
        budget: Some(Budget {
            span: Span::default(),
            calls_at_once: at_once,
            calls_per_hour: per_hour,
            time_per_day: seconds_per_day.map(Duration::from_secs),
        }),
        spent: Spent::default(),
    }
}

fn begin(budgets: &mut Budgets, now: Now, charge: &Charge) -> Result<Arc<Ticket>, Limit> {
    let begun = budgets.begin(now, (&domain(), charge), ZONE).map_err(|(limit, _)| limit);
    begun.map(|ticket| ticket.expect("there is room"))
}

fn talked(budgets: &Budgets, now: Now) -> u64 {
    budgets.spent(now, &domain(), "ann", "world").time_per_day.as_secs()
}

#[test]
fn a_leg_counts_until_its_ticket_is_dropped() {
    let clock = Clock::at(TEN);
    let (mut budgets, two) = (Budgets::default(), charge(Some(2), None, None));
    let first = begin(&mut budgets, clock.now(), &two).unwrap();
    let _second = begin(&mut budgets, clock.now(), &two).unwrap();
    assert_eq!(begin(&mut budgets, clock.now(), &two).unwrap_err(), Limit::CallsAtOnce);
    drop(first);
    assert!(begin(&mut budgets, clock.now(), &two).is_ok());
}

#[test]
fn the_calls_of_the_last_hour_are_remembered_whether_or_not_they_are_answered() {
    let mut clock = Clock::at(TEN);
    let (mut budgets, two) = (Budgets::default(), charge(None, Some(2), None));
    drop(begin(&mut budgets, clock.now(), &two));
    drop(begin(&mut budgets, clock.pass(1800), &two));
    assert_eq!(begin(&mut budgets, clock.pass(1799), &two).unwrap_err(), Limit::CallsPerHour);
    assert!(begin(&mut budgets, clock.pass(1), &two).is_ok());
}

#[test]
fn time_runs_from_the_answer_and_is_used_up_by_all_calls_together() {
    let mut clock = Clock::at(TEN);
    let (mut budgets, hundred) = (Budgets::default(), charge(None, None, Some(100)));
    let ticket = begin(&mut budgets, clock.now(), &hundred).unwrap();
    assert_eq!(budgets.deadline(), None, "ringing costs nothing");
    budgets.answered(clock.pass(20), &ticket);
    let second = begin(&mut budgets, clock.pass(40), &hundred).unwrap();
    assert_eq!(talked(&budgets, clock.now()), 40);
    budgets.answered(clock.now(), &second);
    assert!(budgets.timeout(clock.pass(29)).is_empty());
    let due = budgets.deadline().unwrap();
    assert!(due <= clock.now().mono + Duration::from_secs(1), "two calls spend it twice as fast");
    assert_eq!(budgets.timeout(clock.pass(1)), [ticket.account()]);
    drop((ticket, second));
    assert_eq!(begin(&mut budgets, clock.now(), &hundred).unwrap_err(), Limit::TimePerDay);
    assert_eq!(talked(&budgets, clock.now()), 100);
}

#[test]
fn the_day_begins_at_midnight_of_the_users_zone() {
    let mut clock = Clock::at("2026-11-25T04:59:30Z"); // 23:59:30 in New York
    let (mut budgets, minute) = (Budgets::default(), charge(None, None, Some(60)));
    let ticket = begin(&mut budgets, clock.now(), &minute).unwrap();
    budgets.answered(clock.now(), &ticket);
    assert_eq!(
        budgets.deadline().unwrap(),
        clock.now().mono + Duration::from_secs(30),
        "then it is midnight"
    );
    assert!(budgets.timeout(clock.pass(30)).is_empty());
    assert_eq!(talked(&budgets, clock.pass(20)), 20);
    assert!(budgets.timeout(clock.now()).is_empty());
    assert_eq!(budgets.timeout(clock.pass(40)), [ticket.account()]);
}

#[test]
fn a_late_look_counts_from_midnight_alone() {
    let mut clock = Clock::at("2026-11-25T04:00:00Z"); // an hour before midnight
    let (mut budgets, hour) = (Budgets::default(), charge(None, None, Some(3600)));
    let ticket = begin(&mut budgets, clock.now(), &hour).unwrap();
    budgets.answered(clock.now(), &ticket);
    drop(ticket);
    budgets.settle(clock.pass(3600 + 600)); // the machine slept
    assert_eq!(talked(&budgets, clock.now()), 600);
}

#[test]
fn what_is_spent_survives_a_restart_and_a_long_call_is_noted_while_it_lasts() {
    let mut clock = Clock::at(TEN);
    let (mut budgets, hour) = (Budgets::default(), charge(Some(1), Some(5), Some(3600)));
    let ticket = begin(&mut budgets, clock.now(), &hour).unwrap();
    budgets.answered(clock.now(), &ticket);
    budgets.take_notes();
    assert!(budgets.timeout(clock.pass(60)).is_empty());
    let notes = budgets.take_notes();
    assert_eq!(notes.len(), 1, "once a minute");
    let mut again = Budgets::default();
    notes.into_iter().for_each(|usage| again.restore(clock.now(), usage));
    let spent = again.spent(clock.now(), &domain(), "ann", "world");
    let wanted = Spent { calls_at_once: 0, calls_per_hour: 1, time_per_day: Duration::from_secs(60) };
    assert_eq!(spent, wanted, "the call itself is gone with the restart");
    let next_day = clock.pass(24 * 3600);
    assert_eq!(again.spent(next_day, &domain(), "ann", "world"), Spent::default());
}

#[test]
fn whoever_has_used_nothing_is_forgotten() {
    let mut clock = Clock::at(TEN);
    let mut budgets = Budgets::default();
    for user in 0..2000 {
        let charge = Charge { user: format!("u{user}").into(), ..charge(Some(1), None, None) };
        drop(begin(&mut budgets, clock.pass(10), &charge)); // each is remembered for an hour
    }
    assert!(budgets.accounts.len() <= SWEEP_FLOOR, "{}", budgets.accounts.len());
    assert_eq!(budgets.by_key.len(), budgets.accounts.len());
}

#[test]
fn what_has_just_ended_counts_no_more_before_anybody_has_looked() {
    let clock = Clock::at(TEN);
    let (mut budgets, one) = (Budgets::default(), charge(Some(1), None, None));
    let ticket = begin(&mut budgets, clock.now(), &one).unwrap();
    let at_once = |budgets: &Budgets| budgets.spent(clock.now(), &domain(), "ann", "world").calls_at_once;
    let also = ticket.clone();
    drop(ticket);
    assert_eq!(at_once(&budgets), 1, "another branch of the same leg");
    drop(also);
    assert_eq!(at_once(&budgets), 0);
}

#[test]
fn a_leg_that_no_place_has_taken_is_none_of_the_hours_calls() {
    let mut clock = Clock::at(TEN);
    let (mut budgets, two) = (Budgets::default(), charge(None, Some(2), None));
    let first = begin(&mut budgets, clock.now(), &two).unwrap();
    let second = begin(&mut budgets, clock.pass(10), &two).unwrap();
    budgets.forgive(clock.pass(1), &second);
    budgets.forgive(clock.now(), &second);
    assert_eq!(budgets.spent(clock.now(), &domain(), "ann", "world").calls_per_hour, 1, "once, and no other");
    drop((first, second));
    assert!(begin(&mut budgets, clock.now(), &two).is_ok());
    assert_eq!(begin(&mut budgets, clock.now(), &two).unwrap_err(), Limit::CallsPerHour);
}

#[test]
fn a_clock_that_was_years_ahead_shuts_nobody_out_when_it_is_set_back() {
    let mut clock = Clock::at("2031-11-24T15:00:00Z");
    let (mut budgets, limits) = (Budgets::default(), charge(None, Some(1), Some(60)));
    let ticket = begin(&mut budgets, clock.now(), &limits).unwrap();
    budgets.answered(clock.now(), &ticket);
    drop(ticket);
    budgets.settle(clock.pass(60));
    let noted = budgets.take_notes().pop().unwrap();
    let mut real = Clock(Now { wall: TEN.parse().unwrap(), ..clock.now() });
    budgets.settle(real.now());
    let corrected = budgets.take_notes().pop().expect("what has changed is noted");
    assert!(corrected.until < "2026-11-26T00:00:00Z".parse().unwrap(), "{corrected:?}");
    let mut restarted = Budgets::default();
    restarted.restore(real.now(), noted);
    for budgets in [&mut budgets, &mut restarted] {
        assert_eq!(begin(budgets, real.now(), &limits).unwrap_err(), Limit::CallsPerHour);
    }
    real.pass(3600);
    for budgets in [&mut budgets, &mut restarted] {
        let used_up = begin(budgets, real.now(), &limits).unwrap_err();
        assert_eq!(used_up, Limit::TimePerDay, "an hour later the hour is over");
    }
    real.pass(24 * 3600);
    for budgets in [&mut budgets, &mut restarted] {
        assert!(begin(budgets, real.now(), &limits).is_ok(), "and a day later the day");
    }
}

#[test]
fn a_clock_that_goes_a_moment_back_takes_nothing_from_the_hour() {
    let mut clock = Clock::at(TEN);
    let (mut budgets, one) = (Budgets::default(), charge(None, Some(1), None));
    drop(begin(&mut budgets, clock.pass(10), &one));
    let back = Now { wall: clock.now().wall - Duration::from_secs(5), ..clock.now() };
    budgets.settle(back);
    assert_eq!(begin(&mut budgets, back, &one).unwrap_err(), Limit::CallsPerHour);
}

#[test]
fn what_has_no_limit_is_counted_and_not_stored() {
    let mut clock = Clock::at(TEN);
    let (mut budgets, free) = (Budgets::default(), Charge { budget: None, ..charge(None, None, None) });
    let ticket = begin(&mut budgets, clock.now(), &free).unwrap();
    budgets.answered(clock.now(), &ticket);
    clock.pass(600);
    assert_eq!(budgets.deadline(), None);
    let wanted = Spent { calls_at_once: 1, calls_per_hour: 1, time_per_day: Duration::from_secs(600) };
    assert_eq!(budgets.spent(clock.now(), &domain(), "ann", "world"), wanted);
    assert!(budgets.take_notes().is_empty());
    let two = charge(Some(1), None, None);
    assert_eq!(
        begin(&mut budgets, clock.now(), &two).unwrap_err(),
        Limit::CallsAtOnce,
        "as soon as one does"
    );
}
