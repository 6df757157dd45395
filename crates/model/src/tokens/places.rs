//! Where the places of a batch stand: in their texts, and at the ends of these.

use super::{Convention, Span, Tokens, beginnings};

impl Tokens {
    /// The position of each place that is read now, row by row, `batch * length` numbers.
    ///
    /// In the convention of documents, positions begin at 0 in every document, branches go on from the place that they
    /// continue, padding after a document continues its count, and padding before the first is 0.
    pub fn positions(&self) -> Vec<u32> {
        let places = self.past as u32..(self.past + self.length()) as u32;
        if self.convention == Convention::Reference {
            return places
                .clone()
                .cycle()
                .take(self.batch() * places.len())
                .collect();
        }
        let mut positions = Vec::with_capacity(self.batch() * self.length());
        for row in self.spans.iter() {
            let mut spans = row.iter().zip(beginnings(row)).peekable();
            let mut last = None;
            for place in places.clone() {
                while let Some(span) = spans.next_if(|(span, _)| span.start <= place) {
                    last = Some(span);
                }
                positions.push(last.map_or(0, |(span, first)| first + place - span.start));
            }
        }
        positions
    }

    /// For each row the place of its first token of text, counted over the whole batch. (The reference takes the first
    /// place, padding or not.)
    pub fn first_places(&self) -> Vec<u32> {
        let (length, past) = (self.length() as u32, self.past as u32);
        let first = |row: &Vec<Span>| match self.convention {
            Convention::Reference => 0,
            Convention::Documents => row
                .first()
                .map_or(0, |span| span.start.saturating_sub(past))
                .min(length - 1),
        };
        self.spans
            .iter()
            .enumerate()
            .map(|(row, spans)| row as u32 * length + first(spans))
            .collect()
    }

    /// For each row the place of its last token of text among those read now, counted over the whole batch
    /// (`row * length + place`), or of its last place when the row has no text.
    pub fn last_places(&self) -> Vec<u32> {
        let (length, past) = (self.length() as u32, self.past as u32);
        let last = |row: &Vec<Span>| {
            row.last()
                .map_or(length, |span| span.end.saturating_sub(past))
                .clamp(1, length)
                - 1
        };
        self.spans
            .iter()
            .enumerate()
            .map(|(row, spans)| row as u32 * length + last(spans))
            .collect()
    }

    /// The place of [`Self::last_places`] where the convention is one of documents; the row's last place, padding or
    /// not, where it is the reference's.
    pub fn end_places(&self) -> Vec<u32> {
        match self.convention {
            Convention::Documents => self.last_places(),
            Convention::Reference => {
                let length = self.length() as u32;
                (1..=self.batch() as u32)
                    .map(|row| row * length - 1)
                    .collect()
            }
        }
    }

    /// The position of each place inside its document, whatever the convention; `None` for padding.
    pub(crate) fn text_positions(&self) -> Vec<Option<u32>> {
        let places = self.past as u32..(self.past + self.length()) as u32;
        let row = |row: &Vec<Span>| -> Vec<Option<u32>> {
            let first = beginnings(row);
            let of = |place: u32| {
                let mut spans = row.iter().zip(&first);
                let (span, first) = spans.find(|(span, _)| span.contains(place))?;
                Some(first + place - span.start)
            };
            places.clone().map(of).collect()
        };
        self.spans.iter().flat_map(row).collect()
    }

    /// For each row the place of the last token that is `end`, counted over the whole batch, or of its last token of
    /// text where there is none.
    pub(crate) fn ends(&self, end: u32) -> Vec<u32> {
        let length = self.length();
        let ids: Vec<i32> = self.ids.to_data().iter::<i32>().collect();
        let last = self.last_places();
        let rows = ids.chunks(length).zip(last).enumerate();
        rows.map(|(row, (ids, last))| {
            let reach = match self.convention {
                Convention::Documents => last as usize % length + 1,
                Convention::Reference => length,
            };
            let found = ids[..reach].iter().rposition(|id| *id == end as i32);
            found.map_or(last, |place| (row * length + place) as u32)
        })
        .collect()
    }

    /// What each place of its row counts in the mean of the row: text alone, or in the reference's convention all
    /// places where `text` is off. `batch * length` numbers whose sum in each row with text is 1.
    pub(crate) fn shares(&self, text: bool) -> Vec<f32> {
        let all = !text && self.convention == Convention::Reference;
        let places = self.text_positions();
        let counts = |at: &Option<u32>| all || at.is_some();
        let row = |row: &[Option<u32>]| {
            let count = row.iter().filter(|at| counts(at)).count();
            row.iter()
                .map(|at| if counts(at) { 1.0 / count as f32 } else { 0.0 })
                .collect::<Vec<_>>()
        };
        places.chunks(self.length()).flat_map(row).collect()
    }
}
