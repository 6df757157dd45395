//! The patterns that name a data set's files: `*`, `?` and `[…]` within a name, and `**` for any folders.

/// Whether a path below the data set's folder, with `/` between its names, matches a pattern.
pub(super) fn matches(pattern: &str, path: &str) -> bool {
    let pattern: Vec<&str> = pattern
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let path: Vec<&str> = path.split('/').collect();
    // Hidden and special names are seen only by a pattern that says them.
    let hidden = |name: &&&str| name.starts_with(['.']) || name.starts_with("__");
    let said = pattern.iter().filter(hidden).count();
    path.iter().filter(hidden).count() <= said && parts(&pattern, &path)
}

fn parts(pattern: &[&str], path: &[&str]) -> bool {
    // The folders that `**` stands for are tried as in `name`: one place to come back to is enough.
    let (mut at, mut seen, mut retry) = (0, 0, None);
    while seen < path.len() {
        match pattern.get(at) {
            Some(&"**") => {
                // At the end it stands for a file at any depth.
                if at + 1 == pattern.len() {
                    return true;
                }
                retry = Some((at, seen));
                at += 1;
            }
            Some(part) if name(part, path[seen]) => {
                at += 1;
                seen += 1;
            }
            _ => {
                let Some((star, from)) = retry else {
                    return false;
                };
                retry = Some((star, from + 1));
                (at, seen) = (star + 1, from + 1);
            }
        }
    }
    at == pattern.len()
}

/// Whether a name matches a pattern without `/`. Linear in time but for one place to come back to.
fn name(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut at, mut seen, mut retry) = (0, 0, None);
    while seen < name.len() {
        if pattern.get(at) == Some(&'*') {
            retry = Some((at, seen));
            at += 1;
        } else if let Some(length) = one(&pattern[at..], name[seen]) {
            at += length;
            seen += 1;
        } else {
            let Some((star, from)) = retry else {
                return false;
            };
            retry = Some((star, from + 1));
            (at, seen) = (star + 1, from + 1);
        }
    }
    pattern[at..].iter().all(|rest| *rest == '*')
}

/// How many characters of the pattern stand for one character, if they do.
fn one(pattern: &[char], character: char) -> Option<usize> {
    match pattern {
        ['?', ..] => Some(1),
        ['[', set @ ..] => {
            let (negated, set) = match set {
                ['!' | '^', set @ ..] => (true, set),
                set => (false, set),
            };
            let end = set.iter().skip(1).position(|end| *end == ']')? + 1;
            let within = ranges(&set[..end], character);
            (within != negated).then_some(end + 2 + usize::from(negated))
        }
        [same, ..] => (*same == character).then_some(1),
        [] => None,
    }
}

fn ranges(mut set: &[char], character: char) -> bool {
    loop {
        set = match set {
            [from, '-', to, rest @ ..] => {
                if (*from..=*to).contains(&character) {
                    return true;
                }
                rest
            }
            [same, rest @ ..] => {
                if *same == character {
                    return true;
                }
                rest
            }
            [] => return false,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_those_of_the_shell() {
        let cases = [
            ("data/train-*", "data/train-00000-of-00001.parquet", true),
            ("data/train-*", "data/x/train-0", false),
            ("**", "a/b/c.csv", true),
            ("**/train[-._ 0-9]*", "train.csv", true),
            ("**/train[-._ 0-9]*", "a/b/train_1.csv", true),
            ("**/train[-._ 0-9]*", "a/training.csv", false),
            ("**/*[-._ 0-9]dev/**", "x/my_dev/a/b.txt", true),
            ("**/test/**", "test", false),
            ("**/test/**", "test/a", true),
            ("[!a]?.csv", "b1.csv", true),
            ("[!a]?.csv", "a1.csv", false),
            ("*a*b*", "xxaxxbxx", true),
            ("*", ".hidden", false),
            (".hidden/*", ".hidden/a", true),
            ("**", "__pycache__/a", false),
            ("a[", "a[", false),
        ];
        for (pattern, path, expected) in cases {
            assert_eq!(matches(pattern, path), expected, "{pattern} {path}");
        }
        assert!(!matches(&"*a".repeat(50), &"a".repeat(49)));
    }
}
