//! Finds the route of a request.
//!
//! The longest path wins, an exact path before a prefix of the same length, then a
//! route with a host before one without. Only then the method is looked at, so that a
//! method missing on the best route is 405 and never falls through to a wider route
//! with other rules. No route is 404: nothing is forwarded by default.

use crate::config::{Config, Method, PathPattern, Route};

/// What the routes say about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found<'c> {
    /// This route takes it.
    Route(&'c Route),
    /// Its path has routes, for other methods; this is one of them.
    OtherMethods(&'c Route),
    /// No route.
    Nothing,
}

/// Finds the route for a decoded path.
pub fn find<'c>(config: &'c Config, host: &str, path: &str, method: Option<Method>) -> Found<'c> {
    let Some(best) = config.routes.iter().find(|route| takes(route, host, path)) else {
        return Found::Nothing;
    };
    let takes_method = |route: &&Route| method.is_some_and(|m| route.methods.contains(&m));
    match siblings(config, best).find(takes_method) {
        Some(route) => Found::Route(route),
        None => Found::OtherMethods(best),
    }
}

/// The place of a route in the configuration.
pub fn index_of(config: &Config, route: &Route) -> usize {
    let is_it = |other: &Route| other.id == route.id;
    config.routes.iter().position(is_it).unwrap_or(usize::MAX)
}

/// The methods that the path and host of a route take, for `Allow`.
pub fn allowed_methods(config: &Config, route: &Route) -> String {
    let mut methods: Vec<Method> = siblings(config, route)
        .flat_map(|route| route.methods.iter().copied())
        .collect();
    methods.sort_unstable();
    methods
        .iter()
        .map(|method| method.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}

/// The routes that share path and host and differ in their methods.
fn siblings<'c>(config: &'c Config, route: &'c Route) -> impl Iterator<Item = &'c Route> {
    config
        .routes
        .iter()
        .filter(|other| other.path == route.path && other.host == route.host)
}

fn takes(route: &Route, host: &str, path: &str) -> bool {
    route.path.takes(path) && route.host.as_deref().is_none_or(|wanted| wanted == host)
}

impl Route {
    /// Greater wins; two routes of equal weight never take the same request.
    pub fn weight(&self) -> (usize, bool, bool) {
        (
            self.path.literal.len(),
            !self.path.prefix,
            self.host.is_some(),
        )
    }
}

impl PathPattern {
    /// Whether a decoded path is taken.
    fn takes(&self, path: &str) -> bool {
        if self.prefix {
            path.starts_with(&self.literal)
        } else {
            path == self.literal
        }
    }
}

/// Paths the gateway answers itself; no route can take them.
pub const RESERVED_PREFIX: &str = "/.well-known/edge";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::config_of;

    const ROUTES: &str = r#"
        [[route]]
        id = "all"
        path = "/*"
        [[route]]
        id = "api"
        path = "/api/*"
        methods = ["GET"]
        [[route]]
        id = "api-post"
        path = "/api/*"
        methods = ["POST"]
        [[route]]
        id = "api-root"
        path = "/api/"
        [[route]]
        id = "api-host"
        path = "/api/*"
        host = "b.example"
        [[route]]
        id = "admin"
        path = "/api/admin/*"
        methods = ["DELETE"]
        [[route]]
        id = "health"
        path = "/healthz"
    "#;

    fn found(host: &str, path: &str, method: &str) -> String {
        let config = config_of(ROUTES);
        match find(&config, host, path, Method::parse(method)) {
            Found::Route(route) => route.id.clone(),
            Found::OtherMethods(route) => format!("405 {}", allowed_methods(&config, route)),
            Found::Nothing => "404".into(),
        }
    }

    #[test]
    fn greatest_weight_wins() {
        for (host, path, method, wanted) in [
            ("a.example", "/", "GET", "all"),
            ("a.example", "/x", "GET", "all"),
            ("a.example", "/api", "GET", "all"),
            ("a.example", "/api/", "GET", "api-root"),
            ("a.example", "/api/x", "GET", "api"),
            ("a.example", "/api/x", "POST", "api-post"),
            ("b.example", "/api/x", "GET", "api-host"),
            ("a.example", "/api/admin/x", "DELETE", "admin"),
            ("a.example", "/healthz", "HEAD", "health"),
            ("a.example", "/healthz/", "GET", "all"),
            ("a.example", "/API/x", "GET", "all"),
        ] {
            assert_eq!(found(host, path, method), wanted, "{method} {host}{path}");
        }
    }

    #[test]
    fn other_method_on_the_best_route_does_not_fall_through() {
        for (host, path, method, wanted) in [
            ("a.example", "/api/x", "PUT", "405 GET, POST"),
            ("b.example", "/api/x", "POST", "405 GET, HEAD"),
            ("a.example", "/api/admin/x", "GET", "405 DELETE"),
            ("a.example", "/healthz", "TRACE", "405 GET, HEAD"),
        ] {
            assert_eq!(found(host, path, method), wanted, "{method} {host}{path}");
        }
    }

    #[test]
    fn path_without_route_is_nothing() {
        let config = config_of("[[route]]\nid = \"a\"\npath = \"/a/*\"");
        for path in ["/", "/a", "/b", "/A/x"] {
            assert_eq!(
                find(&config, "h", path, Some(Method::Get)),
                Found::Nothing,
                "{path}"
            );
        }
    }
}
