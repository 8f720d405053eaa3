//! What the pages say.

use crate::accounts::model::PasswordFault;
use crate::mail::{LinkPurpose, Locale};

/// Heading and text of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageWords {
    pub heading: &'static str,
    pub text: &'static str,
}

/// The words of a form.
#[derive(Debug, Clone, Copy)]
pub struct FormWords {
    pub button: &'static str,
    pub password: &'static str,
}

/// What happened after the button.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It worked.
    Done,
    /// The link is not good any more.
    NotGood,
    /// Too busy.
    Busy,
}

/// Before the button is pressed.
pub fn asking(purpose: LinkPurpose, locale: Locale) -> PageWords {
    let (heading, text) = match (purpose, locale) {
        (LinkPurpose::VerifyEmail, Locale::En) => (
            "Confirm your e-mail address",
            "Press the button and the address counts as yours.",
        ),
        (LinkPurpose::VerifyEmail, Locale::De) => (
            "E-Mail-Adresse bestätigen",
            "Drücke den Knopf, und die Adresse gilt als deine.",
        ),
        (LinkPurpose::ResetPassword, Locale::En) => (
            "Choose a new password",
            "Every device has to sign in again with it.",
        ),
        (LinkPurpose::ResetPassword, Locale::De) => (
            "Neues Passwort wählen",
            "Jedes Gerät muss sich damit neu anmelden.",
        ),
        (LinkPurpose::ChangeEmail, Locale::En) => (
            "Use this e-mail address",
            "Press the button and you sign in with this address from now on.",
        ),
        (LinkPurpose::ChangeEmail, Locale::De) => (
            "Diese E-Mail-Adresse verwenden",
            "Drücke den Knopf, und du meldest dich ab jetzt mit dieser Adresse an.",
        ),
    };
    PageWords { heading, text }
}

/// The words of the form.
pub fn form(purpose: LinkPurpose, locale: Locale) -> FormWords {
    let (button, password) = match (purpose, locale) {
        (LinkPurpose::ResetPassword, Locale::En) => ("Set password", "New password"),
        (LinkPurpose::ResetPassword, Locale::De) => ("Passwort setzen", "Neues Passwort"),
        (LinkPurpose::VerifyEmail | LinkPurpose::ChangeEmail, Locale::En) => {
            ("Confirm address", "")
        }
        (LinkPurpose::VerifyEmail | LinkPurpose::ChangeEmail, Locale::De) => {
            ("Adresse bestätigen", "")
        }
    };
    FormWords { button, password }
}

/// A password that cannot be chosen.
pub fn bad_password(fault: PasswordFault, locale: Locale) -> &'static str {
    match (fault, locale) {
        (PasswordFault::Length, Locale::En) => "A password has 8 to 128 characters.",
        (PasswordFault::Length, Locale::De) => "Ein Passwort hat 8 bis 128 Zeichen.",
        (PasswordFault::Common, Locale::En) => {
            "This is one of the passwords that everybody tries first. Choose another."
        }
        (PasswordFault::Common, Locale::De) => {
            "Dieses Passwort gehört zu denen, die jeder zuerst probiert. Wähle ein anderes."
        }
    }
}

/// After the button was pressed.
pub fn ending(purpose: LinkPurpose, ending: Ending, locale: Locale) -> PageWords {
    let (heading, text) = match (ending, purpose, locale) {
        (Ending::Done, LinkPurpose::VerifyEmail, Locale::En) => (
            "Address confirmed",
            "You can sign in now. This page can be closed.",
        ),
        (Ending::Done, LinkPurpose::VerifyEmail, Locale::De) => (
            "Adresse bestätigt",
            "Du kannst dich jetzt anmelden. Diese Seite kann geschlossen werden.",
        ),
        (Ending::Done, LinkPurpose::ResetPassword, Locale::En) => (
            "Password set",
            "Sign in with your new password. This page can be closed.",
        ),
        (Ending::Done, LinkPurpose::ResetPassword, Locale::De) => (
            "Passwort gesetzt",
            "Melde dich mit deinem neuen Passwort an. Diese Seite kann geschlossen werden.",
        ),
        (Ending::Done, LinkPurpose::ChangeEmail, Locale::En) => (
            "Address changed",
            "From now on you sign in with this address. This page can be closed.",
        ),
        (Ending::Done, LinkPurpose::ChangeEmail, Locale::De) => (
            "Adresse geändert",
            "Ab jetzt meldest du dich mit dieser Adresse an. Diese Seite kann geschlossen werden.",
        ),
        (Ending::NotGood, _, Locale::En) => (
            "This link does not work any more",
            "It was used, has run out, or a newer one has been sent. Ask for another where you sign in.",
        ),
        (Ending::NotGood, _, Locale::De) => (
            "Dieser Link gilt nicht mehr",
            "Er wurde benutzt, ist abgelaufen, oder es wurde ein neuerer verschickt. Fordere dort, wo du dich anmeldest, einen weiteren an.",
        ),
        (Ending::Busy, _, Locale::En) => (
            "Please try again",
            "We cannot do this right now. Open the link again in a moment.",
        ),
        (Ending::Busy, _, Locale::De) => (
            "Bitte versuche es noch einmal",
            "Das geht im Moment nicht. Öffne den Link gleich noch einmal.",
        ),
    };
    PageWords { heading, text }
}
