"""A mail server with STARTTLS required, an issuer that sends to it, and the time answers take."""

import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

import trustme
from aiosmtpd.controller import Controller

PASSWORD = "correct horse battery"
ONLY = os.environ.get("ONLY")
RUNS = int(os.environ.get("RUNS", "200"))
# Wide: a busy machine moves medians about. On a quiet one they lie well within 2 ms.
WIDEST_GAP_MS = float(os.environ.get("WIDEST_GAP_MS", "10"))


class Sink:
    """Keeps what arrives; answers what it is told to first."""

    def __init__(self):
        self.received, self.replies, self.encrypted = [], [], []

    async def handle_DATA(self, server, session, envelope):
        if self.replies:
            return self.replies.pop(0)
        self.encrypted.append(session.ssl is not None)
        self.received.append((envelope.rcpt_tos[0], envelope.content.decode()))
        return "250 accepted"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(what, condition, within):
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            sys.exit(f"not within {within} s: {what}")
        time.sleep(0.05)


class Issuer:
    def __init__(self, program, folder, smtp_port, ca_file):
        self.url = f"http://127.0.0.1:{(port := free_port())}"
        environment = {
            "PATH": os.environ["PATH"],
            "LISTEN_ADDR": f"127.0.0.1:{port}",
            "TOLLGATE_DATA_DIR": folder,
            "SMTP_URL": f"smtp://localhost:{smtp_port}?tls=required",
            "SMTP_CA_FILE": ca_file,
            "MAIL_FROM": "Example <no-reply@example.com>",
            "RUST_LOG": "error",
        }
        self.process = subprocess.Popen([program, "serve", "--dev"], env=environment)
        wait_for("the issuer is ready", self.is_ready, 60)

    def is_ready(self):
        try:
            return urllib.request.urlopen(self.url + "/ready").status == 200
        except OSError:
            return False

    def post(self, path, body, token=None):
        headers = {"content-type": "application/json"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        request = urllib.request.Request(
            f"{self.url}/api/v1/auth/{path}", json.dumps(body).encode(), headers
        )
        began = time.perf_counter()
        try:
            status = urllib.request.urlopen(request).status
        except urllib.error.HTTPError as error:
            status = error.code
        return status, (time.perf_counter() - began) * 1000

    def sign_in(self, email):
        body = json.dumps({"email": email, "password": PASSWORD}).encode()
        request = urllib.request.Request(
            f"{self.url}/api/v1/auth/login", body, {"content-type": "application/json"}
        )
        return json.load(urllib.request.urlopen(request))["accessToken"]

    def register(self, name):
        return self.post("register", {"email": f"{name}@example.com", "password": PASSWORD})


def expect(what, found, wanted):
    if found != wanted:
        sys.exit(f"{what}: {found!r} in place of {wanted!r}")
    print(f"ok  {what}", flush=True)


def check_delivery(issuer, sink, controllers):
    issuer.register("ada")
    wait_for("the first mail", lambda: sink.received, 10)
    expect("a server that demands STARTTLS gets the mail encrypted", sink.encrypted, [True])

    sink.replies.append("450 later")
    issuer.register("bob")
    wait_for("the refused mail", lambda: len(sink.received) == 2, 30)
    time.sleep(2)
    expect("450 then 250: delivered once", len(sink.received), 2)

    controllers.stop()
    names = [f"away{i}" for i in range(5)]
    for name in names:
        issuer.register(name)
    time.sleep(60)
    expect("the server is away for a minute", len(sink.received), 2)
    controllers.start()
    wait_for("the waiting mail", lambda: len(sink.received) == 7, 120)
    arrived = sorted(to for to, _ in sink.received[2:])
    expect("nothing is lost and nothing comes twice", arrived, sorted(f"{n}@example.com" for n in names))


def prove(issuer, sink, name):
    """Proves an address by the link in its mail."""
    mail = next(content for to, content in sink.received if to == f"{name}@example.com")
    token = re.search(r"\?token=(?:3D)?([\w-]{65})", mail.replace("=\r\n", "").replace("=\n", ""))
    expect(f"{name} proves the address", issuer.post("verify-email", {"token": token[1]})[0], 200)


def measure(issuer):
    """Medians for an address that has an account and for one that has not, taken in turns."""
    def login(email, password):
        return issuer.post("login", {"email": email, "password": password})

    token = issuer.sign_in("ada@example.com")

    def change_email(email):
        return issuer.post("change-email", {"email": email}, token)

    cases = {
        "register": (lambda i: issuer.register("ada"), lambda i: issuer.register(f"new{i}")),
        "resend": tuple(
            (lambda i, e=e: issuer.post("resend-verification", {"email": e})) for e in ("bob@example.com", "no@example.com")
        ),
        "forgot": tuple(
            (lambda i, e=e: issuer.post("forgot-password", {"email": e})) for e in ("ada@example.com", "no@example.com")
        ),
        "change": (
            lambda i: change_email("bob@example.com"),
            lambda i: change_email("no@example.com"),
        ),
        "login": (
            lambda i: login("bob@example.com", PASSWORD),
            lambda i: login("no@example.com", PASSWORD),
        ),
    }
    for name, (known, unknown) in cases.items():
        times = ([], [])
        for i in range(RUNS):
            for which, call in enumerate((known, unknown)):
                times[which].append(call(i)[1])
        a, b = (statistics.median(t) for t in times)
        print(f"    {name:9} known {a:7.2f} ms  unknown {b:7.2f} ms  gap {abs(a - b):5.2f} ms", flush=True)
        if abs(a - b) > WIDEST_GAP_MS:
            sys.exit(f"{name} tells known from unknown addresses by time")


class Restartable:
    def __init__(self, sink, context, port):
        self.make = lambda: Controller(
            sink, hostname="127.0.0.1", port=port, tls_context=context, require_starttls=True
        )
        self.start()

    def start(self):
        self.controller = self.make()
        self.controller.start()

    def stop(self):
        self.controller.stop()


def main(program):
    import ssl

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)
        authority, ca_file = trustme.CA(), f"{folder}/ca.pem"
        authority.cert_pem.write_to_path(ca_file)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("localhost").configure_cert(context)
        sink, port = Sink(), free_port()
        controllers = Restartable(sink, context, port)
        issuer = Issuer(program, f"{folder}/data", port, ca_file)
        try:
            if ONLY != "times":
                check_delivery(issuer, sink, controllers)
            else:
                issuer.register("ada"), issuer.register("bob")
                wait_for("the mail", lambda: len(sink.received) == 2, 10)
            prove(issuer, sink, "ada")
            if ONLY != "delivery":
                measure(issuer)
        finally:
            issuer.process.send_signal(signal.SIGTERM)
            issuer.process.wait(20)
            controllers.stop()


main(sys.argv[1])
