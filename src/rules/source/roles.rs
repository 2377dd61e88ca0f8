//! `[role.X]`.

use super::super::diagnostic::Diagnostic;
use super::super::model::{At, Name, Right, Rights, Role};
use super::names::{Kind, Object, Objects};
use super::reader::{Reader, Table};
use std::collections::BTreeMap;

/// The roles of the rules, and those that are built in where no table takes their place.
pub(super) fn roles<'t>(r: &mut Reader<'t>, objects: &Objects<'t>) -> BTreeMap<Name, Role> {
    let built_in = |name: &str| Some((Name::from(name), Role::built_in(name)?));
    let mut roles: BTreeMap<Name, Role> = Role::built_in_names().filter_map(built_in).collect();
    for (name, object) in objects.of(Kind::Role) {
        let mut t = Table::new(object.span, "role", object.table);
        let role = Role {
            span: object.span,
            inherit: t.reference(r, "inherit", Kind::Role).map(|role| role.value),
            may: rights(r, &mut t, "may"),
            may_not: rights(r, &mut t, "may_not"),
        };
        t.finish(r);
        roles.insert(name.into(), role);
    }
    for (name, object) in objects.of(Kind::Role) {
        let mut seen = vec![name];
        let mut next = inherited(object);
        while let Some(role) = next {
            if seen.contains(&role) {
                let message = format!("the role `{name}` inherits itself: {} -> {role}", seen.join(" -> "));
                r.report(Diagnostic::error("role-loop", object.span, message).help("take one `inherit` out"));
                break;
            }
            seen.push(role);
            next = objects.get(Kind::Role, role).and_then(inherited);
        }
    }
    roles
}

fn rights<'t>(r: &mut Reader<'t>, t: &mut Table<'t>, key: &'static str) -> Vec<At<Rights>> {
    let mut words: Vec<(&str, Rights)> =
        Right::ALL.iter().map(|(word, right)| (*word, Rights::One(*right))).collect();
    words.push(("*", Rights::All));
    let Some(item) = t.item(r, key) else { return Vec::new() };
    let items = item.one_or_several().into_iter();
    items.filter_map(|item| Some(At { value: item.choice(r, &words)?, span: item.span })).collect()
}

/// The role and every one that it inherits.
pub(super) fn roles_of(roles: &BTreeMap<Name, Role>, role: Name) -> Vec<Name> {
    let mut all = vec![role];
    while let Some(next) = all.last().and_then(|role| roles.get(role)?.inherit.clone()) {
        if all.contains(&next) {
            break;
        }
        all.push(next);
    }
    all
}

fn inherited<'t>(role: Object<'t>) -> Option<&'t str> {
    role.table.get("inherit").and_then(|value| value.get_ref().as_str())
}
