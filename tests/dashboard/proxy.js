// A proxy between the browser and a stack. It records responses, and can serve the page's files from a directory
// instead of those built into the stack, compressed as it sends them. The stack's config.js stays.

import { readFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import { extname, join, normalize } from "node:path";
import { gzipSync } from "node:zlib";

const TYPES = { ".html": "text/html; charset=utf-8", ".js": "text/javascript", ".css": "text/css" };

export async function startProxy(stackUrl, { page } = {}) {
  let policy;
  /// Path and status of every response so far.
  const answers = [];

  async function file(path) {
    if (!page || path.startsWith("/v1/") || path === "/config.js") return null;
    const name = normalize(path === "/" ? "/index.html" : path);
    const content = await readFile(join(page, name)).catch(() => null);
    return content && { content, type: TYPES[extname(name)] };
  }

  const server = createServer(async (asked, answer) => {
    const { pathname } = new URL(asked.url, stackUrl);
    const found = await file(pathname);
    if (found) {
      policy ??= (await fetch(stackUrl)).headers.get("content-security-policy");
      answer.writeHead(200, {
        "content-type": found.type,
        "content-encoding": "gzip",
        "content-security-policy": policy,
        "x-content-type-options": "nosniff",
        "cache-control": "no-cache",
      });
      answer.end(gzipSync(found.content));
      return;
    }
    const { origin, host } = new URL(stackUrl);
    const passed = request(`${origin}${asked.url}`, { method: asked.method, headers: { ...asked.headers, host } });
    passed.on("response", (response) => {
      answers.push({ path: asked.url, status: response.statusCode });
      answer.writeHead(response.statusCode, response.rawHeaders);
      response.pipe(answer);
    });
    // The browser must see what it would see without the proxy: no response.
    passed.on("error", () => answer.destroy());
    asked.pipe(passed);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    answers,
    close: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  };
}
