import { createHash } from "node:crypto";
import { type BridgeContent, BridgeError } from "../bridge.ts";
import { type BulkSink, NetworkError } from "../network.ts";

/**
 * Writes what comes of some content. The digest is checked here when all of it came in one go; of a resumed
 * transfer only the sink has all the bytes.
 * @param offset where the sender goes on
 * @param next the next bytes, undefined when the sender is through
 * @throws BridgeError, after the sink was told
 */
export async function takeContent(
  content: BridgeContent,
  sink: BulkSink,
  offset: number,
  next: () => Promise<Uint8Array | undefined>,
): Promise<void> {
  try {
    if (offset !== sink.offset)
      throw new BridgeError("bridge.conflict", `${sink.offset} bytes are there, not ${offset}`);
    const hash = offset === 0 ? createHash("sha256") : undefined;
    let there = offset;
    for (let bytes = await next(); bytes !== undefined; bytes = await next()) {
      there += bytes.length;
      if (there > content.sizeBytes)
        throw new BridgeError("bridge.malformed", `more than ${content.sizeBytes} bytes came`);
      hash?.update(bytes);
      await sink.write(bytes);
    }
    if (there < content.sizeBytes)
      throw new BridgeError("bridge.closed", `${there} of ${content.sizeBytes} bytes came`);
    if (hash !== undefined && !hash.digest().equals(content.sha256))
      throw new BridgeError("bridge.conflict", "what came is not what was offered");
    await sink.done();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    sink.broken(new NetworkError("network.closed", reason, { cause: error }));
    throw error;
  }
}
