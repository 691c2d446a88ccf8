/** Headers of every answer that is data: nothing in it may run, be framed, or be kept. */
export const apiHeaders = {
  "x-content-type-options": "nosniff",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store",
  "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
} as const;

const pagePolicy =
  "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** Headers of the web page and its assets. */
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
