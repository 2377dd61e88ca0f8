//! `ringtree calendar`.

use super::daemon::Daemon;
use super::{Exit, Failure, out, rules_dir};
use crate::admin::client::segment;
use crate::net::clock;
use crate::rules::agenda::{Agenda, Period, agenda};
use clap::Args;
use jiff::civil::Date;
use std::path::{Path, PathBuf};

/// Show which rule of an extension or number is active when
///
/// A line a day, half an hour a letter, with holidays by name and the days on which clocks change; below it each rule with the times
/// at which it is the one that answers. Of a year only the special days are drawn. The daemon also says what is switched by hand
/// now; the picture is the clock's alone.
///
/// Example: ringtree calendar 101 --week 2026-12-25 --rules routing-rules/harbour-dental
#[derive(Args)]
pub struct Calendar {
    /// The extension or number
    ext: String,
    /// The week of this day; default: this week
    #[arg(long, value_name = "DATE", conflicts_with = "year")]
    week: Option<Date>,
    /// 53 weeks from this one
    #[arg(long)]
    year: bool,
    /// The rules of this directory instead of the daemon's
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
    /// The domain, if there are several
    #[arg(long, value_name = "NAME")]
    domain: Option<String>,
    /// Print JSON: rules, segments, days
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    daemon: Daemon,
}

impl Calendar {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let agenda = match &self.rules {
            Some(dir) => self.by_files(dir)?,
            None => self.by_daemon()?,
        };
        if self.json {
            out::json(&agenda);
        } else {
            out::text(&agenda.text());
        }
        Ok(Exit::Done)
    }

    fn by_files(&self, dir: &Path) -> Result<Agenda, Failure> {
        let (_, domain) = rules_dir::read(dir, self.domain.as_deref())?;
        let day = self.week.unwrap_or_else(|| domain.today(clock::now().wall));
        let period = if self.year { Period::Year(day) } else { Period::Week(day) };
        let missing = || Failure::no(format!("{} has no rules for `{}`", domain.name(), self.ext));
        agenda(&domain, &self.ext, period, None).ok_or_else(missing)
    }

    fn by_daemon(&self) -> Result<Agenda, Failure> {
        let domain = self.daemon.domain(self.domain.as_deref())?;
        let asked = match self.week {
            Some(day) => format!("week={day}"),
            None => format!("year={}", self.year),
        };
        let path = format!("/v1/domains/{}/calendar/{}?{asked}", segment(&domain), segment(&self.ext));
        serde_json::from_value(self.daemon.get(&path)?)
            .map_err(|e| Failure::fault(format!("the calendar can't be read: {e}")))
    }
}
