// HTTP as bytes, for what no client would send by itself.

import { connect } from "node:net";

/** Sends request lines and headers exactly as given; answers status, headers and body. */
export async function raw(port, lines, body = "") {
  const socket = connect(port, "127.0.0.1");
  let text = "";
  const answered = new Promise((resolve, reject) => {
    socket.setEncoding("latin1").on("data", (chunk) => {
      text += chunk;
      const response = parse(text);
      if (response) resolve(response);
    });
    socket.on("error", reject);
    socket.on("close", () => reject(new Error(`closed after: ${text}`)));
  });
  socket.write([...lines, "", body].join("\r\n"), "latin1");
  try {
    return await answered;
  } finally {
    socket.destroy();
  }
}

/** A complete response, or nothing yet. */
function parse(text) {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [first, ...fields] = text.slice(0, end).split("\r\n");
  const headers = new Headers(fields.map((field) => field.split(/: ?(.*)/s, 2)));
  const body = text.slice(end + 4);
  const length = headers.get("content-length");
  const complete = length === null ? body.endsWith("0\r\n\r\n") : body.length >= Number(length);
  return complete ? { status: Number(first.split(" ")[1]), headers, body } : undefined;
}
