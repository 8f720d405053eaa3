// A backend to protect: answers with what reached it, so that one sees what the edge did.
import { createServer } from "node:http";

const server = createServer((request, response) => {
  const identity = Object.fromEntries(
    Object.entries(request.headers).filter(([name]) => name.startsWith("x-auth-")),
  );
  const body = {
    method: request.method,
    path: request.url,
    identity,
    sawToken: "authorization" in request.headers,
  };
  // The request's body is of no interest, but it must be read to the end for the next request.
  request.resume().on("end", () => {
    response.writeHead(200, { "content-type": "application/json" });
    response.end(JSON.stringify(body) + "\n");
  });
});

// Only this machine: behind the edge means that nobody else can ask.
server.listen(9000, "127.0.0.1");
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.once(signal, () => {
    server.close();
    server.closeAllConnections();
  });
}
