// An issuer whose key sets and feed behave as a test wants; it signs with keys of its own
// and counts what is fetched from it.

import { createHash, createPrivateKey, createPublicKey, sign } from "node:crypto";
import { createServer } from "node:http";

const FEED_LIFE_SECS = 60;
/** Late, and within the time limit of any fetch. */
const SLOW_MS = 150;

/** A signing key, the same for the same number. */
export function signingKey(number) {
  const seed = createHash("sha256").update(`signing key ${number}`).digest();
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
  const privateKey = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
  const { x } = createPublicKey(privateKey).export({ format: "jwk" });
  const kid = createHash("sha256")
    .update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`)
    .digest("base64url");
  return { privateKey, x, kid, jwk: { kty: "OKP", crv: "Ed25519", use: "sig", kid, x } };
}

export function jws(key, header, payload) {
  const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const signed = `${encode({ alg: "EdDSA", kid: key.kid, ...header })}.${encode(payload)}`;
  return `${signed}.${sign(null, Buffer.from(signed), key.privateKey).toString("base64url")}`;
}

/** Starts an issuer on a free port, or on the given one. */
export async function startIssuer({ port = 0 } = {}) {
  const issuer = new Issuer();
  await issuer.listen(port);
  return issuer;
}

class Issuer {
  tokenKey = signingKey(1);
  feedKey = signingKey(2);
  /** How key sets are answered; see `keySet`. */
  keysMode = "ok";
  /** The key set in mode ok, where it is not the signing key alone. */
  published;
  /** How the feed is answered: ok, 500, hang, forged, token-key. */
  feedMode = "ok";
  fetched = { jwks: 0, feedKeys: 0, feed: 0 };
  /** Each revocation and the number it was published under. */
  #revocations = [];
  #seq = 1;
  #hanging = new Set();
  #epoch = 1;

  async listen(port) {
    this.server = createServer((request, response) => this.#answer(request, response));
    await new Promise((resolve) => this.server.listen(port, "127.0.0.1", resolve));
    this.port = this.server.address().port;
    this.url = `http://127.0.0.1:${this.port}`;
  }

  /** Stops answering, as a machine that is down does. */
  async close() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  async reopen() {
    await this.listen(this.port);
  }

  token(changes = {}, { key = this.tokenKey, header = {} } = {}) {
    const now = Math.floor(Date.now() / 1000);
    const claims = {
      iss: this.url,
      sub: "user-1",
      aud: "tollgate",
      exp: now + 900,
      iat: now,
      jti: `jti-${Math.random()}`,
      email: "ada@example.com",
      email_verified: true,
      role: "user",
      sid: "session-1",
      ...changes,
    };
    return jws(key, { typ: "at+jwt", ...header }, claims);
  }

  /** Ends a session or denies a key, visible from the next poll on. */
  revoke({ sid, kid }) {
    this.#seq += 1;
    this.#revocations.push({ seq: this.#seq, sid, kid });
  }

  #answer(request, response) {
    const url = new URL(request.url, this.url);
    switch (url.pathname) {
      case "/.well-known/jwks.json":
        this.fetched.jwks += 1;
        return this.#keySet(response, this.tokenKey);
      case "/.well-known/feed-jwks.json":
        this.fetched.feedKeys += 1;
        return this.#json(response, { keys: [this.feedKey.jwk] });
      case "/.well-known/revocations":
        this.fetched.feed += 1;
        return this.#feed(request, response, url.searchParams.get("since"));
      default:
        response.writeHead(404).end();
    }
  }

  #keySet(response, key) {
    const other = signingKey(9).jwk;
    switch (this.keysMode) {
      case "ok":
        return this.#json(response, { keys: this.published ?? [key.jwk] });
      case "500":
        return response.writeHead(500).end("broken");
      case "hang":
        return this.#hanging.add(response);
      case "slow":
        return setTimeout(() => this.#json(response, { keys: [key.jwk] }), SLOW_MS);
      case "stall":
        response.writeHead(200, { "content-type": "application/json", "content-length": "200" });
        return response.write('{"keys":[');
      case "empty":
        return this.#json(response, { keys: [] });
      case "huge":
        return this.#json(response, { keys: [key.jwk], padding: "x".repeat(70_000) });
      case "endless":
        return this.#endless(response);
      case "redirect":
        return response.writeHead(302, { location: `${this.url}/elsewhere` }).end();
      case "rotated":
        return this.#json(response, { keys: [other] });
      case "duplicate-kid":
        return this.#json(response, { keys: [key.jwk, { ...other, kid: key.kid }] });
      case "short-x":
        return this.#json(response, { keys: [{ ...other, x: "AAAA" }, key.jwk] });
      case "only-short-x":
        return this.#json(response, { keys: [{ ...key.jwk, x: key.x.slice(0, 20) }] });
      case "unknown-kty":
        return this.#json(response, { keys: [{ kty: "AKP", kid: "post-quantum" }, key.jwk] });
      case "html":
        return response.writeHead(200, { "content-type": "text/html" }).end("<p>Sign in</p>");
      default:
        throw new Error(`no such mode: ${this.keysMode}`);
    }
  }

  #json(response, value) {
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
  }

  #endless(response) {
    const write = () => {
      while (!response.destroyed && response.write(Buffer.alloc(16_384, 32)));
    };
    response.on("drain", write);
    write();
  }

  #feed(request, response, since) {
    if (this.feedMode === "500") return response.writeHead(500).end();
    if (this.feedMode === "hang") return this.#hanging.add(response);
    const body = this.#feedDocument(since === null ? null : Number(since));
    const etag = `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"`;
    if (request.headers["if-none-match"] === etag) return response.writeHead(304, { etag }).end();
    response.writeHead(200, { "content-type": "application/jwt", etag }).end(body);
  }

  #feedDocument(since) {
    const asOf = Math.floor(Date.now() / 1000);
    const known = since !== null && since <= this.#seq;
    const entries = this.#revocations.filter((entry) => !known || entry.seq > since);
    const sids = new Set(entries.map((entry) => entry.sid).filter((sid) => sid !== undefined));
    const prefixes = [...sids]
      .map((sid) => createHash("sha256").update(sid).digest().subarray(0, 8))
      .sort(Buffer.compare);
    const payload = {
      v: 1,
      iss: this.url,
      epoch: this.#epoch,
      seq: this.#seq,
      asOf,
      iat: asOf,
      exp: asOf + FEED_LIFE_SECS,
      denyKids: entries.filter((entry) => entry.kid !== undefined).map((entry) => entry.kid).sort(),
      sids: Buffer.concat(prefixes).toString("base64url"),
      subs: "",
      ...(known ? { base: since } : {}),
    };
    const key = { ok: this.feedKey, forged: signingKey(8), "token-key": this.tokenKey }[this.feedMode];
    return jws(key, { typ: "revocations+jwt" }, payload);
  }
}
