//! What the configuration tool calls from Node.

use wasm_bindgen::prelude::wasm_bindgen;

use crate::config::{check, effective, explain};

/// The outcome of checking an `edge.toml`.
#[wasm_bindgen]
#[derive(Debug)]
pub struct Checked {
    bundle: String,
    json: String,
    table: String,
    problems: String,
}

#[wasm_bindgen]
impl Checked {
    /// The configuration for the Worker; empty when there are problems.
    #[wasm_bindgen(getter)]
    pub fn bundle(&self) -> String {
        self.bundle.clone()
    }

    /// The same for people and programs; empty when there are problems.
    #[wasm_bindgen(getter)]
    pub fn json(&self) -> String {
        self.json.clone()
    }

    /// The effective table; empty when there are problems.
    #[wasm_bindgen(getter)]
    pub fn table(&self) -> String {
        self.table.clone()
    }

    /// The mistakes, one paragraph each; empty when there are none.
    #[wasm_bindgen(getter)]
    pub fn problems(&self) -> String {
        self.problems.clone()
    }
}

/// Checks the text of an `edge.toml`.
#[wasm_bindgen(js_name = checkConfig)]
pub fn check_config(text: &str) -> Checked {
    match check::check(text) {
        Ok(config) => Checked {
            bundle: config.to_bundle(),
            json: config.to_json(),
            table: effective::render(&config),
            problems: String::new(),
        },
        Err(problems) => {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            Checked {
                bundle: String::new(),
                json: String::new(),
                table: String::new(),
                problems: problems.join("\n"),
            }
        }
    }
}

/// Explains what would become of a request. The text is that of an `edge.toml` without
/// mistakes; with mistakes the answer is empty.
#[wasm_bindgen]
pub fn explain(text: &str, method: &str, url: &str) -> String {
    match check::check(text) {
        Ok(config) => explain::explain(&config, method, url),
        Err(_) => String::new(),
    }
}
