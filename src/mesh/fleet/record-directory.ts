import type { Clock, Timer } from "../../platform/clock.ts";
import type { Logger } from "../../platform/logger.ts";
import type { DirectoryRules, Network, NetworkError } from "../../platform/network.ts";
import type { PeerId } from "../../platform/signer.ts";
import { compareVersions } from "../records/known-record.ts";
import type { RecordVerifier } from "../records/record-verifier.ts";

const LOOKUP_TIMEOUT_MS = 10_000;
const FIRST_MS = 5_000;
const RETRY_MS = 30_000;
const INTERVAL_MS = 900_000;

/** What a {@link RecordDirectory} works with. */
interface DirectoryParts {
  readonly network: Network;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly verifier: RecordVerifier;
  /** @returns this agent's own record, signed and encoded */
  readonly own: () => Uint8Array;
}

/** The network's directory of records, where there is one: keeps the own record in it, and finds those of others. */
export class RecordDirectory {
  readonly #parts: DirectoryParts;
  #timer: Timer | undefined;

  constructor(parts: DirectoryParts) {
    this.#parts = parts;
  }

  start(): void {
    if (this.#parts.network.directory !== undefined) this.#publishLater(FIRST_MS);
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** @returns where an agent says that it is; none where it is not found @throws NetworkError */
  async find(peer: PeerId): Promise<readonly string[]> {
    const { network, verifier } = this.#parts;
    const bytes = await network.directory?.find(peer, { timeoutMs: LOOKUP_TIMEOUT_MS });
    if (bytes === undefined) return [];
    const record = verifier.verify(bytes);
    return typeof record === "string" || record.peerId !== peer ? [] : record.addresses;
  }

  #publishLater(waitMs: number): void {
    const { clock, network, logger, own } = this.#parts;
    this.#timer = clock.setTimer("mesh.directory", waitMs, () => {
      network.directory?.publish(own(), { timeoutMs: LOOKUP_TIMEOUT_MS }).then(
        () => this.#publishLater(INTERVAL_MS),
        (error: NetworkError) => {
          logger.debug("the own record is not in the directory yet", { code: error.code });
          this.#publishLater(RETRY_MS);
        },
      );
    });
  }
}

/** @returns what a directory has to know of records */
export function directoryRules(verifier: RecordVerifier): DirectoryRules {
  const read = (bytes: Uint8Array) => {
    const record = verifier.verify(bytes);
    return typeof record === "string" ? undefined : record;
  };
  return {
    valid: (peer, bytes) => read(bytes)?.peerId === peer,
    newest: (records) => {
      let newest = 0;
      records.forEach((bytes, at) => {
        const [a, b] = [read(bytes), read(records[newest] ?? bytes)];
        if (a !== undefined && b !== undefined && compareVersions(a, b) > 0) newest = at;
      });
      return newest;
    },
  };
}
