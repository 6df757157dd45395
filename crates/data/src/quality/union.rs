//! Disjoint sets of indexes.

pub(crate) struct Union {
    parents: Vec<usize>,
}

impl Union {
    /// Every index alone.
    pub(crate) fn new(length: usize) -> Self {
        Self {
            parents: (0..length).collect(),
        }
    }

    pub(crate) fn root(&mut self, mut index: usize) -> usize {
        while self.parents[index] != index {
            self.parents[index] = self.parents[self.parents[index]];
            index = self.parents[index];
        }
        index
    }

    pub(crate) fn join(&mut self, left: usize, right: usize) {
        let (left, right) = (self.root(left), self.root(right));
        self.parents[left.max(right)] = left.min(right);
    }

    /// For each index its set, named by one of its members.
    pub(crate) fn roots(&mut self) -> Vec<usize> {
        (0..self.parents.len())
            .map(|index| self.root(index))
            .collect()
    }

    /// For each index the least of its set by a key.
    pub(crate) fn firsts<K: Ord>(&mut self, key: impl Fn(usize) -> K) -> Vec<usize> {
        let roots = self.roots();
        let mut least: Vec<usize> = roots.clone();
        for (index, &root) in roots.iter().enumerate() {
            if index != least[root] && key(index) < key(least[root]) {
                least[root] = index;
            }
        }
        roots.into_iter().map(|root| least[root]).collect()
    }
}
