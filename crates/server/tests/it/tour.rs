//! The tour of `sessile dev`: it exists nowhere else, for nobody but this machine, and only its own page breaks things.

use crate::process::{Process, free_port};
use crate::world::{SECRET, client};
use reqwest::{Method, RequestBuilder};

const ACTS: [&str; 5] = ["kill-workers", "cut-database", "repeat-webhook", "restart-workers", "lose-reply"];
const OURS: (&str, &str) = ("sec-fetch-site", "same-origin");

/// A running program.
struct Server {
    _process: Process,
    home: String,
}

impl Server {
    fn start(name: &str, command: &str, env: &[(&str, &str)]) -> Self {
        let port = free_port().to_string();
        let own = [("PORT", port.as_str()), ("HOST", "127.0.0.1")];
        let mut process = Process::start(name, &[command], &[&own[..], env].concat());
        process.wait_until("listening", |this| this.said().contains("listening"));
        Self { _process: process, home: format!("http://127.0.0.1:{port}") }
    }

    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        client().request(method, format!("{}{path}", self.home)).header("accept", "text/html")
    }

    async fn press(&self, act: &str, headers: &[(&str, &str)]) -> u16 {
        let request = client().post(format!("{}/tour/{act}", self.home));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.unwrap().status().as_u16()
    }

    async fn landing(&self, headers: &[(&str, &str)]) -> String {
        let request = self.ask(Method::GET, "/");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.unwrap().text().await.unwrap()
    }
}

fn is_tour(page: &str) -> bool {
    page.contains("data-page=\"tour\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_tour_but_in_dev() {
    let production = Server::start("tour-production", "serve", &[("SESSION_SECRET", SECRET)]);
    let development = Server::start("tour-development", "serve", &[("SESSILE_ENV", "development")]);
    for server in [production, development] {
        assert!(!is_tour(&server.landing(&[]).await));
        for path in ["/tour", "/assets/tour.js"] {
            assert_eq!(server.ask(Method::GET, path).send().await.unwrap().status(), 404, "{path}");
        }
        for act in ACTS {
            assert_eq!(server.press(act, &[OURS]).await, 404, "{act}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tour_is_for_this_machine_and_only_its_own_page_breaks_things() {
    let dev = Server::start("tour-dev", "dev", &[]);
    assert!(is_tour(&dev.landing(&[]).await));
    for stranger in [("x-forwarded-for", "192.0.2.1"), ("host", "some.tunnel.example")] {
        assert!(!is_tour(&dev.landing(&[stranger]).await), "{stranger:?}");
        assert_eq!(dev.press("cut-database", &[OURS, stranger]).await, 404, "{stranger:?}");
    }
    for page in [("sec-fetch-site", "cross-site"), ("origin", "http://127.0.0.1:1"), ("origin", "null")] {
        assert_eq!(dev.press("cut-database", &[page]).await, 403, "{page:?}");
    }
    assert_eq!(dev.press("cut-database", &[]).await, 403, "a program");
    assert_eq!(dev.press("no-such-act", &[OURS]).await, 404);
    let orders = async || {
        let tracks = r#"[{"title": "Morning", "artist": "Ada"}]"#;
        let body = format!(r#"{{"tracks": {tracks}, "selectedPackages": {{"0": "basic"}}}}"#);
        let request = client().post(format!("{}/api/create-checkout-session", dev.home)).body(body);
        request.header("content-type", "application/json").send().await.unwrap().status().as_u16()
    };
    assert_eq!(orders().await, 200, "nothing was cut by all that");

    for act in ACTS {
        assert_eq!(dev.press(act, &[OURS]).await, 204, "{act}");
    }
    assert_eq!(orders().await, 503, "money does not go on without its database");
    let signed_in = dev.ask(Method::GET, "/auth/dev").send().await.unwrap();
    assert_eq!(signed_in.status(), 302, "signing in does");
    let page = dev.landing(&[]).await;
    for said in ["Database cut off for", "Workers away", "1 waiting in the spool"] {
        assert!(page.contains(said), "{said}: {page}");
    }
}
