//! Names that were perhaps meant.

/// The known names that are nearest to `name`, at most five: those that hold it, and those that differ by a few
/// characters.
pub(super) fn near<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Vec<&'n str> {
    let mut found: Vec<(usize, &str)> = known
        .filter_map(|known| {
            let distance = strsim::levenshtein(name, known);
            let close = distance <= 1 + name.chars().count() / 4;
            let holds = known.contains(name) || name.contains(known);
            (close || holds).then_some((distance, known))
        })
        .collect();
    found.sort_unstable();
    found.truncate(5);
    found.into_iter().map(|(_, known)| known).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_come_first() {
        let known = [
            "arc_easy",
            "arc_challenge",
            "hellaswag",
            "mmlu",
            "mmlu_anatomy",
        ];
        assert_eq!(near("arc_eazy", known.into_iter()), ["arc_easy"]);
        assert_eq!(
            near("mmlu_anatomie", known.into_iter()),
            ["mmlu_anatomy", "mmlu"]
        );
        assert_eq!(
            near("arc", known.into_iter()),
            ["arc_easy", "arc_challenge"]
        );
        assert!(near("nothing", known.into_iter()).is_empty());
    }
}
