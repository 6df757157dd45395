//! One table of names: what each tensor of a checkpoint is called in the file, and where it lies in the model.
//!
//! The same table imports and exports. An entry says how the file stores a tensor (as it is, transposed, several
//! projections fused into one); the model always keeps projections apart, `[in, out]`.

use crate::head::Head;

/// How a file stores what the model keeps as `[in, out]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The same, element by element.
    Same,
    /// The other way round, `[out, in]`, as linear layers of PyTorch are.
    Transposed,
}

/// Which models have a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Every model of the family.
    Trunk,
    /// Models with this head; another model keeps the tensor and writes it back.
    Head(Head),
}

/// One tensor of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its names, without the prefix; the first is the one that new checkpoints get.
    pub names: Vec<String>,
    /// Whether the name stands behind the family's prefix.
    pub prefixed: bool,
    /// The model's parameters that it holds, one behind the other along the output.
    pub parts: Vec<String>,
    /// In how many runs each of them is cut: 1 where the parameters lie one behind the other, the number of heads where
    /// every head has its part of each.
    pub runs: usize,
    /// Into how many heads the file cuts its last dimension, which then are a dimension of their own.
    pub heads: Option<usize>,
    /// How it is stored.
    pub layout: Layout,
    /// Which models have it.
    pub owner: Owner,
}

/// A tensor that some files carry although it is another one again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// The name of the copy, with its prefix.
    pub name: String,
    /// The parameter of the model that it repeats.
    pub of: String,
}

/// The names of a family's tensors.
#[derive(Debug, Clone, Default)]
pub struct Names {
    prefix: String,
    depth: usize,
    owner: Option<Head>,
    bare: bool,
    entries: Vec<Entry>,
    copies: Vec<Copy>,
    kept: Vec<String>,
    unprefixed: Option<Head>,
}

impl Entry {
    /// Whether a model with this head has the tensor.
    pub fn belongs_to(&self, head: Head) -> bool {
        match self.owner {
            Owner::Trunk => true,
            Owner::Head(owner) => owner == head,
        }
    }
}

impl Names {
    /// An empty table.
    ///
    /// # Arguments
    /// - `prefix`: what the reference puts before the names of the trunk, such as `model`; files of a bare trunk lack it
    /// - `depth`: number of blocks; an entry with `{}` in its name stands for one per block
    pub fn new(prefix: &str, depth: usize) -> Self {
        Self {
            prefix: prefix.to_owned(),
            depth,
            ..Self::default()
        }
    }

    /// Models with this head have no prefix in new files.
    pub fn without_prefix(mut self, head: Head) -> Self {
        self.unprefixed = Some(head);
        self
    }

    /// Whether models with this head have the prefix in new files; the reference's bare trunks have none.
    pub fn prefixes(&self, head: Head) -> bool {
        head != Head::Trunk && self.unprefixed != Some(head)
    }

    /// What follows belongs to models with this head.
    pub fn head(mut self, head: Head) -> Self {
        self.owner = Some(head);
        self
    }

    /// What follows has another number of blocks.
    pub fn blocks(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }

    /// What follows stands without the prefix.
    pub fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// A linear layer stored `[out, in]`: its weight, and its bias where the model has one.
    pub fn linear(self, name: &str, path: &str) -> Self {
        self.projections(name, &[path], Layout::Transposed)
    }

    /// One or several linear layers stored as one, behind each other along the output.
    pub fn projections(self, name: &str, paths: &[&str], layout: Layout) -> Self {
        let weights: Vec<String> = paths.iter().map(|path| format!("{path}.weight")).collect();
        let biases: Vec<String> = paths.iter().map(|path| format!("{path}.bias")).collect();
        self.entry(&[&format!("{name}.weight")], &weights, layout)
            .entry(&[&format!("{name}.bias")], &biases, Layout::Same)
    }

    /// Several linear layers stored as one, `[out, in]`, behind each other along the output.
    pub fn fused(self, name: &str, paths: &[&str]) -> Self {
        self.projections(name, paths, Layout::Transposed)
    }

    /// Several linear layers stored as one, `[out, in]`: of every head its part of the first, of the second, ….
    pub fn interleaved(mut self, name: &str, paths: &[&str], heads: usize) -> Self {
        let begin = self.entries.len();
        self = self.projections(name, paths, Layout::Transposed);
        for entry in &mut self.entries[begin..] {
            entry.runs = heads;
        }
        self
    }

    /// The weight of a linear layer whose features on one side are those of attention heads, which the file keeps
    /// apart: `[in, heads, width]` where they are the output, `[out, heads, width]` where they are the input and the
    /// layout is the other way round.
    pub fn headed(mut self, name: &str, path: &str, layout: Layout, heads: usize) -> Self {
        let begin = self.entries.len();
        self = self.entry(&[name], &[format!("{path}.weight")], layout);
        for entry in &mut self.entries[begin..] {
            entry.heads = Some(heads);
        }
        self
    }

    /// A norm: its weight, and its bias where the model has one. Old files call them gamma and beta.
    pub fn norm(self, name: &str, path: &str) -> Self {
        let [weight, gamma] = ["weight", "gamma"].map(|last| format!("{name}.{last}"));
        let [bias, beta] = ["bias", "beta"].map(|last| format!("{name}.{last}"));
        self.entry(
            &[&weight, &gamma],
            &[format!("{path}.weight")],
            Layout::Same,
        )
        .entry(&[&bias, &beta], &[format!("{path}.bias")], Layout::Same)
    }

    /// A tensor that is stored as it is, of any rank.
    pub fn same(self, name: &str, path: &str) -> Self {
        self.any_of(&[name], path)
    }

    /// A tensor that is stored as it is, under one of several names; new files have the first.
    pub fn any_of(self, names: &[&str], path: &str) -> Self {
        self.entry(names, &[path.to_owned()], Layout::Same)
    }

    /// A tensor that some files carry although it is the same as a parameter of the model.
    pub fn copy(mut self, name: &str, of: &str) -> Self {
        self.copies.push(Copy {
            name: name.to_owned(),
            of: of.to_owned(),
        });
        self
    }

    /// Tensors that no model here uses and that are kept and written back. `{}` stands for any text.
    pub fn keep(mut self, patterns: &[&str]) -> Self {
        self.kept.extend(patterns.iter().map(ToString::to_string));
        self
    }

    fn entry(mut self, names: &[&str], parts: &[String], layout: Layout) -> Self {
        let blocks = if names[0].contains("{}") {
            self.depth
        } else {
            1
        };
        let owner = self.owner.map_or(Owner::Trunk, Owner::Head);
        for block in 0..blocks {
            let fill = |text: &str| text.replace("{}", &block.to_string());
            self.entries.push(Entry {
                names: names.iter().map(|name| fill(name)).collect(),
                prefixed: !self.bare,
                parts: parts.iter().map(|part| fill(part)).collect(),
                runs: 1,
                heads: None,
                layout,
                owner,
            });
        }
        self
    }

    /// Every entry.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Every tensor that repeats another one.
    pub fn copies(&self) -> &[Copy] {
        &self.copies
    }

    /// What stands before the names of the trunk.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The names that an entry may have in a file, the likeliest first.
    pub fn spellings(&self, entry: &Entry, with_prefix: bool) -> Vec<String> {
        let prefix = if entry.prefixed && with_prefix && !self.prefix.is_empty() {
            format!("{}.", self.prefix)
        } else {
            String::new()
        };
        let spell = |name: &String| format!("{prefix}{name}");
        entry.names.iter().map(spell).collect()
    }

    /// Whether the table says that a tensor which no parameter claims is to be kept.
    pub fn keeps(&self, name: &str) -> bool {
        let bare = name
            .strip_prefix(&format!("{}.", self.prefix))
            .unwrap_or(name);
        let fits = |pattern: &String| matches(pattern, name) || matches(pattern, bare);
        self.kept.iter().any(fits)
    }
}

/// Whether a name fits a pattern, in which `{}` stands for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split("{}");
    let first = parts.next().unwrap_or("");
    let Some(mut rest) = name.strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(place) => rest = &rest[place + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_names() {
        assert!(matches("a.{}.bias", "a.3.bias"));
        assert!(matches("cls.{}", "cls.predictions.bias"));
        assert!(matches("h.{}.attn.bias", "h.0.attn.bias"));
        assert!(!matches("h.{}.attn.bias", "h.0.attn.bias2"));
        assert!(matches("x", "x"));
        assert!(!matches("x", "xy"));
        assert!(!matches("a.{}", "b.c"));
    }

    #[test]
    fn entries_stand_for_every_block_and_know_their_prefix() {
        let names = Names::new("model", 2)
            .linear("layers.{}.q_proj", "stack.blocks.{}.attention.query")
            .bare()
            .head(Head::Causal)
            .linear("lm_head", "head");
        assert_eq!(names.entries().len(), 6);
        let second = &names.entries()[1];
        assert_eq!(
            names.spellings(second, true),
            ["model.layers.1.q_proj.weight"]
        );
        assert_eq!(names.spellings(second, false), ["layers.1.q_proj.weight"]);
        assert_eq!(second.parts, ["stack.blocks.1.attention.query.weight"]);
        let head = &names.entries()[4];
        assert_eq!(names.spellings(head, true), ["lm_head.weight"]);
        assert_eq!(head.owner, Owner::Head(Head::Causal));
    }
}
