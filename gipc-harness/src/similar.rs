//! "Did you mean": the existing name that is closest to one that does not exist.

/// The name that was probably meant: the one that differs in the fewest letters, if these are few. Upper case counts as
/// lower case, and `_` as `-`.
#[must_use]
pub fn closest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let normal = |text: &str| text.to_lowercase().replace('_', "-");
    let word = normal(word);
    let most = match word.chars().count() {
        0 => return None,
        1 | 2 => 0,
        length => (length / 3).min(3),
    };
    let distances = names.into_iter().map(|name| {
        let distance = strsim::damerau_levenshtein(&word, &normal(name));
        (distance, name)
    });
    // `min_by_key` returns the first of several that are equally close.
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= most).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::closest;
    use rstest::rstest;

    #[rstest]
    #[case::two_letters_are_swapped("spwan", Some("spawn"))]
    #[case::a_letter_is_doubled("putt", Some("put"))]
    #[case::capitals_are_the_same_letters("EOF", Some("eof"))]
    #[case::an_underscore_is_a_hyphen("eof_after_close", Some("eof-after-close"))]
    #[case::another_word_is_not_meant("zebra", None)]
    #[case::one_letter_is_too_short_to_guess("x", None)]
    #[case::nothing_was_written("", None)]
    fn a_name_is_suggested_if_few_letters_differ(
        #[case] word: &str,
        #[case] expected: Option<&str>,
    ) {
        let names = ["spawn", "put", "eof", "eof-after-close", "w"];
        assert_eq!(closest(word, names), expected);
    }
}
