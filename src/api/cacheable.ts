import type { FastifyReply, FastifyRequest } from "fastify";

/** Sends the document, or 304 when the client's copy is still right (RFC 9110 section 13.1.2). */
export function sendCacheable(
  request: FastifyRequest,
  reply: FastifyReply,
  document: { body: string | Uint8Array; etag: string; mediaType: string },
): void {
  reply.header("etag", document.etag).header("cache-control", "no-cache");
  if (matches(request.headers["if-none-match"], document.etag)) {
    reply.code(304).send();
    return;
  }
  reply.code(200).type(document.mediaType).send(document.body);
}

function matches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false;
  const tags = header.split(",").map((tag) => tag.trim().replace(/^W\//, ""));
  return tags.includes("*") || tags.includes(etag);
}
