/**
 * An issuer on loopback that tests control: its keys, its revocations, how it answers, and a
 * clock. It counts what it is asked.
 */

import { createHash, generateKeyPairSync, sign } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:http";

export const JWKS = "/.well-known/jwks.json";
export const FEED = "/.well-known/revocations";
export const FEED_JWKS = "/.well-known/feed-jwks.json";

/** A Friday in November 2026, in seconds. */
export const START = 1_795_000_000;

/** The time of a test: it stands still until it is moved. */
export class Clock {
  seconds = START;
  now = () => this.seconds;

  /** @param {number} seconds */
  advance(seconds) {
    this.seconds += seconds;
  }
}

/** A private key of the issuer and what is published of it. */
export function makeKey() {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const { x } = publicKey.export({ format: "jwk" });
  const kid = createHash("sha256")
    .update(`{"crv":"Ed25519","kty":"OKP","x":"${x}"}`)
    .digest("base64url");
  return { privateKey, kid, jwk: { kty: "OKP", crv: "Ed25519", use: "sig", kid, x } };
}

export class Issuer {
  clock = new Clock();
  key = makeKey();
  feedKey = makeKey();
  /** What is published: all keys, and revocations. */
  keys = [this.key];
  feedKeys = [this.feedKey];
  revoked = { seq: 1, sids: [], denyKids: [] };

  /** Paths asked for, in order, with their queries. */
  requests = [];
  /** Request headers of the last request to each path. */
  headers = {};
  /** For a path: what to do in place of answering it. */
  instead = {};

  #server = createServer((request, response) => this.#answer(request, response));

  /** @param {import("node:test").TestContext} test closes it at the end */
  static async start(test) {
    const issuer = new Issuer();
    issuer.#server.listen(0, "127.0.0.1");
    await once(issuer.#server, "listening");
    test.after(() => issuer.#stop());
    issuer.url = `http://127.0.0.1:${issuer.#server.address().port}`;
    return issuer;
  }

  /** Options for a verifier of this issuer's tokens. */
  options(more = {}) {
    const jwksUri = `${this.url}/.well-known/jwks.json`;
    return { issuer: this.url, audience: "orders", jwksUri, clock: this.clock.now, ...more };
  }

  /** The same, with its revocations. */
  optionsWithFeed(more = {}) {
    return this.options({ revocationsUri: `${this.url}/.well-known/revocations`, ...more });
  }

  /** A token that is good unless the changes say otherwise. */
  token(changes = {}, key = this.key) {
    const iat = this.clock.seconds;
    const claims = {
      iss: this.url,
      sub: "user-1",
      aud: "orders",
      exp: iat + 900,
      iat,
      jti: "token-1",
      sid: "session-1",
    };
    return jws("at+jwt", { ...claims, ...changes }, key);
  }

  /** A token of any claims, even if they are none. */
  sign(payload) {
    return signText("at+jwt", payload, this.key);
  }

  jwks() {
    return { keys: this.keys.map(({ jwk }) => jwk) };
  }

  /** Publishes that a session has ended. */
  revoke(sid) {
    this.revoked.seq += 1;
    this.revoked.sids.push(createHash("sha256").update(sid).digest().subarray(0, 8));
  }

  feed() {
    const { seq, sids, denyKids } = this.revoked;
    const asOf = this.clock.seconds;
    const sorted = [...sids].sort(Buffer.compare);
    const document = {
      v: 1,
      iss: this.url,
      epoch: 1,
      seq,
      asOf,
      iat: asOf,
      exp: asOf + 60,
      denyKids,
    };
    return jws(
      "revocations+jwt",
      { ...document, sids: Buffer.concat(sorted).toString("base64url"), subs: "" },
      this.feedKey,
    );
  }

  /** How often a path was asked for. */
  count(path) {
    return this.requests.filter((request) => request.split("?")[0] === path).length;
  }

  #stop() {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #answer(request, response) {
    const path = request.url.split("?")[0];
    this.requests.push(request.url);
    this.headers[path] = request.headers;
    const act =
      this.instead[path] ?? this.#answers[path] ?? ((response) => response.writeHead(404).end());
    act(response, request);
  }

  #answers = {
    [JWKS]: (response) => response.end(JSON.stringify(this.jwks())),
    [FEED_JWKS]: (response) =>
      response.end(JSON.stringify({ keys: this.feedKeys.map(({ jwk }) => jwk) })),
    [FEED]: (response, request) => {
      const etag = `"${this.revoked.seq}-${this.clock.seconds}"`;
      if (request.headers["if-none-match"] === etag) return response.writeHead(304, { etag }).end();
      response.writeHead(200, { etag }).end(this.feed());
    },
  };
}

/** A compact JWS of ours. */
export const jws = (typ, payload, key) => signText(typ, JSON.stringify(payload), key);

/** A compact JWS with any text for a payload. */
function signText(typ, payload, { kid, privateKey }) {
  const header = JSON.stringify({ alg: "EdDSA", typ, kid });
  const signed = [header, payload].map((part) => Buffer.from(part).toString("base64url")).join(".");
  return `${signed}.${sign(null, Buffer.from(signed), privateKey).toString("base64url")}`;
}
