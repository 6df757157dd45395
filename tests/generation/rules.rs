//! What holds for any scores and any settings.

use finetune::model::generate::{Rules, Text};
use finetune::model::{Noise, Sampling};
use proptest::prelude::*;

const VOCABULARY: usize = 24;

fn scores() -> impl Strategy<Value = Vec<f32>> {
    // Few different values, so that equals are common.
    let score = prop_oneof![
        (-40i32..40).prop_map(|n| n as f32 / 8.0),
        Just(f32::NEG_INFINITY)
    ];
    proptest::collection::vec(score, VOCABULARY).prop_filter("something can come", |scores| {
        scores.iter().any(|s| s.is_finite())
    })
}

fn shares() -> impl Strategy<Value = Sampling> {
    let share = || prop_oneof![Just(1.0), 0.01f64..1.0];
    let cutoff = || prop_oneof![Just(0.0), 0.0f64..0.5];
    let top_k = prop_oneof![Just(None), (1usize..30).prop_map(Some)];
    (
        0.2f64..3.0,
        top_k,
        share(),
        cutoff(),
        share(),
        cutoff(),
        cutoff(),
    )
        .prop_map(
            |(temperature, top_k, top_p, min_p, typical_p, epsilon_cutoff, eta_cutoff)| Sampling {
                temperature,
                top_k,
                top_p,
                min_p,
                typical_p,
                epsilon_cutoff,
                eta_cutoff,
                ..Sampling::default()
            },
        )
}

fn rules() -> impl Strategy<Value = Rules> {
    let tokens = || proptest::collection::vec(0..VOCABULARY as u32, 0..4);
    let runs = proptest::collection::vec(proptest::collection::vec(0..6u32, 1..4), 0..4);
    (runs, 0usize..4, tokens(), tokens(), 0usize..5).prop_map(
        |(bad_words_ids, size, suppress_tokens, begin_suppress_tokens, min_new_tokens)| Rules {
            bad_words_ids,
            no_repeat_ngram_size: size,
            suppress_tokens,
            begin_suppress_tokens,
            min_new_tokens,
            ..Rules::default()
        },
    )
}

fn text(context: &[u32]) -> Text<'_> {
    Text {
        prompt: &context[..1],
        context,
        opening: 1,
        limit: 100,
        ends: &[5],
    }
}

proptest! {
    #[test]
    fn cutting_leaves_a_token_and_the_order(scores in scores(), sampling in shares(), keep in 1usize..4) {
        let mut left = scores.clone();
        sampling.process(&mut left, &text(&[1]), keep);
        let open = |scores: &[f32]| scores.iter().filter(|s| **s > f32::NEG_INFINITY).count();
        prop_assert!(open(&left) >= keep.min(open(&scores)), "{left:?}");
        for (before, after) in scores.iter().zip(&left) {
            prop_assert!(*before > f32::NEG_INFINITY || *after == f32::NEG_INFINITY);
            // What stays is divided by the temperature and nothing else.
            let heated = before / sampling.temperature as f32;
            prop_assert!(*after == f32::NEG_INFINITY || *after == heated);
        }
    }

    #[test]
    fn what_is_forbidden_is_never_chosen(
        scores in scores(), mut sampling in shares(), rules in rules(), greedy: bool,
        written in proptest::collection::vec(0..6u32, 0..12), step: u64,
    ) {
        sampling.rules = rules;
        if greedy {
            sampling.temperature = 0.0;
        }
        let context = [&[2], written.as_slice()].concat();
        let noise = Noise::new(1, step, 0);
        let Some(id) = sampling.choose(&mut scores.clone(), &text(&context), noise) else {
            return Ok(());
        };
        let rules = &sampling.rules;
        prop_assert!(scores[id as usize] > f32::NEG_INFINITY);
        prop_assert!(!rules.suppress_tokens.contains(&id));
        prop_assert!(!(written.is_empty() && rules.begin_suppress_tokens.contains(&id)));
        prop_assert!(!(id == 5 && written.len() < rules.min_new_tokens));
        let whole = [context.as_slice(), &[id]].concat();
        for run in rules.bad_words_ids.iter().filter(|run| **run != [5]) {
            prop_assert!(!whole.ends_with(run), "{run:?} ends {whole:?}");
        }
        let size = rules.no_repeat_ngram_size;
        if size > 0 && whole.len() >= size {
            let last = &whole[whole.len() - size..];
            prop_assert!(!context.windows(size).any(|run| run == last));
        }
        let again = sampling.choose(&mut scores.clone(), &text(&context), noise);
        prop_assert_eq!(again, Some(id));
    }
}
