//! Blanks secrets and PINs in source text that is about to be shown.
//!
//! Works on the text and not on parsed values, because what is shown is often what did not parse. Lengths stay, so that
//! marks still fit. It errs on the side of hiding: a comment that says `plain:x` is masked as well.

/// How a literal secret begins. What follows, up to the end of the string or word, is hidden wherever it stands. `ha1:` and `hash:` count:
/// the one is as good as the password, the other guards four digits.
pub const SECRET_PREFIXES: [&str; 3] = ["plain:", "ha1:", "hash:"];

/// Keys that hold secrets: the one list of them. Whatever they hold is hidden, unless it is a mere reference.
pub const SECRET_KEYS: [&str; 3] = ["secret", "pin", "moderator_pin"];

/// The text with each secret replaced by as many `*` as it has bytes.
#[must_use]
pub fn mask_secrets(text: &str) -> String {
    let mut hidden: Vec<(usize, usize)> = Vec::new();
    for prefix in SECRET_PREFIXES {
        for (at, _) in text.match_indices(prefix) {
            let start = at + prefix.len();
            hidden.push((start, end_of_value(text, start, quote_before(text, at))));
        }
    }
    for key in SECRET_KEYS {
        for (at, _) in text.match_indices(key) {
            if let Some((start, end)) = value_of_key(text, at, key.len()) {
                hidden.push((start, end));
            }
        }
    }
    let mut bytes = text.as_bytes().to_vec();
    for (start, end) in hidden {
        for byte in bytes.get_mut(start..end).unwrap_or_default() {
            if *byte != b'\n' {
                *byte = b'*';
            }
        }
    }
    // Both ends are character boundaries, so what is left is text; the fallback hides everything.
    String::from_utf8(bytes).unwrap_or_else(|_| "*".repeat(text.len()))
}

/// The quotation mark that stands right before `at`: one or three.
fn quote_before(text: &str, at: usize) -> Option<&'static str> {
    let before = text.get(..at)?;
    ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| before.ends_with(quote))
}

/// Where a value ends that begins at `start`, after this quotation mark or bare.
fn end_of_value(text: &str, start: usize, quote: Option<&str>) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    let length = match quote {
        Some(quote @ ("\"" | "\"\"\"")) => end_of_basic_string(rest, quote),
        Some(quote) => rest.find(quote),
        None => rest.find(|c: char| c.is_whitespace() || matches!(c, ',' | '}' | '#' | '"' | '\'')),
    };
    let length = length.unwrap_or(rest.len());
    // A string that is never closed ends with its line, or the rest of the file would vanish.
    let line = if quote.is_some_and(|quote| quote.len() == 3) { None } else { rest.find('\n') };
    start + line.map_or(length, |line| line.min(length))
}

fn end_of_basic_string(rest: &str, quote: &str) -> Option<usize> {
    let mut escaped = false;
    rest.char_indices().find_map(|(at, character)| {
        if !escaped && rest.get(at..).is_some_and(|tail| tail.starts_with(quote)) {
            return Some(at);
        }
        escaped = character == '\\' && !escaped;
        None
    })
}

/// The range of what `secret = ...` holds, if the word at `at` is that key and the value no reference.
fn value_of_key(text: &str, at: usize, length: usize) -> Option<(usize, usize)> {
    let before = text.get(..at)?.chars().next_back();
    if before.is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '-')) {
        return None;
    }
    let after = text.get(at + length..)?;
    let after = after.strip_prefix(['"', '\'']).unwrap_or(after);
    let value = after.trim_start_matches([' ', '\t']).strip_prefix('=')?.trim_start_matches([' ', '\t']);
    let quote = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|quote| value.starts_with(quote));
    let inside = value.get(quote.map_or(0, str::len)..)?;
    if ["file:", "env:"].iter().chain(&SECRET_PREFIXES).any(|prefix| inside.starts_with(prefix)) {
        return None;
    }
    let start = text.len() - inside.len();
    Some((start, end_of_value(text, start, quote)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn secrets_and_pins_vanish_and_references_stay() {
        for (line, shown) in [
            ("secret = \"plain:hunter2\" # x", "secret = \"plain:*******\" # x"),
            ("pin = 1234, max = 3", "pin = ****, max = 3"),
            ("pin = \"12 34\"", "pin = \"*****\""),
            ("secret = 'it''s", "secret = '**''s"),
            ("moderator_pin = \"hash:$argon2id$v=19\"", "moderator_pin = \"hash:**************\""),
            ("secret = \"file:secrets/100a\"", "secret = \"file:secrets/100a\""),
            ("auth.secret=\"a\\\"b\" # c", "auth.secret=\"****\" # c"),
            ("hopping = 3", "hopping = 3"),
            ("secret = \"ha1:0123\" }", "secret = \"ha1:****\" }"),
            ("# once plain:abc d", "# once plain:*** d"),
        ] {
            assert_eq!(mask_secrets(line), shown);
        }
    }

    proptest! {
        #[test]
        fn masking_keeps_every_place(text in "(secret|pin| = |\"|'''|plain:|é|\n|[a-z]){0,30}") {
            let masked = mask_secrets(&text);
            prop_assert_eq!(masked.len(), text.len());
            prop_assert_eq!(masked.lines().count(), text.lines().count());
        }
    }
}
