import { Metadata, ServerInterceptingCall, type ServerInterceptor, status } from "@grpc/grpc-js";
import { type Authenticate, BridgeError, type BridgePrincipal } from "../bridge.ts";
import { CODE_KEY } from "./limits.ts";
import { codeOfStatus, statusFrom } from "./status.ts";

/** Bounds at the door. */
export interface DoorLimits {
  /** Requests at once of everybody together. Each may hold a message of full size in memory. */
  readonly requestsMax: number;
  /** Subscriptions, downloads and attached devices at once. */
  readonly streamsMax: number;
  /** Calls of either kind at once of one principal. */
  readonly callsPerPrincipalMax: number;
}

/**
 * Stands before every call: finds out who it is before a byte of a message is read, keeps to the bounds, and counts
 * how calls end, those among them that never reach a handler.
 */
export class Door {
  readonly #limits: DoorLimits;
  readonly #authenticate: Authenticate;
  readonly #principals = new WeakMap<Metadata, BridgePrincipal>();
  readonly #callsBy = new Map<string, number>();
  readonly #statuses = new Map<string, number>();
  readonly #refusals = new Map<string, number>();
  readonly #now = { requests: 0, streams: 0 };

  constructor(authenticate: Authenticate, limits: DoorLimits) {
    this.#authenticate = authenticate;
    this.#limits = limits;
  }

  get callsNow(): number {
    return this.#now.requests + this.#now.streams;
  }

  get statuses(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#statuses);
  }

  get refusals(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#refusals);
  }

  /** @returns who makes the call that the metadata came with @throws BridgeError when the door let nobody in with it */
  principalOf(metadata: Metadata): BridgePrincipal {
    const principal = this.#principals.get(metadata);
    if (principal === undefined) throw new BridgeError("bridge.unauthenticated", "who asks?");
    return principal;
  }

  /** For calls that anybody may make, such as those of a health probe. */
  readonly counting: ServerInterceptor = (_method, call) => {
    this.#watch(call);
    return new ServerInterceptingCall(call);
  };

  /** For all others. */
  readonly guarding: ServerInterceptor = (method, call) => {
    if (method.path.startsWith("/grpc.health.v1.Health/")) return this.counting(method, call);
    this.#watch(call);
    let leave: (() => void) | undefined;
    let over = false;
    return new ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, pass) => {
            this.#admit(metadata, call, method.responseStream ? "streams" : "requests")
              .then((left) => {
                if (over) {
                  left();
                  return;
                }
                leave = left;
                pass(metadata);
              })
              .catch((error: unknown) => call.sendStatus(statusFrom(error)));
          },
          // Comes at the end of every call, however it ends.
          onCancel: () => {
            over = true;
            leave?.();
          },
        });
      },
    });
  };

  #watch(call: Parameters<ServerInterceptor>[1]): void {
    const send = call.sendStatus.bind(call);
    let counted = false;
    // The library's own refusals, of an oversized message for one, go through here as well and nowhere else.
    call.sendStatus = (said) => {
      const code = codeOfStatus(said.code);
      const known = said.metadata?.get(CODE_KEY)[0];
      const metadata = said.metadata ?? new Metadata();
      if (code !== undefined && known === undefined) metadata.set(CODE_KEY, code);
      if (!counted) {
        counted = true;
        bump(this.#statuses, status[said.code]);
        if (code !== undefined) bump(this.#refusals, String(known ?? code));
      }
      send({ ...said, metadata });
    };
  }

  async #admit(
    metadata: Metadata,
    call: Parameters<ServerInterceptor>[1],
    kind: "requests" | "streams",
  ): Promise<() => void> {
    const principal = await this.#authenticate(credentialsOf(metadata, call));
    if (principal === undefined)
      throw new BridgeError("bridge.unauthenticated", "no token or certificate that is known here");
    const own = this.#callsBy.get(principal.name) ?? 0;
    const most = kind === "streams" ? this.#limits.streamsMax : this.#limits.requestsMax;
    if (this.#now[kind] >= most || own >= this.#limits.callsPerPrincipalMax)
      throw new BridgeError("bridge.busy", "too many calls at once");
    this.#now[kind]++;
    this.#callsBy.set(principal.name, own + 1);
    this.#principals.set(metadata, principal);
    return () => {
      this.#now[kind]--;
      const left = (this.#callsBy.get(principal.name) ?? 1) - 1;
      if (left === 0) this.#callsBy.delete(principal.name);
      else this.#callsBy.set(principal.name, left);
    };
  }
}

function credentialsOf(
  metadata: Metadata,
  call: Parameters<ServerInterceptor>[1],
): Parameters<Authenticate>[0] {
  const [authorization] = metadata.get("authorization");
  // RFC 6750 section 2.1.
  const token = /^Bearer +([\w\-.~+/]+=*)$/i.exec(String(authorization ?? ""))?.[1];
  const certificate = call.getAuthContext().sslPeerCertificate?.raw;
  return {
    ...(token === undefined ? {} : { token }),
    ...(certificate === undefined ? {} : { certificate }),
    remoteAddress: call.getConnectionInfo().remoteAddress ?? "",
  };
}

function bump(counts: Map<string, number>, what: string): void {
  counts.set(what, (counts.get(what) ?? 0) + 1);
}
