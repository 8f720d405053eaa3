// One connection that stays open, for many requests as bytes.

import { connect } from "node:net";

/** Sends requests one after the other; a connection the other side has closed is made anew. */
export class Wire {
  #port;
  #socket;
  #text = "";
  #wake = () => {};

  constructor(port) {
    this.#port = port;
  }

  /**
   * Sends bytes (as latin1) and answers status and headers; the body is read and dropped.
   * `hasBody` says whether this request's answer can have one.
   */
  async ask(bytes, hasBody) {
    this.#open();
    this.#socket.write(bytes, "latin1");
    for (;;) {
      const answer = this.#take(hasBody);
      if (answer) return answer;
      if (this.#socket.closed) throw new Error("closed without an answer");
      await new Promise((resolve) => (this.#wake = resolve));
    }
  }

  close() {
    this.#socket?.destroy();
  }

  #open() {
    if (this.#socket && !this.#socket.closed && !this.#socket.readableEnded) return;
    this.#text = "";
    const socket = connect(this.#port, "127.0.0.1").setEncoding("latin1").setNoDelay();
    socket.on("data", (text) => {
      this.#text += text;
      this.#wake();
    });
    socket.on("error", () => {});
    socket.on("close", () => this.#wake());
    this.#socket = socket;
  }

  #take(hasBody) {
    const end = this.#text.indexOf("\r\n\r\n");
    if (end < 0) return undefined;
    const [first, ...fields] = this.#text.slice(0, end).split("\r\n");
    const headers = new Map(fields.map((field) => field.split(/: ?(.*)/s, 2)).map(([n, v]) => [n.toLowerCase(), v]));
    const status = Number(first.split(" ")[1]);
    const length = this.#bodyLength(end + 4, headers, hasBody && status !== 204 && status !== 304);
    if (length === undefined) return undefined;
    this.#text = this.#text.slice(end + 4 + length);
    if (headers.get("connection")?.toLowerCase() === "close") this.#socket.destroy();
    return { status, headers };
  }

  /** How long the body is, once all of it is there. */
  #bodyLength(at, headers, hasBody) {
    if (!hasBody) return 0;
    const rest = this.#text.slice(at);
    if (headers.has("content-length")) {
      const length = Number(headers.get("content-length"));
      return rest.length >= length ? length : undefined;
    }
    if (!headers.has("transfer-encoding")) return this.#socket.closed ? rest.length : undefined;
    const last = rest.startsWith("0\r\n\r\n") ? 0 : rest.indexOf("\r\n0\r\n\r\n") + 2;
    return last === 1 ? undefined : last + 5;
  }
}
