//! An authenticator in software: ES256, attestation `none`.

use issuer::secret::{base64url, sha256};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};

/// The origin of the tests' issuer.
pub const ORIGIN: &str = "http://localhost:3001";

/// One credential on a device.
pub struct Authenticator {
    /// Where the page is that asks.
    pub origin: String,
    /// How often it has signed; 0 stays 0, as with passkeys that are shared between devices.
    pub counter: u32,
    /// Whether it verified its user.
    pub verifies_user: bool,
    /// Whom the credential belongs to.
    pub user_handle: Value,
    key: SigningKey,
    credential_id: Vec<u8>,
}

impl Authenticator {
    /// A device with its own key.
    pub fn new(number: u8) -> Self {
        Self {
            origin: ORIGIN.into(),
            counter: 0,
            verifies_user: true,
            user_handle: Value::Null,
            key: SigningKey::from_slice(&[number; 32]).expect("a scalar"),
            credential_id: vec![number; 16],
        }
    }

    /// Answers `navigator.credentials.create`.
    pub fn create(&mut self, options: &Value) -> Value {
        self.user_handle = options["user"]["id"].clone();
        let data = self.client_data("webauthn.create", options);
        let auth_data = self.auth_data(options["rp"]["id"].as_str().expect("an rp"), true);
        // {"fmt": "none", "attStmt": {}, "authData": bytes}
        let mut object = vec![0xa3, 0x63];
        object.extend(b"fmt\x64none\x67attStmt\xa0\x68authData\x58");
        object.push(u8::try_from(auth_data.len()).expect("short"));
        object.extend(&auth_data);
        json!({
            "id": base64url(&self.credential_id),
            "rawId": base64url(&self.credential_id),
            "type": "public-key",
            "response": {
                "attestationObject": base64url(&object),
                "clientDataJSON": base64url(data.as_bytes()),
                "transports": ["internal"],
            },
            "clientExtensionResults": {},
        })
    }

    /// Answers `navigator.credentials.get`.
    pub fn get(&mut self, options: &Value) -> Value {
        self.counter += u32::from(self.counter > 0);
        let data = self.client_data("webauthn.get", options);
        let auth_data = self.auth_data(options["rpId"].as_str().expect("an rp"), false);
        let signed = [auth_data.as_slice(), &sha256(data.as_bytes())].concat();
        let signature: Signature = self.key.sign(&signed);
        json!({
            "id": base64url(&self.credential_id),
            "rawId": base64url(&self.credential_id),
            "type": "public-key",
            "response": {
                "authenticatorData": base64url(&auth_data),
                "clientDataJSON": base64url(data.as_bytes()),
                "signature": base64url(signature.to_der().as_bytes()),
                "userHandle": self.user_handle,
            },
            "clientExtensionResults": {},
        })
    }

    fn client_data(&self, kind: &str, options: &Value) -> String {
        let challenge = &options["challenge"];
        json!({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": false})
            .to_string()
    }

    fn auth_data(&self, rp_id: &str, attested: bool) -> Vec<u8> {
        let flags =
            0x01 | if self.verifies_user { 0x04 } else { 0 } | if attested { 0x40 } else { 0 };
        let mut data = sha256(rp_id.as_bytes()).to_vec();
        data.push(flags);
        data.extend(self.counter.to_be_bytes());
        if attested {
            data.extend([0; 16]);
            data.extend(
                u16::try_from(self.credential_id.len())
                    .expect("short")
                    .to_be_bytes(),
            );
            data.extend(&self.credential_id);
            data.extend(self.cose_key());
        }
        data
    }

    /// RFC 9052: {1: 2, 3: -7, -1: 1, -2: x, -3: y}.
    fn cose_key(&self) -> Vec<u8> {
        let point = self.key.verifying_key().to_sec1_point(false);
        let (x, y) = point.as_bytes()[1..].split_at(32);
        let mut key = vec![0xa5, 0x01, 0x02, 0x03, 0x26, 0x20, 0x01, 0x21, 0x58, 0x20];
        key.extend(x);
        key.extend([0x22, 0x58, 0x20]);
        key.extend(y);
        key
    }
}
