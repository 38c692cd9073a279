//! The application of the guide for those who come from tower-sessions; a test holds the two together.

use axum::Router;
use axum::extract::Form;
use axum::routing::{get, post};
use serde::Deserialize;
use sessile::{Error, SecretList, Session, SessionLayer, SignInSession};
use sessile_store::{LoginOptions, open_logins};
use std::time::Duration;

const WEEK: Duration = Duration::from_secs(7 * 24 * 60 * 60);

#[derive(Deserialize)]
struct Person {
    name: String,
}

#[derive(Deserialize)]
struct Line {
    item: String,
}

async fn sign_in(
    SignInSession(session): SignInSession,
    Form(person): Form<Person>,
) -> Result<&'static str, Error> {
    session.sign_in(&person.name)?;
    Ok("welcome\n")
}

async fn add(session: Session, Form(line): Form<Line>) -> Result<String, Error> {
    let mut cart: Vec<String> = session.get("cart")?.unwrap_or_default();
    cart.push(line.item);
    session.set("cart", &cart)?;
    Ok(format!("{} in the cart\n", cart.len()))
}

async fn home(session: Session) -> Result<String, Error> {
    let cart: Vec<String> = session.get("cart")?.unwrap_or_default();
    let name = session.user().map_or("nobody".to_owned(), |user| user.to_string());
    Ok(format!("{name} has {} in the cart\n", cart.len()))
}

async fn sign_out(session: Session) -> Result<&'static str, Error> {
    session.destroy()?;
    Ok("good-bye\n")
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = open_logins(&std::env::var("DATABASE_URL")?, &LoginOptions::default()).await?;
    let secrets = SecretList::parse(&std::env::var("SESSION_SECRET")?)?;
    secrets.require_strong()?;
    let sessions = SessionLayer::builder(store, secrets)
        .with_secure(false) // here only: plain http
        .with_max_age(WEEK)
        .build()?;
    let same_origin = sessions.same_origin();
    let app = Router::new()
        .route("/", get(home))
        .route("/cart", post(add))
        .route("/sign-in", post(sign_in))
        .route("/sign-out", post(sign_out))
        .layer(sessions)
        .layer(same_origin);
    let port = std::env::var("PORT").unwrap_or("3000".to_owned());
    let listener = tokio::net::TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    axum::serve(listener, app).await?;
    Ok(())
}
