//! Files of sound that rules name: which those are, and what is said of one that can't be played.
//!
//! What it is not: it looks at no file. What is known of one comes as a value ([`Fault`]) from whoever has looked.

use super::diagnostic::Diagnostic;
use super::model::{At, Model, Name};
use super::source::suggest::nearest;

/// What keeps a file from being played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody has said where the audio of this domain lies.
    Nowhere,
    /// It is not there. `at`: where it was looked for; `beside`: what is there instead, named as rules would name it.
    Missing { at: String, beside: Vec<String> },
    /// It is there and can't be read.
    Unreadable { at: String, why: String },
    /// It is no sound, or none that can be played.
    Broken { why: String },
}

impl Fault {
    /// What is said of a file with this fault: `missing-audio`, `broken-audio`. A warning: calls go on without the sound, and rules without the file.
    #[must_use]
    pub fn diagnostic(&self, file: &At<Name>) -> Diagnostic {
        let At { value: name, span } = file;
        match self {
            Fault::Nowhere => {
                let message = format!("it is not known where `{name}` lies: nobody hears it");
                let help = "say in `[rules] base` of ringtree.toml where the files of rules lie, and restart";
                Diagnostic::warning("missing-audio", *span, message).help(help)
            }
            Fault::Missing { at, beside } => {
                let message = format!("there is no `{name}`: nobody hears it");
                let help = match nearest(name, beside.iter().map(String::as_str)) {
                    Some(meant) => format!("did you mean `{meant}`? It was looked for at {at}"),
                    None => format!("put it at {at}, or name another file"),
                };
                Diagnostic::warning("missing-audio", *span, message).help(help)
            }
            Fault::Unreadable { at, why } => {
                let message = format!("`{name}` can't be read: {why}; nobody hears it");
                let help = format!("the daemon's user has to be able to read {at}");
                Diagnostic::warning("missing-audio", *span, message).help(help)
            }
            Fault::Broken { why } => {
                let message = format!("`{name}` can't be played: {why}; nobody hears it");
                let help = "make it a WAV of 8 to 32 bits or an MP3, with one or two channels, of 8 to 48 kHz and at most an hour: \
                            `sox OLD -r 16000 -c 1 -b 16 NEW.wav`";
                Diagnostic::warning("broken-audio", *span, message).help(help)
            }
        }
    }
}

/// Every file that the rules name, wherever they do, in the order of these places.
pub(super) fn files(model: &Model) -> Vec<At<Name>> {
    let services = &model.services;
    let announced = services.announcements.values().map(|announcement| &announcement.file);
    let music = services.music.values().flat_map(|music| &music.files);
    let greetings = services.attendants.values().filter_map(|attendant| attendant.greeting.as_ref());
    let mut files: Vec<At<Name>> = announced.chain(music).chain(greetings).cloned().collect();
    files.sort_by_key(|file| file.span);
    files
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::diagnostic::{Files, Span, render};

    fn said(fault: &Fault) -> String {
        let text = "[announce.closed]\nfile = \"closd.wav\"\n";
        let files = Files([("services.toml".into(), text.into())].into());
        let start = text.find("\"closd").unwrap() as u32;
        let file = At { value: "closd.wav".into(), span: Span { file: 0, start, end: start + 11 } };
        render(&files, &[fault.diagnostic(&file)], false)
    }

    #[test]
    fn a_file_that_is_missing_is_told_of_with_what_may_be_meant() {
        let beside = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let at = "/rules/closd.wav".to_owned();
        let shown = said(&Fault::Missing { at: at.clone(), beside: beside(&["calm.mp3", "closed.wav"]) });
        assert!(
            shown.contains("warning[missing-audio]: there is no `closd.wav`: nobody hears it"),
            "{shown}"
        );
        assert!(
            shown.contains("services.toml:2:8") && shown.contains("did you mean `closed.wav`?"),
            "{shown}"
        );
        let shown = said(&Fault::Missing { at, beside: beside(&["calm.mp3"]) });
        assert!(shown.contains("put it at /rules/closd.wav, or name another file"), "{shown}");
    }

    #[test]
    fn what_is_broken_says_why_and_what_to_make_of_it() {
        let shown = said(&Fault::Broken { why: "it is neither WAV nor MP3".into() });
        assert!(
            shown.contains("warning[broken-audio]: `closd.wav` can't be played: it is neither WAV nor MP3"),
            "{shown}"
        );
        assert!(shown.contains("8 to 48 kHz"), "{shown}");
        let shown = said(&Fault::Unreadable { at: "/x".into(), why: "Permission denied".into() });
        assert!(shown.contains("[missing-audio]: `closd.wav` can't be read: Permission denied"), "{shown}");
        assert!(said(&Fault::Nowhere).contains("`[rules] base`"));
    }
}
