import { isUtf8 } from "node:buffer";
import { promisify } from "node:util";
import { gunzip, inflate, zstdDecompress } from "node:zlib";
import { ReceiverProblem } from "./problem.ts";

/** Largest body as it comes over the wire, and unpacked. */
export const BODY_BYTES_MAX = 4 * 1_024 * 1_024;
const UNPACKED_BYTES_MAX = 16 * 1_024 * 1_024;
const LINES_MAX = 10_000;

const options = { maxOutputLength: UNPACKED_BYTES_MAX };
const unpackers: Readonly<Record<string, (body: Buffer) => Promise<Buffer>>> = {
  gzip: (body) => promisify(gunzip)(body, options),
  zstd: (body) => promisify(zstdDecompress)(body, options),
  deflate: (body) => promisify(inflate)(body, options),
  identity: (body) => Promise.resolve(body),
};

/**
 * Unpacks a body, within bounds: a small body that would become a huge one is given up at the bound.
 * @throws ReceiverProblem `request.encoding`, `request.malformed`, `request.too-large`
 */
export async function readText(body: Buffer, encoding = "identity"): Promise<string> {
  const unpack = unpackers[encoding.trim().toLowerCase()];
  if (unpack === undefined)
    throw new ReceiverProblem(
      "request.encoding",
      `Content-Encoding "${encoding.slice(0, 40)}" is not known; use gzip, zstd, deflate or none.`,
      { "accept-encoding": "gzip, zstd, deflate, identity" },
    );
  let unpacked: Buffer;
  try {
    unpacked = await unpack(body);
  } catch (error) {
    if ((error as { code?: string }).code === "ERR_BUFFER_TOO_LARGE")
      throw new ReceiverProblem(
        "request.too-large",
        `The body unpacks to more than ${UNPACKED_BYTES_MAX} bytes; send fewer updates at once.`,
      );
    throw new ReceiverProblem("request.malformed", `The body is not ${encoding}, or is cut off.`);
  }
  if (!isUtf8(unpacked)) throw new ReceiverProblem("request.malformed", "The body is not UTF-8.");
  return unpacked.toString("utf8");
}

/** @returns the lines of the text, without empty ones at its end @throws ReceiverProblem `request.too-large` */
export function linesOf(text: string): string[] {
  const lines = text.split("\n", LINES_MAX + 2);
  while (lines.length > 0 && lines.at(-1)?.trim() === "") lines.pop();
  if (lines.length > LINES_MAX)
    throw new ReceiverProblem(
      "request.too-large",
      `At most ${LINES_MAX} updates are taken at once; send fewer.`,
    );
  return lines;
}
