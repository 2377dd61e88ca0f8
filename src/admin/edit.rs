//! The edit pipeline, the only way to another generation: parse, check, compile, prove, persist, publish, acknowledge. One edit at
//! a time. A step that fails leaves the running rules untouched; nothing is published before it is durable.

use super::findings::{Expectations, Finding, Findings};
use super::generation::{Generations, Live};
use super::mask;
use super::proof;
pub use super::refused::Refused;
use super::sendable;
use super::shelf::{Kept, Shelf};
use super::short::Short;
use crate::daemon::secrets;
use crate::net::voice::Auditions;
use crate::rules::Domain;
use crate::rules::compile::Secrets;
use crate::rules::diagnostic::{Diagnostic, Files, Severity, render_errors};
use crate::rules::edit::EditError;
use crate::rules::model::Model;
use crate::rules::source::Loaded;
use crate::rules::workshop::{self, Materials, Workshop};
use crate::sip::Transport;
use crate::store::trial::{Trial, TrialKind, Trials};
use crate::store::{Changed, GenerationInfo, Store, StoreError, StoredRules};
use crate::switch::Input;
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Hands an input to the signalling plane.
pub type Publish = Arc<dyn Fn(Input) + Send + Sync>;

/// Where `file:` secrets and the audio of a domain are found.
#[derive(Clone, Debug, Default)]
pub struct Bases {
    /// `[rules] base`: goes before the directories.
    pub base: Option<PathBuf>,
    /// The directory that `[rules] load` names for a domain.
    pub by_domain: BTreeMap<Arc<str>, PathBuf>,
}

impl Bases {
    /// Where files that the rules of a domain name are found.
    #[must_use]
    pub fn of(&self, domain: &str) -> Option<&PathBuf> {
        self.base.as_ref().or_else(|| self.by_domain.get(domain))
    }
}

/// Takes edits.
pub struct Pipeline {
    pub(super) store: Arc<dyn Store>,
    pub(super) generations: Arc<Generations>,
    pub(super) bases: Bases,
    publish: Publish,
    trials: Trials,
    /// What the daemon listens by; `None`: nobody has said.
    listening: Option<Vec<Transport>>,
    /// Whether it can send mail.
    mails: bool,
    pub(super) auditions: Auditions,
    /// One edit at a time.
    writing: Mutex<()>,
    pub(super) shelf: Mutex<Shelf>,
    /// Domains whose compiled bytes are still to be stored.
    pub(super) unsaved: Mutex<BTreeSet<Arc<str>>>,
}

/// One edit of one domain.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The domain that it is meant for; `None`: the one that the files name.
    pub domain: Option<String>,
    pub files: Arc<Files>,
    /// If-Match.
    pub expected: Option<u64>,
    /// Who: `file:DIR`, or the uid.
    pub origin: String,
    /// What the change is, for the history: `apply`, `edit user.osei`.
    pub what: String,
    pub at: Timestamp,
    /// It is taken back by itself.
    pub trial: Option<(TrialKind, Timestamp)>,
}

/// Who changes something, when, and what it is called in the history.
#[derive(Clone, Debug)]
pub struct Author {
    pub origin: String,
    pub what: String,
    pub at: Timestamp,
}

/// What came of an edit that was taken.
#[derive(Clone, Debug)]
pub struct Applied {
    pub domain: Arc<str>,
    pub generation: u64,
    /// False where the source is what it was: nothing was written.
    pub changed: bool,
    pub findings: Findings,
    /// Secrets that could not be resolved.
    pub warnings: Vec<String>,
    /// Sounds that can't be played.
    pub audio: Vec<Arc<Finding>>,
    /// It is taken back by itself, then.
    pub trial: Option<Trial>,
}

/// Rules that have passed every step before the store.
#[derive(Debug)]
pub struct Prepared {
    pub files: Arc<Files>,
    pub domain: Arc<Domain>,
    pub findings: Findings,
    pub warnings: Vec<String>,
    pub audio: Vec<Arc<Finding>>,
}

impl Pipeline {
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        generations: Arc<Generations>,
        bases: Bases,
        publish: Publish,
        trials: Trials,
    ) -> Pipeline {
        Pipeline {
            store,
            generations,
            bases,
            publish,
            trials,
            listening: None,
            mails: false,
            auditions: Auditions::default(),
            writing: Mutex::default(),
            shelf: Mutex::default(),
            unsaved: Mutex::default(),
        }
    }

    /// The same in a daemon that listens by these, and that can send mail or can't: it warns of trunks and addresses that nothing can be sent to.
    #[must_use]
    pub fn listening(mut self, transports: Vec<Transport>, mails: bool) -> Pipeline {
        (self.listening, self.mails) = (Some(transports), mails);
        self
    }

    #[must_use]
    pub fn trials(&self) -> &Trials {
        &self.trials
    }

    /// Everything but the store: `check` and the first half of `apply`. `generation` is what the compiled rules will say they are.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn prepare(&self, edit: &Edit, generation: u64) -> Result<Prepared, Refused> {
        self.whole(edit, generation).map(|(prepared, _)| prepared)
    }

    fn whole(&self, edit: &Edit, generation: u64) -> Result<(Prepared, Materials), Refused> {
        let before = edit.domain.as_deref().and_then(|d| self.generations.domain(d));
        let files = match before {
            Some(live) if mask::is_masked(&edit.files) => {
                mask::unmask(&edit.files, &live.files().map_err(Refused::Store)?)
            }
            _ => mask::unmask(&edit.files, &Files::default()),
        };
        let files = files.map_err(Refused::NothingToKeep)?;
        let materials = parse(&files, Some(edit.at))?;
        let Loaded { model: Some(model), diagnostics } = &materials.loaded else {
            return Err(broken(&files, &materials.loaded.diagnostics));
        };
        let found = &model.domain.name;
        if let Some(expected) = edit.domain.as_ref().filter(|d| !d.eq_ignore_ascii_case(found)) {
            return Err(Refused::OtherDomain { expected: expected.clone(), found: found.clone() });
        }
        let mut domain = compile(&files, model, generation, diagnostics)?;
        let warnings = self.unlock(&mut domain);
        let domain = Arc::new(domain);
        let expectations = proof::golden(&domain, &model.expects, edit.at);
        let shown = Finding::all(&files, diagnostics.iter().cloned());
        let findings = Findings { diagnostics: Arc::new(shown), expectations };
        let audio = self.audition(&domain);
        if findings.expectations.failed > 0 {
            return Err(Refused::Golden(findings.with(&audio)));
        }
        proof::unclaimed(&self.generations, &domain).map_err(Refused::Overlap)?;
        let files = Arc::new(files);
        Ok((Prepared { files, domain, findings, warnings, audio }, materials))
    }

    /// Resolves the secrets that are not in the rules themselves. A line for each that can't be, and for what the configuration lacks.
    pub(super) fn unlock(&self, domain: &mut Domain) -> Vec<String> {
        let resolved = secrets::resolve(domain, self.bases.of(domain.name()).map(PathBuf::as_path));
        domain.unlock(resolved.secrets);
        let mut warnings = resolved.warnings;
        if let Some(listening) = &self.listening {
            warnings.extend(sendable::warnings(domain, listening));
            warnings.extend(sendable::unmailed(domain).filter(|_| !self.mails));
        }
        warnings
    }

    /// Takes an edit, or leaves everything as it is. Blocks on the disk.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn apply(&self, edit: &Edit) -> Result<Applied, Refused> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.take(edit, false)
    }

    /// Changes the rules that run: `change` makes the new files of the present ones. Blocks on the disk.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn change(
        &self,
        domain: &str,
        expected: Option<u64>,
        author: Author,
        change: impl FnOnce(&Live, &Files) -> Result<Files, EditError>,
    ) -> Result<Applied, Refused> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.live(domain)?;
        let current = live.stored.generation;
        if let Some(expected) = expected.filter(|expected| *expected != current) {
            return Err(Refused::Store(StoreError::Conflict {
                domain: domain.to_owned(),
                expected,
                current,
            }));
        }
        let files = self.files(&live)?;
        let files = change(&live, &files).map_err(Refused::Edit)?;
        self.take(&edit_of(&live, files, Some(current), author), false)
    }

    /// An earlier text as a new generation. It settles what is on trial: whoever goes back has decided.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn roll_back(
        &self,
        domain: &str,
        generation: u64,
        expected: Option<u64>,
        author: Author,
    ) -> Result<Applied, Refused> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.live(domain)?;
        let earlier = self.store.rules_at(&live.stored.domain, generation).map_err(Refused::Store)?;
        let Some(earlier) = earlier else {
            let why = format!(
                "{domain} has no generation {generation}, or it is no longer kept: `ringtree history` lists them"
            );
            return Err(Refused::Missing(why));
        };
        self.take(&edit_of(&live, Arc::unwrap_or_clone(earlier.files), expected, author), true)
    }

    /// What is on trial stays. `None`: nothing was.
    ///
    /// # Errors
    /// There is no such domain, or the disk refuses.
    pub fn confirm(&self, domain: &str) -> Result<Option<Trial>, Refused> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let live = self.live(domain)?;
        let trial = self.trials.of(&live.stored.domain);
        self.settle(&live.stored.domain)?;
        Ok(trial)
    }

    /// Takes back what is on trial and due: the files that it changed as they were before, as a new generation. Blocks on the disk.
    ///
    /// # Errors
    /// See [`Refused`]: then it stays in force, and on trial no more, unless it was the store that refused.
    pub fn take_back(&self, domain: &str, at: Timestamp) -> Result<Option<Applied>, Refused> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(trial) = self.trials.of(domain).filter(|trial| trial.ends <= at) else { return Ok(None) };
        let live = self.live(domain)?;
        let mut files = live.files().map_err(Refused::Store)?;
        for (name, text) in &trial.undo {
            match text {
                Some(text) => drop(files.0.insert(name.clone(), text.clone())),
                None => drop(files.0.remove(name)),
            }
        }
        let why = match trial.kind {
            TrialKind::Confirm => "was not confirmed",
            TrialKind::Until => "has had its time",
        };
        let what = format!("undo of {}, which {why}", trial.generation);
        let author = Author { origin: trial.origin.clone(), what, at };
        let taken = self.take(&edit_of(&live, files, None, author), true);
        // A store that can't write today may tomorrow, and the trial waits for it; rules that are refused will be refused again.
        if matches!(&taken, Err(refused) if !matches!(refused, Refused::Store(_))) {
            self.settle(domain)?;
        }
        taken.map(Some)
    }

    /// Forgets trials of generations that never came to be: at start, before there is another edit.
    pub fn forget_void_trials(&self) {
        for trial in self.trials.all() {
            let live = self.generations.domain(&trial.domain);
            if live.is_none_or(|live| live.stored.generation < trial.generation)
                && let Err(error) = self.settle(&trial.domain)
            {
                tracing::error!(domain = %trial.domain, "{error}");
            }
        }
    }

    fn live(&self, domain: &str) -> Result<Arc<Live>, Refused> {
        self.generations
            .domain(domain)
            .ok_or_else(|| Refused::Missing(format!("there is no domain `{domain}`")))
    }

    fn settle(&self, domain: &str) -> Result<(), Refused> {
        self.trials.remove(domain).map_err(|e| Refused::Store(StoreError::Write(e.to_string())))
    }

    /// With the lock held. `settles`: whatever is on trial is decided by this.
    fn take(&self, edit: &Edit, settles: bool) -> Result<Applied, Refused> {
        let next = self.generations.newest() + 1;
        if let Some((prepared, short)) = self.short(edit, next)? {
            let changed = short.changed(edit);
            let taken = self.put(edit, settles, prepared, changed);
            match &taken {
                Ok((applied, domain)) => {
                    let Short { mut kept, .. } = short;
                    kept.workshop.accept(domain.clone());
                    kept.generation = applied.generation;
                    self.shelf().put(kept, edit.at);
                }
                Err(_) => self.put_back(short, edit.at),
            }
            return taken.map(|(applied, _)| applied);
        }
        let (prepared, materials) = self.whole(edit, next)?;
        // Of rules that are new, as those of a start, the next edit need not come soon.
        let is_edited = self.generations.domain(prepared.domain.name()).is_some();
        let (applied, domain) = self.put(edit, settles, prepared, None)?;
        // An unchanged source has written nothing: what an edit before it put off is still to be stored.
        if applied.changed {
            self.unsaved().remove(&applied.domain);
        }
        if is_edited
            && let Some(workshop) = Workshop::of(materials, domain, applied.findings.diagnostics.clone())
        {
            let kept = Kept::new(applied.domain.clone(), applied.generation, workshop, edit.at);
            self.shelf().put(kept, edit.at);
        }
        Ok(applied)
    }

    /// Persists and publishes what is proved. `changed`: what differs from the text in force, where that is known.
    fn put(
        &self,
        edit: &Edit,
        settles: bool,
        prepared: Prepared,
        changed: Option<Changed>,
    ) -> Result<(Applied, Arc<Domain>), Refused> {
        let next = prepared.domain.generation();
        let Prepared { files, mut domain, findings, warnings, audio } = prepared;
        let name = domain.name().clone();
        let before = self.generations.domain(&name);
        let trial = self.on_trial(edit, settles, &files, before.as_deref(), next)?;
        let mut info = GenerationInfo {
            domain: name.clone(),
            generation: next,
            origin: edit.origin.clone(),
            applied: edit.at.to_string(),
            what: edit.what.clone(),
        };
        // After a short way the bytes would have to be put together: nobody waits for them.
        let is_put_off = changed.is_some();
        let tree = if is_put_off { Arc::default() } else { domain.encoded() };
        let stored = StoredRules { changed, ..StoredRules::new(info.clone(), files, tree) };
        let written = self.store.put_rules(stored, edit.expected).map_err(Refused::Store);
        if written.is_err() && trial.is_some() {
            self.settle(&name)?;
        }
        let generation = written?;
        if is_put_off {
            self.unsaved().insert(name.clone());
        }
        let changed = before.as_ref().is_none_or(|l| l.stored.generation != generation);
        // An unchanged source keeps its generation and its origin, but its secrets may be new: it is published all the same.
        if let Some(live) = before.filter(|_| !changed) {
            info = live.stored.clone();
        }
        info.generation = generation;
        // Nobody else has it yet.
        if let Some(domain) = Arc::get_mut(&mut domain) {
            domain.renumber(generation);
        }
        let live = Live { stored: info, domain: domain.clone(), store: self.store.clone() };
        (self.publish)(Input::Rules(self.generations.put([live])));
        // Last: what is durable is live, and a refused edit leaves the trial standing.
        if settles {
            self.settle(&name)?;
        }
        Ok((Applied { domain: name, generation, changed, findings, warnings, audio, trial }, domain))
    }

    /// Nothing that is on trial is overwritten; and where the edit itself is to be on trial, what takes it back is durable before it.
    fn on_trial(
        &self,
        edit: &Edit,
        settles: bool,
        files: &Files,
        before: Option<&Live>,
        next: u64,
    ) -> Result<Option<Trial>, Refused> {
        let current = before.and_then(|live| self.trials.of(&live.stored.domain)).filter(|_| !settles);
        if current.is_none() && edit.trial.is_none() {
            return Ok(None);
        }
        let old = before.map(Live::files).transpose().map_err(Refused::Store)?.unwrap_or_default();
        let changed = |name: &&Arc<str>| old.0.get(*name) != files.0.get(*name);
        if let Some(trial) = current {
            let touched = trial.undo.keys().find(changed);
            if touched.is_some() || edit.trial.is_some() {
                let what = touched.map_or_else(String::new, |name| format!(", and with it {name}"));
                let why = format!(
                    "generation {} is on trial until {}{what}: `ringtree confirm` keeps it, `ringtree rollback {}` takes it back",
                    trial.generation, trial.ends, trial.before
                );
                return Err(Refused::OnTrial { why, trial: Box::new(trial) });
            }
        }
        let Some((kind, ends)) = edit.trial else { return Ok(None) };
        let Some(before) = before else {
            return Err(Refused::Missing(
                "a domain's first rules can't be on trial: there is nothing to go back to".into(),
            ));
        };
        let names = old.0.keys().chain(files.0.keys()).filter(changed);
        let undo: BTreeMap<_, _> = names.map(|name| (name.clone(), old.0.get(name).cloned())).collect();
        if undo.is_empty() {
            return Ok(None);
        }
        let trial = Trial {
            domain: before.stored.domain.clone(),
            kind,
            generation: next,
            before: before.stored.generation,
            ends,
            origin: edit.origin.clone(),
            undo,
        };
        self.trials.put(trial.clone()).map_err(|e| Refused::Store(StoreError::Write(e.to_string())))?;
        Ok(Some(trial))
    }
}

/// The files of a domain that runs, changed.
fn edit_of(live: &Live, files: Files, expected: Option<u64>, author: Author) -> Edit {
    let Author { origin, what, at } = author;
    let files = Arc::new(files);
    Edit { domain: Some(live.stored.domain.to_string()), files, expected, origin, what, at, trial: None }
}

/// Parse and check: the model and the warnings, or every diagnostic; with a moment, those of the years that follow it too.
pub(super) fn parse(files: &Files, now: Option<Timestamp>) -> Result<Materials, Refused> {
    let materials = workshop::load(files, now);
    let Loaded { model, diagnostics } = &materials.loaded;
    if model.is_none() || diagnostics.iter().any(|d| d.severity == Severity::Error) {
        return Err(broken(files, diagnostics));
    }
    Ok(materials)
}

pub(super) fn compile(
    files: &Files,
    model: &Model,
    generation: u64,
    warnings: &[Diagnostic],
) -> Result<Domain, Refused> {
    Domain::compile(model, Secrets::default(), generation).map_err(|mut errors| {
        errors.extend_from_slice(warnings);
        broken(files, &errors)
    })
}

pub(super) fn broken(files: &Files, diagnostics: &[Diagnostic]) -> Refused {
    let findings = Findings {
        diagnostics: Arc::new(Finding::all(files, diagnostics.to_vec())),
        expectations: Expectations::default(),
    };
    Refused::Broken { findings, rendered: render_errors(files, diagnostics, false) }
}
