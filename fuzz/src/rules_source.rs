//! Any rule file beside a sound `[domain]`: loading returns, with a model exactly where there is no error, and every finding
//! has a place that can be shown.

use ringtree::rules::Severity;
use ringtree::rules::diagnostic::{Files, render};
use ringtree::rules::source::load;

const DOMAIN: &str = "[domain]\nname = \"pbx.example\"\ntimezone = \"America/New_York\"\ncountry = \"US\"\n";

pub fn rules_source(data: &[u8]) {
    let text = super::text(data);
    let files = Files([("domain.toml".into(), DOMAIN.into()), ("x.toml".into(), text.into())].into());
    let loaded = load(&files);
    let errors = loaded.diagnostics.iter().any(|finding| finding.severity == Severity::Error);
    assert_eq!(loaded.model.is_none(), errors);
    let _ = render(&files, &loaded.diagnostics, false);
}
