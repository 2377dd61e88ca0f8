//! `[number."+..."]`: where calls to our numbers go.

use super::super::diagnostic::Diagnostic;
use super::super::model::{Name, Number, NumberRule, NumberTo, When};
use super::devices::alert_uri;
use super::domain::required;
use super::names::{Kind, Objects};
use super::reader::{Reader, Table};
use super::time::when;
use crate::number::{is_e164, normalise};
use std::collections::BTreeMap;

pub(super) fn numbers<'t>(r: &mut Reader<'t>, objects: &Objects<'t>) -> BTreeMap<Name, Number> {
    let mut numbers = BTreeMap::new();
    for (name, object) in objects.of(Kind::Number) {
        if !is_e164(name) {
            let meant = normalise(name, &r.locale).unwrap_or_else(|| "+12025550100".into());
            let help = format!("write it in quotes with its `+`: `[number.\"{meant}\"]`");
            r.error("not-e164", object.span, format!("`{name}` is no number in E.164"), help);
        }
        let mut t = Table::new(object.span, "number", object.table);
        let label = t.words(r, "label");
        let caller_id_prefix = t.words(r, "caller_id_prefix");
        let alert = t.item(r, "alert").and_then(|item| alert_uri(r, item));
        let to_item = t.own(r, "to");
        let rules = rules(r, &mut t);
        let to = match (to_item, rules) {
            (Some(item), rules) => {
                if let Some(rules) = &rules {
                    let here = rules.first().map_or(object.span, |rule| rule.span);
                    let finding =
                        Diagnostic::error("to-and-rules", item.span, "a number has `to` or rules, not both");
                    r.report(
                        finding
                            .related(here, "its rules")
                            .help("make `to` the last rule, with `when = \"always\"`"),
                    );
                }
                item.destination(r, None).map_or(NumberTo::Spare, NumberTo::To)
            }
            (None, Some(rules)) => NumberTo::Rules(rules),
            (None, None) => NumberTo::Spare,
        };
        t.finish(r);
        numbers.insert(name.into(), Number { span: object.span, label, caller_id_prefix, alert, to });
    }
    numbers
}

fn rules<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> Option<Vec<NumberRule>> {
    let item = t.own(r, "rule")?;
    let mut rules: Vec<NumberRule> = Vec::new();
    for element in item.list(r) {
        let Some(mut t) = element.table(r, "rule of a number") else { continue };
        let name = t.name(r, "name");
        let when = when(r, &mut t);
        let to = required(r, &mut t, "to").and_then(|item| item.destination(r, None));
        let span = t.span;
        t.finish(r);
        if let (Some(when), Some(to)) = (when, to) {
            rules.push(NumberRule { span, name, when, to });
        }
    }
    let always = rules.iter().position(|rule| rule.when == When::Always);
    match always {
        None => {
            let help = "end with a rule that has `when = \"always\"`";
            r.error(
                "no-always",
                item.span,
                "these rules leave times open in which the number answers nothing",
                help,
            );
        }
        Some(at) => {
            if let Some(hidden) = rules.get(at + 1) {
                let finding = Diagnostic::error(
                    "unreachable-rule",
                    hidden.span,
                    "an earlier rule always applies: this one never does",
                );
                let first = rules.get(at).map_or(hidden.span, |rule| rule.span);
                r.report(finding.related(first, "applies always").help("put `when = \"always\"` last"));
            }
        }
    }
    Some(rules)
}
