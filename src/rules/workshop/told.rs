//! All findings of a domain, in order, as they are told; a few of them are exchanged at an edit.

use super::{Look, is_error};
use crate::rules::diagnostic::{Diagnostic, Span};
use rustc_hash::FxHashMap;
use std::sync::Arc;

const LOOP: &str = "conditional-loop";

/// A diagnostic, and what it is shown as.
pub(super) struct Finding<F> {
    pub(super) diagnostic: Diagnostic,
    pub(super) shown: F,
}

pub(super) struct Told<F> {
    sorted: Vec<Arc<Finding<F>>>,
    /// What they are shown as, in the same order: handed out as it is, so that an edit doesn't copy what the domain has.
    shown: Arc<Vec<F>>,
    /// Those that point into a file that is not their own, by that file.
    pointing: FxHashMap<u32, Vec<Arc<Finding<F>>>>,
    loops: Vec<Arc<Finding<F>>>,
    counts: FxHashMap<&'static str, usize>,
}

type Difference<F> = (Vec<Arc<Finding<F>>>, Vec<Diagnostic>);

impl<F: Clone> Told<F> {
    /// Of findings in order.
    pub(super) fn of(diagnostics: Vec<Diagnostic>, shown: Arc<Vec<F>>) -> Told<F> {
        let finding =
            |(diagnostic, shown): (Diagnostic, &F)| Arc::new(Finding { diagnostic, shown: shown.clone() });
        let mut told = Told {
            sorted: diagnostics.into_iter().zip(&*shown).map(finding).collect(),
            shown,
            pointing: FxHashMap::default(),
            loops: Vec::new(),
            counts: FxHashMap::default(),
        };
        for finding in told.sorted.clone() {
            told.index(&finding);
        }
        told
    }

    pub(super) fn has(&self, code: &str) -> bool {
        self.counts.get(code).is_some_and(|count| *count > 0)
    }

    pub(super) fn shown(&self) -> Arc<Vec<F>> {
        self.shown.clone()
    }

    /// Where findings stand that point into this file from another one, but for those of loops.
    pub(super) fn pointing_to(&self, file: u32) -> impl Iterator<Item = Span> {
        let pointing = self.pointing.get(&file).into_iter().flatten();
        pointing.filter(|finding| finding.diagnostic.code != LOOP).map(|finding| finding.diagnostic.span)
    }

    /// Whether a loop is told of that goes through this file.
    pub(super) fn loops_touch(&self, file: u32) -> bool {
        let points = |d: &Diagnostic| d.related.as_ref().is_some_and(|(span, _)| span.file == file);
        self.loops.iter().any(|f| f.diagnostic.span.file == file || points(&f.diagnostic))
    }

    /// What goes and what comes once `before`, which was found until now, gives way to `after`. `None`: something that stands in the file,
    /// or points into it, is not among what was looked at again, or an error has come.
    pub(super) fn difference(
        &self,
        look: &Look,
        before: Vec<Diagnostic>,
        after: Vec<Diagnostic>,
    ) -> Option<Difference<F>> {
        if after.iter().any(is_error) {
            return None;
        }
        let is_loop = |d: &Diagnostic| look.loops && d.code == LOOP;
        // What these objects draw elsewhere, in the defaults, others may draw too.
        let elsewhere = |d: &&Diagnostic| !look.covers(d.span) && !is_loop(d);
        if !before.iter().filter(elsewhere).eq(after.iter().filter(elsewhere)) {
            return None;
        }
        let known = |d: &Diagnostic| {
            before.binary_search_by(|other| other.in_order(d)).is_ok_and(|_| before.contains(d))
        };
        let in_file = self.in_file(look.file);
        let pointing = self.pointing.get(&look.file).map(Vec::as_slice).unwrap_or_default();
        let other_loop = |d: &Diagnostic| d.code == LOOP && !look.loops;
        if in_file
            .iter()
            .chain(pointing)
            .any(|f| other_loop(&f.diagnostic) || !(is_loop(&f.diagnostic) || known(&f.diagnostic)))
        {
            return None;
        }
        let replaced = |d: &Diagnostic| look.covers(d.span) || is_loop(d);
        // In the file itself all of them: a line or a column may be another one at the same byte.
        let stays = |d: &Diagnostic, others: &[Diagnostic]| d.span.file != look.file && others.contains(d);
        let mut gone = Vec::new();
        for diagnostic in before.iter().filter(|d| replaced(d) && !stays(d, &after)) {
            gone.extend(self.find(diagnostic));
        }
        let come = after.iter().filter(|d| replaced(d) && !stays(d, &before)).cloned().collect();
        Some((gone, come))
    }

    fn in_file(&self, file: u32) -> &[Arc<Finding<F>>] {
        let start = self.sorted.partition_point(|f| f.diagnostic.span.file < file);
        let end = self.sorted.partition_point(|f| f.diagnostic.span.file <= file);
        self.sorted.get(start..end).unwrap_or_default()
    }

    fn find(&self, diagnostic: &Diagnostic) -> Option<Arc<Finding<F>>> {
        let in_file = self.in_file(diagnostic.span.file);
        in_file.iter().find(|finding| finding.diagnostic == *diagnostic).cloned()
    }

    /// Some go, others come.
    pub(super) fn exchange(&mut self, gone: &[Arc<Finding<F>>], come: &[Arc<Finding<F>>]) {
        if gone.is_empty() && come.is_empty() {
            return;
        }
        // Copied only while somebody still reads what was handed out before.
        let mut shown = std::mem::take(&mut self.shown);
        let list = Arc::make_mut(&mut shown);
        for finding in gone {
            let at = self.sorted.partition_point(|f| f.diagnostic.in_order(&finding.diagnostic).is_lt());
            let found = self.sorted.iter().skip(at).position(|f| Arc::ptr_eq(f, finding));
            if let Some(behind) = found {
                self.sorted.remove(at + behind);
                list.remove(at + behind);
            }
            self.forget(finding);
        }
        for finding in come {
            let at = self.sorted.partition_point(|f| f.diagnostic.in_order(&finding.diagnostic).is_le());
            self.sorted.insert(at, finding.clone());
            list.insert(at, finding.shown.clone());
            self.index(finding);
        }
        self.shown = shown;
    }

    fn index(&mut self, finding: &Arc<Finding<F>>) {
        let Diagnostic { code, span, related, .. } = &finding.diagnostic;
        if let Some((other, _)) = related.as_ref().filter(|(other, _)| other.file != span.file) {
            self.pointing.entry(other.file).or_default().push(finding.clone());
        }
        if *code == LOOP {
            self.loops.push(finding.clone());
        }
        *self.counts.entry(code).or_default() += 1;
    }

    fn forget(&mut self, finding: &Arc<Finding<F>>) {
        let Diagnostic { code, related, .. } = &finding.diagnostic;
        let pointed = related.as_ref().and_then(|(other, _)| self.pointing.get_mut(&other.file));
        for list in pointed.into_iter().chain([&mut self.loops]) {
            list.retain(|other| !Arc::ptr_eq(other, finding));
        }
        if let Some(count) = self.counts.get_mut(code) {
            *count = count.saturating_sub(1);
        }
    }
}
