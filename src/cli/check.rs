//! `ringtree check`.

use super::offline::Offline;
use super::{Exit, Failure, out};
use crate::admin::findings::{Expectations, Finding, Findings};
use crate::admin::proof;
use crate::daemon::config::Config;
use crate::net::clock;
use crate::net::voice::Auditions;
use crate::rules::model::WhenFull;
use clap::Args;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

/// Check rules: every diagnostic at once, then the golden tests
///
/// Needs no daemon. Each diagnostic names file, line and column, shows the line, and says what to write instead; then the [[expect]]
/// tables are run; a summary line ends it. Exit 2 with any error, 1 when a golden test fails, 0 with warnings alone. Audio that the
/// rules name is tried out: a file that is missing, or that can't be played, is a warning.
#[derive(Args)]
pub struct Check {
    /// A directory with a domain.toml, or one whose children have one; default: what `[rules] load` names
    dir: Option<PathBuf>,
    /// Where the audio of the rules lies; default: `[rules] base` of ./ringtree.toml, else the rules' own directory
    #[arg(long, value_name = "DIR")]
    base: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Check {
    pub fn carry_out(self) -> Result<Exit, Failure> {
        let colour = std::io::stdout().is_terminal();
        let mut domains = Offline::all(self.dir.as_deref())?;
        // A configuration that can't be read is no matter of the rules.
        let base = self.base.or_else(|| Config::find(None).ok()?.base);
        let auditions = Auditions::default();
        domains.iter_mut().for_each(|one| one.audition(&auditions, base.as_deref()));
        let several = domains.len() > 1;
        let mut all = Findings::default();
        for one in &domains {
            let expectations = one
                .domain
                .as_ref()
                .map(|d| proof::golden(d, &one.expects, clock::now().wall))
                .unwrap_or_default();
            if !self.json {
                if several {
                    out::line(&format!("{}:", one.dir.display()));
                }
                out::text(&one.rendered(colour));
                print_failures(&expectations);
                print_choices(one);
            }
            let mut diagnostics = Finding::all(&one.files, one.diagnostics.clone());
            if several {
                for finding in &mut diagnostics {
                    Arc::make_mut(finding).file = one.dir.join(&finding.file).display().to_string();
                }
            }
            Arc::make_mut(&mut all.diagnostics).extend(diagnostics);
            all.expectations.passed += expectations.passed;
            all.expectations.failed += expectations.failed;
            all.expectations.failures.extend(expectations.failures);
        }
        if self.json {
            out::json(&all);
        } else {
            out::line(&all.summary());
        }
        Ok(if all.count("error") > 0 {
            Exit::Input
        } else if all.expectations.failed > 0 {
            Exit::No
        } else {
            Exit::Done
        })
    }
}

/// What the rules leave to the policy, and operators are surprised by.
fn print_choices(one: &Offline) {
    let full = match one.voicemail_full {
        Some(WhenFull::Rotate) => "\"rotate\": the oldest message makes room for a new one",
        Some(WhenFull::Refuse) => "\"refuse\": no message is taken until some are deleted",
        None => return,
    };
    out::line(&format!("full mailboxes: {full}"));
}

fn print_failures(expectations: &Expectations) {
    for failure in &expectations.failures {
        out::line(&format!("{}: golden test `{}` failed: {}", failure.at, failure.name, failure.message));
    }
}
