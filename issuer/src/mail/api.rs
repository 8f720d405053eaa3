//! `/dev/mailbox`: the mail of development. Outside development none of it exists.

use std::sync::Arc;

use askama::Template;
use poem::endpoint::make_sync;
use poem::http::StatusCode;
use poem::{Endpoint, IntoResponse, Request, Response};

use super::mailbox::KeptMail;
use crate::app::App;
use crate::http::pages;
use crate::http::problem::{Problem, ProblemCode};

#[derive(Template)]
#[template(path = "mailbox.html")]
struct List {
    mails: Vec<Arc<KeptMail>>,
}

/// The list of mail.
pub fn mailbox_list(app: &Arc<App>) -> impl Endpoint<Output = Response> + use<> {
    let app = Arc::clone(app);
    make_sync(move |_| {
        let mails = app.mailer.mailbox().map(super::mailbox::Mailbox::list);
        let list = List {
            mails: mails.unwrap_or_default(),
        };
        pages::render(StatusCode::OK, &list)
    })
}

/// One mail as HTML, or as text when its name ends in `.txt`.
pub fn mailbox_mail(app: &Arc<App>) -> impl Endpoint<Output = Response> + use<> {
    let app = Arc::clone(app);
    make_sync(move |request: Request| {
        let name = request.raw_path_param("name").unwrap_or_default();
        let (id, is_text) = match name.strip_suffix(".txt") {
            Some(id) => (id, true),
            None => (name, false),
        };
        let mailbox = app.mailer.mailbox();
        let mail = mailbox.and_then(|mailbox| mailbox.find(id.parse().ok()?));
        match mail {
            Some(mail) if is_text => mail.text.clone().into_response(),
            Some(mail) => pages::foreign(&mail.html),
            None => Problem::new(ProblemCode::NotFound).into_response(),
        }
    })
}
