//! Rules from a directory, without a daemon: what `check`, `route --rules` and `tree --rules` work on.

use super::{Exit, Failure};
use crate::daemon::config::Config;
use crate::daemon::directory;
use crate::net::clock;
use crate::net::voice::Auditions;
use crate::rules::compile::Secrets;
use crate::rules::diagnostic::{Diagnostic, Files, Severity, render, render_errors};
use crate::rules::model::{Expect, WhenFull};
use crate::rules::{Domain, source};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One domain as its directory says; compiled unless it has errors.
pub struct Offline {
    pub dir: PathBuf,
    pub files: Files,
    pub diagnostics: Vec<Diagnostic>,
    pub domain: Option<Arc<Domain>>,
    /// Its golden tests.
    pub expects: Vec<Expect>,
    /// What a mailbox does at its limit, unless it says otherwise itself.
    pub voicemail_full: Option<WhenFull>,
}

impl Offline {
    fn read(dir: &Path) -> Result<Offline, Failure> {
        let files = directory::read(dir).map_err(Failure::input)?;
        let loaded = source::load_at(&files, Some(clock::now().wall));
        let mut diagnostics = loaded.diagnostics;
        // Generation 0: these rules are nobody's yet. Secrets are the daemon's.
        let (mut domain, mut expects, mut voicemail_full) = (None, Vec::new(), None);
        if let Some(model) = loaded.model {
            match Domain::compile(&model, Secrets::default(), 0) {
                Ok(compiled) => domain = Some(Arc::new(compiled)),
                Err(found) => diagnostics.extend(found),
            }
            voicemail_full = Some(model.policy.voicemail_full);
            expects = model.expects;
        }
        diagnostics.sort_by_key(|d| d.span);
        let errors = diagnostics.iter().any(|d| d.severity == Severity::Error);
        let domain = domain.filter(|_| !errors);
        Ok(Offline { dir: dir.to_owned(), files, diagnostics, domain, expects, voicemail_full })
    }

    /// Every domain of the directory; without one, of those that `[rules] load` names.
    pub fn all(dir: Option<&Path>) -> Result<Vec<Offline>, Failure> {
        let load = match dir {
            Some(dir) => vec![dir.to_owned()],
            None => Config::find(None).map_err(Failure::input)?.load,
        };
        let mut found = Vec::new();
        for dir in load {
            for dir in directory::domains(&dir).map_err(Failure::input)? {
                found.push(Offline::read(&dir)?);
            }
        }
        Ok(found)
    }

    /// The one domain that is meant, compiled. Its errors are printed.
    pub fn one(dir: &Path, named: Option<&str>) -> Result<Arc<Domain>, Failure> {
        let mut all = Offline::all(Some(dir))?;
        if let Some(name) = named {
            all.retain(|o| directory::domain_name(&o.files).is_some_and(|d| d.eq_ignore_ascii_case(name)));
        }
        let [one] = all.as_slice() else {
            let what =
                if all.is_empty() { "no such domain" } else { "several domains: name one with --domain" };
            return Err(Failure::input(format!("{}: {what}", dir.display())));
        };
        one.domain.clone().ok_or_else(|| {
            eprint!("{}", render_errors(&one.files, &one.diagnostics, std::io::stderr().is_terminal()));
            Failure { exit: Exit::Input, line: format!("{} has errors", one.dir.display()) }
        })
    }

    /// Tries out the sounds that its rules name. `base`: where they lie, else beside the rules.
    pub fn audition(&mut self, auditions: &Auditions, base: Option<&Path>) {
        let Some(domain) = &self.domain else { return };
        self.diagnostics.extend(auditions.of(domain, Some(base.unwrap_or(&self.dir))));
        self.diagnostics.sort_by_key(|d| d.span);
    }

    /// Its diagnostics with their lines shown.
    pub fn rendered(&self, colour: bool) -> String {
        render(&self.files, &self.diagnostics, colour)
    }
}
