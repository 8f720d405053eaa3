/** A real browser, and a server for the pages it opens. */

import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { once } from "node:events";
import { extname, join } from "node:path";
import { chromium } from "playwright-core";

/**
 * A page at `<origin>/<path>`, where the files of `folder` are served.
 *
 * @param {import("node:test").TestContext} test closes both at the end
 * @param {string} origin
 * @param {string} path
 */
export async function openPage(test, origin, path) {
  const browser = await chromium.launch({ executablePath: executable(), args: FLAGS });
  test.after(() => browser.close());
  const page = await (await browser.newContext()).newPage();
  page.on("pageerror", (error) => console.error(`page: ${error}`));
  page.on(
    "console",
    (message) => message.type() === "error" && console.error(`page: ${message.text()}`),
  );
  await page.goto(new URL(path, origin).href);
  return page;
}

/**
 * Serves the files of a folder under a content security policy that allows what the package's
 * documentation says it needs, and nothing else.
 *
 * @param {import("node:test").TestContext} test
 * @param {string} folder
 * @param {number} [port] a free one unless it must be a certain one
 * @param {string} [policy]
 * @returns {Promise<string>} its origin
 */
export async function serve(test, folder, port = 0, policy = POLICY) {
  const server = createServer((request, response) => {
    const path = join(folder, new URL(request.url, "http://localhost").pathname);
    if (!existsSync(path)) return response.writeHead(404).end();
    const type = TYPES[extname(path)] ?? "application/octet-stream";
    response
      .writeHead(200, { "content-type": type, "content-security-policy": policy })
      .end(readFileSync(path));
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  test.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

function executable() {
  const candidates = [
    process.env.CHROMIUM_BIN,
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
  ];
  const found = candidates.find((path) => path && existsSync(path));
  if (found) return found;
  throw new Error(
    'there is no Chromium: run "cargo xtask setup", install the package chromium, or set CHROMIUM_BIN',
  );
}

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

const TYPES = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".json": "application/json",
  ".wasm": "application/wasm",
};

/** The nonce is for the import map of the page. */
const POLICY =
  "default-src 'none'; script-src 'self' 'nonce-import-map' 'wasm-unsafe-eval'; connect-src 'self' http://127.0.0.1:*";
