//! The prompts that the daemon is built with, in English: what is said where no set of recordings has a better one. `prompts/` beside this
//! file has them, the words, and how they are made.

/// The WAV file of that name.
#[must_use]
pub fn built_in(name: &str) -> Option<&'static [u8]> {
    match name {
        "confirm" => Some(include_bytes!("prompts/en/confirm.wav")),
        "confirm-any" => Some(include_bytes!("prompts/en/confirm-any.wav")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voice::clip::Clip;
    use crate::voice::measure::level_dbm0;

    #[test]
    fn each_line_of_the_words_is_said_aloud() {
        let lines = include_str!("prompts/en.txt").lines();
        let names = lines.filter_map(|line| line.split_once(':')).map(|(name, _)| name);
        let names: Vec<&str> = names.filter(|name| !name.starts_with('#')).collect();
        assert!(!names.is_empty());
        for name in names {
            let clip = Clip::read(built_in(name).expect(name)).expect(name);
            assert!(clip.samples().len() > 8000 && level_dbm0(clip.samples()) > -30.0, "{name}");
        }
        assert_eq!(built_in("no such prompt"), None);
    }
}
