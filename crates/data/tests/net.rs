//! Pages and sitemaps from servers that do what servers of the web do.

#![cfg(feature = "net")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod server;

use std::io::Write;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use finetune_data::DataError;
use finetune_data::load::{Loaders, OnError};
use finetune_data::net::Fetch;
use flate2::Compression;
use flate2::write::GzEncoder;
use server::{Reply, Request, Server};

/// For a server on this machine, without pauses.
fn fetch(server: &Server) -> Fetch {
    Fetch::new()
        .allow_private(true)
        .ports(&[server.port()])
        .delay(Duration::ZERO)
        .time(Duration::from_secs(5))
}

/// A server with pages and without a `robots.txt`.
fn site(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Server {
    Server::start(move |request| match request.target.as_str() {
        "/robots.txt" => Reply::new(404, ""),
        _ => answer(request),
    })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

fn html(body: &str) -> Reply {
    Reply::ok(body).with("content-type", "text/html; charset=utf-8")
}

#[test]
fn a_page_has_its_address_text_date_and_language() {
    let server = site(|request| match request.target.as_str() {
        "/old" => Reply::redirect("/new?q=1#part"),
        _ => html("<p>Grüße</p>")
            .with("last-modified", "Wed, 21 Oct 2015 07:28:00 GMT")
            .with("content-language", "de"),
    });
    let fetch = fetch(&server).user_agent("probe/2.0 (+https://a.test)");
    let page = fetch.page(&format!("{}/old", server.url())).unwrap();
    let url = format!("{}/new?q=1", server.url());
    assert_eq!(
        (page.url.as_str(), page.content_type.as_str()),
        (url.as_str(), "text/html")
    );
    let document = page.document().unwrap();
    assert_eq!(document.text, "<p>Grüße</p>");
    assert_eq!(document.fields["url"], url);
    assert_eq!(document.fields["date"], "2015-10-21T07:28:00Z");
    assert_eq!(document.fields["language"], "de");
    assert!(!document.fields.contains_key("replaced"));
    assert_eq!(document.origin.to_string(), format!("{url}:1"));
    assert_eq!(server.asked(), ["/robots.txt", "/old", "/new?q=1"]);
    let agents = server.headers("user-agent");
    assert!(
        agents
            .iter()
            .all(|agent| agent.as_deref() == Some("probe/2.0 (+https://a.test)"))
    );
}

#[test]
fn addresses_that_are_not_public_are_never_connected_to() {
    let server = site(|_| html("secret"));
    let port = server.port();
    let fetch = Fetch::new().ports(&[port]).delay(Duration::ZERO);
    for host in [
        "127.0.0.1",
        "localhost",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "10.0.0.1",
        "169.254.169.254",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fe80::1]",
    ] {
        let error = fetch.page(&format!("http://{host}:{port}/")).unwrap_err();
        assert_eq!(error.kind(), "refused", "{host}: {error}");
        assert!(error.to_string().contains("is not public"), "{error}");
    }
    assert!(server.asked().is_empty());
}

#[test]
fn addresses_of_other_kinds_are_refused() {
    let cases = [
        ("ftp://a.test/", "expected http or https"),
        ("file:///etc/passwd", "expected http or https"),
        ("data:text/plain,x", "expected http or https"),
        ("http://user:word@a.test/", "holds a user or a password"),
        ("http://a.test:22/", "found the port 22"),
        ("nonsense", "no address"),
        ("http://", "no address"),
    ];
    for (url, words) in cases {
        let error = Fetch::new().page(url).unwrap_err();
        assert_eq!(error.kind(), "refused", "{url}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.to_string().contains("word@"), "{error}");
    }
}

#[test]
fn redirects_are_checked_at_every_hop() {
    let other = Arc::new(site(|_| html("other")));
    let away = other.url();
    let server = site(move |request| match request.target.as_str() {
        "/circle" => Reply::redirect("/circle"),
        "/port" => Reply::redirect(&away),
        "/file" => Reply::redirect("file:///etc/passwd"),
        "/none" => Reply::new(302, ""),
        target => match target.trim_start_matches('/').parse::<u32>().unwrap() {
            0 => html("end"),
            number => Reply::redirect(&format!("/{}", number - 1)),
        },
    });
    let fetch = fetch(&server);
    let page = |path: &str| fetch.page(&format!("{}{path}", server.url()));
    assert_eq!(page("/5").unwrap().text.unwrap(), "end");
    for (path, words) in [
        ("/6", "more than 5 redirects"),
        ("/circle", "more than 5 redirects"),
        ("/port", "found the port"),
        ("/file", "expected http or https"),
        ("/none", "the redirect leads to none"),
    ] {
        let error = page(path).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
    assert!(other.asked().is_empty());
}

#[test]
fn too_many_bytes_are_not_read() {
    let bomb = gzip(&vec![b'a'; 64 << 20]);
    let server = site(move |request| match request.target.as_str() {
        "/bomb" => html("").with("content-encoding", "gzip").body(bomb.clone()),
        "/packed" => html("")
            .with("content-encoding", "gzip")
            .body(gzip(b"small")),
        "/lies" => html("abc").with("content-length", "3000000000").cut(3),
        "/exact" => html(&"a".repeat(1000)),
        _ => html(&"a".repeat(1001)),
    });
    let fetch = fetch(&server).bytes(1000);
    let page = |path: &str| fetch.page(&format!("{}{path}", server.url()));
    assert_eq!(page("/packed").unwrap().text.unwrap(), "small");
    assert_eq!(page("/exact").unwrap().bytes.len(), 1000);
    for path in ["/bomb", "/more"] {
        let error = page(path).unwrap_err();
        assert!(
            matches!(
                error,
                DataError::LimitExceeded {
                    found: 1001,
                    limit: 1000,
                    ..
                }
            ),
            "{error}"
        );
    }
    let error = page("/lies").unwrap_err();
    assert!(error.to_string().contains("too early"), "{error}");
}

#[test]
fn a_page_that_never_ends_is_left_in_time() {
    let server = site(|request| match request.target.as_str() {
        "/slow" => html(&"a".repeat(10_000)).slow(Duration::from_millis(20)),
        target => {
            std::thread::sleep(Duration::from_millis(150));
            Reply::redirect(&format!("{target}x"))
        }
    });
    for path in ["/slow", "/chain"] {
        let fetch = fetch(&server)
            .time(Duration::from_millis(400))
            .redirects(100);
        let start = Instant::now();
        let error = fetch.page(&format!("{}{path}", server.url())).unwrap_err();
        assert!(error.to_string().contains("no answer"), "{error}");
        assert!(
            start.elapsed() < Duration::from_secs(3),
            "{path}: {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn statuses_other_than_success_are_errors_and_the_next_page_follows() {
    let server = site(|request| match request.target.as_str() {
        "/ok" => html("fine"),
        "/pdf" => Reply::ok("%PDF").with("content-type", "application/pdf"),
        target => Reply::new(target[1..].parse().unwrap(), "no"),
    });
    let urls =
        ["/404", "/500", "/304", "/pdf", "/ok"].map(|path| format!("{}{path}", server.url()));
    let found: Vec<_> = fetch(&server)
        .documents(urls)
        .map(|document| document.map(|found| found.text))
        .collect();
    let kinds: Vec<_> = found
        .iter()
        .map(|found| found.as_ref().map_err(DataError::kind))
        .collect();
    let fine = "fine".to_owned();
    assert_eq!(
        kinds,
        [
            Err("network"),
            Err("network"),
            Err("network"),
            Err("unsupported"),
            Ok(&fine)
        ]
    );
}

#[test]
fn robots_are_obeyed_at_every_hop() {
    let server = Server::start(|request| match request.target.as_str() {
        "/robots.txt" => {
            Reply::ok("User-agent: finetune\nDisallow: /private\n\nUser-agent: *\nDisallow: /")
        }
        "/hop" => Reply::redirect("/private/x"),
        _ => html("page"),
    });
    let fetch = fetch(&server);
    let page = |path: &str| fetch.page(&format!("{}{path}", server.url()));
    assert!(page("/open").is_ok());
    for path in ["/private", "/private/x?y", "/hop"] {
        let error = page(path).unwrap_err();
        assert!(
            error.to_string().contains("robots.txt excludes it"),
            "{error}"
        );
    }
    assert_eq!(
        server.asked(),
        ["/robots.txt", "/open", "/hop"],
        "it is asked for once"
    );
    let other = self::fetch(&server).user_agent("other/1");
    assert!(other.page(&format!("{}/open", server.url())).is_err());
}

#[test]
fn robots_that_cannot_be_read_exclude_everything() {
    for (status, allowed) in [
        (404, true),
        (401, true),
        (410, true),
        (429, false),
        (500, false),
        (503, false),
    ] {
        let server = Server::start(move |request| match request.target.as_str() {
            "/robots.txt" => Reply::new(status, ""),
            _ => html("page"),
        });
        let page = fetch(&server).page(&format!("{}/x", server.url()));
        assert_eq!(page.is_ok(), allowed, "{status}");
        assert_eq!(server.asked().len(), 1 + usize::from(allowed));
    }
}

#[test]
fn a_host_is_not_asked_faster_than_it_wishes() {
    for (delay, crawl) in [(100, ""), (0, "User-agent: *\nCrawl-delay: 0.1")] {
        let server = Server::start(move |request| match request.target.as_str() {
            "/robots.txt" => Reply::ok(crawl),
            _ => html("page"),
        });
        let fetch = fetch(&server).delay(Duration::from_millis(delay));
        let start = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| fetch.page(&format!("{}/x", server.url())).unwrap());
            }
        });
        assert!(
            start.elapsed() >= Duration::from_millis(300),
            "{:?}",
            start.elapsed()
        );
    }
}

fn list(kind: &str, item: &str, urls: &[String]) -> Vec<u8> {
    let (open, close) = (format!("<{item}>"), format!("</{item}>"));
    let items = urls
        .iter()
        .flat_map(|url| [&open, "<loc>", url, "</loc>", &close]);
    let items: String = items.collect();
    format!("<?xml version=\"1.0\"?><{kind}>{items}</{kind}>").into_bytes()
}

#[test]
fn a_sitemap_is_read_over_its_files_and_everything_is_counted() {
    let server = site(|request| {
        let base = format!("http://{}", request.header("host").unwrap());
        let urls = |paths: &[&str]| -> Vec<String> {
            paths.iter().map(|path| format!("{base}{path}")).collect()
        };
        match request.target.as_str() {
            "/sitemap.xml" => Reply::ok(list(
                "sitemapindex",
                "sitemap",
                &urls(&["/1.xml", "/2.xml.gz", "/sitemap.xml", "/1.xml"]),
            )),
            "/1.xml" => {
                let mut pages = urls(&["/a", "/b#x", "/b"]);
                pages.extend(
                    ["https://elsewhere.test/c", "mailto:x", "/relative"].map(str::to_owned),
                );
                Reply::ok(list("urlset", "url", &pages))
            }
            _ => Reply::ok(gzip(&list("urlset", "url", &urls(&["/d", "/a"]))))
                .with("content-type", "application/gzip"),
        }
    });
    let sitemap = fetch(&server)
        .sitemap(&format!("{}/sitemap.xml", server.url()))
        .unwrap();
    let pages: Vec<_> = sitemap
        .pages
        .iter()
        .map(|page| page.url.strip_prefix(&server.url()).unwrap())
        .collect();
    assert_eq!(pages, ["/a", "/b", "/d"]);
    assert_eq!(
        (sitemap.repeated, sitemap.elsewhere, sitemap.invalid),
        (2, 1, 2)
    );
    assert_eq!(
        server.asked(),
        ["/robots.txt", "/sitemap.xml", "/1.xml", "/2.xml.gz"],
        "a circle ends"
    );
}

#[test]
fn a_sitemap_that_is_too_large_is_refused() {
    let server = site(|request| {
        let base = format!("http://{}", request.header("host").unwrap());
        let depth = request.target.len();
        match request.target.as_str() {
            "/bomb" => Reply::ok(gzip(&vec![b' '; 8 << 20])),
            "/broken" => Reply::ok(&gzip(&list("urlset", "url", &[]))[..20]),
            "/many" => Reply::ok(list(
                "urlset",
                "url",
                &(0..11).map(|at| format!("{base}/{at}")).collect::<Vec<_>>(),
            )),
            _ => Reply::ok(list(
                "sitemapindex",
                "sitemap",
                &[format!("{base}/{}", "d".repeat(depth))],
            )),
        }
    });
    for (path, words) in [
        ("/bomb", "bytes of the page is 1000001, limit 1000000"),
        ("/broken", "gzip data is broken"),
        (
            "/many",
            "the number of pages of the sitemap is 11, limit 10",
        ),
        ("/d", "the nesting of the sitemap is 4, limit 3"),
    ] {
        let fetch = fetch(&server).bytes(1_000_000).pages(10);
        let error = fetch
            .sitemap(&format!("{}{path}", server.url()))
            .unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
    }
}

/// An address stands where a path does: the type of the content chooses the loader, a sitemap stands for its pages, and
/// a page that fails is a file that fails.
#[test]
fn loaders_take_addresses() {
    let host = Arc::new(OnceLock::<String>::new());
    let known = Arc::clone(&host);
    let server = site(move |request| {
        let base = known.get().unwrap();
        match request.target.as_str() {
            "/sitemap.xml" => {
                let pages = ["/a.txt", "/data", "/gone"].map(|page| format!("{base}{page}"));
                Reply::ok(list("urlset", "url", &pages))
            }
            "/a.txt" => Reply::ok(b"Gr\xFC\xDFe".to_vec())
                .with("content-type", "text/plain; charset=iso-8859-1")
                .with("content-language", "de"),
            "/data" => Reply::ok("{\"n\":1}").with("content-type", "application/json"),
            _ => Reply::new(404, ""),
        }
    });
    host.set(server.url()).unwrap();
    let loaders = Loaders::default().fetch(fetch(&server));
    let sitemap = format!("{}/sitemap.xml", server.url());
    let (documents, counts) = loaders.load_all(&[&sitemap], &OnError::Skip).unwrap();
    assert_eq!((counts.read, counts.kept, counts.skipped), (3, 2, 1));
    assert_eq!(documents[0].text, "Grüße");
    assert_eq!(documents[0].fields["language"], "de");
    assert_eq!(documents[1].fields["n"], 1);
    let origins: Vec<String> = documents.iter().map(|d| d.origin.to_string()).collect();
    assert_eq!(
        origins,
        ["/a.txt:1", "/data:1"].map(|page| format!("{}{page}", server.url()))
    );
    assert_eq!(documents[1].fields["url"], format!("{}/data", server.url()));
    let error = loaders.load_all(&[&sitemap], &OnError::Stop).unwrap_err();
    assert!(error.to_string().contains("404"), "{error}");
}
