//! What mail about purchases says, and how money is written in it.

use serde_json::Value;

use super::words::Words;

/// What the facts of a purchase are called.
pub struct PurchaseLabels {
    pub package: &'static str,
    pub credits: &'static str,
    pub amount: &'static str,
    pub purchase: &'static str,
    /// Between whole and hundredths.
    pub decimal: char,
}

/// The facts of a purchase in their order; `None` when one is missing.
pub fn facts(labels: &PurchaseLabels, facts: &Value) -> Option<Vec<(&'static str, String)>> {
    let (cents, currency) = (facts["amountCents"].as_i64()?, facts["currency"].as_str()?);
    Some(vec![
        (labels.package, facts["package"].as_str()?.to_owned()),
        (labels.credits, facts["credits"].as_i64()?.to_string()),
        (labels.amount, money(cents, currency, labels.decimal)),
        (labels.purchase, facts["purchaseId"].as_str()?.to_owned()),
    ])
}

fn money(cents: i64, currency: &str, decimal: char) -> String {
    if WHOLE_CURRENCIES.contains(&currency) {
        return format!("{cents} {currency}");
    }
    format!("{}{decimal}{:02} {currency}", cents / 100, cents % 100)
}

/// Those whose smallest unit is the whole one, as Stripe lists them.
const WHOLE_CURRENCIES: [&str; 16] = [
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV",
    "XAF", "XOF", "XPF",
];

pub const LABELS_EN: PurchaseLabels = PurchaseLabels {
    package: "Package",
    credits: "Credits",
    amount: "Amount",
    purchase: "Purchase",
    decimal: '.',
};

pub const LABELS_DE: PurchaseLabels = PurchaseLabels {
    package: "Paket",
    credits: "Credits",
    amount: "Betrag",
    purchase: "Kauf",
    decimal: ',',
};

pub const RECEIPT_EN: Words = Words {
    subject: "Thank you for your purchase",
    heading: "Thank you for your purchase",
    paragraphs: &["Your payment has arrived and the credits are in your account."],
    action: None,
    closing: &[
        "Credits that you have bought do not lapse.",
        "If you did not buy anything, write to the support of this service before you turn to your bank.",
    ],
};

pub const REFUNDED_EN: Words = Words {
    subject: "Your money is on its way back",
    heading: "Your money is on its way back",
    paragraphs: &[
        "A payment has been refunded, and its credits have been taken back from your account. What was spent of them is settled with the next credits you get.",
    ],
    action: None,
    closing: &["Banks take five to ten days until the money is there."],
};

pub const DISPUTE_OPENED_EN: Words = Words {
    subject: "A payment of yours is disputed",
    heading: "A payment of yours is disputed",
    paragraphs: &[
        "Your bank has told us that you, or somebody in your name, disputes a payment. Until that is settled nothing can be spent from your account.",
    ],
    action: None,
    closing: &[
        "If it is a mistake, tell your bank that the payment is right, and write to the support of this service.",
    ],
};

pub const DISPUTE_WON_EN: Words = Words {
    subject: "The dispute about your payment is settled",
    heading: "The dispute about your payment is settled",
    paragraphs: &[
        "Your bank has decided that the payment stands. It no longer keeps you from spending your credits.",
    ],
    action: None,
    closing: &["There is nothing to do."],
};

pub const DISPUTE_LOST_EN: Words = Words {
    subject: "A disputed payment was taken back",
    heading: "A disputed payment was taken back",
    paragraphs: &[
        "Your bank has returned the payment to you, and its credits have been taken back from your account. What was spent of them is owed.",
        "Your account stays frozen until the support of this service has looked at it.",
    ],
    action: None,
    closing: &["If you want to go on using your account, write to the support of this service."],
};

pub const RECEIPT_DE: Words = Words {
    subject: "Danke für deinen Kauf",
    heading: "Danke für deinen Kauf",
    paragraphs: &["Deine Zahlung ist eingegangen, und die Credits sind auf deinem Konto."],
    action: None,
    closing: &[
        "Gekaufte Credits verfallen nicht.",
        "Wenn du nichts gekauft hast, schreibe dem Support dieses Dienstes, bevor du dich an deine Bank wendest.",
    ],
};

pub const REFUNDED_DE: Words = Words {
    subject: "Dein Geld ist auf dem Weg zurück",
    heading: "Dein Geld ist auf dem Weg zurück",
    paragraphs: &[
        "Eine Zahlung wurde erstattet, und ihre Credits wurden von deinem Konto zurückgenommen. Was davon schon ausgegeben war, wird mit den nächsten Credits verrechnet, die du bekommst.",
    ],
    action: None,
    closing: &["Banken brauchen fünf bis zehn Tage, bis das Geld da ist."],
};

pub const DISPUTE_OPENED_DE: Words = Words {
    subject: "Eine deiner Zahlungen wird angefochten",
    heading: "Eine deiner Zahlungen wird angefochten",
    paragraphs: &[
        "Deine Bank hat uns mitgeteilt, dass du oder jemand in deinem Namen eine Zahlung anficht. Bis das geklärt ist, kann von deinem Konto nichts ausgegeben werden.",
    ],
    action: None,
    closing: &[
        "Wenn es ein Irrtum ist, sage deiner Bank, dass die Zahlung richtig ist, und schreibe dem Support dieses Dienstes.",
    ],
};

pub const DISPUTE_WON_DE: Words = Words {
    subject: "Die Anfechtung deiner Zahlung ist geklärt",
    heading: "Die Anfechtung deiner Zahlung ist geklärt",
    paragraphs: &[
        "Deine Bank hat entschieden, dass die Zahlung gilt. Sie hindert dich nicht mehr daran, deine Credits auszugeben.",
    ],
    action: None,
    closing: &["Du musst nichts tun."],
};

pub const DISPUTE_LOST_DE: Words = Words {
    subject: "Eine angefochtene Zahlung wurde zurückgeholt",
    heading: "Eine angefochtene Zahlung wurde zurückgeholt",
    paragraphs: &[
        "Deine Bank hat dir die Zahlung zurückgegeben, und ihre Credits wurden von deinem Konto zurückgenommen. Was davon schon ausgegeben war, bist du schuldig.",
        "Dein Konto bleibt gesperrt, bis der Support dieses Dienstes es geprüft hat.",
    ],
    action: None,
    closing: &["Wenn du dein Konto weiter benutzen willst, schreibe dem Support dieses Dienstes."],
};
