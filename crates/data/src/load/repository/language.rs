//! The language that a source file is written in.

use std::path::Path;

/// Names of languages, their extensions, and whole names of files.
const LANGUAGES: [(&str, &[&str], &[&str]); 54] = [
    ("Assembly", &["asm", "s"], &[]),
    ("Bash", &["bash", "sh", "zsh"], &[]),
    ("Batchfile", &["bat", "cmd"], &[]),
    ("C", &["c", "h"], &[]),
    ("C#", &["cs"], &[]),
    ("C++", &["cc", "cpp", "cxx", "hh", "hpp", "hxx"], &[]),
    ("CMake", &["cmake"], &["CMakeLists.txt"]),
    ("CSS", &["css"], &[]),
    ("CUDA", &["cu", "cuh"], &[]),
    ("Clojure", &["clj", "cljs"], &[]),
    ("Dart", &["dart"], &[]),
    ("Dockerfile", &["dockerfile"], &["Dockerfile"]),
    ("Elixir", &["ex", "exs"], &[]),
    ("Erlang", &["erl", "hrl"], &[]),
    ("F#", &["fs", "fsx"], &[]),
    ("Fortran", &["f90", "f95", "for"], &[]),
    ("GLSL", &["frag", "glsl", "vert"], &[]),
    ("Go", &["go"], &["go.mod"]),
    ("HTML", &["htm", "html"], &[]),
    ("Haskell", &["hs"], &[]),
    ("INI", &["cfg", "ini"], &[]),
    ("JSON", &["json", "jsonc"], &[]),
    ("Java", &["java"], &[]),
    ("JavaScript", &["cjs", "js", "jsx", "mjs"], &[]),
    ("Julia", &["jl"], &[]),
    ("Kotlin", &["kt", "kts"], &[]),
    ("LaTeX", &["bib", "sty", "tex"], &[]),
    ("Lua", &["lua"], &[]),
    (
        "Makefile",
        &["mk"],
        &["GNUmakefile", "Makefile", "makefile"],
    ),
    ("Markdown", &["markdown", "md"], &[]),
    ("Nix", &["nix"], &[]),
    ("OCaml", &["ml", "mli"], &[]),
    ("Objective-C", &["m", "mm"], &[]),
    ("PHP", &["php"], &[]),
    ("Pascal", &["pas"], &[]),
    ("Perl", &["pl", "pm"], &[]),
    ("PowerShell", &["ps1", "psm1"], &[]),
    ("Protocol Buffers", &["proto"], &[]),
    ("Python", &["py", "pyi"], &[]),
    ("R", &["r"], &[]),
    ("Ruby", &["gemspec", "rb"], &["Gemfile", "Rakefile"]),
    ("Rust", &["rs"], &[]),
    ("SCSS", &["sass", "scss"], &[]),
    ("SQL", &["sql"], &[]),
    ("Scala", &["sbt", "scala"], &[]),
    ("Solidity", &["sol"], &[]),
    ("Swift", &["swift"], &[]),
    ("TOML", &["toml"], &[]),
    ("Terraform", &["tf"], &[]),
    ("TypeScript", &["cts", "mts", "ts", "tsx"], &[]),
    ("Verilog", &["sv", "v"], &[]),
    ("XML", &["xml", "xsl"], &[]),
    ("YAML", &["yaml", "yml"], &[]),
    ("Zig", &["zig"], &[]),
];

/// Programs named behind `#!`, by how their names begin.
const INTERPRETERS: [(&str, &str); 8] = [
    ("bash", "Bash"),
    ("sh", "Bash"),
    ("zsh", "Bash"),
    ("python", "Python"),
    ("node", "JavaScript"),
    ("perl", "Perl"),
    ("ruby", "Ruby"),
    ("Rscript", "R"),
];

/// The language of a file by its name, else by its first line.
pub(super) fn of(path: &Path, text: &str) -> Option<&'static str> {
    let name = path.file_name()?.to_str()?;
    let extension = path
        .extension()
        .map(|extension| extension.to_string_lossy().to_lowercase());
    let named = LANGUAGES.iter().find(|(_, extensions, names)| {
        let by_extension = extension
            .as_deref()
            .is_some_and(|extension| extensions.contains(&extension));
        names.contains(&name) || by_extension
    });
    named
        .map(|(language, ..)| *language)
        .or_else(|| by_interpreter(text))
}

fn by_interpreter(text: &str) -> Option<&'static str> {
    let line = text.lines().next()?.strip_prefix("#!")?;
    let mut words = line.split_whitespace();
    let program = words.next()?.rsplit('/').next()?;
    let program = match program {
        "env" => words.find(|word| !word.starts_with('-'))?,
        program => program,
    };
    INTERPRETERS
        .iter()
        .find(|(name, _)| program.starts_with(name))
        .map(|(_, language)| *language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn languages_are_known_by_name_or_first_line() {
        let cases = [
            ("a/b.rs", "", Some("Rust")),
            ("Makefile", "", Some("Makefile")),
            ("x.PY", "", Some("Python")),
            ("run", "#!/usr/bin/env python3\n", Some("Python")),
            ("run", "#!/bin/sh -e\n", Some("Bash")),
            ("run", "#!/usr/bin/env -S node --x\n", Some("JavaScript")),
            ("notes", "hello", None),
        ];
        for (path, text, language) in cases {
            assert_eq!(of(Path::new(path), text), language, "{path}");
        }
    }
}
