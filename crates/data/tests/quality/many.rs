//! Many rows: time by their number and not its square, and a few bytes of memory for each.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use finetune_data::mapping::TextMapping;
use finetune_data::quality::{
    Against, AnyExample, AnyMapping, Duplicate, Duplicates, Inspection, Reason, Sample, Spool,
};
use finetune_data::{Loaders, OnError, Origin, PlainText};

/// Rows of one template, whose other words differ: any two are alike by 0.7, below the threshold, and a quarter of all
/// share each band. Every hundredth repeats the one before but for a word.
fn look_alikes(count: usize) -> Vec<PlainText> {
    let template: Vec<String> = (0..100).map(|word| format!("t{word}")).collect();
    let template = template.join(" ");
    let text = |number: usize| {
        let own: Vec<String> = (0..20).map(|word| format!("o{number}x{word}")).collect();
        format!("{template} {}", own.join(" "))
    };
    (0..count)
        .map(|number| PlainText {
            text: if number % 100 == 99 {
                text(number - 1).replacen("x15", "y15", 1)
            } else {
                text(number)
            },
            origin: Origin::new("template", number as u64 + 1),
        })
        .collect()
}

fn found(rows: &[PlainText], settings: &Duplicates) -> Vec<(u64, u64)> {
    let samples: Vec<Sample<'_>> = rows.iter().map(Sample::from).collect();
    let found = settings.find(&samples).unwrap();
    let mut pairs: Vec<(u64, u64)> = found
        .iter()
        .zip(rows)
        .filter_map(|(found, row)| {
            let of = found.map(Duplicate::of)?;
            Some((row.origin.place, rows[of].origin.place))
        })
        .collect();
    pairs.sort_unstable();
    pairs
}

/// By the square of the rows of a bucket these were 14 million comparisons for each of 18 bands.
#[test]
fn look_alike_rows_take_time_by_their_number() {
    let mut rows = look_alikes(20_000);
    let begun = Instant::now();
    let pairs = found(&rows, &Duplicates::default());
    let taken = begun.elapsed();
    println!("{taken:?}");
    assert!(taken < Duration::from_mins(2), "{taken:?}");
    // 111 of 121 runs are the same: with 18 bands such a pair is hardly ever missed.
    let expected: Vec<(u64, u64)> = (1..=200).map(|pair| (100 * pair, 100 * pair - 1)).collect();
    let missed = expected.iter().filter(|pair| !pairs.contains(pair)).count();
    println!("{missed} of {} missed", expected.len());
    assert!(missed <= 1, "{missed} missed");
    assert!(pairs.iter().all(|pair| expected.contains(pair)));

    rows.reverse();
    rows.rotate_left(7_777);
    assert_eq!(found(&rows, &Duplicates::default()), pairs);
}

#[test]
fn an_inspection_of_look_alike_rows_ends() {
    let rows: Vec<AnyExample> = look_alikes(8_000).into_iter().map(Into::into).collect();
    let tests = look_alikes(1_000).into_iter().map(Into::into);
    let against = Against::default().test_examples(tests);
    let inspection = Inspection::default()
        .drop_for([Reason::NearDuplicate])
        .skipping([Reason::Language, Reason::Sensitive, Reason::Repetition]);
    let begun = Instant::now();
    let inspected = inspection.run(&rows, &against, None).unwrap();
    println!("{:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_mins(5));
    assert_eq!(inspected.report.findings[&Reason::Leak].rows, 1_000);
    assert!(inspected.report.funnel.dropped["near duplicate"] >= 79);
    // All are of one group, whose rows are like each other by half of their runs.
    assert_eq!(inspected.report.diversity.largest[0].rows, 8_000);
}

/// What a row may take, of any length: 200 bytes and the spare room of lists that grow.
const LIMIT: u64 = 400;

#[cfg(target_os = "linux")]
#[test]
fn a_row_takes_a_few_hundred_bytes_of_memory_however_long_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    let rows = std::env::var("INSPECT_ROWS").map_or(100_000, |rows| rows.parse().unwrap());
    let [few, many] = [rows / 4, rows].map(|rows| {
        write(&path, rows);
        alone(&path)
    });
    let each = many.saturating_sub(few) / (rows - rows / 4);
    println!(
        "{rows} rows: {:.0} MB in all, {each} bytes for each more",
        many as f64 / 1e6
    );
    assert!(each < LIMIT, "{each}");
}

/// Rows of 60 to 180 words, none like another.
fn write(path: &Path, rows: u64) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    for number in 0..rows {
        let words =
            (0..60 * (1 + number % 3)).map(|word| format!("w{}", number * 31 % 9_973 * (word + 7)));
        let text = words.collect::<Vec<_>>().join(" ");
        writeln!(file, "{{\"text\":\"{text}\"}}").unwrap();
    }
    file.flush().unwrap();
}

/// The peak of another process that inspects a file and does nothing else.
fn alone(path: &Path) -> u64 {
    let child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "many::inspects_alone",
            "--ignored",
            "--nocapture",
        ])
        .env("INSPECT_FILE", path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&child.stdout);
    let mut lines = text.lines();
    let peak = lines.find_map(|line| line.strip_prefix("peak ")?.parse().ok());
    peak.unwrap_or_else(|| panic!("{text}"))
}

#[test]
#[ignore = "runs in a process of its own"]
fn inspects_alone() {
    let Some(path) = std::env::var_os("INSPECT_FILE") else {
        return;
    };
    let mapping = AnyMapping::Text(TextMapping::default());
    let read = Spool::read(&Loaders::default(), &[path], &OnError::Stop, mapping);
    let (rows, _) = read.unwrap();
    let skip = [Reason::Language, Reason::Sensitive, Reason::Repetition];
    let mut inspection = Inspection::default().skipping(skip);
    // Diversity is measured on so many rows, whatever their number, and takes its memory at once.
    inspection.diversity.rows = 100;
    let inspected = inspection.run(&rows, &Against::default(), None).unwrap();
    assert!(inspected.report.funnel.kept > 0);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM"))
        .unwrap();
    let kilobytes: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    println!("\npeak {}", kilobytes * 1024);
}
