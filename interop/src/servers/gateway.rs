//! What stands before `PostgREST` at Supabase: wants a key in `apikey`, and knows what a new-style secret one stands for.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::servers::{
    error::ServerError,
    postgrest::{Keys, reqwest_client},
};

/// What stands before the paths of the REST interface.
const PREFIX: &str = "/rest/v1";

/// A running gateway; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Gateway {
    port: u16,
    task: JoinHandle<()>,
}

struct Inner {
    client: reqwest::Client,
    upstream: String,
    keys: Keys,
}

impl Gateway {
    pub(crate) async fn start(upstream: &str, keys: &Keys) -> Result<Self, ServerError> {
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).await.map_err(ServerError::io("listen for the gateway"))?;
        let port = listener.local_addr().map_err(ServerError::io("listen for the gateway"))?.port();
        let inner = Inner { client: reqwest_client()?, upstream: upstream.to_owned(), keys: keys.clone() };
        let app = Router::new().fallback(forward).with_state(Arc::new(inner));
        let task = tokio::spawn(async move {
            let _ = axum::serve(listener, app).await;
        });
        Ok(Self { port, task })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn forward(
    State(inner): State<Arc<Inner>>,
    method: Method,
    uri: Uri,
    mut headers: HeaderMap,
    body: Body,
) -> Response {
    let refuse =
        |message: &str| (StatusCode::UNAUTHORIZED, format!(r#"{{"message":"{message}"}}"#)).into_response();
    let Some(key) = headers.remove("apikey") else { return refuse("No API key found in request") };
    let keys = &inner.keys;
    if key == keys.secret.as_str() {
        // A caller that sends the new key as a token as well is passed on as it is, and refused: it is none.
        let stands_for = HeaderValue::from_str(&format!("Bearer {}", keys.service_role));
        if let (false, Ok(token)) = (headers.contains_key(header::AUTHORIZATION), stands_for) {
            headers.insert(header::AUTHORIZATION, token);
        }
    } else if ![&keys.service_role, &keys.anon, &keys.authenticated].iter().any(|known| key == known.as_str())
    {
        return refuse("Invalid API key");
    }
    let Some(path) = uri.path_and_query().and_then(|path| path.as_str().strip_prefix(PREFIX)) else {
        return (StatusCode::NOT_FOUND, "no such service").into_response();
    };
    for hop in [header::HOST, header::CONTENT_LENGTH, header::CONNECTION, header::TRANSFER_ENCODING] {
        headers.remove(hop);
    }
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    match passed_on(&inner, method, path, headers, body).await {
        Ok(response) => response,
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

async fn passed_on(
    inner: &Inner,
    method: Method,
    path: &str,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, reqwest::Error> {
    let url = format!("{}{path}", inner.upstream);
    let answer = inner.client.request(method, url).headers(headers).body(body).send().await?;
    let status = answer.status();
    let kind = answer.headers().get(header::CONTENT_TYPE).cloned();
    let mut response = (status, answer.bytes().await?).into_response();
    if let Some(kind) = kind {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    Ok(response)
}
