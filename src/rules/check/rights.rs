//! Whether the outside numbers of rules may be called by the users whose rules they are, and by which way they leave.

use super::super::diagnostic::{Diagnostic, Span};
use super::super::model::{Destination, Name, Permission, User};
use super::survey::{Survey, destinations_of, outside_of};

/// `forward-denied`, `target-denied`, `no-route` over the rules of one user.
pub(super) fn user(survey: &Survey<'_>, name: &Name, user: &User, found: &mut Vec<Diagnostic>) {
    for outside in outside_of(user) {
        let (number, span) = (outside.number, outside.span);
        let class = survey.class_of(number);
        let denied = match (user.vanity, class) {
            (Some(vanity), _) => Some(("a vanity user calls nobody outside".to_owned(), Some(vanity))),
            (None, Some(class)) if user.restrict.get(class) == Some(&Permission::Deny) => {
                Some((format!("the class `{class}` is denied to them"), None))
            }
            (None, _) => None,
        };
        if let Some((reason, related)) = denied {
            let message = format!("`{name}` may not call {number}: {reason}");
            let finding = match outside.forward {
                Some(_) => Diagnostic::error("forward-denied", span, message),
                None => Diagnostic::warning("target-denied", span, message),
            };
            let finding =
                finding.help("forwards and outside legs need the rights of the user whose rule it is");
            found.push(match related {
                Some(place) => finding.related(place, "said here"),
                None => finding,
            });
        } else {
            found.extend(no_route(survey, number, user.site.as_ref(), span));
        }
    }
}

/// `no-route` where numbers of ours lead outside.
pub(super) fn numbers(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    for to in survey.model.numbers.values().flat_map(|number| destinations_of(&number.to)) {
        if let Destination::Tel(number) = &to.value {
            found.extend(no_route(survey, number, None, to.span));
        }
    }
}

pub(super) fn no_route(
    survey: &Survey<'_>,
    number: &str,
    site: Option<&Name>,
    span: Span,
) -> Option<Diagnostic> {
    // A number of ours needs no way out.
    if survey.is_ours(number) {
        return None;
    }
    let class = survey.class_of(number);
    if class.is_some_and(|class| survey.route_of(class, site).is_some()) {
        return None;
    }
    let message = match (class, site) {
        (None, _) => format!("{number} is of no class, so no route carries it"),
        (Some(class), Some(site)) => {
            format!("{number} is of the class `{class}`, which no route carries from the site `{site}`")
        }
        (Some(class), None) => format!("{number} is of the class `{class}`, which no route carries"),
    };
    Some(Diagnostic::warning("no-route", span, message).help("add its class to a `[[route]]`"))
}

#[cfg(test)]
mod tests {
    use super::super::trial::{fires, silent};

    const PHONE: &str = "[device.101a]\nuser = \"ann\"\nauth = { user = \"101a\", secret = \"env:A\" }\n";

    fn ann(keys: &str, rule: &str) -> String {
        format!(
            "[user.ann]\next = \"101\"\n{keys}{PHONE}[[user.ann.rule]]\nname = \"Default\"\nwhen = \"always\"\nring_for = \"40s\"\n{rule}"
        )
    }

    const AWAY: &str = "forward.busy = «\"tel:+12125550173\"\n";
    const LEG: &str = "ring.targets = [\"self\", { to = «\"tel:+12125550173\", confirm = \"1\" }]\n";

    #[test]
    fn a_forward_that_its_owner_may_not_dial_is_refused() {
        fires(
            "forward-denied",
            &ann("restrict = { national = \"deny\" }\n", AWAY),
            "the class `national` is denied",
        );
        fires("forward-denied", &ann("vanity = true\n", AWAY), "a vanity user");
        silent("forward-denied", &ann("restrict = { national = \"allow\" }\n", AWAY).replace('«', ""));
    }

    #[test]
    fn a_leg_that_its_owner_may_not_dial_is_told_of() {
        fires(
            "target-denied",
            &ann("restrict = { national = \"deny\" }\n", LEG),
            "the class `national` is denied",
        );
        silent("target-denied", &ann("", LEG).replace('«', ""));
    }

    #[test]
    fn a_number_without_a_way_out_is_told_of() {
        fires("no-route", &ann("", &AWAY.replace("+1212", "+4420")), "of no class");
        silent("no-route", &ann("", AWAY).replace('«', ""));
        silent("no-route", &ann("", &AWAY.replace("+12125550173", "+12025550100")).replace('«', ""));
        fires("no-route", "[number.\"+12025550101\"]\nto = «\"tel:+442079460000\"\n", "of no class");
        let sites = "[site.x]\n[trunk.t]\nproxy = \"t.example\"\n[class.gb]\nmatch = [\"+44.\"]\n[class.national]\nmatch = [\"+1.\"]\n\
                     [[route]]\nclasses = [\"emergency\", \"national\"]\nvia = [\"t\"]\n[[route]]\nsite = \"x\"\nclasses = [\"gb\"]\nvia = [\"t\"]\n";
        let forward = AWAY.replace("+1212", "+4420");
        fires(
            "no-route",
            &format!("{sites}[site.y]\n{}", ann("site = \"y\"\n", &forward)),
            "from the site `y`",
        );
        silent("no-route", &format!("{sites}{}", ann("site = \"x\"\n", &forward)).replace('«', ""));
    }
}
