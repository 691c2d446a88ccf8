import type { ClientTable } from "./client-table.ts";
import { decodeRequest, type Request, requestContent } from "./request.ts";
import type { Self } from "./self.ts";
import type { Turn } from "./turn.ts";
import type { WaitingRequests } from "./waiting-requests.ts";

/** What the door for requests is made of. */
export interface RequestsParts {
  readonly self: Self;
  readonly table: ClientTable;
  readonly waiting: WaitingRequests;
}

/** Takes requests in, from clients and from other replicas, and answers those that were executed already. */
export class Requests {
  readonly #parts: RequestsParts;

  constructor(parts: RequestsParts) {
    this.#parts = parts;
  }

  /**
   * @param isOwn its signature is not checked, if it is a request of this replica's own name
   * @returns the request when it waits from now on; undefined when it is known, executed or refused
   */
  take(turn: Turn, bytes: Uint8Array, view: number, isOwn: boolean): Request | undefined {
    const { self, table, waiting } = this.#parts;
    const { requestBytesMax } = self.options;
    const request = decodeRequest(bytes, requestBytesMax);
    if (request === undefined) {
      turn.refuse(bytes.length > requestBytesMax ? "oversized" : "malformed");
      return undefined;
    }
    const { client, timestamp } = request;
    const standing = table.standingOf(request);
    if (standing === "too-far") {
      turn.refuse("bad-request");
      return undefined;
    }
    if (standing !== "new") {
      this.#answer(turn, request, view);
      return undefined;
    }
    const known = waiting.of(client);
    if (known?.timestamp === timestamp) return undefined;
    if (known !== undefined && known.timestamp > timestamp) {
      turn.refuse("too-old");
      return undefined;
    }
    if (known === undefined && waiting.isFull) {
      turn.refuse("too-many");
      return undefined;
    }
    if (!(isOwn && client === self.credentials.self) && !this.#isGenuine(request)) {
      turn.refuse("wrong-signature");
      return undefined;
    }
    waiting.add(request);
    return request;
  }

  #isGenuine(request: Request): boolean {
    const { credentials, group } = this.#parts.self;
    const { client, signature } = request;
    return credentials.isRequestOf(client, requestContent(group, request), signature);
  }

  /** Only a client is answered: another replica answers its clients itself. */
  #answer(turn: Turn, { client, timestamp }: Request, view: number): void {
    if (turn.from !== undefined) return;
    const { table } = this.#parts;
    const reached = table.reached(client);
    const result = timestamp === reached ? table.resultOf(client) : undefined;
    if (result !== undefined) {
      turn.replies.push({ kind: "executed", client, timestamp, result, view });
      return;
    }
    turn.refuse("too-old");
    turn.replies.push({ kind: "too-old", client, timestamp: reached, view });
  }
}
