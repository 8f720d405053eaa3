"""Signs the fuzzer in, and in again whenever its session has gone.

Operations such as logout end the session they are called with; the next request then needs a
new one. Without FUZZ_EMAIL the account is the fuzzer's own.
"""

import os
import secrets

import requests
import schemathesis

PASSWORD = "correct horse battery"


class Account:
    """One account of the issuer under test: the given one, such as an administrator's, or one
    that is registered here and replaced when the fuzzer has deleted it."""

    def __init__(self, base_url):
        self.base_url = base_url
        self.email = os.environ.get("FUZZ_EMAIL")
        self.password = os.environ.get("FUZZ_PASSWORD", PASSWORD)
        self.is_given = self.email is not None
        self.token = None
        if not self.is_given:
            self._register()

    def sign_in(self):
        answer = self._post("login")
        if answer.status_code == 401 and not self.is_given:
            self._register()
            answer = self._post("login")
        self.token = expect(answer, 200)["accessToken"]
        return self.token

    def is_signed_in(self):
        if self.token is None:
            return False
        headers = {"authorization": f"Bearer {self.token}"}
        answer = requests.get(f"{self.base_url}/api/v1/auth/me", headers=headers, timeout=10)
        return answer.status_code == 200

    def _register(self):
        self.email = f"fuzz.{secrets.token_hex(8)}@example.com"
        expect(self._post("register"), 201)

    def _post(self, operation):
        body = {"email": self.email, "password": self.password}
        return requests.post(f"{self.base_url}/api/v1/auth/{operation}", json=body, timeout=10)


def expect(answer, status):
    if answer.status_code != status:
        raise RuntimeError(f"{answer.request.url}: {answer.status_code} {answer.text}")
    return answer.json()


account = None


@schemathesis.auth(refresh_interval=None)
class SignedIn:
    """A live access token for every request."""

    def get(self, case, context):
        global account
        if account is None:
            account = Account(case.operation.schema.get_base_url().rstrip("/"))
        if not account.is_signed_in():
            account.sign_in()
        return account.token

    def set(self, case, data, context):
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.hook
def before_call(context, case, kwargs):
    """Says about idempotency keys what a schema cannot: header and field mean the same, where
    one is needed either will do, and a key belongs to one request for ever."""
    if "/credits/" not in case.path or case.method == "GET":
        return
    headers = case.headers if case.headers is not None else {}
    body = case.body if isinstance(case.body, dict) else {}
    if "Idempotency-Key" in headers:
        body.pop("idempotencyKey", None)
    elif case.path.endswith(("/capture", "/release")) and "idempotencyKey" not in body:
        headers["Idempotency-Key"] = secrets.token_hex(8)
        case.headers = headers
    for holder, name in ((headers, "Idempotency-Key"), (body, "idempotencyKey")):
        if is_well_formed(holder.get(name)):
            holder[name] = secrets.token_hex(8)


def is_well_formed(key):
    return isinstance(key, str) and 1 <= len(key) <= 255 and all("!" <= c <= "~" for c in key)
