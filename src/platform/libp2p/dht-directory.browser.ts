import { type Directory, NetworkError } from "../network.ts";

/** What stands in for `dht-directory.ts` in a browser, whose node keeps no table. */
export class DhtDirectory implements Directory {
  publish(): Promise<never> {
    return Promise.reject(new NetworkError("network.unsupported", "a browser keeps no table"));
  }

  find(): Promise<undefined> {
    return Promise.resolve(undefined);
  }
}
