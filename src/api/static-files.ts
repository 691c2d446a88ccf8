import type { FastifyReply, FastifyRequest } from "fastify";
import { sendCacheable } from "./cacheable.ts";
import type { ApiContext } from "./context.ts";
import { docsHeaders, pageDocumentHeaders, pageHeaders } from "./security-headers.ts";

const mediaTypes: Readonly<Record<string, string>> = {
  css: "text/css; charset=utf-8",
  html: "text/html; charset=utf-8",
  ico: "image/x-icon",
  js: "text/javascript; charset=utf-8",
  json: "application/json; charset=utf-8",
  map: "application/json; charset=utf-8",
  png: "image/png",
  svg: "image/svg+xml",
  txt: "text/plain; charset=utf-8",
  webmanifest: "application/manifest+json",
  woff2: "font/woff2",
};

/** Of swagger-ui-dist only these are served. */
const swaggerFiles = ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"];

const docsPage = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Agent Mesh API</title>
<link rel="stylesheet" href="/docs/swagger-ui.css">
<link rel="icon" href="/docs/favicon-32x32.png">
</head>
<body>
<div id="docs"></div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`;

const docsScript = `SwaggerUIBundle({ url: "/openapi.json", dom_id: "#docs", validatorUrl: null, deepLinking: true });
`;

/**
 * Serves the web page under `/` and Swagger UI under `/docs`, without a token: they hold no data.
 * @returns true when there was a file of that path, and it was sent
 */
export async function sendStaticFile(
  { assets, hasher, mesh }: Pick<ApiContext, "assets" | "hasher" | "mesh">,
  request: FastifyRequest,
  reply: FastifyReply,
  path: string,
): Promise<boolean> {
  const text = docsText(path);
  if (text !== undefined) {
    reply.headers(docsHeaders);
    const etag = `"${hasher.sha256Hex(text).slice(0, 16)}"`;
    sendCacheable(request, reply, { body: text, etag, mediaType: mediaTypeOf(path) });
    return true;
  }
  const docsFile = path.startsWith("/docs/") ? path.slice("/docs/".length) : undefined;
  const asset =
    docsFile === undefined
      ? await assets.page.read(path === "/" ? "index.html" : path.slice(1))
      : swaggerFiles.includes(docsFile)
        ? await assets.docs.read(docsFile)
        : undefined;
  if (asset === undefined) return false;
  if (path === "/" || path === "/index.html") {
    const headers = pageDocumentHeaders(request.headers.host, mesh.status().addresses);
    reply.headers(headers);
    // A copy that the browser kept goes with the policy that came with it.
    const policy = hasher.sha256Hex(headers["content-security-policy"]).slice(0, 8);
    const etag = asset.etag.replace(/"$/, `-${policy}"`);
    sendCacheable(request, reply, { ...asset, etag, mediaType: mediaTypeOf(path) });
    return true;
  }
  reply.headers(docsFile === undefined ? pageHeaders : docsHeaders);
  sendCacheable(request, reply, { ...asset, mediaType: mediaTypeOf(path) });
  return true;
}

function docsText(path: string): string | undefined {
  if (path === "/docs" || path === "/docs/") return docsPage;
  return path === "/docs/start.js" ? docsScript : undefined;
}

function mediaTypeOf(path: string): string {
  const name = path.slice(path.lastIndexOf("/") + 1);
  const dot = name.lastIndexOf(".");
  const extension = dot < 0 ? "html" : name.slice(dot + 1);
  return mediaTypes[extension] ?? "application/octet-stream";
}
