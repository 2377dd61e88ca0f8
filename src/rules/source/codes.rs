//! `[codes]`: what is dialled to change things instead of to reach somebody.

use super::super::diagnostic::Diagnostic;
use super::super::model::{At, Codes, Feature, Name};
use super::names::{Kind, Object};
use super::reader::{Item, Reader, Table};
use std::collections::BTreeMap;

const CODE_BYTES_MAX: usize = 16;

pub(super) fn codes<'t>(r: &mut Reader<'t>, object: Object<'t>) -> Codes {
    let mut t = Table::new(object.span, "codes", object.table);
    let mut given: Vec<(Feature, Item<'t>)> = Vec::new();
    let mut waiting = None;
    for (key, _, feature) in Feature::KEYED {
        let Some(item) = t.own(r, key) else { continue };
        if feature != Feature::Pickup {
            waiting.get_or_insert(item.span);
        }
        given.push((feature, item));
    }
    if let Some(span) = waiting {
        r.pending(&["codes"], "[codes]", span); // once, at the first of them
    }
    if let Some(frames) = t.table(r, "time_frame", "time_frame") {
        for (name, place, item) in frames.entries() {
            let frame = r.reference(Kind::TimeFrame, name, place);
            given.extend(frame.map(|frame| (Feature::TimeFrame(frame), item)));
        }
    }
    t.finish(r);
    let mut by_code: BTreeMap<Name, At<Feature>> = BTreeMap::new();
    for (feature, item) in given {
        let Some(code) = code(r, item) else { continue };
        if let Some(first) = by_code.get(&code) {
            let message = format!("the code `{code}` is given twice");
            let finding = Diagnostic::error("defined-twice", item.span, message);
            r.report(finding.related(first.span, "first given here"));
            continue;
        }
        by_code.insert(code, At { value: feature, span: item.span });
    }
    Codes { by_code }
}

fn code<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<Name> {
    let code = item.text(r)?;
    let shape = code.strip_prefix(['*', '#']).unwrap_or("");
    if shape.is_empty()
        || code.len() > CODE_BYTES_MAX
        || !shape.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'*' | b'#'))
    {
        let help = "begin with `*` or `#` and go on with digits: `*78`";
        r.error("bad-code", item.span, format!("`{code}` is no feature code"), help);
        return None;
    }
    if let Some((owner, place)) = r.names.extensions.get(code) {
        let message = format!("`{code}` is the extension of `{owner}`, at {}", r.files.place(*place));
        let finding = Diagnostic::error("extension-twice", item.span, message).related(*place, "given here");
        r.report(finding.help("feature codes are looked at before extensions: choose another"));
        return None;
    }
    Some(code.into())
}
