//! Texts that many bindings share, kept once.

use std::collections::HashSet;
use std::sync::Arc;

/// The longest User-Agent that is kept, in bytes; the rest is cut.
pub const USER_AGENT_BYTES_MAX: usize = 128;
/// Different texts kept of a kind; at the limit those that nobody uses any longer are let go, and what is still too much isn't
/// shared.
const TEXTS_MAX: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct Texts {
    user_agents: HashSet<Arc<str>>,
    domains: HashSet<Arc<str>>,
}

impl Texts {
    pub(super) fn user_agent(&mut self, text: &str) -> Arc<str> {
        let end = boundary(text, USER_AGENT_BYTES_MAX);
        intern(&mut self.user_agents, text.get(..end).unwrap_or_default())
    }

    pub(super) fn domain(&mut self, text: &str) -> Arc<str> {
        intern(&mut self.domains, text)
    }

    /// `text`, as the same allocation as `like` where they are equal: a contact without an instance is its own key.
    pub(super) fn shared(text: &str, like: &Arc<str>) -> Arc<str> {
        if *text == **like { like.clone() } else { Arc::from(text) }
    }
}

fn intern(texts: &mut HashSet<Arc<str>>, text: &str) -> Arc<str> {
    if let Some(known) = texts.get(text) {
        return known.clone();
    }
    let text: Arc<str> = Arc::from(text);
    if texts.len() >= TEXTS_MAX {
        texts.retain(|text| Arc::strong_count(text) > 1);
    }
    if texts.len() < TEXTS_MAX {
        texts.insert(text.clone());
    }
    text
}

/// The last boundary between characters that isn't beyond `at`.
fn boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}
