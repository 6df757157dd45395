//! Every family that continues a text, and T5: the golden tokens, with the cache and without it, alone and beside others.

use std::fs;
use std::path::{Path, PathBuf};

use finetune::model::blueprint::Predicts;
use finetune::model::generate::Autoregressive;
use finetune::model::{Checkpoint, Finish, Generated, Generator, Head};
use safetensors::{Dtype, SafeTensors};

use super::{device, farthest, without_cache};

/// The cases whose model has this head and golden tokens.
pub(super) fn cases(head: Head) -> Vec<PathBuf> {
    let folders = fs::read_dir("tests/reference").unwrap();
    let folders = folders.map(|entry| entry.unwrap().path());
    let mut cases: Vec<PathBuf> = folders
        .filter(|case| case.join("expected.safetensors").exists())
        .filter(|case| Checkpoint::open(case).unwrap().head() == Some(head))
        .collect();
    cases.sort();
    cases
}

/// The text of a case's first row, and the tokens that the reference writes after it.
pub(super) fn golden(case: &Path) -> (Vec<u32>, Vec<u32>) {
    let (inputs, expected) = ("inputs.safetensors", "expected.safetensors");
    let rows = ids(case, inputs, "input_ids").unwrap();
    let length = shape(case, inputs, "input_ids")[1];
    let mask = ids(case, inputs, "attention_mask").unwrap_or_else(|| vec![1; length]);
    let row = rows[..length].iter().zip(mask);
    let text = row.filter(|(_, real)| *real == 1).map(|(id, _)| *id);
    (text.collect(), ids(case, expected, "greedy").unwrap())
}

fn ids(case: &Path, file: &str, name: &str) -> Option<Vec<u32>> {
    let bytes = fs::read(case.join(file)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let view = file.tensor(name).ok()?;
    assert_eq!(view.dtype(), Dtype::I64, "{name}");
    let id = |bytes: &[u8]| i64::from_le_bytes(bytes.try_into().unwrap()) as u32;
    Some(view.data().chunks(8).map(id).collect())
}

fn shape(case: &Path, file: &str, name: &str) -> Vec<usize> {
    let bytes = fs::read(case.join(file)).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    file.tensor(name).unwrap().shape().to_vec()
}

/// The golden tokens alone, and as one row of three whose texts have unlike lengths.
///
/// # Returns
/// What was written alone.
pub(super) fn alone_and_beside<M: Autoregressive>(
    model: &M,
    (text, tokens): &(Vec<u32>, Vec<u32>),
    name: &str,
) -> Generated {
    let generator = || Generator::new(model).new_tokens(tokens.len());
    let alone = generator().generate(std::slice::from_ref(text)).unwrap();
    assert_eq!(alone[0].ids, *tokens, "{name}, alone");
    assert_eq!(alone[0].finish, Finish::Length, "{name}");
    let rows = [(10..30).collect(), text.clone(), vec![9]];
    let beside = generator().generate(&rows).unwrap();
    assert_eq!(beside[1].ids, *tokens, "{name}, as one row of three");
    let most = farthest(&alone[0].log_probs, &beside[1].log_probs);
    assert!(most < 1e-4, "{name}, as one row of three: {most}");
    alone[0].clone()
}

#[test]
fn every_family_writes_the_golden_tokens_with_the_cache_and_without_it() {
    let cases = cases(Head::Causal);
    assert!(cases.len() >= 29, "only {} cases", cases.len());
    for case in cases {
        let name = case.display().to_string();
        let checkpoint = Checkpoint::open(&case).unwrap();
        let model = checkpoint.causal_lm(&device()).unwrap();
        let golden = golden(&case);
        let alone = alone_and_beside(&model, &golden, &name);
        // A second stream asks what stands at an open place; what it remembers of a text changes what it says, so a
        // reading without memory is another model (`batches::texts_that_are_read_again_do_not_depend_on_their_batch`).
        if model.predicts() != Predicts::Next {
            continue;
        }
        let (tokens, log_probs) = without_cache(&model, &golden.0, golden.1.len());
        assert_eq!(tokens, golden.1, "{name}, without the cache");
        let most = farthest(&alone.log_probs, &log_probs);
        // A rotation that follows the length turns all of a longer text anew. A cache holds keys as they were turned
        // when they were read, as in the reference, so beyond the trained length the two are not the same arithmetic.
        let follows_the_length = checkpoint.config()["rope_parameters"]["rope_type"] == "dynamic";
        assert_eq!(
            most > 1e-4,
            follows_the_length,
            "{name}, without the cache: {most}"
        );
    }
}
