use super::*;

fn device() -> Device {
    Device::default()
}

fn span(start: u32, end: u32) -> Span {
    Span::new(start, end)
}

#[test]
fn rows_are_padded_by_place() {
    let rows = [vec![vec![1, 2, 3]], vec![vec![4], vec![5]]];
    let right = Tokens::new(&rows, Some(4), Side::Right, 9, &device()).unwrap();
    assert_eq!(
        right.ids.to_data().iter::<i32>().collect::<Vec<_>>(),
        [1, 2, 3, 9, 4, 5, 9, 9]
    );
    assert_eq!(
        right.spans[..],
        [vec![span(0, 3)], vec![span(0, 1), span(1, 2)]]
    );
    assert_eq!(right.positions(), [0, 1, 2, 3, 0, 0, 1, 2]);
    assert_eq!(right.last_places(), [2, 5]);
    let left = Tokens::new(&rows, Some(4), Side::Left, 9, &device()).unwrap();
    assert_eq!(
        left.ids.to_data().iter::<i32>().collect::<Vec<_>>(),
        [9, 1, 2, 3, 9, 9, 4, 5]
    );
    assert_eq!(
        left.spans[..],
        [vec![span(1, 4)], vec![span(2, 3), span(3, 4)]]
    );
    assert_eq!(left.positions(), [0, 0, 1, 2, 0, 0, 0, 0]);
    assert_eq!(left.last_places(), [3, 7]);
    assert_eq!(left.first_places(), [1, 6]);
}

#[test]
fn branches_go_on_from_the_place_that_they_continue() {
    let part = |ids, after| Branch { ids, after };
    let rows = [
        vec![
            part(&[1, 2, 3][..], None),
            part(&[4, 5], Some(0)),
            part(&[6], Some(3)),
            part(&[7], None),
        ],
        vec![part(&[8, 9], None), part(&[10], Some(1))],
    ];
    let read = |side| Tokens::branched(&rows, None, side, 0, &device()).unwrap();
    let branch = |start, end, after| Span {
        after: Some(after),
        ..span(start, end)
    };
    let right = read(Side::Right);
    let first = vec![span(0, 3), branch(3, 5, 0), branch(5, 6, 3), span(6, 7)];
    assert_eq!(right.spans[..], [first, vec![span(0, 2), branch(2, 3, 1)]]);
    assert_eq!(
        right.positions(),
        [0, 1, 2, 1, 2, 2, 0, 0, 1, 2, 3, 4, 5, 6]
    );
    let text: Vec<_> = right.text_positions()[7..].to_vec();
    assert_eq!(text[..4], [Some(0), Some(1), Some(2), None]);
    let left = read(Side::Left);
    assert_eq!(left.spans[1], [span(4, 6), branch(6, 7, 5)]);
    assert_eq!(left.positions()[7..], [0, 0, 0, 0, 0, 1, 2]);
    for after in [1, 2] {
        let astray = [vec![part(&[1][..], None), part(&[2], Some(after))]];
        let error = Tokens::branched(&astray, None, Side::Right, 0, &device()).unwrap_err();
        assert!(error.to_string().contains("place 1 of row 0"), "{error}");
    }
}

#[test]
fn the_next_token_continues_the_last_document() {
    let rows = [vec![vec![1, 2, 3]], vec![vec![5]]];
    let tokens = Tokens::new(&rows, None, Side::Left, 0, &device()).unwrap();
    let next = tokens.next(&[7, 8]).unwrap();
    assert_eq!(next.past, 3);
    assert_eq!(next.positions(), [3, 1]);
    assert_eq!(next.spans[..], [vec![span(0, 4)], vec![span(2, 4)]]);
    let padded = Tokens::new(&rows, None, Side::Right, 0, &device()).unwrap();
    assert!(padded.next(&[7, 8]).is_err());
}

#[test]
fn batches_are_joined_at_their_ends() {
    let read = |rows: &[Vec<Vec<u32>>]| Tokens::new(rows, None, Side::Left, 0, &device());
    let long = read(&[vec![vec![1, 2, 3, 4, 5]], vec![vec![6, 7]]]).unwrap();
    let short = read(&[vec![vec![8, 9, 10]]]).unwrap();
    // The longest row has gone, so its places go too.
    let joined = long.select(&[1]).join(&short);
    assert_eq!((joined.past, joined.length()), (2, 1));
    assert_eq!(joined.spans[..], [vec![span(1, 3)], vec![span(0, 3)]]);
    assert_eq!(joined.positions(), [1, 2]);
    let next = joined.next(&[11, 12]).unwrap();
    assert_eq!(next.positions(), [2, 3]);
    let other = short.join(&long);
    assert_eq!(
        other.spans[..],
        [vec![span(2, 5)], vec![span(0, 5)], vec![span(3, 5)]]
    );
}

#[test]
fn a_mask_becomes_spans_and_a_gap_is_refused() {
    let mask = [false, true, true, true, true, false];
    let tokens = Tokens::from_mask(&[1, 2, 3, 4, 5, 6], &mask, 3, &device()).unwrap();
    assert_eq!(tokens.spans[..], [vec![span(1, 3)], vec![span(0, 2)]]);
    let gap = Tokens::from_mask(&[1, 2, 3], &[true, false, true], 3, &device());
    assert!(gap.unwrap_err().to_string().contains("row 0"));
}

#[test]
fn rows_that_do_not_fit_are_refused() {
    let build =
        |rows: &[Vec<Vec<u32>>], length| Tokens::new(rows, length, Side::Right, 0, &device());
    assert!(build(&[], None).is_err());
    assert!(build(&[vec![vec![]]], None).is_err());
    assert!(
        build(&[vec![vec![1, 2]]], Some(1))
            .unwrap_err()
            .to_string()
            .contains("2 tokens")
    );
}
