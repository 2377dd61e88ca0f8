//! `[[expect]]`: golden tests.

use super::super::model::{At, Expect, Name};
use super::domain::required;
use super::given::given_of;
use super::names::{Kind, Objects};
use super::reader::{Item, Reader, Table};
use super::value::destination;
use jiff::Timestamp;
use jiff::civil::DateTime;
use toml::de::DeValue;

pub(super) fn expects<'t>(r: &mut Reader<'t>, objects: &Objects<'t>) -> Vec<Expect> {
    let mut expects = Vec::new();
    // A golden test of what is not carried out yet is no second reason to say so.
    r.quiet = true;
    for item in &objects.expects {
        let table = item.table(r, "expect");
        expects.extend(table.and_then(|table| expect(r, table)));
    }
    r.quiet = false;
    expects
}

fn expect<'t>(r: &mut Reader<'t>, mut t: Table<'t>) -> Option<Expect> {
    let span = t.span;
    let name = required(r, &mut t, "name").and_then(|item| item.text(r)).map(Name::from);
    let at = t.own(r, "at").and_then(|item| moment(r, item));
    let given = t.table(r, "given", "given").map(|table| given_of(r, table)).unwrap_or_default();
    let call = required(r, &mut t, "call").and_then(|item| item.table(r, "call"));
    let mut expected = |r: &mut Reader<'t>, key| -> Vec<At<Name>> {
        t.texts(r, key).into_iter().map(|(text, span)| At { value: text.into(), span }).collect()
    };
    let (then, then_not) = (expected(r, "then"), expected(r, "then_not"));
    t.finish(r);
    if then.is_empty() && then_not.is_empty() {
        r.error("empty", span, "this test expects nothing", "list tags in `then` or `then_not`");
    }
    let mut call = call?;
    let to = required(r, &mut call, "to").and_then(|item| item.text(r)).map(Name::from);
    let from = call.name(r, "from");
    let from_name = call.name(r, "from_name");
    let from_device = call.reference(r, "from_device", Kind::Device).map(|device| device.value);
    let via_item = call.own(r, "via");
    let via = via_item.and_then(|item| item.text(r)).map(Name::from);
    if let (Some(item), Some(via)) = (via_item, &via) {
        destination(r, via, item.span, None);
    }
    call.finish(r);
    Some(Expect { span, name: name?, at, given, from, from_name, from_device, to: to?, via, then, then_not })
}

/// RFC 3339 with an offset, or civil time in the domain's zone.
fn moment<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<At<String>> {
    let text = match item.value {
        DeValue::String(text) => text.to_string(),
        DeValue::Datetime(datetime) => datetime.to_string(),
        _ => String::new(),
    };
    if text.parse::<Timestamp>().is_ok() || text.parse::<DateTime>().is_ok() {
        return Some(At { value: text, span: item.span });
    }
    let help = "write `\"2026-12-25T10:00\"` (in the domain's zone) or `\"2026-12-25T10:00-05:00\"`";
    r.error("bad-date", item.span, "`at` is no moment", help);
    None
}
