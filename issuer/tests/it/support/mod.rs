//! What every test stands on: a database of its own, a clock it moves, people who call the API.

pub mod actor;
pub mod answer;
pub mod app;
pub mod authenticator;
pub mod db;
pub mod mail;
pub mod proving;

pub use actor::Actor;
pub use answer::Answer;
pub use app::TestApp;
pub use mail::MailApp;
pub use proving::proving;
