//! The pages that links in mail lead to.
//!
//! 1. GET and HEAD show a page and change nothing: scanners of mail open every link.
//! 2. Only the button's POST uses the link. It needs no script.
//! 3. A page says nothing of the link before it is used: opening one tells a stranger nothing.

mod api;
mod words;

pub use api::pages;
