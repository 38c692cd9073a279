//! The tower service around the application: opens the session, runs the application, commits, answers.
//!
//! One boxed future for each request. The answer is held back until the session's change is durable, so that a
//! redirect can never overtake the write it relies on.

use crate::shared::Shared;
use http::{Request, Response};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// What [`SessionLayer`](crate::SessionLayer) puts around a service.
#[derive(Debug, Clone)]
pub struct SessionService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> SessionService<S> {
    pub(crate) const fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send,
    ReqBody: Send + 'static,
    ResBody: From<Vec<u8>> + Send + 'static,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let shared = self.shared.clone();
        // The instance that was polled ready is the one to call; its clone stays behind.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        Box::pin(async move {
            let way = shared.cookie_way(request.headers(), request.uri());
            let session = {
                let (headers, uri, extensions) = (request.headers(), request.uri(), request.extensions());
                shared.open(headers, uri, extensions).await
            };
            request.extensions_mut().insert(session.clone());
            let response = inner.call(request).await?;
            Ok(shared.seal(&session, way, response).await)
        })
    }
}
