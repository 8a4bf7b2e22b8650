//! Which known word was probably meant by an unknown one.

/// The known word that is one or two edits away from `word`, the nearest first.
///
/// Words of up to four letters must be one edit away: with two, half of a short word is another.
#[must_use]
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let allowed = if word.chars().count() <= 4 { 1 } else { 2 };
    known
        .into_iter()
        .map(|candidate| (strsim::osa_distance(word, candidate), candidate))
        .filter(|&(edits, _)| edits <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_words_within_two_edits_are_suggested() {
        let known = ["generate", "refresh", "man", "apps"];
        for (word, meant) in [
            ("generat", Some("generate")),
            ("genreate", Some("generate")),
            ("refersh", Some("refresh")),
            ("refrehs_", Some("refresh")),
            ("mna", Some("man")),
            ("app", Some("apps")),
            ("nan", Some("man")),
            ("ab", None),
            ("watch", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), meant, "{word}");
        }
    }
}
