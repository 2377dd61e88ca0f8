//! The rules of a directory as model and domain: what `plan --rules`, `who-reaches --rules`, `import` and the like work on.

use super::{Exit, Failure};
use crate::daemon::directory;
use crate::rules::compile::Secrets;
use crate::rules::diagnostic::{Diagnostic, Files, render_errors};
use crate::rules::model::Model;
use crate::rules::{Domain, source};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The source of one domain.
pub struct Source {
    /// Its own directory.
    pub dir: PathBuf,
    pub model: Model,
}

/// Reads the one domain that is meant. Its errors are printed.
pub fn source(dir: &Path, named: Option<&str>) -> Result<Source, Failure> {
    let mut found = Vec::new();
    for dir in directory::domains(dir).map_err(Failure::input)? {
        let files = directory::read(&dir).map_err(Failure::input)?;
        let name = directory::domain_name(&files);
        if named.is_none_or(|named| name.is_some_and(|name| name.eq_ignore_ascii_case(named))) {
            found.push((dir, files));
        }
    }
    let [(own, files)] = found.as_slice() else {
        let what =
            if found.is_empty() { "no such domain" } else { "several domains: name one with --domain" };
        return Err(Failure::input(format!("{}: {what}", dir.display())));
    };
    let loaded = source::load(files);
    let Some(model) = loaded.model else { return Err(broken(own, files, &loaded.diagnostics)) };
    Ok(Source { dir: own.clone(), model })
}

/// The same, compiled.
pub fn read(dir: &Path, named: Option<&str>) -> Result<(Model, Arc<Domain>), Failure> {
    let Source { dir, model } = source(dir, named)?;
    // Generation 0: these rules are nobody's yet. Secrets are the daemon's.
    match Domain::compile(&model, Secrets::default(), 0) {
        Ok(domain) => Ok((model, Arc::new(domain))),
        Err(found) => Err(broken(&dir, &model.files, &found)),
    }
}

fn broken(dir: &Path, files: &Files, diagnostics: &[Diagnostic]) -> Failure {
    eprint!("{}", render_errors(files, diagnostics, std::io::stderr().is_terminal()));
    Failure { exit: Exit::Input, line: format!("{} has errors", dir.display()) }
}
