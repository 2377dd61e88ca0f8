//! What calls out show of the caller: numbers that are not the domain's, none at all, and a caller's own number where a
//! carrier refuses it.

use super::super::diagnostic::{Diagnostic, Span};
use super::super::model::{CallerId, CallerIdChoice, Name, User};
use super::survey::{EMERGENCY, Survey, outside_of};

/// `foreign-caller-id` of the domain, its sites and routes; `no-caller-id`.
pub(super) fn domain(survey: &Survey<'_>, found: &mut Vec<Diagnostic>) {
    let model = survey.model;
    let screening = |site: Option<&Name>| {
        let carries = |route: &&super::super::model::Route| {
            site.is_none() || route.site.is_none() || route.site.as_ref() == site
        };
        model.routes.iter().filter(carries).find_map(|route| survey.screens(route))
    };
    let domain = &model.domain;
    found.extend(foreign(survey, domain.caller_id.as_ref(), domain.span, "the domain", screening(None)));
    for (name, site) in &model.sites {
        let whose = format!("the site `{name}`");
        found.extend(foreign(survey, site.caller_id.as_ref(), site.span, &whose, screening(Some(name))));
    }
    for route in &model.routes {
        found.extend(foreign(
            survey,
            route.caller_id.as_ref(),
            route.span,
            "this route",
            survey.screens(route),
        ));
    }
    found.extend(no_caller_id(survey));
}

/// `foreign-caller-id`, `original-caller-id` and `ignore-caller-id` of one user. What they inherit is told of where it stands.
pub(super) fn user(survey: &Survey<'_>, name: &Name, user: &User, found: &mut Vec<Diagnostic>) {
    let number = &user.caller_id_external.number;
    let site = user.site.as_ref().and_then(|site| survey.model.sites.get(site));
    let wider = [survey.model.domain.caller_id.as_ref(), site.and_then(|site| site.caller_id.as_ref())];
    if !wider.iter().flatten().any(|wider| wider.number == *number) {
        let own = Some(&user.caller_id_external);
        found.extend(foreign(survey, own, user.span, &format!("`{name}`"), survey.screened(user)));
    }
    if let Some(ignored) = user.ignore_caller_id
        && let Some(trunk) = survey.screened(user)
    {
        let message = format!(
            "calls of `{name}` show what their phone sends, and the trunk `{trunk}` refuses what is not ours"
        );
        found.push(
            Diagnostic::warning("ignore-caller-id", ignored, message)
                .help("take `ignore_caller_id` out, and give the user a `caller_id`"),
        );
    }
    for outside in outside_of(user) {
        let choice = match (outside.target, outside.forward) {
            (Some(target), _) => target.caller_id.as_ref(),
            (None, forward) => forward.and_then(|forward| forward.caller_id.as_ref()),
        };
        let class = survey.class_of(outside.number);
        let route = class.and_then(|class| survey.route_of(class, user.site.as_ref()));
        let screening = route.and_then(|route| survey.screens(route));
        match (choice, screening) {
            (Some(CallerIdChoice::Fixed(fixed)), _) => {
                found.extend(foreign(survey, Some(fixed), outside.span, "this leg", screening));
            }
            (Some(CallerIdChoice::Original), Some(trunk)) => {
                let message = format!(
                    "the trunk `{trunk}` screens caller IDs, and refuses the number of a caller from outside"
                );
                found.push(Diagnostic::warning("original-caller-id", outside.span, message).help(
                    "write `caller_id = \"forwarder\"`, or leave it out: the caller then stands in Diversion",
                ));
            }
            _ => {}
        }
    }
}

/// An outside caller ID that is no number of ours: a carrier that screens refuses it, and so does `check` then.
fn foreign(
    survey: &Survey<'_>,
    caller_id: Option<&CallerId>,
    span: Span,
    whose: &str,
    screening: Option<&Name>,
) -> Option<Diagnostic> {
    let number = caller_id?.number.as_ref()?;
    if survey.is_ours(number) {
        return None;
    }
    let message = format!("the caller ID {number} of {whose} is no number of this domain");
    let finding = match screening {
        Some(trunk) => {
            let message = format!("{message}, and the trunk `{trunk}` refuses such calls");
            Diagnostic::error("foreign-caller-id", span, message)
        }
        None => Diagnostic::warning("foreign-caller-id", span, message),
    };
    Some(finding.help(format!("add `[number.\"{number}\"]`, or show a number that is yours")))
}

/// Users whose calls out show no number. One finding for all of them.
fn no_caller_id(survey: &Survey<'_>) -> Option<Diagnostic> {
    let model = survey.model;
    let leaves = |route: &super::super::model::Route| {
        let shows = route.caller_id.as_ref().is_some_and(|caller_id| caller_id.number.is_some());
        !shows && route.classes.iter().any(|class| class.as_ref() != EMERGENCY)
    };
    if !model.routes.iter().any(leaves) {
        return None;
    }
    let mut without = model
        .users
        .iter()
        .filter(|(_, user)| user.vanity.is_none() && user.caller_id_external.number.is_none())
        .map(|(name, _)| name);
    let first = without.next()?;
    let more = match without.count() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let message = format!("calls out of `{first}`{more} show no number");
    Some(
        Diagnostic::warning("no-caller-id", model.domain.span, message).help(
            "add `caller_id = { number = \"+...\" }` to `[domain]`, or to the site, the user or the route",
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::super::diagnostic::Severity;
    use super::super::trial::{beside, fires, fires_in, silent, silent_in};

    const SCREENING: &str = "[trunk.t]\nproxy = \"t.example\"\nscreens_caller_id = true\n[class.national]\nmatch = [\"+1.\"]\n\
                             [[route]]\nclasses = [\"emergency\", \"national\"]\nvia = [\"t\"]\n";
    const ANN: &str = "[device.101a]\nuser = \"ann\"\nauth = { user = \"101a\", secret = \"env:A\" }\n[user.ann]\next = \"101\"\n";
    const RULE: &str = "[[user.ann.rule]]\nname = \"Default\"\nwhen = \"always\"\nring_for = \"40s\"\n";

    #[test]
    fn a_caller_id_that_is_not_ours_is_told_of() {
        let site = "«[site.x]\ncaller_id = { number = \"+12125550173\" }\n";
        fires("foreign-caller-id", site, "no number of this domain");
        fires("foreign-caller-id", &format!("{SCREENING}{site}"), "the trunk `t` refuses such calls");
        silent("foreign-caller-id", "[site.x]\ncaller_id = { number = \"+12025550100\" }\n");
        let ann = format!(
            "{}caller_id = {{ external = {{ number = \"+12125550173\" }} }}\n",
            ANN.replace("[user", "«[user")
        );
        fires("foreign-caller-id", &ann, "+12125550173 of `ann`");
        let denied = format!("{SCREENING}{}restrict = {{ national = \"deny\" }}\n", ann.replace('«', ""));
        let fixed = format!(
            "{ANN}{RULE}forward.busy = «{{ to = \"tel:+12125550174\", caller_id = {{ number = \"+12125550173\" }} }}\n"
        );
        fires("foreign-caller-id", &fixed, "of this leg");
        // Emergency calls alone leave, with a call-back number of their own: the carrier has nothing to refuse.
        let mut denied = super::super::trial::loaded(&super::super::trial::files(&denied)).diagnostics;
        denied.retain(|finding| finding.code == "foreign-caller-id");
        assert!(denied.iter().all(|finding| finding.severity == Severity::Warning) && denied.len() == 1);
    }

    #[test]
    fn a_callers_own_number_on_a_screening_trunk_is_told_of() {
        let forward = |choice: &str| {
            format!(
                "{SCREENING}{ANN}{RULE}forward.busy = «{{ to = \"tel:+12125550174\", caller_id = \"{choice}\" }}\n"
            )
        };
        fires("original-caller-id", &forward("original"), "the trunk `t` screens caller IDs");
        silent("original-caller-id", &forward("forwarder").replace('«', ""));
        silent(
            "original-caller-id",
            &forward("original").replace('«', "").replace("screens_caller_id = true\n", ""),
        );
    }

    #[test]
    fn a_phones_own_word_on_a_screening_trunk_is_told_of() {
        let ann = |keys: &str| format!("{SCREENING}{ANN}{keys}");
        fires(
            "ignore-caller-id",
            &ann("ignore_caller_id = «true\n"),
            "the trunk `t` refuses what is not ours",
        );
        silent("ignore-caller-id", &ann("ignore_caller_id = false\n"));
        // Emergency calls alone leave, and they carry a number to call back.
        silent("ignore-caller-id", &ann("ignore_caller_id = true\nrestrict = { national = \"deny\" }\n"));
    }

    #[test]
    fn calls_out_that_show_no_number_are_told_of() {
        let mut files = beside(&[]);
        let domain = files.0["domain.toml"]
            .replace("caller_id = { name = \"Example\", number = \"+12025550100\" }\n", "");
        files.0.insert("domain.toml".into(), domain.into());
        fires_in("no-caller-id", &files, "domain.toml:3:1", "calls out of `desk` show no number");
        silent_in("no-caller-id", &beside(&[]));
    }
}
