// A backend that says what reached it.

import { createHash } from "node:crypto";
import { createServer } from "node:http";

/** Starts a backend on a free port. `received` holds what reached it, newest last. */
export async function startBackend() {
  const received = [];
  const server = createServer((request, response) => {
    received.push({ method: request.method, url: request.url, headers: pairs(request.rawHeaders) });
    answer(request, response);
  });
  server.on("upgrade", (request, socket) => {
    received.push({ method: request.method, url: request.url, headers: pairs(request.rawHeaders) });
    echoSocket(request, socket);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    received,
    url: `http://127.0.0.1:${server.address().port}`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function answer(request, response) {
  const path = new URL(request.url, "http://backend").pathname;
  if (path.endsWith("/slow")) return;
  if (path.endsWith("/redirect")) {
    return response.writeHead(302, { location: "http://127.0.0.1:1/elsewhere" }).end();
  }
  if (path.endsWith("/open-cors")) {
    return response
      .writeHead(200, { "access-control-allow-origin": "*", "cache-control": "public, max-age=60" })
      .end("open");
  }
  if (path.endsWith("/cookies")) {
    return response.writeHead(200, { "set-cookie": ["a=1; Path=/", "b=2; Path=/"] }).end("set");
  }
  if (path.endsWith("/events")) return events(response);
  if (path.endsWith("/sink")) return sink(request, response);
  if (path.endsWith("/flood")) return flood(request, response);
  if (path.endsWith("/pieces")) return pieces(request, response);
  const body = [];
  request.on("data", (chunk) => body.push(chunk));
  request.on("end", () => {
    const seen = { method: request.method, url: request.url, body: Buffer.concat(body).toString() };
    response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(seen));
  });
}

/** The first event at once; the second only when the client has asked for more. */
function events(response) {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.write("data: first\n\n");
  releases.push(() => response.end("data: second\n\n"));
}

const releases = [];

/** Lets the event streams that are open end. */
export function releaseEvents() {
  for (const release of releases.splice(0)) release();
}

/** Takes a body of any size and says how large it was. */
function sink(request, response) {
  let n = 0;
  request.on("data", (chunk) => (n += chunk.length));
  request.on("end", () => response.end(String(n)));
}

/** Answers as many bytes as the query asks for, no faster than they are read. */
function flood(request, response) {
  let left = Number(new URL(request.url, "http://backend").searchParams.get("bytes"));
  const piece = Buffer.alloc(64 * 1024, "x");
  const write = () => {
    while (left > 0 && !response.destroyed) {
      const size = Math.min(left, piece.length);
      left -= size;
      if (!response.write(piece.subarray(0, size))) return;
    }
    response.end();
  };
  response.writeHead(200, { "content-type": "application/octet-stream" });
  response.on("drain", write);
  write();
}

/** Answers each piece of the request body as soon as it has come. */
function pieces(request, response) {
  response.writeHead(200, { "content-type": "text/plain" });
  request.on("data", (chunk) => response.write(`got ${chunk.length};`));
  request.on("end", () => response.end("end"));
}

/** RFC 6455 for short frames: enough to show that a socket is passed through. */
export function echoSocket(request, socket) {
  const accept = createHash("sha1")
    .update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest("base64");
  const chosen = request.headers["sec-websocket-protocol"]?.split(",")[0].trim();
  socket.write(
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      `${chosen === undefined ? "" : `Sec-WebSocket-Protocol: ${chosen}\r\n`}` +
      `Sec-WebSocket-Accept: ${accept}\r\n\r\n`,
  );
  let pending = Buffer.alloc(0);
  socket.on("data", (bytes) => {
    pending = Buffer.concat([pending, bytes]);
    for (let frame = nextFrame(); frame !== undefined; frame = nextFrame()) {
      socket.write(Buffer.concat([Buffer.from([frame.first, frame.data.length]), frame.data]));
      if ((frame.first & 0x0f) === CLOSE_FRAME) {
        closed.push(frame.data.length < 2 ? undefined : frame.data.readUInt16BE());
        socket.end();
      }
    }
  });
  socket.on("error", () => socket.destroy());

  function nextFrame() {
    const length = pending.length < 2 ? 0 : pending[1] & 0x7f;
    if (pending.length < 6 + length) return undefined;
    const [first, mask] = [pending[0], pending.subarray(2, 6)];
    const data = Buffer.from(pending.subarray(6, 6 + length).map((byte, index) => byte ^ mask[index % 4]));
    pending = pending.subarray(6 + length);
    return { first, data };
  }
}

const CLOSE_FRAME = 8;

/** The codes with which clients have closed their sockets, newest last. */
export const closed = [];

function pairs(raw) {
  const list = [];
  for (let index = 0; index < raw.length; index += 2) list.push([raw[index].toLowerCase(), raw[index + 1]]);
  return list;
}
