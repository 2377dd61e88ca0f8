//! Rules at start and at SIGHUP: the store wins; an empty store is filled from `[rules] load`, all domains or none.

use super::StartError;
use super::config::{Config, VoiceConfig};
use super::directory::{self, DirectoryError};
use crate::admin::edit::{Applied, Bases, Edit, Pipeline, Refused};
use crate::admin::findings::Finding;
use crate::admin::generation::{Generations, Live};
use crate::net::clock;
use crate::rules::diagnostic::Files;
use crate::store::{GenerationInfo, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Whole rule sets name dozens of such places, none of which a start should bury its own news under: they are counted.
const NOT_CARRIED_OUT: &str = "not-carried-out";

/// One domain's files as `[rules] load` has them.
pub struct OnDisk {
    pub dir: PathBuf,
    /// `None`: the files don't say.
    pub domain: Option<Arc<str>>,
    pub files: Files,
}

/// Reads everything that `[rules] load` names.
///
/// # Errors
/// A directory is missing, or can't be read as rules.
pub fn read(load: &[PathBuf]) -> Result<Vec<OnDisk>, DirectoryError> {
    let mut found = Vec::new();
    for dir in load {
        for dir in directory::domains(dir)? {
            let files = directory::read(&dir)?;
            found.push(OnDisk { domain: directory::domain_name(&files), dir, files });
        }
    }
    Ok(found)
}

/// Where secrets are found: `[rules] base`, else the directory that the domain is loaded from.
#[must_use]
pub fn bases(config: &Config, on_disk: &[OnDisk]) -> Bases {
    let by_domain = on_disk.iter().filter_map(|d| Some((d.domain.clone()?, d.dir.clone()))).collect();
    Bases { base: config.base.clone(), by_domain }
}

/// Puts the rules into force: those of the store, else those of the files.
///
/// # Errors
/// The rules are broken; then nothing was written.
pub fn start(
    store: &dyn Store,
    pipeline: &Pipeline,
    generations: &Generations,
    on_disk: Result<Vec<OnDisk>, DirectoryError>,
) -> Result<(), StartError> {
    let heads = store.heads()?;
    if heads.is_empty() {
        return fill(pipeline, &on_disk?);
    }
    let mut live = Vec::with_capacity(heads.len());
    for (head, restored) in restore(pipeline, &heads) {
        let what = || format!("generation {} of {} in the store", head.generation, head.domain);
        let (domain, warnings) = restored.map_err(|refused| broken(refused, &what()))?;
        warn_all(&head.domain, &warnings);
        live.push(domain);
    }
    generations.put(live);
    for found in on_disk.unwrap_or_default() {
        compare(generations, &found);
    }
    Ok(())
}

type Restored = Result<(Live, Vec<String>), Refused>;

/// All of them, by as many threads as there are cores, in order.
fn restore<'a>(pipeline: &Pipeline, heads: &'a [GenerationInfo]) -> Vec<(&'a GenerationInfo, Restored)> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // Small parts: domains differ in size.
    let next = AtomicUsize::new(0);
    let work = || {
        let mut restored = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(head) = heads.get(index) else { return restored };
            restored.push((index, pipeline.restore(head.clone())));
        }
    };
    let mut restored: Vec<(usize, Restored)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    restored.sort_by_key(|(index, _)| *index);
    heads.iter().zip(restored.into_iter().map(|(_, restored)| restored)).collect()
}

/// All domains are proven before the first is written.
fn fill(pipeline: &Pipeline, on_disk: &[OnDisk]) -> Result<(), StartError> {
    if on_disk.is_empty() {
        tracing::warn!("there are no rules yet: `ringtree apply DIR` brings some");
    }
    for found in on_disk {
        pipeline
            .prepare(&edit(found), 1)
            .map_err(|refused| broken(refused, &found.dir.display().to_string()))?;
    }
    for found in on_disk {
        let applied = pipeline
            .apply(&edit(found))
            .map_err(|refused| broken(refused, &found.dir.display().to_string()))?;
        say(&found.dir, &applied);
    }
    Ok(())
}

fn edit(found: &OnDisk) -> Edit {
    Edit {
        domain: found.domain.as_ref().map(ToString::to_string),
        files: found.files.clone().into(),
        expected: None,
        origin: origin(&found.dir),
        what: "load".to_owned(),
        at: clock::now().wall,
        trial: None,
    }
}

fn origin(dir: &Path) -> String {
    format!("file:{}", dir.display())
}

fn say(dir: &Path, applied: &Applied) {
    let Applied { domain, generation, findings, warnings, .. } = applied;
    let folded = |finding: &&Arc<Finding>| finding.code == NOT_CARRIED_OUT;
    for finding in findings.diagnostics.iter().filter(|finding| !folded(finding)) {
        let (file, line, column) = (&finding.file, finding.line, finding.column);
        tracing::warn!(%domain, "{file}:{line}:{column}: {} [{}]", finding.message, finding.code);
    }
    let services = findings.diagnostics.iter().filter(folded).count();
    if services > 0 {
        let dir = dir.display();
        tracing::warn!(
            %domain,
            "{services} places name services that are not carried out yet: `ringtree check {dir}` lists them [{NOT_CARRIED_OUT}]"
        );
    }
    warn_all(domain, warnings);
    tracing::info!(%domain, generation, "rules loaded from {}: {}", dir.display(), findings.summary());
}

/// Says of every domain which sounds of its rules can't be played, and which prompts: at the start, and whenever files are looked at
/// again. Reading them may take a while.
pub fn audition(pipeline: &Pipeline, generations: &Generations, voice: &VoiceConfig) {
    let live = generations.all();
    let files = voice.files(Bases::default());
    for line in pipeline.prompts(&files, live.iter().map(|live| &*live.stored.domain)) {
        tracing::warn!("{line}");
    }
    for live in live {
        let lines: Vec<String> =
            pipeline.audition(&live.domain).iter().map(|finding| finding.line()).collect();
        warn_all(&live.stored.domain, &lines);
    }
}

fn warn_all(domain: &str, warnings: &[String]) {
    for warning in warnings {
        tracing::warn!(%domain, "{warning}");
    }
}

/// The store wins; that the files say something else is worth a line.
fn compare(generations: &Generations, found: &OnDisk) {
    let Some(domain) = &found.domain else { return };
    let dir = found.dir.display();
    match generations.domain(domain) {
        None => {
            tracing::warn!(%domain, "{dir} holds a domain that the store doesn't: `ringtree apply {dir}` brings it in")
        }
        Some(live) if live.files().is_ok_and(|files| files != found.files) => tracing::warn!(
            %domain,
            "{dir} differs from generation {} of the store, which stays in force: `ringtree apply {dir}` takes the files, \
             `ringtree export` shows what runs",
            live.stored.generation
        ),
        Some(_) => {}
    }
}

/// SIGHUP: takes the files again, only where the current generation came from them. Says what it did and did not.
pub fn reload(pipeline: &Pipeline, generations: &Generations, load: &[PathBuf]) {
    let on_disk = match read(load) {
        Ok(on_disk) => on_disk,
        Err(error) => {
            tracing::error!("the rules stay as they are: {error}");
            return;
        }
    };
    for found in &on_disk {
        let dir = found.dir.display();
        let live = found.domain.as_ref().and_then(|d| generations.domain(d));
        if let Some(live) = live.filter(|l| l.stored.origin != origin(&found.dir)) {
            tracing::warn!(
                domain = %live.stored.domain,
                "{dir} is not loaded again: generation {} did not come from it but from {}",
                live.stored.generation, live.stored.origin
            );
            continue;
        }
        match pipeline.apply(&edit(found)) {
            Ok(applied) if applied.changed => say(&found.dir, &applied),
            Ok(applied) => {
                warn_all(&applied.domain, &applied.warnings);
                tracing::info!(domain = %applied.domain, generation = applied.generation, "{dir} is unchanged");
            }
            Err(refused) => {
                let error = broken(refused, &dir.to_string());
                tracing::error!("the rules stay as they are: {error}\n{}", error.rendered());
            }
        }
    }
}

fn broken(refused: Refused, what: &str) -> StartError {
    match refused {
        Refused::Store(error) => StartError::Store(error),
        Refused::Broken { findings, rendered } => {
            StartError::Rules { what: what.to_owned(), why: findings.summary(), rendered }
        }
        Refused::Golden(findings) => {
            let mut rendered = String::new();
            for failure in &findings.expectations.failures {
                rendered.push_str(&format!(
                    "{}: golden test `{}`: {}\n",
                    failure.at, failure.name, failure.message
                ));
            }
            StartError::Rules { what: what.to_owned(), why: findings.summary(), rendered }
        }
        other => {
            let why = other.to_string();
            StartError::Rules { what: what.to_owned(), why, rendered: String::new() }
        }
    }
}
