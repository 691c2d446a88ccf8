/** Headers of every answer that is data: nothing in it may run, be framed, or be kept. */
export const apiHeaders = {
  "x-content-type-options": "nosniff",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
} as const;

const pagePolicy =
  "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Headers of the web page's assets. */
export const pageHeaders = {
  ...apiHeaders,
  "cache-control": "no-cache",
  "referrer-policy": "no-referrer",
  "content-security-policy": pagePolicy,
} as const;

/** Headers of /docs: Swagger UI sets inline styles and draws with data URLs. */
export const docsHeaders = {
  ...pageHeaders,
  "content-security-policy": `${pagePolicy}; style-src 'self' 'unsafe-inline'; img-src 'self' data:`,
} as const;

/** A name or an IPv4 address; an IPv6 address can not be written as a source (CSP Level 3, section 2.3.1). */
const HOST = /^[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?$/i;
const WEB_SOCKET =
  /^\/(?:ip4|dns|dns4|dns6)\/([^/]+)\/tcp\/(\d{1,5})\/(ws|wss|tls\/ws|tls\/sni\/[^/]+\/ws)(?:\/p2p\/[^/]+)?$/;
const SOURCES_MAX = 8;

/**
 * Headers of the web page itself: besides its own origin its scripts may open WebSockets to this agent's node of the
 * mesh and to nothing else.
 * @param hostHeader of the request: where the browser found the page, and will look for the node
 * @param meshAddresses multiaddresses of the node; none while the mesh is off
 */
export function pageDocumentHeaders(
  hostHeader: string | undefined,
  meshAddresses: readonly string[],
) {
  const host = /^(.*?)(?::\d{1,5})?$/.exec(hostHeader ?? "")?.[1] ?? "";
  const sources = new Set<string>();
  for (const address of meshAddresses) {
    const [, announced = "", port = "", kind] = WEB_SOCKET.exec(address) ?? [];
    // What speaks TLS has a certificate for the name it announces; what does not is on the page's own host.
    const [scheme, name] = kind === "ws" ? ["ws", host] : ["wss", announced];
    if (kind !== undefined && HOST.test(name)) sources.add(`${scheme}://${name}:${port}`);
  }
  const connect = [...sources].slice(0, SOURCES_MAX);
  if (connect.length === 0) return pageHeaders;
  return {
    ...pageHeaders,
    "content-security-policy": `${pagePolicy}; connect-src 'self' ${connect.join(" ")}`,
  };
}
