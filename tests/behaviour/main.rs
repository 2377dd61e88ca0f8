//! What the system does, row by row: the domains of `routing-rules/behaviour` are loaded and their golden tests run, and the tables
//! in `docs/behaviour.md` and `docs/complaints.md` are held against them and against the tests that they name.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)] // in a test, to stop is to fail

mod complaints;
mod golden;
mod load;
mod table;

use ringtree::daemon::directory;
use ringtree::rules::compile::Secrets;
use ringtree::rules::diagnostic::{Diagnostic, Files, render};
use ringtree::rules::expect::run_expectations;
use ringtree::rules::model::Expect;
use ringtree::rules::{Domain, Severity, source};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file or directory of the project.
fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// One rule set, loaded as `check` does it.
struct Rules {
    name: String,
    files: Files,
    diagnostics: Vec<Diagnostic>,
    domain: Option<Arc<Domain>>,
    expects: Vec<Expect>,
}

impl Rules {
    fn read(dir: &Path) -> Rules {
        let name = dir.file_name().unwrap().to_string_lossy().into_owned();
        Rules::load(name, directory::read(dir).unwrap())
    }

    /// A domain in one file; the head of it is given.
    fn of(text: &str) -> Rules {
        let head = "schema = 1\n[domain]\nname = \"pbx.example\"\ntimezone = \"America/New_York\"\ncountry = \"US\"\narea_code = \"202\"\n";
        let files = Files([("rules.toml".into(), format!("{head}{text}").into())].into());
        Rules::load("rules.toml".into(), files)
    }

    fn load(name: String, files: Files) -> Rules {
        let loaded = source::load(&files);
        let mut diagnostics = loaded.diagnostics;
        let (mut domain, mut expects) = (None, Vec::new());
        if let Some(model) = loaded.model {
            match Domain::compile(&model, Secrets::default(), 1) {
                Ok(compiled) => domain = Some(Arc::new(compiled)),
                Err(found) => diagnostics.extend(found),
            }
            expects = model.expects;
        }
        if diagnostics.iter().any(|d| d.severity == Severity::Error) {
            domain = None;
        }
        Rules { name, files, diagnostics, domain, expects }
    }

    fn rendered(&self) -> String {
        render(&self.files, &self.diagnostics, false)
    }

    /// It compiles.
    #[track_caller]
    fn domain(&self) -> &Arc<Domain> {
        self.domain.as_ref().unwrap_or_else(|| panic!("{}:\n{}", self.name, self.rendered()))
    }

    /// The golden tests that fail, each with what happened instead.
    fn failures(&self) -> Vec<(String, String)> {
        // Those without `at` ask about no time frame: any moment will do.
        let results = run_expectations(self.domain(), &self.expects, jiff::Timestamp::UNIX_EPOCH);
        results.into_iter().filter_map(|r| Some((r.name.to_string(), r.failure?))).collect()
    }

    /// It is refused with this code, and says this.
    #[track_caller]
    fn refused(&self, code: &str, says: &str) {
        assert!(self.domain.is_none(), "{code}: it compiles");
        self.says(Severity::Error, code, says);
    }

    /// It is taken, with a warning of this code that says this.
    #[track_caller]
    fn warned(&self, code: &str, says: &str) {
        self.domain();
        self.says(Severity::Warning, code, says);
    }

    #[track_caller]
    fn says(&self, severity: Severity, code: &str, says: &str) {
        let found = self.diagnostics.iter().any(|d| {
            let text = format!("{} {}", d.message, d.help.as_deref().unwrap_or_default());
            d.severity == severity && d.code == code && text.contains(says)
        });
        assert!(found, "no {severity:?} {code} that says `{says}`:\n{}", self.rendered());
    }
}
