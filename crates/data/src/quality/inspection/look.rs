//! What a row shows by itself.

use std::collections::{BTreeMap, BTreeSet};

use super::super::against::Against;
use super::super::any::AnyExample;
use super::super::boilerplate::line_hashes;
use super::super::contamination::{Items, Overlap};
use super::super::debris::{Debris, DebrisFinder};
use super::super::disagreement::Told;
use super::super::encoded::EncodedRow;
use super::super::funnel::Reason;
use super::super::leakage::{Leak, Tests};
use super::super::length::Measured;
use super::super::prints::Print;
use super::super::prose::Prose;
use super::super::repetition::Repetition;
use super::super::sample::Sample;
use super::super::sensitive::{Kind, Sensitive};
use super::super::sketch::Sketch;
use super::super::words::shingles;
use super::Inspection;
use crate::encode::Encoder;
use crate::error::Result;

/// Looks at rows: the settings, with what they are made into once.
pub(super) struct Looker<'a> {
    pub(super) settings: &'a Inspection,
    /// The reasons that are looked for.
    pub(super) reasons: BTreeSet<Reason>,
    /// What is masked in the report: everything, whatever is looked for.
    pub(super) masks: Sensitive,
    pub(super) encoder: Option<&'a Encoder>,
    pub(super) tests: Tests<'a>,
    pub(super) items: Items<'a>,
    /// Whose items these are.
    pub(super) against: &'a Against,
    stops: Vec<u32>,
    debris: DebrisFinder,
    kinds: Sensitive,
    pub(super) sketch: Sketch,
}

/// What was seen of a row.
pub(super) struct Looked {
    pub(super) measured: Measured,
    pub(super) language: &'static str,
    pub(super) debris: Debris,
    pub(super) sensitive: BTreeMap<Kind, u64>,
    pub(super) faults: BTreeMap<Reason, String>,
    pub(super) encoded: Option<EncodedRow>,
    pub(super) leak: Option<Leak>,
    pub(super) overlaps: Vec<Overlap>,
    pub(super) print: Print,
    pub(super) told: Told,
    /// Hashes of its lines.
    pub(super) lines: Vec<u64>,
}

impl<'a> Looker<'a> {
    pub(super) fn new(
        settings: &'a Inspection,
        tests: &'a [Sample<'a>],
        items: &'a [Sample<'a>],
        (against, encoder): (&'a Against, Option<&'a Encoder>),
    ) -> Result<Self> {
        let sketch = settings.duplicates.sketch();
        Ok(Self {
            reasons: settings.looked_for(!tests.is_empty(), !items.is_empty(), encoder.is_some()),
            masks: Sensitive::default(),
            tests: Tests::new(&settings.duplicates, &sketch, tests),
            items: Items::new(&settings.contamination, items)?,
            stops: encoder.map_or_else(Vec::new, Encoder::stops),
            debris: DebrisFinder::default(),
            kinds: settings.kinds(),
            settings,
            against,
            encoder,
            sketch,
        })
    }

    pub(super) fn makes(&self, reason: Reason) -> bool {
        self.reasons.contains(&reason)
    }

    /// Whether rows are compared with each other for what is nearly equal. Rows with labels contradict each other where
    /// their texts are.
    pub(super) fn compares(&self) -> bool {
        self.makes(Reason::NearDuplicate) || self.makes(Reason::Disagreement)
    }

    pub(super) fn look(&self, example: &AnyExample) -> Looked {
        let sample = Sample::from(example);
        let text = &*sample.text;
        let set = if self.compares() || self.makes(Reason::Leak) {
            shingles(text, self.settings.duplicates.words)
        } else {
            Vec::new()
        };
        let keys = self.sketch.keys(&set);
        let mut looked = Looked {
            measured: Measured::of(text),
            language: self.settings.language.of(text),
            debris: self.debris.count(text),
            sensitive: BTreeMap::new(),
            faults: BTreeMap::new(),
            encoded: None,
            leak: None,
            overlaps: Vec::new(),
            print: Print::new(text, if self.compares() { &keys } else { &[] }),
            told: Told::of(&sample.target),
            lines: Vec::new(),
        };
        if self.makes(Reason::Sensitive) {
            for finding in self.kinds.find(text) {
                *looked.sensitive.entry(finding.kind).or_default() += 1;
            }
        }
        if self.makes(Reason::Boilerplate) {
            looked.lines = line_hashes(text);
        }
        self.texts(text, &mut looked);
        self.against(&sample, &set, &keys, &mut looked);
        self.encode(example, &mut looked);
        looked
    }

    /// The faults of the text alone.
    fn texts(&self, text: &str, looked: &mut Looked) {
        let (settings, prose) = (self.settings, Prose::of(text));
        let names = looked.sensitive.keys().map(|kind| kind.placeholder());
        let names: Vec<&str> = names.collect();
        let language = looked.language;
        let unwanted = || (!settings.language.wants(language)).then(|| language.to_owned());
        let (debris, measured) = (looked.debris, looked.measured);
        let checks: [(Reason, &dyn Fn() -> Option<String>); 6] = [
            (Reason::Language, &unwanted),
            (Reason::Length, &|| settings.length.fault(measured)),
            (Reason::Debris, &|| {
                settings.debris.fault(debris, measured.characters)
            }),
            (Reason::Repetition, &|| {
                settings
                    .repetition
                    .fault(&Repetition::of(text), prose.words)
            }),
            (Reason::Prose, &|| settings.prose.fault(&prose)),
            (Reason::Sensitive, &|| {
                (!names.is_empty()).then(|| names.join(" "))
            }),
        ];
        let made = checks.into_iter().filter(|(reason, _)| self.makes(*reason));
        let faults = made.filter_map(|(reason, check)| Some((reason, check()?)));
        let faults: Vec<(Reason, String)> = faults.collect();
        looked.faults.extend(faults);
    }

    /// Test data and benchmark items in the row.
    fn against(&self, sample: &Sample<'_>, set: &[u64], keys: &[u64], looked: &mut Looked) {
        if self.makes(Reason::Leak)
            && let Some(leak) = self.tests.leak(&sample.text, set, keys)
        {
            let origin = self.tests.rows()[leak.test].origin;
            let detail = format!("{origin}, similarity {:.2}", leak.similarity);
            looked.faults.insert(Reason::Leak, detail);
            looked.leak = Some(leak);
        }
        if self.makes(Reason::Contaminated) {
            looked.overlaps = self.items.search(0, sample);
            // The item with the longest run comes first.
            if let Some(overlap) = looked.overlaps.first() {
                let detail = format!("{} words of {}", overlap.words, overlap.item_origin);
                looked.faults.insert(Reason::Contaminated, detail);
            }
        }
    }

    /// What encoding does to the row.
    fn encode(&self, example: &AnyExample, looked: &mut Looked) {
        let Some(encoder) = self.encoder else { return };
        let row = EncodedRow::of(encoder, &self.stops, example);
        let report = &row.report;
        let fault = || {
            let fault = row.fault.as_ref().map(|fault| self.masks.mask(fault).0);
            fault.unwrap_or_else(|| "nothing of it is learned".into())
        };
        let found = [
            (Reason::Unencodable, (report.untrainable > 0).then(fault)),
            (
                Reason::Truncated,
                row.truncated()
                    .then(|| format!("{} tokens", report.longest)),
            ),
            (
                Reason::Endless,
                row.endless.then(|| "no end is learned".into()),
            ),
            (
                Reason::ControlTokens,
                (report.spelt_controls > 0).then(|| format!("{} spelt out", report.spelt_controls)),
            ),
        ];
        for (reason, detail) in found {
            if let Some(detail) = detail.filter(|_| self.makes(reason)) {
                looked.faults.insert(reason, detail);
            }
        }
        looked.encoded = Some(row);
    }
}
