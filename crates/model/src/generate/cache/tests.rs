use super::*;
use crate::tokens::Convention;
use burn::tensor::{Device, TensorData};

fn tokens(past: usize, length: usize) -> Tokens {
    let device = Device::default();
    let ids = Tensor::zeros([2, length], &device);
    Tokens {
        ids,
        kinds: None,
        spans: vec![Vec::new(); 2].into(),
        past,
        convention: Convention::Documents,
    }
}

/// Two rows of places that hold their own number, the second row from 1000.
fn numbers(from: usize, length: usize) -> Tensor<4> {
    let row = |start: usize| (start..start + length).map(|i| i as f32);
    let values: Vec<f32> = row(from).chain(row(1000 + from)).collect();
    Tensor::from_data(
        TensorData::new(values, [2, length, 1, 1]),
        &Device::default(),
    )
}

fn read(tensor: &Tensor<4>) -> Vec<f32> {
    tensor.to_data().try_to_vec::<f32>().unwrap()
}

/// Reads `step` more places; checks that all that can be seen comes back.
fn grow(cache: &mut Cache, step: usize, window: Option<usize>) {
    let begin = cache.len();
    cache.begin(&tokens(begin, step), 1);
    let layer = cache.layer(0, step, window);
    let first = layer.first();
    let new = numbers(begin, step);
    let (key, value) = layer.extend(new.clone(), new * 2.0);
    let expected = numbers(first, begin + step - first);
    assert_eq!(
        read(&key),
        read(&expected),
        "{begin} and {step}, {window:?}"
    );
    assert_eq!(read(&value), read(&(expected * 2.0)));
}

#[test]
fn growing_step_by_step_keeps_every_place_that_can_be_seen() {
    for window in [None, Some(1), Some(2), Some(3), Some(5), Some(100)] {
        for room in [0, 3, 64] {
            let mut cache = Cache::with_room(room);
            for step in [3, 1, 1, 2, 1, 1, 1, 9, 1, 12, 1, 1, 1, 1, 1, 1, 1] {
                grow(&mut cache, step, window);
            }
            assert_eq!(cache.len(), 39);
        }
    }
}

#[test]
fn a_window_bounds_the_room() {
    let mut cache = Cache::with_room(4000);
    grow(&mut cache, 100, Some(16));
    for _ in 0..500 {
        grow(&mut cache, 1, Some(16));
        assert_eq!(cache.rooms(), [32]);
    }
}

#[test]
fn a_token_is_added_without_a_copy_of_what_is_there() {
    let wide = |length: usize| Tensor::<4>::zeros([1, length, 4, 64], &Device::default());
    let pass = |cache: &mut Cache, step: usize| {
        let begin = cache.len();
        let mut tokens = tokens(begin, step);
        tokens.ids = Tensor::zeros([1, step], &Device::default());
        cache.begin(&tokens, 1);
        let _ = cache.layer(0, step, None).extend(wide(step), wide(step));
    };
    // 64 MiB of keys and as many of values, which copied twenty times would take a tenth of a second or more.
    let mut cache = Cache::with_room(1 << 16);
    pass(&mut cache, 60_000);
    let times = (0..5).map(|_| {
        let start = std::time::Instant::now();
        (0..20).for_each(|_| pass(&mut cache, 1));
        start.elapsed()
    });
    let fastest = times.min().unwrap();
    assert!(fastest.as_millis() < 20, "20 tokens took {fastest:?}");
}

#[test]
fn rows_leave_and_others_enter() {
    for window in [None, Some(2), Some(4), Some(50)] {
        let (mut cache, mut more) = (Cache::new(), Cache::new());
        for step in [5, 1, 1] {
            grow(&mut cache, step, window);
        }
        grow(&mut more, 3, window);
        cache.select(&[1]);
        more.select(&[0]);
        // The first row keeps its last five places.
        cache.join(more, 5);
        cache.begin(&tokens(5, 1), 1);
        let layer = cache.layer(0, 1, window);
        let first = layer.first();
        let (key, _) = layer.extend(numbers(7, 1), numbers(7, 1));
        let own = [1002.0, 1003.0, 1004.0, 1005.0, 1006.0, 7.0];
        let new = [0.0, 0.0, 0.0, 1.0, 2.0, 1007.0];
        let seen = [&own[first..], &new[first..]].concat();
        assert_eq!(read(&key), seen, "{window:?}");
    }
}
