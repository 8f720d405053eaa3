//! People who call the API.

use poem::http::Method;
use serde_json::{Value, json};

use super::answer::Answer;
use super::app::{HOME, PASSWORD, TestApp};

/// Somebody with or without tokens.
#[derive(Clone)]
pub struct Actor<'a> {
    app: &'a TestApp,
    /// The user's address; empty for somebody who is not signed in.
    pub email: String,
    /// The user's id.
    pub id: String,
    /// The access token.
    pub access_token: String,
    /// The refresh token.
    pub refresh_token: String,
    ip: String,
}

impl<'a> Actor<'a> {
    /// Somebody who is not signed in.
    pub fn anon(app: &'a TestApp) -> Self {
        let empty = String::new;
        Self {
            app,
            email: empty(),
            id: empty(),
            access_token: empty(),
            refresh_token: empty(),
            ip: HOME.into(),
        }
    }

    /// Registers and signs in.
    pub async fn register(app: &'a TestApp, name: &str) -> Self {
        let email = format!("{name}@example.com");
        let anon = Self::anon(app);
        anon.post(
            "/api/v1/auth/register",
            json!({"email": email, "password": PASSWORD}),
        )
        .await
        .expect(201);
        anon.login(&email, json!({})).await
    }

    /// Signs in with more members in the body; a session beside the one there may be.
    pub async fn login(&self, email: &str, more: Value) -> Self {
        let mut body = json!({"email": email, "password": PASSWORD});
        for (name, value) in more.as_object().expect("an object") {
            body[name] = value.clone();
        }
        let answer = Self::anon(self.app)
            .calling_from(&self.ip)
            .post("/api/v1/auth/login", body)
            .await
            .expect(200);
        Self {
            app: self.app,
            email: email.into(),
            id: answer.body["user"]["id"].as_str().expect("an id").into(),
            access_token: answer.string("accessToken"),
            refresh_token: answer.string("refreshToken"),
            ip: self.ip.clone(),
        }
    }

    /// The same somebody at another issuer.
    pub fn at(&self, app: &'a TestApp) -> Self {
        Self {
            app,
            ..self.clone()
        }
    }

    /// The same somebody from another address.
    pub fn calling_from(&self, ip: &str) -> Self {
        Self {
            ip: ip.into(),
            ..self.clone()
        }
    }

    /// The same somebody with another access token.
    pub fn with_token(&self, access_token: &str) -> Self {
        Self {
            access_token: access_token.into(),
            ..self.clone()
        }
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, &[], None).await
    }

    /// POST with a JSON body.
    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.call(
            Method::POST,
            path,
            &[("content-type", "application/json")],
            Some(body.to_string()),
        )
        .await
    }

    /// POST without a body.
    pub async fn post_empty(&self, path: &str) -> Answer {
        self.call(Method::POST, path, &[], None).await
    }

    /// The same somebody with the tokens of an answer.
    pub fn signed_in_by(&self, answer: &Answer) -> Self {
        Self {
            id: answer.body["user"]["id"].as_str().expect("an id").into(),
            access_token: answer.string("accessToken"),
            refresh_token: answer.string("refreshToken"),
            ..self.clone()
        }
    }

    /// PATCH with a JSON body.
    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        let headers = [("content-type", "application/json")];
        self.call(Method::PATCH, path, &headers, Some(body.to_string()))
            .await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Answer {
        self.call(Method::DELETE, path, &[], None).await
    }

    /// Shows a refresh token.
    pub async fn refresh(&self, token: &str) -> Answer {
        self.post("/api/v1/auth/refresh", json!({ "refreshToken": token }))
            .await
    }

    /// Any request.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Answer {
        let mut request = self
            .app
            .client
            .request(method, path)
            .header("x-forwarded-for", self.ip.as_str());
        if !self.access_token.is_empty() && headers.iter().all(|(name, _)| *name != "authorization")
        {
            request = request.header("authorization", format!("Bearer {}", self.access_token));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(body) = body {
            request = request.body(body);
        }
        let response = request.send().await.0;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response
            .into_body()
            .into_string()
            .await
            .expect("a whole body");
        Answer {
            status,
            headers,
            body: serde_json::from_str(&text).unwrap_or_default(),
            text,
        }
    }
}
