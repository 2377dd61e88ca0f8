//! The edit pipeline, the only way to another generation: parse, check, compile, prove, persist, publish, acknowledge. One edit at
//! a time. A step that fails leaves the running rules untouched; nothing is published before it is durable.

use super::findings::{Expectations, Finding, Findings};
use super::generation::{Generations, Live};
use super::mask::{self, NothingToKeep};
use super::proof;
use crate::daemon::secrets;
use crate::rules::compile::Secrets;
use crate::rules::diagnostic::{Diagnostic, Files, Severity, render};
use crate::rules::model::Model;
use crate::rules::{Domain, source};
use crate::store::{Store, StoreError, StoredRules};
use crate::switch::Input;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Hands an input to the signalling plane.
pub type Publish = Arc<dyn Fn(Input) + Send + Sync>;

/// Where `file:` secrets of a domain are found.
#[derive(Clone, Debug, Default)]
pub struct Bases {
    /// `[rules] base`: goes before the directories.
    pub base: Option<PathBuf>,
    /// The directory that `[rules] load` names for a domain.
    pub by_domain: BTreeMap<Arc<str>, PathBuf>,
}

impl Bases {
    fn of(&self, domain: &str) -> Option<&PathBuf> {
        self.base.as_ref().or_else(|| self.by_domain.get(domain))
    }
}

/// Takes edits.
pub struct Pipeline {
    store: Arc<dyn Store>,
    generations: Arc<Generations>,
    bases: Bases,
    publish: Publish,
    /// One edit at a time.
    writing: Mutex<()>,
}

/// One edit of one domain.
#[derive(Clone, Debug)]
pub struct Edit {
    /// The domain that it is meant for; `None`: the one that the files name.
    pub domain: Option<String>,
    pub files: Files,
    /// If-Match.
    pub expected: Option<u64>,
    /// Who: `file:DIR`, or the uid.
    pub origin: String,
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
}

/// Why an edit was not taken. The running rules are untouched.
#[derive(Debug)]
pub enum Refused {
    /// The rules are wrong; with all findings, and as text with the lines shown.
    Broken {
        findings: Findings,
        rendered: String,
    },
    /// The rules are consistent, but a golden test fails.
    Golden(Findings),
    /// `plain:***` where there is nothing to keep.
    NothingToKeep(Vec<NothingToKeep>),
    /// The files are those of another domain.
    OtherDomain {
        expected: String,
        found: Arc<str>,
    },
    /// A range of addresses is claimed by two domains.
    Overlap(String),
    /// A fault of ours: the trees are not what they were before they were encoded.
    NotProven(String),
    Store(StoreError),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refused::Broken { findings, .. } | Refused::Golden(findings) => f.write_str(&findings.summary()),
            Refused::NothingToKeep(places) => {
                write!(f, "`{}` keeps the secret that is there, and there is none", mask::MASK)?;
                for (n, place) in places.iter().enumerate() {
                    let NothingToKeep { file, key, line, column } = place;
                    write!(f, "{} {file}:{line}:{column} ({key})", if n == 0 { " at" } else { "," })?;
                }
                Ok(())
            }
            Refused::OtherDomain { expected, found } => {
                write!(f, "these are the rules of {found}, not of {expected}")
            }
            Refused::Overlap(what) | Refused::NotProven(what) => f.write_str(what),
            Refused::Store(error) => error.fmt(f),
        }
    }
}

/// Rules that have passed every step before the store.
#[derive(Debug)]
pub struct Prepared {
    pub files: Files,
    pub model: Model,
    pub domain: Arc<Domain>,
    pub tree: Vec<u8>,
    pub findings: Findings,
    pub warnings: Vec<String>,
}

impl Pipeline {
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        generations: Arc<Generations>,
        bases: Bases,
        publish: Publish,
    ) -> Pipeline {
        Pipeline { store, generations, bases, publish, writing: Mutex::new(()) }
    }

    /// Everything but the store: `check` and the first half of `apply`. `generation` is what the compiled rules will say they are.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn prepare(&self, edit: &Edit, generation: u64) -> Result<Prepared, Refused> {
        let before = edit.domain.as_deref().and_then(|d| self.generations.domain(d));
        let kept = before.as_ref().map(|l| l.stored.files.clone()).unwrap_or_default();
        let files = mask::unmask(&edit.files, &kept).map_err(Refused::NothingToKeep)?;
        let (model, diagnostics) = parse(&files, Some(edit.at))?;
        let found = &model.domain.name;
        if let Some(expected) = edit.domain.as_ref().filter(|d| !d.eq_ignore_ascii_case(found)) {
            return Err(Refused::OtherDomain { expected: expected.clone(), found: found.clone() });
        }
        let resolved = secrets::resolve(&model, self.bases.of(found).map(PathBuf::as_path));
        let domain = Arc::new(compile(&files, &model, resolved.secrets, generation, &diagnostics)?);
        let tree = proof::encoded(&domain).map_err(Refused::NotProven)?;
        let expectations = proof::golden(&domain, &model.expects, edit.at);
        let findings = Findings { diagnostics: Finding::all(&files, &diagnostics), expectations };
        if findings.expectations.failed > 0 {
            return Err(Refused::Golden(findings));
        }
        proof::unclaimed(&self.generations, &domain).map_err(Refused::Overlap)?;
        Ok(Prepared { files, model, domain, tree, findings, warnings: resolved.warnings })
    }

    /// Takes an edit, or leaves everything as it is. Blocks on the disk.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn apply(&self, edit: &Edit) -> Result<Applied, Refused> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let next = self.generations.newest() + 1;
        let prepared = self.prepare(edit, next)?;
        let name = prepared.model.domain.name.clone();
        let mut stored = StoredRules {
            domain: name.clone(),
            generation: next,
            files: prepared.files,
            tree: prepared.tree,
            origin: edit.origin.clone(),
            applied: edit.at.to_string(),
            what: "apply".to_owned(),
        };
        let generation = self.store.put_rules(stored.clone(), edit.expected).map_err(Refused::Store)?;
        let before = self.generations.domain(&name);
        let changed = before.as_ref().is_none_or(|l| l.stored.generation != generation);
        let applied = Applied {
            domain: name,
            generation,
            changed,
            findings: prepared.findings,
            warnings: prepared.warnings,
        };
        // An unchanged source keeps its generation and its origin, but its secrets may be new: it is published all the same.
        let mut domain = prepared.domain;
        if let Some(live) = before.filter(|_| !changed) {
            stored = live.stored.clone();
        }
        stored.generation = generation;
        if generation != next {
            let resolved =
                secrets::resolve(&prepared.model, self.bases.of(&applied.domain).map(PathBuf::as_path));
            domain = Arc::new(compile(&stored.files, &prepared.model, resolved.secrets, generation, &[])?);
        }
        let ruleset = self.generations.put(Live { stored, model: prepared.model, domain });
        (self.publish)(Input::Rules(ruleset));
        Ok(applied)
    }

    /// Puts a generation of the store into force, as it was acknowledged: at start, before there is anybody to publish to.
    ///
    /// # Errors
    /// This version can't read it any more.
    pub fn restore(&self, stored: StoredRules) -> Result<Vec<String>, Refused> {
        let (model, diagnostics) = parse(&stored.files, None)?;
        let resolved = secrets::resolve(&model, self.bases.of(&stored.domain).map(PathBuf::as_path));
        let domain = compile(&stored.files, &model, resolved.secrets, stored.generation, &diagnostics)?;
        self.generations.put(Live { stored, model, domain: Arc::new(domain) });
        Ok(resolved.warnings)
    }
}

/// Parse and check: the model and the warnings, or every diagnostic; with a moment, those of the years that follow it too.
fn parse(files: &Files, now: Option<Timestamp>) -> Result<(Model, Vec<Diagnostic>), Refused> {
    let loaded = source::load_at(files, now);
    let errors = loaded.diagnostics.iter().any(|d| d.severity == Severity::Error);
    match loaded.model {
        Some(model) if !errors => Ok((model, loaded.diagnostics)),
        _ => Err(broken(files, &loaded.diagnostics)),
    }
}

fn compile(
    files: &Files,
    model: &Model,
    secrets: Secrets,
    generation: u64,
    warnings: &[Diagnostic],
) -> Result<Domain, Refused> {
    Domain::compile(model, secrets, generation).map_err(|mut errors| {
        errors.extend_from_slice(warnings);
        broken(files, &errors)
    })
}

fn broken(files: &Files, diagnostics: &[Diagnostic]) -> Refused {
    let findings =
        Findings { diagnostics: Finding::all(files, diagnostics), expectations: Expectations::default() };
    Refused::Broken { findings, rendered: render(files, diagnostics, false) }
}
