//! Entries of a list that is written in a file: one more, one less, and every comment stays with what it is about.

use toml_edit::{Array, Value};

/// With the comment at the end of its line and those above it; that of the line before stands in what is removed, and stays.
pub(super) fn take(array: &mut Array, at: usize) {
    let raw =
        |text: Option<&toml_edit::RawString>| text.and_then(|t| t.as_str()).unwrap_or_default().to_owned();
    let before = raw(array.remove(at).decor().prefix());
    let behind = match array.get(at) {
        Some(next) => raw(next.decor().prefix()),
        None => raw(Some(array.trailing())),
    };
    let kept = before.split_once('\n').map_or("", |(first, _)| first);
    let rest = behind.split_once('\n').map_or("", |(_, rest)| rest);
    if !before.contains('\n') && !behind.contains('\n') {
        return;
    }
    let joined = format!("{kept}\n{rest}");
    match array.get_mut(at) {
        Some(next) => next.decor_mut().set_prefix(joined),
        None => array.set_trailing(joined),
    }
}

/// Behind the last entry, on a line of its own where the others are.
pub(super) fn push(array: &mut Array, entry: Value) {
    let several =
        array.iter().any(|v| v.decor().prefix().and_then(|p| p.as_str()).is_some_and(|p| p.contains('\n')));
    if !several {
        array.push(entry);
        return;
    }
    // What stands behind the last comma (a comment, perhaps) comes before the new entry.
    let tail = array.trailing().as_str().unwrap_or_default().to_owned();
    let tail = if tail.contains('\n') { tail } else { format!("{tail}\n") };
    if !array.trailing_comma()
        && let Some(last) = array.iter_mut().last()
    {
        let suffix = last.decor().suffix().and_then(|s| s.as_str()).unwrap_or_default();
        if !suffix.contains('#') {
            last.decor_mut().set_suffix("");
        }
    }
    array.push_formatted(entry.decorated(tail, ""));
    array.set_trailing("\n");
    array.set_trailing_comma(true);
}
