//! Servers whose answers are the bytes of a run.

#[path = "../../tests/server/mod.rs"]
mod server;

use std::fs;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use finetune_data::hub::{Hub, HubName, Kind, Select};
use finetune_data::net::Fetch;
use server::{Reply, Server};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the server answers; the run sets it before it asks.
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// A site's `robots.txt` is these bytes.
pub fn robots(bytes: &[u8]) {
    let server = serve(bytes);
    let _ = fetch(server).page(&format!("{}/a%2Fb/c.php?d", server.url()));
}

/// A site's sitemap is these bytes.
pub fn sitemap(bytes: &[u8]) {
    let server = serve(bytes);
    let _ = fetch(server).sitemap(&format!("{}/sitemap.xml", server.url()));
}

/// The listing of a repository of the hub is these bytes; nothing but the listing and the files of the cache is written.
///
/// # Panics
///
/// If something is written beside the cache.
pub fn listing(bytes: &[u8]) {
    let server = serve(bytes);
    let around = crate::folder().join("hub");
    let _ = fs::remove_dir_all(&around);
    let hub = Hub::new(&server.url(), around.join("cache")).expect("it is an address");
    let hub = hub.attempts(1).pause(Duration::ZERO);
    let name = HubName::parse("hf://a/b", Kind::Dataset).expect("it is a name");
    let _ = hub.get(&name, &Select::All);
    let entries = fs::read_dir(&around).map_or(0, Iterator::count);
    assert!(entries <= 1, "{entries} entries beside the cache");
}

fn serve(bytes: &[u8]) -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    // The folder is made first: with it comes the hook for panics.
    crate::folder();
    *ANSWER.lock().unwrap_or_else(PoisonError::into_inner) = bytes.to_vec();
    let server = SERVER.get_or_init(|| {
        Server::start(|request| {
            let target = request.target.as_str();
            let asked = |part: &str| target.contains(part);
            if asked("/revision/") {
                Reply::ok(format!("{{\"sha\":\"{COMMIT}\"}}"))
            } else if asked("/robots.txt") || asked("/sitemap.xml") || asked("/tree/") {
                Reply::ok(
                    ANSWER
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .clone(),
                )
            } else {
                Reply::ok("")
            }
        })
    });
    server.forget();
    server
}

fn fetch(server: &Server) -> Fetch {
    Fetch::new()
        .allow_private(true)
        .ports(&[server.port()])
        .delay(Duration::ZERO)
        .time(Duration::from_secs(5))
}
