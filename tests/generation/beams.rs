//! Several answers: drawn, searched, stopped and told.

use std::ops::ControlFlow;

use finetune::model::generate::{Beams, Pieces};
use finetune::model::{Finish, Generator, Sampling, Stops};

use super::{ids, model, prompts};

#[test]
fn several_answers_are_drawn_and_each_is_a_draw_of_its_own() {
    let model = model("llama_grouped");
    let sampling = Sampling {
        temperature: 1.0,
        seed: 3,
        ..Sampling::default()
    };
    let generator = || {
        Generator::new(&model)
            .sampling(sampling.clone())
            .new_tokens(6)
    };
    let made = generator().answers(3).generate(&prompts()[..2]).unwrap();
    let asked: Vec<usize> = made.iter().map(|made| made.prompt).collect();
    assert_eq!(asked, [0, 0, 0, 1, 1, 1]);
    assert!(made[0].ids != made[1].ids && made[1].ids != made[2].ids);
    let again = generator()
        .answers(3)
        .batch(2)
        .generate(&prompts()[..2])
        .unwrap();
    assert_eq!(ids(&made), ids(&again));
    let error = Generator::new(&model)
        .answers(2)
        .generate(&prompts())
        .unwrap_err();
    assert!(
        error.to_string().contains("num_return_sequences is 2"),
        "{error}"
    );
}

#[test]
fn beams_may_be_drawn_stopped_by_strings_and_told() {
    let model = model("llama_grouped");
    let beams = Beams {
        count: 3,
        ..Beams::default()
    };
    let generator = || Generator::new(&model).beams(beams).answers(3).new_tokens(8);
    let draw = |seed, batch| {
        let sampling = Sampling {
            temperature: 1.5,
            seed,
            ..Sampling::default()
        };
        generator()
            .sampling(sampling)
            .batch(batch)
            .generate(&prompts())
            .unwrap()
    };
    assert_eq!(ids(&draw(1, 64)), ids(&draw(1, 1)));
    assert_ne!(ids(&draw(1, 64)), ids(&draw(2, 64)));

    let mut told = vec![Vec::new(); 12];
    let mut tell = |answer: usize, id| {
        told[answer].push(id);
        ControlFlow::Continue(())
    };
    let made = generator().stream(&prompts(), &mut tell).unwrap();
    assert_eq!(
        ids(&made),
        told.iter().map(Vec::as_slice).collect::<Vec<_>>()
    );
    for made in made.chunks(3) {
        let scores: Vec<f64> = made.iter().map(|made| made.score.unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
        for made in made {
            let sum: f64 = made.log_probs.iter().sum();
            assert!((sum / 8.0 - made.score.unwrap()).abs() < 1e-5);
        }
    }

    let id = made[0].ids[3];
    let stop = format!("<{id}>");
    let pieces = || -> Pieces<'_> { Box::new(|id| format!("<{id}>")) };
    let stops = Stops {
        tokens: vec![],
        strings: vec![stop.clone()],
    };
    let stopped = generator()
        .stops(stops)
        .decoder(&pieces)
        .generate(&prompts())
        .unwrap();
    assert!(stopped.iter().any(|made| made.finish == Finish::Stop));
    for made in stopped {
        let at = made.ids.iter().position(|other| *other == id);
        assert_eq!(at.is_some(), made.finish == Finish::Stop);
        assert!(at.is_none_or(|at| at + 1 == made.ids.len()), "{made:?}");
    }
}
