// Runs the handler of a documentation example behind a real layer, so that its assertions count. Included at the
// top of such examples; not a test of its own.

fn run(route: axum::routing::MethodRouter) {
    let answer = ask(route, None);
    assert!(answer.status().is_success(), "{answer:?}");
}

fn run_signed_in(route: axum::routing::MethodRouter) {
    let answer = ask(route, Some("user-7"));
    assert!(answer.status().is_success(), "{answer:?}");
}

fn ask(route: axum::routing::MethodRouter, user: Option<&'static str>) -> axum::response::Response {
    use axum::{Router, body::Body, http::Request, routing::post};
    use sessile_store::{LoginOptions, memory::MemoryLogins};
    use tower::ServiceExt as _;

    let store = std::sync::Arc::new(MemoryLogins::new(LoginOptions::default()));
    let secrets = sessile::SecretList::parse("a secret for the documentation only").unwrap();
    let layer = sessile::SessionLayer::builder(store, secrets).build().unwrap();
    let sign_in = move |session: sessile::Session| async move { session.sign_in(user.unwrap()) };
    let app = Router::new().route("/", route).route("/sign-in", post(sign_in)).layer(layer);
    let request = |method: &str, path: &str| Request::builder().method(method).uri(path);
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async move {
        let mut get = request("GET", "/");
        if user.is_some() {
            let signed_in = app.clone().oneshot(request("POST", "/sign-in").body(Body::empty()).unwrap()).await;
            let cookie = signed_in.unwrap().headers()["set-cookie"].to_str().unwrap().to_owned();
            get = get.header("cookie", cookie.split(';').next().unwrap());
        }
        app.oneshot(get.body(Body::empty()).unwrap()).await.unwrap()
    })
}
