//! The named fields of a record: a map that shares its names with the records beside it.
//!
//! The rows of a file repeat their names. A map that owns its names spends most of a short row's time on copies of
//! them; here the rows of a file keep one list of names among them and a list of values each.

use std::collections::BTreeMap;
use std::iter::Zip;
use std::ops::Index;
use std::sync::Arc;
use std::{fmt, slice, vec};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The named fields of a record, in the order of their names. It is used as a `BTreeMap<String, Value>` is.
///
/// Names are looked up by bisection; adding or removing one moves those behind it, and takes a copy of the names if
/// other records share them. So a map of many fields is best collected at once.
///
/// ```
/// use finetune_data::document::Fields;
///
/// let mut fields = Fields::from([("text".to_string(), "One.".into()), ("page".to_string(), 3.into())]);
/// fields.insert("author".into(), "Ada".into());
/// assert!(fields.keys().eq(["author", "page", "text"]));
/// assert_eq!(fields["page"], 3);
/// assert_eq!(fields.remove("text"), Some("One.".into()));
/// ```
#[derive(Clone, Default)]
pub struct Fields {
    /// Sorted, none twice.
    names: Arc<Vec<String>>,
    /// One for each name.
    values: Vec<Value>,
}

impl Fields {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// Values with the names that they share with others: sorted, none twice, as many as there are values.
    pub(crate) fn sharing(names: Arc<Vec<String>>, values: Vec<Value>) -> Self {
        debug_assert!(names.is_sorted_by(|one, next| one < next));
        debug_assert_eq!(names.len(), values.len());
        Self { names, values }
    }

    /// The number of fields.
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// Whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value of a name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.position(name).ok().map(|at| &self.values[at])
    }

    /// The value of a name, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut Value> {
        self.position(name).ok().map(|at| &mut self.values[at])
    }

    /// Whether there is a field of this name.
    pub fn contains_key(&self, name: &str) -> bool {
        self.position(name).is_ok()
    }

    /// Sets a field; the value that it had before, if it was there.
    pub fn insert(&mut self, name: String, value: Value) -> Option<Value> {
        match self.position(&name) {
            Ok(at) => Some(std::mem::replace(&mut self.values[at], value)),
            Err(at) => {
                Arc::make_mut(&mut self.names).insert(at, name);
                self.values.insert(at, value);
                None
            }
        }
    }

    /// Takes a field out.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        let at = self.position(name).ok()?;
        Arc::make_mut(&mut self.names).remove(at);
        Some(self.values.remove(at))
    }

    /// Keeps the fields that are to be kept.
    pub fn retain(&mut self, mut keep: impl FnMut(&String, &mut Value) -> bool) {
        let fields = std::mem::take(self).into_iter();
        *self = fields
            .filter_map(|(name, mut value)| keep(&name, &mut value).then_some((name, value)))
            .collect();
    }

    /// The names, sorted.
    pub fn keys(&self) -> slice::Iter<'_, String> {
        self.names.iter()
    }

    /// The values, in the order of their names.
    pub fn values(&self) -> slice::Iter<'_, Value> {
        self.values.iter()
    }

    /// The values, in the order of their names, to be changed.
    pub fn values_mut(&mut self) -> slice::IterMut<'_, Value> {
        self.values.iter_mut()
    }

    /// The values alone, in the order of their names.
    pub fn into_values(self) -> vec::IntoIter<Value> {
        self.values.into_iter()
    }

    /// The names with their values, sorted.
    pub fn iter(&self) -> Zip<slice::Iter<'_, String>, slice::Iter<'_, Value>> {
        self.names.iter().zip(&self.values)
    }

    /// The names with their values, which can be changed, sorted.
    pub fn iter_mut(&mut self) -> Zip<slice::Iter<'_, String>, slice::IterMut<'_, Value>> {
        self.names.iter().zip(&mut self.values)
    }

    /// Where a name stands, or where it would.
    fn position(&self, name: &str) -> Result<usize, usize> {
        self.names
            .binary_search_by(|known| known.as_str().cmp(name))
    }
}

impl<Q: AsRef<str> + ?Sized> Index<&Q> for Fields {
    type Output = Value;

    /// The value of a name.
    ///
    /// # Panics
    ///
    /// If there is no field of this name.
    fn index(&self, name: &Q) -> &Value {
        let name = name.as_ref();
        self.get(name)
            .unwrap_or_else(|| panic!("no field {name:?} among {:?}", self.names))
    }
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl PartialEq for Fields {
    fn eq(&self, other: &Self) -> bool {
        let names = Arc::ptr_eq(&self.names, &other.names) || self.names == other.names;
        names && self.values == other.values
    }
}

impl PartialEq<BTreeMap<String, Value>> for Fields {
    fn eq(&self, other: &BTreeMap<String, Value>) -> bool {
        self.iter().eq(other)
    }
}

impl From<BTreeMap<String, Value>> for Fields {
    fn from(map: BTreeMap<String, Value>) -> Self {
        let (names, values) = map.into_iter().unzip();
        Self {
            names: Arc::new(names),
            values,
        }
    }
}

impl<const COUNT: usize> From<[(String, Value); COUNT]> for Fields {
    fn from(fields: [(String, Value); COUNT]) -> Self {
        fields.into_iter().collect()
    }
}

impl FromIterator<(String, Value)> for Fields {
    /// Of a name that comes twice the last value stays.
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(fields: I) -> Self {
        fields.into_iter().collect::<BTreeMap<_, _>>().into()
    }
}

impl Extend<(String, Value)> for Fields {
    fn extend<I: IntoIterator<Item = (String, Value)>>(&mut self, fields: I) {
        let before = std::mem::take(self).into_iter();
        *self = before.chain(fields).collect();
    }
}

impl IntoIterator for Fields {
    type Item = (String, Value);
    type IntoIter = Zip<vec::IntoIter<String>, vec::IntoIter<Value>>;

    fn into_iter(self) -> Self::IntoIter {
        Arc::unwrap_or_clone(self.names)
            .into_iter()
            .zip(self.values)
    }
}

impl<'a> IntoIterator for &'a Fields {
    type Item = (&'a String, &'a Value);
    type IntoIter = Zip<slice::Iter<'a, String>, slice::Iter<'a, Value>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Fields {
    type Item = (&'a String, &'a mut Value);
    type IntoIter = Zip<slice::Iter<'a, String>, slice::IterMut<'a, Value>>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

impl Serialize for Fields {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from)
    }
}
