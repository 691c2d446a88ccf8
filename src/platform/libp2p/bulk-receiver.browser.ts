import type { Stream } from "@libp2p/interface";
import { NetworkError } from "../network.ts";

/** What stands in for `bulk-receiver.ts` in a browser, which has nowhere to put bulk content. @throws NetworkError */
export function receiveBulk(stream: Stream): Promise<never> {
  const error = new NetworkError("network.unsupported", "a browser takes nothing in bulk");
  stream.abort(error);
  return Promise.reject(error);
}
