use super::*;

const TEXT: Text<'_> = Text {
    prompt: &[],
    context: &[],
    opening: 0,
    limit: 64,
    ends: &[],
};

fn counts(sampling: &Sampling, logits: &[f32]) -> Vec<usize> {
    let mut counts = vec![0; logits.len()];
    for step in 0..20_000 {
        let noise = Noise::new(3, step, 0);
        let id = sampling.choose(&mut logits.to_vec(), &TEXT, noise).unwrap();
        counts[id as usize] += 1;
    }
    counts
}

#[test]
fn greedy_takes_the_first_of_equals() {
    let choose =
        |logits: &[f32]| Sampling::default().choose(&mut logits.to_vec(), &TEXT, Noise::off());
    assert_eq!(choose(&[0.5, 2.0, 2.0, 1.0]), Some(1));
    assert_eq!(choose(&[f32::NEG_INFINITY; 3]), None);
}

#[test]
fn drawn_shares_follow_the_softmax() {
    let sampling = Sampling {
        temperature: 0.5,
        ..Sampling::default()
    };
    let logits = [0.0_f32, 0.5, 1.0];
    let weights: Vec<f64> = logits.iter().map(|l| (f64::from(*l) / 0.5).exp()).collect();
    let total: f64 = weights.iter().sum();
    for (count, weight) in counts(&sampling, &logits).iter().zip(&weights) {
        assert!(
            (*count as f64 / 20_000.0 - weight / total).abs() < 0.015,
            "{count} of 20000, expected {}",
            weight / total
        );
    }
}

#[test]
fn what_is_cut_is_never_drawn() {
    let logits = [3.0_f32, 2.0, 1.0, 0.0]; // softmax: .644 .237 .087 .032
    let warm = Sampling {
        temperature: 1.0,
        ..Sampling::default()
    };
    let table = [
        (
            Sampling {
                top_k: Some(2),
                ..warm.clone()
            },
            2,
        ),
        (
            Sampling {
                top_p: 0.85,
                ..warm.clone()
            },
            2,
        ),
        (
            Sampling {
                top_p: 0.01,
                ..warm.clone()
            },
            1,
        ),
        (
            Sampling {
                min_p: 0.3,
                ..warm.clone()
            },
            2,
        ),
        (
            Sampling {
                epsilon_cutoff: 0.05,
                ..warm.clone()
            },
            3,
        ),
        (
            Sampling {
                epsilon_cutoff: 0.9,
                ..warm.clone()
            },
            1,
        ),
    ];
    for (sampling, left) in table {
        let counts = counts(&sampling, &logits);
        let drawn = counts.iter().filter(|count| **count > 0).count();
        assert_eq!(drawn, left, "{sampling:?}: {counts:?}");
    }
}

#[test]
fn bad_settings_are_named() {
    let sampling = Sampling {
        temperature: f64::NAN,
        top_k: Some(0),
        top_p: 0.0,
        min_p: 2.0,
        typical_p: -1.0,
        epsilon_cutoff: 1.0,
        eta_cutoff: f64::INFINITY,
        repetition_penalty: -1.0,
        rules: Rules {
            encoder_repetition_penalty: 0.0,
            bad_words_ids: vec![vec![1, 9], vec![]],
            forced_bos_token_id: Some(7),
            forced_eos_token_id: vec![8],
            exponential_decay_length_penalty: Some((1, 0.0)),
            suppress_tokens: vec![7],
            begin_suppress_tokens: vec![7],
            ..Rules::default()
        },
        seed: 0,
    };
    let problems = sampling.problems(7);
    let expected = [
        "temperature",
        "top_p",
        "typical_p",
        "min_p",
        "epsilon_cutoff",
        "eta_cutoff",
        "repetition_penalty",
        "encoder_repetition_penalty",
        "top_k",
        "bad_words_ids",
        "forced_bos_token_id",
        "forced_eos_token_id",
        "suppress_tokens",
        "begin_suppress_tokens",
        "bad_words_ids",
        "exponential_decay_length_penalty",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, name) in problems.iter().zip(expected) {
        assert!(problem.starts_with(name), "{problem}, expected {name}");
    }
    assert!(Sampling::default().problems(7).is_empty());
}
