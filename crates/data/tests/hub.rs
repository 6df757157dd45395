//! The hub's client against a server that speaks the hub's protocol, and breaks it.

#![cfg(feature = "hub")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use finetune_data::DataError;
use finetune_data::hub::{Hub, HubName, Kind, Select};
use serde_json::json;
use server::repository::{COMMIT, Repo, checksum, hub};
use server::{Reply, Server};

fn name(text: &str) -> HubName {
    HubName::parse(text, Kind::Dataset).unwrap()
}

fn get(hub: &Hub, text: &str) -> Result<finetune_data::hub::Snapshot, DataError> {
    hub.get(&name(text), &Select::All)
}

fn large(seed: u8) -> Vec<u8> {
    (0..300_000u32).map(|at| (at % 251) as u8 ^ seed).collect()
}

#[test]
fn a_branch_becomes_a_commit_in_the_layout_that_python_reads() {
    let bytes = large(1);
    let server = Repo::new(&[
        ("README.md", b"# Hi\n"),
        ("data/a/train é.csv", &bytes),
        ("empty", b""),
    ])
    .serve();
    let folder = tempfile::tempdir().unwrap();
    let snapshot = get(&hub(&server, folder.path()), "hf://owner/name").unwrap();

    let repository = folder.path().join("datasets--owner--name");
    assert_eq!(snapshot.path, repository.join("snapshots").join(COMMIT));
    assert_eq!(
        (snapshot.commit.as_str(), snapshot.downloaded),
        (COMMIT, 300_005)
    );
    assert_eq!(snapshot.files.len(), 3);
    assert_eq!(
        fs::read(snapshot.path.join("data/a/train é.csv")).unwrap(),
        bytes
    );
    assert_eq!(
        fs::read_to_string(repository.join("refs/main")).unwrap(),
        COMMIT
    );
    #[cfg(unix)]
    {
        let target = fs::read_link(snapshot.path.join("data/a/train é.csv")).unwrap();
        assert_eq!(
            target,
            Path::new("../../../../blobs").join(checksum(&bytes))
        );
        let target = fs::read_link(snapshot.path.join("README.md")).unwrap();
        assert_eq!(target, Path::new("../../blobs").join(checksum(b"# Hi\n")));
    }
    let mut blobs: Vec<_> = fs::read_dir(repository.join("blobs"))
        .unwrap()
        .map(|blob| blob.unwrap().file_name().into_string().unwrap())
        .collect();
    blobs.sort();
    let mut expected = [checksum(b"# Hi\n"), checksum(&bytes), checksum(b"")];
    expected.sort();
    assert_eq!(blobs, expected);
}

#[test]
fn what_is_in_the_cache_is_not_asked_for_again() {
    let server = Repo::new(&[("a.csv", b"1"), ("b.csv", &large(2))]).serve();
    let folder = tempfile::tempdir().unwrap();
    let hub = hub(&server, folder.path());
    let first = get(&hub, "hf://owner/name@v1").unwrap();
    server.forget();

    let second = get(&hub, "hf://owner/name@v1").unwrap();
    assert_eq!((second.path, second.downloaded), (first.path.clone(), 0));
    assert_eq!(server.asked(), ["/api/datasets/owner/name/revision/v1"]);
    server.forget();

    let pinned = get(&hub, &format!("hf://owner/name@{COMMIT}")).unwrap();
    assert_eq!(pinned.path, first.path);
    assert!(server.asked().is_empty(), "a commit never changes");
}

#[test]
fn a_name_with_a_path_gets_what_lies_there() {
    let server = Repo::new(&[("d/a.csv", b"1"), ("d/b.csv", b"2"), ("c.csv", b"3")]).serve();
    let folder = tempfile::tempdir().unwrap();
    let hub = hub(&server, folder.path());
    let file = get(&hub, "hf://owner/name@refs/pr/1/d/a.csv").unwrap();
    assert_eq!(fs::read(&file.path).unwrap(), b"1");
    assert!(
        folder
            .path()
            .join("datasets--owner--name/refs/refs/pr/1")
            .is_file()
    );
    let inside = get(&hub, "hf://owner/name/d").unwrap();
    assert_eq!((inside.files.len(), inside.downloaded), (2, 1));
    let error = get(&hub, "hf://owner/name/e").unwrap_err();
    assert!(error.to_string().contains("c.csv, d/a.csv"), "{error}");
    let split = hub
        .get(&name("hf://owner/name"), &Select::Split("train".to_owned()))
        .unwrap_err();
    assert!(
        split.to_string().contains("no file of the split \"train\""),
        "{split}"
    );
}

#[test]
fn a_model_comes_without_pickles() {
    let server = Repo::new(&[
        ("config.json", b"{}"),
        ("model.safetensors", b"w"),
        ("pytorch_model.bin", b"p"),
        ("x/config.json", b"{}"),
    ])
    .serve();
    let folder = tempfile::tempdir().unwrap();
    let model = HubName::parse("hf://owner/name", Kind::Model).unwrap();
    let snapshot = hub(&server, folder.path())
        .get(&model, &Select::of(Kind::Model))
        .unwrap();
    let names: Vec<_> = snapshot
        .files
        .iter()
        .map(|file| file.file_name().unwrap())
        .collect();
    assert_eq!(names, ["config.json", "model.safetensors"]);
    assert!(
        snapshot
            .path
            .starts_with(folder.path().join("models--owner--name"))
    );
    assert!(
        server
            .asked()
            .iter()
            .any(|target| target.starts_with("/owner/name/resolve/"))
    );
}

#[test]
fn a_listing_of_many_pages_is_read_to_its_end() {
    let files: Vec<(String, Vec<u8>)> = (0..25)
        .map(|at| (format!("{at:02}.txt"), vec![at]))
        .collect();
    let mut repo = Repo::new(&[]);
    repo.files = files.into_iter().collect();
    repo.page = 4;
    let server = repo.serve();
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(
        get(&hub(&server, folder.path()), "hf://owner/name")
            .unwrap()
            .files
            .len(),
        25
    );
    assert_eq!(
        server
            .asked()
            .iter()
            .filter(|target| target.contains("/tree/"))
            .count(),
        7
    );
}

#[test]
fn a_download_that_was_cut_goes_on_where_it_broke_off() {
    let bytes = large(3);
    let repo = Repo::new(&[("a.bin", &bytes)]);
    let count = AtomicUsize::new(0);
    let server = Server::start(move |request| {
        let reply = repo.answer(request);
        match count.fetch_add(
            usize::from(request.target.contains("/resolve/")),
            Ordering::Relaxed,
        ) {
            0 if request.target.contains("/resolve/") => reply.cut(100_000),
            1 if request.target.contains("/resolve/") => reply.cut(50_000),
            _ => reply,
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let snapshot = get(&hub(&server, folder.path()), "hf://owner/name").unwrap();
    assert_eq!(fs::read(&snapshot.files[0]).unwrap(), bytes);
    assert_eq!(snapshot.downloaded, 300_000, "no byte comes twice");
    let file = format!("/datasets/owner/name/resolve/{COMMIT}/a.bin");
    let expected = [
        file.clone(),
        format!("{file} bytes=100000-"),
        format!("{file} bytes=150000-"),
    ];
    assert_eq!(server.asked()[2..], expected);
}

#[test]
fn a_later_run_goes_on_and_a_part_of_something_else_is_thrown_away() {
    let bytes = large(4);
    let server = Repo::new(&[("a.bin", &bytes)]).serve();
    for (part, ranges, downloaded) in [
        (
            bytes[..200_000].to_vec(),
            vec![Some("bytes=200000-")],
            100_000,
        ),
        (bytes.clone(), vec![], 0),
        (
            large(9)[..200_000].to_vec(),
            vec![Some("bytes=200000-"), None],
            400_000,
        ),
        (large(9), vec![None], 300_000),
        (vec![0; 400_000], vec![None], 300_000),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let blobs = folder.path().join("datasets--owner--name/blobs");
        fs::create_dir_all(&blobs).unwrap();
        let incomplete = blobs.join(format!("{}.incomplete", checksum(&bytes)));
        fs::write(&incomplete, part).unwrap();
        server.forget();
        let snapshot = get(&hub(&server, folder.path()), "hf://owner/name").unwrap();
        assert_eq!(fs::read(&snapshot.files[0]).unwrap(), bytes);
        assert!(!incomplete.exists());
        let asked: Vec<_> = server.headers("range").into_iter().skip(2).collect();
        assert_eq!(
            asked.iter().map(Option::as_deref).collect::<Vec<_>>(),
            ranges
        );
        assert_eq!(snapshot.downloaded, downloaded);
    }
}

/// Changes the answer to a request for a range: its content, and whether it is the first one.
type Mode = fn(Reply, &[u8], bool) -> Reply;

#[test]
fn servers_that_do_not_resume_are_asked_for_everything() {
    let bytes = large(5);
    let modes: [Mode; 2] = [
        // The range is ignored.
        |_, bytes, _| Reply::ok(bytes),
        // Another range is sent, and then refused.
        |reply, bytes, first| {
            if first {
                Reply::new(206, &bytes[10..]).with("content-range", "bytes 10-299999/300000")
            } else {
                reply
            }
        },
    ];
    for mode in modes {
        let (repo, content, count) = (
            Repo::new(&[("a.bin", &bytes)]),
            bytes.clone(),
            AtomicUsize::new(0),
        );
        let server = Server::start(move |request| {
            let reply = repo.answer(request);
            if request.header("range").is_some() {
                mode(reply, &content, count.fetch_add(1, Ordering::Relaxed) == 0)
            } else {
                reply
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let blobs = folder.path().join("datasets--owner--name/blobs");
        fs::create_dir_all(&blobs).unwrap();
        fs::write(
            blobs.join(format!("{}.incomplete", checksum(&bytes))),
            &bytes[..1000],
        )
        .unwrap();
        let snapshot = get(&hub(&server, folder.path()), "hf://owner/name").unwrap();
        assert_eq!(fs::read(&snapshot.files[0]).unwrap(), bytes);
    }
}

/// Serves one file in a wrong way, and gives the error and how many bytes lie in the cache.
fn wrong(change: impl Fn(Reply, &[u8]) -> Reply + Send + Sync + 'static) -> (DataError, Server) {
    let bytes = large(6);
    let repo = Repo::new(&[("a.bin", &bytes)]);
    let server = Server::start(move |request| {
        let reply = repo.answer(request);
        if request.target.contains("/resolve/") {
            change(reply, &bytes)
        } else {
            reply
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let error = get(&hub(&server, folder.path()), "hf://owner/name").unwrap_err();
    let repository = folder.path().join("datasets--owner--name");
    assert!(
        !repository
            .join("snapshots")
            .join(COMMIT)
            .join("a.bin")
            .exists()
    );
    assert!(!repository.join("refs/main").exists());
    (error, server)
}

#[test]
fn content_that_is_not_what_was_promised_never_gets_a_name() {
    let (error, server) = wrong(|_, bytes| Reply::ok(vec![7; bytes.len()]));
    assert_eq!(error.kind(), "download", "{error}");
    assert!(error.to_string().contains("SHA-256"), "{error}");
    assert_eq!(
        server.asked().len(),
        3,
        "a wrong checksum from the first byte on is final"
    );

    let (error, _) = wrong(|_, bytes| Reply::ok([bytes, b"more"].concat()));
    assert!(
        error.to_string().contains("expected 300000 bytes"),
        "{error}"
    );
    let (error, _) = wrong(|_, bytes| Reply::ok(&bytes[..299_999]));
    assert!(
        error
            .to_string()
            .contains("has 299999 bytes; expected 300000 bytes"),
        "{error}"
    );
    let (error, _) = wrong(|reply, _| reply.cut(0));
    assert!(error.to_string().contains("too early"), "{error}");
}

#[test]
fn headers_that_contradict_the_listing_are_found_before_the_content() {
    for (header, value) in [
        ("x-repo-commit", "f".repeat(40)),
        ("x-linked-etag", format!("\"{}\"", "0".repeat(64))),
        ("x-linked-size", "12".to_owned()),
    ] {
        let (error, _) = wrong(move |_, bytes| Reply::ok(bytes).with(header, &value));
        assert!(error.to_string().contains("expected"), "{error}");
        assert_eq!(error.kind(), "network", "{header}");
    }
}

#[test]
fn content_comes_from_another_server_without_the_token() {
    let bytes = large(7);
    let content = bytes.clone();
    let store = Arc::new(Server::start(move |request| {
        Reply::ok(content.clone()).ranged(request)
    }));
    let (repo, to) = (
        Repo::new(&[("a.bin", &bytes)]),
        format!("{}/blob?signature=secret", store.url()),
    );
    let server = Server::start(move |request| {
        if request.target.contains("/resolve/") {
            Reply::redirect(&to)
                .with("x-repo-commit", COMMIT)
                .with("x-linked-size", "300000")
        } else {
            repo.answer(request)
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let snapshot = get(
        &hub(&server, folder.path()).token("hf_secret"),
        "hf://owner/name",
    )
    .unwrap();
    assert_eq!(fs::read(&snapshot.files[0]).unwrap(), bytes);
    assert_eq!(
        server.headers("authorization"),
        vec![Some("Bearer hf_secret".to_owned()); 3]
    );
    assert_eq!(store.headers("authorization"), [None]);
}

#[test]
fn a_renamed_repository_is_followed_and_a_circle_is_not() {
    let repo = Repo::new(&[("a.csv", b"1")]);
    let server = Server::start(move |request| {
        if request.target.contains("/old/name") {
            Reply::new(307, "").with("location", &request.target.replace("/old/", "/owner/"))
        } else if request.target.contains("circle") {
            Reply::redirect(&request.target)
        } else {
            repo.answer(request)
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let hub = hub(&server, folder.path()).token("hf_secret");
    assert_eq!(get(&hub, "hf://old/name").unwrap().files.len(), 1);
    assert!(server.headers("authorization").iter().all(Option::is_some));
    let error = get(&hub, "hf://circle/name").unwrap_err();
    assert!(
        error.to_string().contains("more than 10 redirects"),
        "{error}"
    );
}

#[test]
fn refusals_say_what_to_do() {
    // Status, code of the hub, token, words of the message, number of requests.
    let cases = [
        (
            401,
            "",
            "",
            "or it is private. Check the name, or set HF_TOKEN",
            1,
        ),
        (401, "", "hf_secret", "or the token may not read it", 1),
        (
            401,
            "GatedRepo",
            "",
            "/datasets/owner/name, then set HF_TOKEN",
            1,
        ),
        (
            403,
            "GatedRepo",
            "hf_secret",
            "ask for access at http://127.0.0.1",
            1,
        ),
        (403, "", "hf_secret", "may not be read", 1),
        (
            404,
            "RepoNotFound",
            "",
            "there is no hf://datasets/owner/name",
            1,
        ),
        (404, "RevisionNotFound", "", "has no revision \"main\"", 1),
        (400, "", "", "found status 400", 1),
        (429, "", "", "too many requests", 5),
        (500, "", "", "found status 500", 5),
        (503, "", "", "found status 503", 5),
    ];
    for (status, code, token, words, requests) in cases {
        let server = Server::start(move |_| Reply::new(status, "no").with("x-error-code", code));
        let folder = tempfile::tempdir().unwrap();
        let error = get(&hub(&server, folder.path()).token(token), "hf://owner/name").unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.to_string().contains("hf_secret"), "{error}");
        assert_eq!(server.asked().len(), requests, "{status}");
        assert!(matches!(error, DataError::Network { status: Some(found), .. } if found == status));
    }
}

#[test]
fn a_server_that_recovers_is_asked_again_when_it_says() {
    let repo = Repo::new(&[("a.csv", b"1")]);
    let count = AtomicUsize::new(0);
    let server = Server::start(move |request| match count.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::new(429, "").with("retry-after", "1"),
        1 => Reply::new(502, ""),
        2 => Reply::ok("{\"sha\"").cut(3),
        _ => repo.answer(request),
    });
    let folder = tempfile::tempdir().unwrap();
    let start = Instant::now();
    assert_eq!(
        get(&hub(&server, folder.path()), "hf://owner/name")
            .unwrap()
            .files
            .len(),
        1
    );
    assert!(start.elapsed() >= Duration::from_secs(1));
}

#[test]
fn answers_that_are_not_the_hubs_are_refused() {
    let node = |path: &str, oid: &str| {
        json!([{"type": "file", "path": path, "oid": oid, "size": 1}]).to_string()
    };
    let sum = "a".repeat(40);
    let twice = format!(
        "{},{}",
        node("a", &sum).trim_end_matches(']'),
        node("a", &sum).trim_start_matches('[')
    );
    let cases = [
        ("revision", "<html>".to_owned(), "not the hub's"),
        (
            "revision",
            json!({"sha": "../../x"}).to_string(),
            "expected 40 digits",
        ),
        ("tree", "{}".to_owned(), "not the hub's"),
        ("tree", node("../../x", &sum), "inside the repository"),
        ("tree", node("/etc/passwd", &sum), "inside the repository"),
        ("tree", node("a\\..\\b", &sum), "inside the repository"),
        ("tree", node("a", "../x"), "hexadecimal digits"),
        ("tree", twice, "twice"),
    ];
    for (part, body, words) in cases {
        let repo = Repo::new(&[("a.csv", b"1")]);
        let server = Server::start(move |request| {
            if request.target.contains(part) {
                Reply::ok(body.clone())
            } else {
                repo.answer(request)
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let error = get(&hub(&server, folder.path()), "hf://owner/name").unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(
            fs::read_dir(folder.path()).unwrap().next().is_none(),
            "nothing was written"
        );
    }
}

#[test]
fn a_listing_that_never_ends_or_leads_away_is_refused() {
    let other = Arc::new(Server::start(|_| Reply::ok("[]")));
    let away = format!("<{}/x>; rel=\"next\"", other.url());
    let again = format!("</api/datasets/owner/name/tree/{COMMIT}?recursive=true>; rel=\"next\"");
    for (link, words) in [(away, "another server"), (again, "does not end")] {
        let repo = Repo::new(&[("a.csv", b"1")]);
        let server = Server::start(move |request| {
            let reply = repo.answer(request);
            if request.target.contains("/tree/") {
                reply.with("link", &link)
            } else {
                reply
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let error = get(&hub(&server, folder.path()), "hf://owner/name").unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(other.asked().is_empty());
}

#[test]
fn offline_the_cache_answers_and_says_what_it_lacks() {
    let server = Repo::new(&[("a.csv", b"1"), ("train/b.csv", b"2"), ("test/b.csv", b"3")]).serve();
    let folder = tempfile::tempdir().unwrap();
    let online = hub(&server, folder.path());
    let offline = online.clone().offline(true);
    let error = get(&offline, "hf://owner/name").unwrap_err();
    assert_eq!(error.kind(), "not cached");

    let train = Select::Split("train".to_owned());
    let first = online.get(&name("hf://owner/name"), &train).unwrap();
    server.forget();
    assert_eq!(
        offline.get(&name("hf://owner/name"), &train).unwrap().files,
        first.files
    );
    let error = get(&offline, "hf://owner/name").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("holds 1 of 3 files; expected \"a.csv\""),
        "{error}"
    );
    let error = get(&offline, "hf://owner/name@v1").unwrap_err();
    assert!(error.to_string().contains("\"v1\""), "{error}");
    assert!(get(&offline, &format!("hf://owner/name@{COMMIT}/train")).is_ok());
    assert!(server.asked().is_empty());
}

#[test]
fn without_a_network_nothing_old_is_used_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Repo::new(&[("a.csv", b"1")]).serve();
    get(&hub(&server, folder.path()), "hf://owner/name").unwrap();
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let hub = Hub::new(&closed, folder.path())
        .unwrap()
        .pause(Duration::ZERO);
    let error = get(&hub, "hf://owner/name").unwrap_err();
    assert!(error.to_string().contains("HF_HUB_OFFLINE=1"), "{error}");
    assert!(get(&hub, &format!("hf://owner/name@{COMMIT}")).is_ok());
}

#[test]
fn a_server_that_stops_sending_or_never_ends_is_left() {
    for pause in [700, 20] {
        let server =
            Server::start(move |_| Reply::ok(vec![b' '; 1000]).slow(Duration::from_millis(pause)));
        let folder = tempfile::tempdir().unwrap();
        let hub = hub(&server, folder.path())
            .timeout(Duration::from_millis(200))
            .attempts(1);
        let start = Instant::now();
        let error = get(&hub, "hf://owner/name").unwrap_err();
        assert!(error.to_string().contains("no answer in time"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn threads_that_want_one_file_get_it_once() {
    let bytes = large(8);
    let repo = Repo::new(&[("a.bin", &bytes), ("copy/a.bin", &bytes)]);
    let server = Server::start(move |request| {
        std::thread::sleep(Duration::from_millis(30));
        repo.answer(request)
    });
    let folder = tempfile::tempdir().unwrap();
    let hub = hub(&server, folder.path());
    let downloaded: u64 = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| get(&hub, "hf://owner/name").unwrap()))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap().downloaded)
            .sum()
    });
    assert_eq!(downloaded, 300_000);
    assert_eq!(
        server
            .asked()
            .iter()
            .filter(|target| target.contains("/resolve/"))
            .count(),
        1
    );
}

#[test]
fn progress_ends_with_every_file_complete() {
    let server = Repo::new(&[("a.bin", &large(1)), ("b.bin", &large(2))]).serve();
    let folder = tempfile::tempdir().unwrap();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let heard = seen.clone();
    let hub = hub(&server, folder.path()).progress(move |progress| {
        assert!(progress.done <= progress.size && progress.files == 2);
        heard
            .lock()
            .unwrap()
            .push((progress.file.to_owned(), progress.done, progress.files_done));
    });
    get(&hub, "hf://owner/name").unwrap();
    let seen = seen.lock().unwrap();
    for file in ["a.bin", "b.bin"] {
        assert!(
            seen.iter()
                .any(|(name, done, _)| name == file && *done == 300_000)
        );
    }
    assert_eq!(
        seen.iter().map(|(_, _, files_done)| *files_done).max(),
        Some(2)
    );
}

/// The files of `reference/hub_cache.py`.
fn reference() -> Repo {
    let rows = (0..40).map(|at| format!("row {at},{}\n", at % 2));
    let table: String = std::iter::once("text,label\n".to_owned())
        .chain(rows)
        .collect();
    Repo::new(&[
        ("README.md", b"# Hello\n"),
        ("data/train é.csv", table.as_bytes()),
        ("empty.txt", b""),
    ])
}

/// The cache that Python's library made of them: path → text or target of a link.
fn python_cache() -> BTreeMap<String, BTreeMap<String, String>> {
    serde_json::from_str(include_str!("reference/hub_cache.json")).unwrap()
}

#[test]
#[ignore = "run by reference/hub_cache.py"]
fn the_hub_of_the_environment_is_read() {
    let snapshot = get(&Hub::from_env().unwrap(), "hf://owner/name").unwrap();
    let paths: Vec<_> = snapshot
        .files
        .iter()
        .map(|file| file.strip_prefix(&snapshot.path).unwrap())
        .collect();
    assert_eq!(
        paths,
        reference().files.keys().map(Path::new).collect::<Vec<_>>()
    );
    for (file, content) in snapshot.files.iter().zip(reference().files.values()) {
        assert_eq!(&fs::read(file).unwrap(), content);
    }
}

#[cfg(unix)]
#[test]
fn the_cache_of_python_is_read_offline() {
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("datasets--owner--name");
    for (path, what) in python_cache() {
        let path = repository.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match what.get("link") {
            Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
            None => fs::write(path, &what["text"]).unwrap(),
        }
    }
    let offline = Hub::new("https://nowhere.test", folder.path())
        .unwrap()
        .offline(true);
    let snapshot = get(&offline, "hf://owner/name").unwrap();
    for (file, content) in snapshot.files.iter().zip(reference().files.values()) {
        assert_eq!(&fs::read(file).unwrap(), content);
    }
    assert_eq!(snapshot.files.len(), 3);

    let lost = &snapshot.files[1];
    fs::remove_file(lost).unwrap();
    let error = get(&offline, "hf://owner/name").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("2 of 3 files; expected \"data/train é.csv\""),
        "{error}"
    );
    fs::remove_dir_all(repository.join("trees")).unwrap();
    let rest = get(&offline, "hf://owner/name").unwrap();
    assert_eq!(
        (snapshot.listed, rest.listed, rest.files.len()),
        (true, false, 2)
    );
}

#[cfg(unix)]
#[test]
fn the_cache_is_laid_out_as_that_of_python() {
    let server = reference().serve();
    let folder = tempfile::tempdir().unwrap();
    get(&hub(&server, folder.path()), "hf://owner/name").unwrap();
    let repository = folder.path().join("datasets--owner--name");
    let mut expected = python_cache();
    let mut folders = vec![repository.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(&repository).unwrap().to_str().unwrap();
            let what = expected.remove(name).unwrap();
            if let Some(target) = what.get("link") {
                assert_eq!(&fs::read_link(&path).unwrap(), Path::new(target));
            } else if name.starts_with("trees/") {
                let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
                let mut python = json(&what["text"]);
                // The test's server names every small file that stands for a large one alike.
                python["files"]["data/train é.csv"]["blob_id"] = "f".repeat(40).into();
                assert_eq!(json(&fs::read_to_string(&path).unwrap()), python);
            } else {
                assert_eq!(fs::read_to_string(&path).unwrap(), what["text"]);
            }
        }
    }
    assert!(expected.is_empty(), "{expected:?}");
}
