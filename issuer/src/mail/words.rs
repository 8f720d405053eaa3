//! What each mail says, in each language. Nothing a person typed stands in here.

use super::model::{Locale, Template};
use super::purchase::{self, PurchaseLabels};

/// The words of one mail.
pub struct Words {
    pub subject: &'static str,
    pub heading: &'static str,
    pub paragraphs: &'static [&'static str],
    pub action: Option<&'static str>,
    pub closing: &'static [&'static str],
}

/// The words that all mail shares.
pub struct CommonWords {
    pub greeting: &'static str,
    pub code: &'static str,
    pub device: &'static str,
    pub address: &'static str,
    pub time: &'static str,
    pub new_email: &'static str,
    pub change: &'static str,
    pub credits: &'static str,
    pub giver: &'static str,
    pub message: &'static str,
    pub until: &'static str,
    /// What a change of the second factor is called; by the name it has in the outbox.
    pub two_factor_change: fn(&str) -> Option<&'static str>,
    pub purchase: PurchaseLabels,
    pub unknown: &'static str,
    pub footer: &'static str,
}

/// The words that all mail in a language shares.
pub fn common(locale: Locale) -> CommonWords {
    match locale {
        Locale::En => CommonWords {
            greeting: "Hello",
            code: "Or enter this code",
            device: "Device",
            address: "IP address",
            time: "Time",
            new_email: "New address",
            change: "Change",
            credits: "Credits",
            giver: "From",
            message: "Message",
            until: "Until",
            two_factor_change: two_factor_change_en,
            purchase: purchase::LABELS_EN,
            unknown: "unknown",
            footer: "This mail was sent automatically because of something that happened with an account of this address. Nobody reads replies to it.",
        },
        Locale::De => CommonWords {
            greeting: "Hallo",
            code: "Oder gib diesen Code ein",
            device: "Gerät",
            address: "IP-Adresse",
            time: "Zeit",
            new_email: "Neue Adresse",
            change: "Änderung",
            credits: "Credits",
            giver: "Von",
            message: "Nachricht",
            until: "Bis",
            two_factor_change: two_factor_change_de,
            purchase: purchase::LABELS_DE,
            unknown: "unbekannt",
            footer: "Diese E-Mail wurde automatisch verschickt, weil mit einem Konto zu dieser Adresse etwas geschehen ist. Antworten darauf liest niemand.",
        },
    }
}

/// The words of a mail in a language.
pub fn words(template: Template, locale: Locale) -> Words {
    match locale {
        Locale::En => english(template),
        Locale::De => german(template),
    }
}

fn english(template: Template) -> Words {
    match template {
        Template::VerifyEmail => VERIFY_EMAIL_EN,
        Template::AlreadyRegistered => ALREADY_REGISTERED_EN,
        Template::ResetPassword => RESET_PASSWORD_EN,
        Template::PasswordChanged => PASSWORD_CHANGED_EN,
        Template::ChangeEmail => CHANGE_EMAIL_EN,
        Template::EmailChanged => EMAIL_CHANGED_EN,
        Template::NewDevice => NEW_DEVICE_EN,
        Template::RefreshTokenReused => REFRESH_TOKEN_REUSED_EN,
        Template::TwoFactorChanged => TWO_FACTOR_CHANGED_EN,
        Template::PasskeyAdded => PASSKEY_ADDED_EN,
        Template::GiftWaiting => GIFT_WAITING_EN,
        Template::GiftReceived => GIFT_RECEIVED_EN,
        Template::PurchaseReceipt => purchase::RECEIPT_EN,
        Template::PurchaseRefunded => purchase::REFUNDED_EN,
        Template::DisputeOpened => purchase::DISPUTE_OPENED_EN,
        Template::DisputeWon => purchase::DISPUTE_WON_EN,
        Template::DisputeLost => purchase::DISPUTE_LOST_EN,
    }
}

fn german(template: Template) -> Words {
    match template {
        Template::VerifyEmail => VERIFY_EMAIL_DE,
        Template::AlreadyRegistered => ALREADY_REGISTERED_DE,
        Template::ResetPassword => RESET_PASSWORD_DE,
        Template::PasswordChanged => PASSWORD_CHANGED_DE,
        Template::ChangeEmail => CHANGE_EMAIL_DE,
        Template::EmailChanged => EMAIL_CHANGED_DE,
        Template::NewDevice => NEW_DEVICE_DE,
        Template::RefreshTokenReused => REFRESH_TOKEN_REUSED_DE,
        Template::TwoFactorChanged => TWO_FACTOR_CHANGED_DE,
        Template::PasskeyAdded => PASSKEY_ADDED_DE,
        Template::GiftWaiting => GIFT_WAITING_DE,
        Template::GiftReceived => GIFT_RECEIVED_DE,
        Template::PurchaseReceipt => purchase::RECEIPT_DE,
        Template::PurchaseRefunded => purchase::REFUNDED_DE,
        Template::DisputeOpened => purchase::DISPUTE_OPENED_DE,
        Template::DisputeWon => purchase::DISPUTE_WON_DE,
        Template::DisputeLost => purchase::DISPUTE_LOST_DE,
    }
}

fn two_factor_change_en(change: &str) -> Option<&'static str> {
    match change {
        "enabled" => Some("Two-factor sign-in switched on"),
        "disabled" => Some("Two-factor sign-in switched off"),
        "recovery_codes_replaced" => Some("New recovery codes made"),
        "recovery_code_used" => Some("Recovery code used"),
        "passkey_removed" => Some("Passkey removed"),
        _ => None,
    }
}

fn two_factor_change_de(change: &str) -> Option<&'static str> {
    match change {
        "enabled" => Some("Zwei-Faktor-Anmeldung eingeschaltet"),
        "disabled" => Some("Zwei-Faktor-Anmeldung ausgeschaltet"),
        "recovery_codes_replaced" => Some("Neue Wiederherstellungscodes erstellt"),
        "recovery_code_used" => Some("Wiederherstellungscode benutzt"),
        "passkey_removed" => Some("Passkey entfernt"),
        _ => None,
    }
}

const VERIFY_EMAIL_EN: Words = Words {
    subject: "Confirm your e-mail address",
    heading: "Confirm your e-mail address",
    paragraphs: &[
        "Somebody, hopefully you, registered an account with this address. Confirm that it is yours and you can sign in.",
    ],
    action: Some("Confirm address"),
    closing: &[
        "The link and the code work for 24 hours.",
        "If it was not you, do not confirm: without it nobody can sign in.",
    ],
};

const ALREADY_REGISTERED_EN: Words = Words {
    subject: "You already have an account",
    heading: "You already have an account",
    paragraphs: &[
        "Somebody, perhaps you, tried to use this address for another account. Nothing has been changed.",
        "If it was you: sign in as before. If you forgot your password, ask for a new one on the sign-in page.",
    ],
    action: None,
    closing: &["If it was not you, there is nothing to do."],
};

const RESET_PASSWORD_EN: Words = Words {
    subject: "Choose a new password",
    heading: "Choose a new password",
    paragraphs: &[
        "Somebody, hopefully you, asked for a new password for the account with this address, or registered the address once more.",
    ],
    action: Some("Choose password"),
    closing: &[
        "The link works once and for one hour. Afterwards every device has to sign in again.",
        "If it was not you, there is nothing to do: your password stays as it is.",
    ],
};

const PASSWORD_CHANGED_EN: Words = Words {
    subject: "Your password was changed",
    heading: "Your password was changed",
    paragraphs: &[
        "The password of your account has just been changed. Other devices have been signed out.",
    ],
    action: None,
    closing: &[
        "If it was not you, ask for a new password on the sign-in page now and write to the support of this service.",
    ],
};

const CHANGE_EMAIL_EN: Words = Words {
    subject: "Confirm your new e-mail address",
    heading: "Confirm your new e-mail address",
    paragraphs: &["You asked to use this address for your account from now on."],
    action: Some("Use this address"),
    closing: &[
        "The link works once and for one hour. Until then the old address stays.",
        "If it was not you, do not confirm.",
    ],
};

const EMAIL_CHANGED_EN: Words = Words {
    subject: "Your e-mail address was changed",
    heading: "Your e-mail address was changed",
    paragraphs: &[
        "Another address has taken the place of this one in your account. From now on you sign in with it.",
    ],
    action: None,
    closing: &["If it was not you, write to the support of this service now."],
};

const NEW_DEVICE_EN: Words = Words {
    subject: "New sign-in to your account",
    heading: "New sign-in to your account",
    paragraphs: &[
        "Somebody, hopefully you, signed in from a device that has not been used with your account before.",
    ],
    action: None,
    closing: &[
        "If it was you, there is nothing to do. If it was not, change your password: it signs out every other device.",
    ],
};

const REFRESH_TOKEN_REUSED_EN: Words = Words {
    subject: "We signed a device out of your account",
    heading: "We signed a device out of your account",
    paragraphs: &[
        "A sign-in was used in two places at once. That happens when somebody has copied it, so we have ended it.",
    ],
    action: None,
    closing: &[
        "Sign in again on this device. If you use the same password elsewhere or think that somebody else has access to the device, change your password.",
    ],
};

const VERIFY_EMAIL_DE: Words = Words {
    subject: "Bestätige deine E-Mail-Adresse",
    heading: "Bestätige deine E-Mail-Adresse",
    paragraphs: &[
        "Jemand, hoffentlich du, hat mit dieser Adresse ein Konto angelegt. Bestätige, dass sie dir gehört, und du kannst dich anmelden.",
    ],
    action: Some("Adresse bestätigen"),
    closing: &[
        "Link und Code gelten 24 Stunden.",
        "Wenn du es nicht warst, bestätige nicht: Dann kann sich niemand anmelden.",
    ],
};

const ALREADY_REGISTERED_DE: Words = Words {
    subject: "Du hast bereits ein Konto",
    heading: "Du hast bereits ein Konto",
    paragraphs: &[
        "Jemand, vielleicht du, wollte diese Adresse für ein weiteres Konto verwenden. Es wurde nichts geändert.",
        "Wenn du es warst: Melde dich an wie bisher. Hast du dein Passwort vergessen, fordere auf der Anmeldeseite ein neues an.",
    ],
    action: None,
    closing: &["Wenn du es nicht warst, musst du nichts tun."],
};

const RESET_PASSWORD_DE: Words = Words {
    subject: "Wähle ein neues Passwort",
    heading: "Wähle ein neues Passwort",
    paragraphs: &[
        "Jemand, hoffentlich du, hat für das Konto mit dieser Adresse ein neues Passwort angefordert oder die Adresse noch einmal registriert.",
    ],
    action: Some("Passwort wählen"),
    closing: &[
        "Der Link gilt einmal und eine Stunde lang. Danach muss sich jedes Gerät neu anmelden.",
        "Wenn du es nicht warst, musst du nichts tun: Dein Passwort bleibt, wie es ist.",
    ],
};

const PASSWORD_CHANGED_DE: Words = Words {
    subject: "Dein Passwort wurde geändert",
    heading: "Dein Passwort wurde geändert",
    paragraphs: &[
        "Das Passwort deines Kontos wurde soeben geändert. Andere Geräte wurden abgemeldet.",
    ],
    action: None,
    closing: &[
        "Wenn du es nicht warst, fordere auf der Anmeldeseite sofort ein neues Passwort an und schreibe dem Support dieses Dienstes.",
    ],
};

const CHANGE_EMAIL_DE: Words = Words {
    subject: "Bestätige deine neue E-Mail-Adresse",
    heading: "Bestätige deine neue E-Mail-Adresse",
    paragraphs: &["Du möchtest dein Konto künftig mit dieser Adresse verwenden."],
    action: Some("Diese Adresse verwenden"),
    closing: &[
        "Der Link gilt einmal und eine Stunde lang. Bis dahin bleibt die alte Adresse.",
        "Wenn du es nicht warst, bestätige nicht.",
    ],
};

const EMAIL_CHANGED_DE: Words = Words {
    subject: "Deine E-Mail-Adresse wurde geändert",
    heading: "Deine E-Mail-Adresse wurde geändert",
    paragraphs: &[
        "In deinem Konto ist eine andere Adresse an die Stelle dieser getreten. Ab jetzt meldest du dich mit ihr an.",
    ],
    action: None,
    closing: &["Wenn du es nicht warst, schreibe sofort dem Support dieses Dienstes."],
};

const NEW_DEVICE_DE: Words = Words {
    subject: "Neue Anmeldung in deinem Konto",
    heading: "Neue Anmeldung in deinem Konto",
    paragraphs: &[
        "Jemand, hoffentlich du, hat sich von einem Gerät angemeldet, das bisher nicht mit deinem Konto verwendet wurde.",
    ],
    action: None,
    closing: &[
        "Wenn du es warst, musst du nichts tun. Wenn nicht, ändere dein Passwort: Das meldet alle anderen Geräte ab.",
    ],
};

const REFRESH_TOKEN_REUSED_DE: Words = Words {
    subject: "Wir haben ein Gerät abgemeldet",
    heading: "Wir haben ein Gerät abgemeldet",
    paragraphs: &[
        "Eine Anmeldung wurde an zwei Stellen zugleich benutzt. Das geschieht, wenn jemand sie kopiert hat, deshalb haben wir sie beendet.",
    ],
    action: None,
    closing: &[
        "Melde dich auf diesem Gerät neu an. Wenn du dasselbe Passwort anderswo benutzt oder glaubst, dass jemand anderes Zugriff auf das Gerät hat, ändere dein Passwort.",
    ],
};

const TWO_FACTOR_CHANGED_EN: Words = Words {
    subject: "How you sign in was changed",
    heading: "How you sign in was changed",
    paragraphs: &["The second step of signing in to your account has just been changed."],
    action: None,
    closing: &[
        "If it was not you, change your password now, end your other sessions and write to the support of this service.",
    ],
};

const TWO_FACTOR_CHANGED_DE: Words = Words {
    subject: "Deine Anmeldung wurde geändert",
    heading: "Deine Anmeldung wurde geändert",
    paragraphs: &["Der zweite Schritt der Anmeldung bei deinem Konto wurde soeben geändert."],
    action: None,
    closing: &[
        "Wenn du es nicht warst, ändere sofort dein Passwort, beende deine anderen Sitzungen und schreibe dem Support dieses Dienstes.",
    ],
};

const PASSKEY_ADDED_EN: Words = Words {
    subject: "A passkey was added",
    heading: "A passkey was added",
    paragraphs: &[
        "A passkey was added to your account. Whoever has it can sign in without your password.",
    ],
    action: None,
    closing: &[
        "If it was not you, remove it, change your password now and write to the support of this service.",
    ],
};

const PASSKEY_ADDED_DE: Words = Words {
    subject: "Ein Passkey wurde hinzugefügt",
    heading: "Ein Passkey wurde hinzugefügt",
    paragraphs: &[
        "Deinem Konto wurde ein Passkey hinzugefügt. Wer ihn hat, kann sich ohne dein Passwort anmelden.",
    ],
    action: None,
    closing: &[
        "Wenn du es nicht warst, entferne ihn, ändere sofort dein Passwort und schreibe dem Support dieses Dienstes.",
    ],
};

const GIFT_WAITING_EN: Words = Words {
    subject: "Somebody has given you credits",
    heading: "Somebody has given you credits",
    paragraphs: &[
        "Credits wait for you here. Sign in or register with this address and confirm it, and they are yours without any further step.",
    ],
    action: None,
    closing: &["If you do nothing, they go back to whoever gave them."],
};

const GIFT_WAITING_DE: Words = Words {
    subject: "Jemand hat dir Credits geschenkt",
    heading: "Jemand hat dir Credits geschenkt",
    paragraphs: &[
        "Hier warten Credits auf dich. Melde dich mit dieser Adresse an oder registriere dich mit ihr und bestätige sie, dann gehören sie dir ohne weiteren Schritt.",
    ],
    action: None,
    closing: &["Wenn du nichts tust, gehen sie an die Person zurück, die sie geschenkt hat."],
};

const GIFT_RECEIVED_EN: Words = Words {
    subject: "You were given credits",
    heading: "You were given credits",
    paragraphs: &["Somebody has given you credits. They are in your account already."],
    action: None,
    closing: &["There is nothing you need to do."],
};

const GIFT_RECEIVED_DE: Words = Words {
    subject: "Du hast Credits geschenkt bekommen",
    heading: "Du hast Credits geschenkt bekommen",
    paragraphs: &["Jemand hat dir Credits geschenkt. Sie sind schon auf deinem Konto."],
    action: None,
    closing: &["Du musst nichts weiter tun."],
};
