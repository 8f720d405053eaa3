//! One-time codes (RFC 6238): SHA-1, six digits, 30 seconds, which every authenticator app knows.

use std::fmt;

use qrcode::QrCode;
use qrcode::render::svg;
use totp_rs::{Builder, Totp};
use url::Url;
use zeroize::Zeroizing;

use crate::app::App;
use crate::seal;
use crate::secret::{DerivedKey, Purpose};

/// The shared secret.
pub struct TotpSecret(Zeroizing<[u8; SECRET_BYTES]>);

/// A secret as it is stored.
pub struct SealedSecret {
    /// The seal.
    pub bytes: Vec<u8>,
    /// The version of the master key it was made with.
    pub master_key_version: i32,
}

/// What a person needs to set up an authenticator app.
pub struct Enrolment {
    /// The secret to type.
    pub secret: Zeroizing<String>,
    /// The secret as a link.
    pub otpauth_url: Zeroizing<String>,
    /// The link as a picture.
    pub qr_svg: Zeroizing<String>,
}

impl TotpSecret {
    /// A new one.
    pub fn generate(app: &App) -> Self {
        Self(Zeroizing::new(app.entropy.bytes()))
    }

    /// The time step whose code this is, one step early or late included; `None` when it is
    /// another code.
    pub fn step_of(&self, code: &str, unix_secs: u64) -> Option<i64> {
        let step = self.codes("user", "Tollgate")?.check(code, unix_secs)?;
        i64::try_from(step).ok()
    }

    /// How it is shown, once.
    pub fn enrolment(&self, email: &str, issuer: &str) -> Option<Enrolment> {
        let totp = self.codes(email, issuer)?;
        let url = Zeroizing::new(totp.to_url().ok()?);
        let picture = QrCode::new(url.as_bytes()).ok()?;
        let qr_svg = picture
            .render::<svg::Color<'_>>()
            .min_dimensions(QR_PIXELS, QR_PIXELS)
            .build();
        Some(Enrolment {
            secret: Zeroizing::new(totp.secret().to_base32()),
            qr_svg: Zeroizing::new(qr_svg),
            otpauth_url: url,
        })
    }

    /// Encrypts it for the database, bound to its user.
    pub fn seal(&self, app: &App, user_id: &str) -> SealedSecret {
        let key = app.master_keys.current().derive(Purpose::SealSecondFactors);
        SealedSecret {
            bytes: seal::seal(&key, self.0.as_ref(), &label(user_id), &app.entropy),
            master_key_version: app.master_keys.current_version(),
        }
    }

    /// Opens a stored one; `None` when it is another user's or was made with a key we lack.
    pub fn open(app: &App, user_id: &str, sealed: &SealedSecret) -> Option<Self> {
        let version = sealed.master_key_version;
        let key = app
            .master_keys
            .derive_version(version, Purpose::SealSecondFactors)?;
        Self::open_with(&key, user_id, &sealed.bytes)
    }

    fn open_with(key: &DerivedKey, user_id: &str, sealed: &[u8]) -> Option<Self> {
        let opened = seal::open(key, sealed, &label(user_id))?;
        Some(Self(Zeroizing::new(opened.as_slice().try_into().ok()?)))
    }

    fn codes(&self, account: &str, issuer: &str) -> Option<Totp> {
        Builder::new()
            .with_secret(self.0.to_vec())
            .with_skew(WINDOW_STEPS)
            .with_account_name(account)
            .with_issuer(Some(issuer))
            .build()
            .ok()
    }
}

impl fmt::Debug for TotpSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSecret")
    }
}

/// What the authenticator app calls us: the host people know.
pub fn issuer_name(base_url: &str) -> String {
    let url = Url::parse(base_url).ok();
    let host = url.as_ref().and_then(Url::domain);
    host.unwrap_or("Tollgate").to_owned()
}

fn label(user_id: &str) -> Vec<u8> {
    format!("tollgate one-time codes 1\n{user_id}").into_bytes()
}

/// RFC 4226 section 4 recommends 160 bits.
const SECRET_BYTES: usize = 20;
/// RFC 6238 section 5.2 recommends at most one step for the delay of the network.
const WINDOW_STEPS: u16 = 1;
const QR_PIXELS: u32 = 240;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Entropy;
    use crate::secret::MasterKey;

    /// RFC 6238, appendix B, the last six digits of its eight.
    const CASES: [(u64, &str); 6] = [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
        (20_000_000_000, "353130"),
    ];

    fn secret() -> TotpSecret {
        TotpSecret(Zeroizing::new(*b"12345678901234567890"))
    }

    #[test]
    fn codes_are_those_of_the_rfc() {
        for (at, code) in CASES {
            assert_eq!(
                secret().step_of(code, at),
                i64::try_from(at / 30).ok(),
                "{at}"
            );
        }
    }

    #[test]
    fn a_code_is_accepted_one_step_early_and_late_and_not_two() {
        // Step 1 is from 30 to 59.
        for (at, accepted) in [
            (0, true),
            (29, true),
            (30, true),
            (89, true),
            (90, false),
            (119, false),
        ] {
            assert_eq!(secret().step_of("287082", at).is_some(), accepted, "{at}");
        }
        assert_eq!(
            secret().step_of("287082", 89),
            Some(1),
            "the step of the code, not of the clock"
        );
    }

    #[test]
    fn what_is_not_the_code_is_refused() {
        for code in [
            "",
            "28708",
            "2870820",
            "287083",
            "28708a",
            " 287082",
            "２８７０８２",
        ] {
            assert_eq!(secret().step_of(code, 59), None, "{code}");
        }
    }

    #[test]
    fn enrolment_names_issuer_and_account() {
        let shown = secret()
            .enrolment("ada@example.com", "id.example.com")
            .expect("shown");
        assert_eq!(&*shown.secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert_eq!(
            &*shown.otpauth_url,
            "otpauth://totp/id.example.com:ada%40example.com?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=id.example.com"
        );
        assert!(shown.qr_svg.contains("<svg"));
        assert_eq!(format!("{:?}", secret()), "TotpSecret");
    }

    #[test]
    fn a_seal_opens_only_for_its_user_and_key() {
        let key = |b| MasterKey::from_bytes([b; 32]).derive(Purpose::SealSecondFactors);
        let sealed = seal::seal(
            &key(1),
            secret().0.as_ref(),
            &label("ada"),
            &Entropy::seeded(1),
        );
        assert!(TotpSecret::open_with(&key(1), "ada", &sealed).is_some());
        assert!(TotpSecret::open_with(&key(1), "bob", &sealed).is_none());
        assert!(TotpSecret::open_with(&key(2), "ada", &sealed).is_none());
    }

    #[test]
    fn the_host_names_the_issuer() {
        assert_eq!(issuer_name("https://id.example.com/auth"), "id.example.com");
        assert_eq!(issuer_name("http://127.0.0.1:3001"), "Tollgate");
    }
}
