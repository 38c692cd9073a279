//! The three calls the server makes: begin, finish, revoke.
//!
//! The code exchange is sent once, whatever happens. The provider is read *before* the exchange, so that an outage of
//! its discovery or keys does not burn the code.

use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreErrorResponseType, CoreJsonWebKeySet, CoreTokenResponse,
    CoreUserInfoClaims,
};
use openidconnect::{
    AsyncHttpClient, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, Nonce,
    OAuth2TokenResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope,
    StandardErrorResponse, SubjectIdentifier, TokenResponse, TokenUrl, UserInfoError, UserInfoUrl,
};
use secrecy::ExposeSecret;
use std::fmt;
use std::sync::Arc;
use url::Url;

use super::config::{ConfigError, Endpoints, ProviderConfig, provider_url};
use super::directory::{Directory, Provider, Routes};
use super::error::{IdTokenFault, SignInError, Step};
use super::http_client::{Bodies, HttpClient};
use super::identity::Identity;
use super::pending::PendingSignIn;
use super::revocation;
use super::verify::{self, Claims, Expected};
use crate::transport::{HttpFailure, Reach, shortened};

/// The longest code we send on.
const CODE_BYTES_MAX: usize = 4096;

/// A provider to sign in with. Cheap to clone; clones share the connection pool and what is known of the provider.
#[derive(Clone)]
pub struct SignIn(Arc<Inner>);

struct Inner {
    config: ProviderConfig,
    redirect: RedirectUrl,
    directory: Directory,
    http: HttpClient,
}

impl SignIn {
    /// Checks the settings. Nothing is sent yet.
    ///
    /// # Errors
    /// [`ConfigError`] names the setting and what to write there.
    pub fn new(config: ProviderConfig) -> Result<Self, ConfigError> {
        if config.client_id.trim().is_empty() {
            return Err(ConfigError::MissingClientId);
        }
        let redirect = RedirectUrl::new(config.redirect_url.clone()).map_err(|_| {
            ConfigError::InvalidUrl { setting: "redirect URL", value: config.redirect_url.clone() }
        })?;
        let (bodies, entrance) = match &config.endpoints {
            Endpoints::Whop { base_url, .. } => (Bodies::Json, provider_url("base URL", base_url)?),
            Endpoints::Oidc { issuer_url } => (Bodies::Form, provider_url("issuer", issuer_url)?),
        };
        let reach = Reach::of(&entrance);
        let directory = Directory::new(&config.endpoints, Arc::clone(&config.clock))?;
        let http = HttpClient::new(config.timeouts, bodies, reach)?;
        Ok(Self(Arc::new(Inner { config, redirect, directory, http })))
    }

    /// Where to send the browser, and what to keep in the login session until it comes back.
    ///
    /// # Errors
    /// Only where discovery is needed first: [`SignInError::Unavailable`] and its like.
    pub async fn begin(&self) -> Result<(Url, PendingSignIn), SignInError> {
        let authorize = match self.0.directory.routes() {
            Some(routes) => routes.authorize.clone(),
            None => self.0.directory.current(&self.0.http).await?.routes.authorize.clone(),
        };
        let issuer = self.0.directory.issuer().clone();
        let client = CoreClient::new(self.0.client_id(), issuer, CoreJsonWebKeySet::default())
            .set_auth_uri(AuthUrl::from_url(authorize))
            .set_redirect_uri(self.0.redirect.clone());
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let mut request = client
            .authorize_url(flow, || CsrfToken::new_random_len(32), || Nonce::new_random_len(32))
            .set_pkce_challenge(challenge);
        // The crate adds `openid` on its own.
        for scope in self.0.config.scopes.iter().filter(|scope| *scope != "openid") {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (url, state, nonce) = request.url();
        let pending = PendingSignIn {
            state: state.secret().clone(),
            nonce: nonce.secret().clone(),
            pkce_verifier: verifier.secret().clone(),
            started_at_ms: (self.0.config.clock)(),
        };
        Ok((url, pending))
    }

    /// Turns the callback's code into a verified identity.
    ///
    /// The caller has compared the state with [`PendingSignIn::state_matches`] and has removed `pending` from the
    /// session. Not to be repeated with the same code, whatever the error.
    ///
    /// # Errors
    /// See [`SignInError`]; [`SignInError::code`] is the callback's error code.
    pub async fn finish(&self, code: &str, pending: &PendingSignIn) -> Result<Identity, SignInError> {
        let inner = &self.0;
        if pending.is_expired((inner.config.clock)()) {
            return Err(SignInError::Expired);
        }
        if code.is_empty() || code.len() > CODE_BYTES_MAX {
            let description = Some("the code is empty or too long".to_owned());
            return Err(SignInError::TokenExchange { error: "invalid_request".to_owned(), description });
        }
        let provider = inner.directory.current(&inner.http).await?;
        let tokens = inner.exchange(&provider.routes, code, pending).await?;
        let claims = inner.verified(&provider, &tokens, pending).await?;
        let userinfo = inner.userinfo(&provider, &tokens, claims.subject()).await?;
        Ok(Identity::assemble(claims, userinfo.as_ref(), &tokens))
    }

    /// Ends a refresh token at the provider, at logout. A provider without a revocation endpoint is fine.
    ///
    /// # Errors
    /// [`SignInError`]; the caller logs it and goes on, or repeats it later: revoking twice is safe.
    pub async fn revoke(&self, refresh_token: &str) -> Result<(), SignInError> {
        let inner = &self.0;
        let routes = match inner.directory.routes() {
            Some(routes) => routes.clone(),
            None => inner.directory.current(&inner.http).await?.routes.clone(),
        };
        let Some(url) = &routes.revoke else { return Ok(()) };
        let request = revocation::request(&inner.config, url, &routes.auth_type, refresh_token)?;
        let sent = inner.http.call(request).await;
        let response = sent.map_err(|failure| SignInError::http(Step::Revocation, failure))?;
        if response.status().is_success() {
            return Ok(());
        }
        Err(SignInError::unreadable(Step::Revocation, format_args!("status {}", response.status())))
    }
}

impl fmt::Debug for SignIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignIn").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl Inner {
    fn client_id(&self) -> ClientId {
        ClientId::new(self.config.client_id.clone())
    }

    async fn exchange(
        &self,
        routes: &Routes,
        code: &str,
        pending: &PendingSignIn,
    ) -> Result<CoreTokenResponse, SignInError> {
        let issuer = self.directory.issuer().clone();
        let mut client = CoreClient::new(self.client_id(), issuer, CoreJsonWebKeySet::default())
            .set_token_uri(TokenUrl::from_url(routes.token.clone()))
            .set_redirect_uri(self.redirect.clone())
            .set_auth_type(routes.auth_type.clone());
        if let Some(secret) = &self.config.client_secret {
            client = client.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned()));
        }
        client
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(pending.pkce_verifier.clone()))
            .request_async(&self.http)
            .await
            .map_err(exchange_failed)
    }

    /// The ID token's claims; an unknown key id makes us read the provider's keys again, once.
    async fn verified<'t>(
        &self,
        provider: &Arc<Provider>,
        tokens: &'t CoreTokenResponse,
        pending: &PendingSignIn,
    ) -> Result<&'t Claims, SignInError> {
        let Some(token) = tokens.id_token() else {
            return Err(verify::invalid(IdTokenFault::Missing, "no id_token in the token answer"));
        };
        let expected = Expected {
            client_id: &self.config.client_id,
            nonce: &pending.nonce,
            access_token: tokens.access_token(),
            now_ms: (self.config.clock)(),
        };
        match verify::id_token(token, provider, &expected) {
            Err(error) if verify::key_is_unknown(&error) => {
                let newer = self.directory.newer_than(provider, &self.http).await?;
                verify::id_token(token, &newer, &expected)
            }
            verdict => verdict,
        }
    }

    async fn userinfo(
        &self,
        provider: &Provider,
        tokens: &CoreTokenResponse,
        subject: &SubjectIdentifier,
    ) -> Result<Option<CoreUserInfoClaims>, SignInError> {
        let Some(url) = &provider.routes.userinfo else {
            return Ok(None);
        };
        let client = CoreClient::new(self.client_id(), provider.issuer.clone(), provider.keys.clone())
            .set_user_info_url(UserInfoUrl::from_url(url.clone()));
        let request = client.user_info(tokens.access_token().clone(), Some(subject.clone()));
        request.request_async(&self.http).await.map(Some).map_err(userinfo_failed)
    }
}

fn exchange_failed(
    error: RequestTokenError<HttpFailure, StandardErrorResponse<CoreErrorResponseType>>,
) -> SignInError {
    match error {
        RequestTokenError::ServerResponse(answer) => SignInError::TokenExchange {
            error: shortened(answer.error().as_ref()),
            description: answer.error_description().map(|text| shortened(text)),
        },
        RequestTokenError::Request(failure) => SignInError::http(Step::Token, failure),
        // Only the place: the body, and a parser's own words about it, may hold tokens.
        RequestTokenError::Parse(error, _body) => {
            SignInError::unreadable(Step::Token, format_args!("at `{}`", error.path()))
        }
        RequestTokenError::Other(detail) => SignInError::unreadable(Step::Token, detail),
    }
}

fn userinfo_failed(error: UserInfoError<HttpFailure>) -> SignInError {
    match error {
        UserInfoError::Request(failure) => SignInError::http(Step::UserInfo, failure),
        UserInfoError::ClaimsVerification(_) => SignInError::InvalidUserData,
        UserInfoError::Response(status, _body, _) => {
            SignInError::unreadable(Step::UserInfo, format_args!("status {status}"))
        }
        UserInfoError::Parse(error) => {
            SignInError::unreadable(Step::UserInfo, format_args!("at `{}`", error.path()))
        }
        other => SignInError::unreadable(Step::UserInfo, other),
    }
}
