//! `[user.X.voicemail]`, `[defaults.voicemail]`, `[mailbox.X]`: what one mailbox does.

use super::super::model::{AfterEmail, EmailStyle, Greeting, Name, Voicemail, WhenFull};
use super::names::Objects;
use super::reader::{Item, Reader, Table};
use std::sync::Arc;

const MESSAGES_MAX: u32 = 1_000_000;
const GREETING_BYTES_MAX: usize = 64;

const FULL: [(&str, WhenFull); 2] = [("rotate", WhenFull::Rotate), ("refuse", WhenFull::Refuse)];

/// What stands behind every mailbox, read once: most users add nothing and share it.
pub(super) struct Inherited {
    /// `[defaults.voicemail]`, or what is built in.
    pub(super) plain: Arc<Voicemail>,
    /// With `voicemail` of `[defaults.user]` over it.
    of_users: Arc<Voicemail>,
}

impl Inherited {
    pub(super) fn read<'t>(r: &mut Reader<'t>, objects: &Objects<'t>, when_full: WhenFull) -> Inherited {
        let mut plain = Arc::new(Voicemail { when_full, ..Voicemail::default() });
        if let Some(object) = objects.default_voicemail {
            r.pending(&["user.voicemail"], "[defaults.voicemail]", object.span);
            let t = Table::new(object.span, "voicemail", object.table);
            plain = Arc::new(voicemail(r, t, None, &plain));
        }
        let of_users = objects.default_user.and_then(|object| {
            let item = Item::new(object.span.file, "voicemail", object.table.get("voicemail")?);
            item.table(r, "voicemail")
        });
        let of_users = match of_users {
            Some(t) => Arc::new(voicemail(r, t, None, &plain)),
            None => plain.clone(),
        };
        Inherited { plain, of_users }
    }

    /// The mailbox of a user by their own table, if they have one.
    pub(super) fn of_user<'t>(
        &self,
        r: &mut Reader<'t>,
        item: Option<Item<'t>>,
        owner: &str,
    ) -> Arc<Voicemail> {
        match item.and_then(|item| item.table(r, "voicemail")) {
            Some(t) => Arc::new(voicemail(r, t, Some(owner), &self.of_users)),
            None => self.of_users.clone(),
        }
    }
}

/// The keys of one mailbox over those of `below`. `owner` is the user whose it is: they may say `self`.
pub(super) fn voicemail<'t>(
    r: &mut Reader<'t>,
    mut t: Table<'t>,
    owner: Option<&str>,
    below: &Voicemail,
) -> Voicemail {
    let styles = [
        ("none", EmailStyle::None),
        ("link", EmailStyle::Link),
        ("link-brief", EmailStyle::LinkBrief),
        ("attachment", EmailStyle::Attachment),
        ("attachment-brief", EmailStyle::AttachmentBrief),
    ];
    let afters = [
        ("keep", AfterEmail::Keep),
        ("save", AfterEmail::Save),
        ("trash", AfterEmail::Trash),
        ("delete", AfterEmail::Delete),
    ];
    let operator = t.item(r, "operator").and_then(|item| item.destination(r, owner));
    let voicemail = Voicemail {
        enabled: t.boolean(r, "enabled").unwrap_or(below.enabled),
        pin: t.item(r, "pin").and_then(|item| item.pin(r)).or_else(|| below.pin.clone()),
        limit: t.count(r, "limit", 1..=MESSAGES_MAX).unwrap_or(below.limit),
        limit_bytes: t.count(r, "limit_bytes", 1..=u32::MAX).map(u64::from).or(below.limit_bytes),
        when_full: t.choice(r, "when_full", &FULL).unwrap_or(below.when_full),
        greeting: t
            .item(r, "greeting")
            .map_or_else(|| below.greeting.clone(), |item| greeting(r, item, below)),
        say_caller: t.boolean(r, "say_caller").unwrap_or(below.say_caller),
        say_time: t.boolean(r, "say_time").unwrap_or(below.say_time),
        newest_first: t.boolean(r, "newest_first").unwrap_or(below.newest_first),
        operator: operator.map(|to| to.value).or_else(|| below.operator.clone()),
        email: emails(r, &mut t, "email").unwrap_or_else(|| below.email.clone()),
        email_short: emails(r, &mut t, "email_short").unwrap_or_else(|| below.email_short.clone()),
        email_style: t.choice(r, "email_style", &styles).unwrap_or(below.email_style),
        after_email: t.choice(r, "after_email", &afters).unwrap_or(below.after_email),
        transcribe: t.boolean(r, "transcribe").unwrap_or(below.transcribe),
        translate: t
            .item(r, "translate")
            .and_then(|item| language(r, item))
            .or_else(|| below.translate.clone()),
        recorded_name: t.boolean(r, "recorded_name").unwrap_or(below.recorded_name),
    };
    t.finish(r);
    voicemail
}

/// `[policy] voicemail_full`.
pub(super) fn when_full<'t>(r: &mut Reader<'t>, t: &mut Table<'t>) -> Option<WhenFull> {
    t.choice(r, "voicemail_full", &FULL)
}

/// `{ unavailable, busy }`, or one name for both.
fn greeting<'t>(r: &mut Reader<'t>, item: Item<'t>, below: &Voicemail) -> Greeting {
    if !item.is_table() {
        let both = greeting_name(r, item);
        return Greeting { unavailable: both.clone(), busy: both };
    }
    let Some(mut t) = item.table(r, "greeting") else { return below.greeting.clone() };
    let mut of = |key| t.item(r, key).and_then(|item| greeting_name(r, item));
    let (unavailable, busy) = (of("unavailable"), of("busy"));
    t.finish(r);
    Greeting {
        unavailable: unavailable.or_else(|| below.greeting.unavailable.clone()),
        busy: busy.or_else(|| below.greeting.busy.clone()),
    }
}

/// A greeting that was recorded, by its name: a name of a file, without a path.
fn greeting_name<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<Name> {
    let text = item.text(r)?;
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if (1..=GREETING_BYTES_MAX).contains(&text.len()) && text.chars().all(good) && !text.starts_with('.') {
        return Some(text.into());
    }
    let help = format!("names are 1 to {GREETING_BYTES_MAX} of A-Z, a-z, 0-9, `.`, `_` and `-`");
    r.error("bad-name", item.span, format!("`{text}` can't be the name of a greeting"), help);
    None
}

/// A language tag: `fr`, `pt-BR` (RFC 5646 §2.1, the shapes that translators know).
fn language<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<Name> {
    let text = item.text(r)?;
    let mut parts = text.split('-');
    let first = parts.next().unwrap_or_default();
    let good = (2..=3).contains(&first.len())
        && first.bytes().all(|b| b.is_ascii_lowercase())
        && parts.all(|part| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric()));
    if good {
        return Some(text.into());
    }
    r.error("unknown-value", item.span, format!("`{text}` is no language"), "write its tag: `fr`, `pt-BR`");
    None
}

/// One mail address or several; `None` where the key is not there.
pub(super) fn emails<'t>(r: &mut Reader<'t>, t: &mut Table<'t>, key: &'static str) -> Option<Vec<Name>> {
    let item = t.item(r, key)?;
    Some(item.one_or_several().into_iter().filter_map(|item| email(r, item)).collect())
}

fn email<'t>(r: &mut Reader<'t>, item: Item<'t>) -> Option<Name> {
    let text = item.text(r)?;
    if is_email(text) {
        return Some(text.into());
    }
    r.error("bad-email", item.span, format!("`{text}` is no mail address"), "write `name@example.com`");
    None
}

/// Loosely RFC 5321 §4.1.2: whether mail can be delivered there is for the mail server to say.
pub(super) fn is_email(text: &str) -> bool {
    text.len() <= 254
        && text
            .split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && host.contains('.') && !host.contains('@'))
        && !text
            .chars()
            .any(|c| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | ',' | ';' | '"'))
}
