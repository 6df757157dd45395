//! Threads: what somebody answers to their own tweets.

use std::collections::{BTreeMap, BTreeSet};

use super::Tweet;

/// Tweets with the answers to them by the same author, who alone is in the archive, as one; in the order of their
/// first tweets in the file.
pub(super) fn joined(tweets: Vec<Tweet>) -> Vec<Tweet> {
    let ids: BTreeMap<&str, usize> = tweets
        .iter()
        .enumerate()
        .map(|(index, tweet)| (tweet.id.as_str(), index))
        .collect();
    let parent = |index: usize| {
        let tweet: &Tweet = &tweets[index];
        let above = tweet
            .reply_to
            .as_deref()
            .filter(|_| tweet.kind != "retweet")?;
        ids.get(above).copied()
    };
    // Follows the replies up; where they run in a circle, the first tweet of it in the file counts as the top.
    let mut tops: Vec<Option<usize>> = vec![None; tweets.len()];
    for start in 0..tweets.len() {
        let mut path = vec![start];
        let mut seen = BTreeSet::from([start]);
        let top = loop {
            let last = path[path.len() - 1];
            if let Some(top) = tops[last] {
                break top;
            }
            match parent(last) {
                Some(above) if seen.insert(above) => path.push(above),
                Some(above) => {
                    let turn = path.iter().position(|index| *index == above).unwrap_or(0);
                    break path[turn..].iter().copied().min().unwrap_or(last);
                }
                None => break last,
            }
        };
        for index in path {
            tops[index] = Some(top);
        }
    }
    let mut threads: BTreeMap<usize, Vec<Tweet>> = BTreeMap::new();
    for (tweet, top) in tweets.into_iter().zip(tops) {
        threads
            .entry(top.unwrap_or_default())
            .or_default()
            .push(tweet);
    }
    threads.into_values().map(thread).collect()
}

fn thread(mut tweets: Vec<Tweet>) -> Tweet {
    // Ids grow with time; those of equal length compare as numbers do.
    tweets.sort_by(|a, b| (a.time, a.id.len(), &a.id).cmp(&(b.time, b.id.len(), &b.id)));
    let mut tweets = tweets.into_iter();
    let mut first = tweets.next().expect("a thread has the tweet that began it");
    for tweet in tweets {
        first.kind = "thread";
        first.text.extend(["\n\n", &tweet.text]);
        first.media += tweet.media;
    }
    first
}
