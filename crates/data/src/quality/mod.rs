//! What is good in a data set and what is not: reports, and filters made of them.
//!
//! ```text
//! files ──AnyMapping──▶ Spool: rows on disk ──Inspection──▶ Inspected: which rows stay, and a DataReport (text, JSON, HTML)
//! test data, benchmark items ──▶ Against ─────┘     └──Keep──▶ the rows that stay, masked, as JSON lines
//! Encoder ────────────────────────────────────┘
//! ```
//!
//! Every check can be made alone ([`Duplicates`], [`Language`], [`Sensitive`], …), and [`Inspection`] makes them all. A
//! check only reports, until its [`Reason`] is named as one for which rows are dropped. Nothing here depends on the
//! order of the rows or on the number of threads.

mod against;
mod any;
mod boilerplate;
mod contamination;
mod debris;
mod disagreement;
mod diversity;
mod duplicates;
mod encoded;
mod faults;
mod funnel;
mod inspection;
mod keep;
mod language;
mod leakage;
mod length;
mod mask;
mod neighbours;
mod prints;
mod prose;
mod repetition;
mod report;
mod rows;
mod sample;
mod sensitive;
mod sketch;
mod spool;
mod union;
mod words;

pub use against::{Against, Benchmark};
pub use any::{AnyExample, AnyMapping};
pub use boilerplate::{Boilerplate, Frames};
pub use contamination::{Contamination, Overlap, Overlaps};
pub use debris::{Debris, DebrisFinder, DebrisLimits};
pub use disagreement::{Conflict, conflicts};
pub use diversity::{Diversity, DiversityReport, Group, LabelCount};
pub use duplicates::{Duplicate, Duplicates, clusters};
pub use encoded::{EncodedRow, ShownRow};
pub use faults::Faults;
pub use funnel::{Example, Found, Funnel, Reason};
pub use inspection::{Inspected, Inspection};
pub use keep::{Keep, Kept};
pub use language::{Language, UNKNOWN};
pub use leakage::Leak;
pub use length::{Histogram, Length, Measured};
pub use prose::{Prose, ProseLimits};
pub use repetition::{Repetition, RepetitionLimits};
pub use report::{DataReport, LeakedPair};
pub use rows::Rows;
pub use sample::{Sample, Target};
pub use sensitive::{Finding, Kind, Sensitive};
pub use spool::Spool;
pub use words::words;
