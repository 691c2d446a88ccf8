import {
  type BridgeAgent,
  type BridgeAgentChange,
  type BridgeCode,
  BridgeError,
  type BridgeMessage,
  type BridgeRequest,
} from "../../platform/bridge.ts";
import type { PeerId, Signer } from "../../platform/signer.ts";
import type {
  LinkAnswer,
  LinkExchange,
  LinkFrame,
  LinkHello,
} from "../../wire/agent_mesh/bridge/v1/link_pb.ts";
import {
  checkedAgent,
  checkedFilters,
  checkedId,
  checkedMessage,
  checkedName,
  checkedVia,
  decodeFrame,
  encodeFrame,
  fleetAgent,
} from "./frames.ts";

/** Bounds of one link. */
export interface LinkLimits {
  /** Largest payload either way. */
  readonly messageBytesMax: number;
  /** Requests at once, each way. */
  readonly requestsMax: number;
  /** Longest that a request from the other side may take. */
  readonly timeoutMsMax: number;
}

/** Who stands at the other end. */
export interface LinkPeer {
  readonly bridgeId: string;
  /** Proven by a signature; undefined for a gateway, whose proof is its TLS certificate. */
  readonly peerId: PeerId | undefined;
  /** What it wants to be sent of topics. */
  readonly filters: readonly string[];
}

/** How a request ended. */
export type LinkOutcome = { readonly payload: Uint8Array } | { readonly error: BridgeError };

/** An agent that the other side told of. */
interface LinkedAgent {
  readonly agent: BridgeAgent;
  readonly agentId: string;
}

/** What a session wants done. */
export type LinkEffect =
  | { readonly kind: "send"; readonly frame: Uint8Array }
  /** The other end is known; from now on everything may be sent. */
  | { readonly kind: "ready"; readonly peer: LinkPeer }
  /** The other side asks: its answer goes to {@link LinkSession.answer}. */
  | { readonly kind: "serve"; readonly number: number; readonly request: BridgeRequest }
  | { readonly kind: "answered"; readonly number: number; readonly outcome: LinkOutcome }
  | { readonly kind: "message"; readonly message: BridgeMessage }
  | {
      readonly kind: "fleet";
      readonly complete: boolean;
      readonly upserted: readonly LinkedAgent[];
      readonly removed: readonly PeerId[];
    }
  /** Something was not taken: to be counted. */
  | { readonly kind: "refused"; readonly code: BridgeCode }
  /** The other end breaks the rules: the link is over. */
  | { readonly kind: "fail"; readonly error: BridgeError };

/** What a session knows from the start. */
export interface LinkParts {
  readonly role: "gateway" | "device";
  /** Own id in the ways of messages. */
  readonly bridgeId: string;
  readonly signer: Signer;
  /** What to ask for of topics. */
  readonly filters: readonly string[];
  /** 32 random bytes; a gateway's challenge. */
  readonly nonce: Uint8Array;
  /** A gateway's: whether the credentials are good for that device. */
  readonly admits: (peerId: PeerId) => boolean;
  readonly limits: LinkLimits;
  /** Whether a record was found good before. */
  readonly isKnown: (peerId: PeerId, record: Uint8Array) => boolean;
}

const PURPOSE = "agent-mesh/link/1";
const NONCE_BYTES = 32;
const AGENTS_PER_FRAME = 200;
const FLEET_FRAME_AGENTS_MAX = 1_000;

type Body<K extends NonNullable<LinkFrame["body"]["case"]>> = Extract<
  LinkFrame["body"],
  { case: K }
>["value"];

/**
 * One end of a link between a device and a gateway: frames and requests in, effects out. The gateway challenges, the
 * device signs (so that nobody attaches in another's name with a token that many have), the gateway welcomes; then
 * both sides ask, answer and tell alike.
 */
export class LinkSession {
  readonly #parts: LinkParts;
  readonly #asked = new Set<number>();
  readonly #serving = new Set<number>();
  #peer: LinkPeer | undefined;
  /** A device's: whom the hello went to. */
  #greeted: string | undefined;
  #number = 0;

  constructor(parts: LinkParts) {
    this.#parts = parts;
  }

  /** To be done when the connection stands. */
  open(): LinkEffect[] {
    const { role, nonce, bridgeId } = this.#parts;
    return role === "gateway" ? [send({ case: "challenge", value: { nonce, bridgeId } })] : [];
  }

  received(bytes: Uint8Array): LinkEffect[] {
    try {
      const body = decodeFrame(bytes);
      // Newer versions may say more.
      if (body === undefined) return [{ kind: "refused", code: "bridge.unsupported" }];
      return this.#peer === undefined ? this.#handshake(body) : this.#take(body);
    } catch (error) {
      return [{ kind: "fail", error: asBridgeError(error) }];
    }
  }

  /** @returns the number of the request and how to send it @throws BridgeError when there is no room for it */
  ask(request: BridgeRequest): { readonly number: number; readonly effects: LinkEffect[] } {
    const { requestsMax, messageBytesMax } = this.#parts.limits;
    if (this.#peer === undefined)
      throw new BridgeError("bridge.unreachable", "the link does not stand yet");
    if (this.#asked.size >= requestsMax)
      throw new BridgeError("bridge.busy", "too many requests at once on that link");
    if (request.payload.length > messageBytesMax)
      throw new BridgeError("bridge.too-large", `over ${messageBytesMax} bytes`);
    do this.#number = (this.#number + 1) >>> 0;
    while (this.#asked.has(this.#number));
    const number = this.#number;
    this.#asked.add(number);
    const { via, ...rest } = request;
    const value = { ...rest, number, via: [...via] };
    return { number, effects: [send({ case: "exchange", value })] };
  }

  /** Its answer is not waited for any more. */
  forget(number: number): void {
    this.#asked.delete(number);
  }

  /** Answers a request of the other side. */
  answer(number: number, outcome: LinkOutcome): LinkEffect[] {
    if (!this.#serving.delete(number)) return [];
    const { messageBytesMax } = this.#parts.limits;
    const fits = "error" in outcome || outcome.payload.length <= messageBytesMax;
    const said: LinkOutcome = fits
      ? outcome
      : { error: new BridgeError("bridge.too-large", `an answer over ${messageBytesMax} bytes`) };
    if ("payload" in said) {
      const value = { number, outcome: { case: "payload", value: said.payload } } as const;
      return [send({ case: "answer", value })];
    }
    const { code, refusal, message } = said.error;
    const value = { code: refusal ?? code, detail: message.slice(0, 300).toWellFormed() };
    return [
      send({ case: "answer", value: { number, outcome: { case: "refusal", value } } }),
      { kind: "refused", code },
    ];
  }

  /** Passes a message on. */
  message(message: BridgeMessage): LinkEffect[] {
    return [send({ case: "topicMessage", value: { ...message, via: [...message.via] } })];
  }

  /** Tells of the whole fleet. */
  fleet(agents: readonly BridgeAgent[]): LinkEffect[] {
    const effects: LinkEffect[] = [];
    for (let at = 0; at === 0 || at < agents.length; at += AGENTS_PER_FRAME) {
      const upserted = agents.slice(at, at + AGENTS_PER_FRAME).map(fleetAgent);
      effects.push(send({ case: "fleetChange", value: { complete: at === 0, upserted } }));
    }
    return effects;
  }

  /** Tells what has changed about the fleet. */
  fleetChange(change: BridgeAgentChange): LinkEffect[] {
    const value =
      change.kind === "removed"
        ? { removedPeerIds: [change.peerId] }
        : { upserted: [fleetAgent(change.agent)] };
    return [send({ case: "fleetChange", value })];
  }

  #handshake(body: LinkFrame["body"]): LinkEffect[] {
    const { role, bridgeId, signer, filters } = this.#parts;
    if (role === "gateway" && body.case === "hello") {
      this.#peer = this.#greet(body.value);
      return [
        send({ case: "welcome", value: { filters: [...filters] } }),
        { kind: "ready", peer: this.#peer },
      ];
    }
    if (role === "device" && body.case === "challenge" && this.#greeted === undefined) {
      const { nonce, bridgeId: gateway } = body.value;
      if (nonce.length !== NONCE_BYTES)
        throw new BridgeError("bridge.malformed", "a challenge has 32 bytes");
      this.#greeted = checkedId("bridge id", gateway);
      const signature = signer.sign(PURPOSE, signedText(nonce, gateway));
      const { publicKey } = signer;
      const value = { publicKey, signature, bridgeId, filters: [...filters] };
      return [send({ case: "hello", value })];
    }
    if (role === "device" && body.case === "welcome" && this.#greeted !== undefined) {
      const wanted = checkedFilters(body.value.filters);
      this.#peer = { bridgeId: this.#greeted, peerId: undefined, filters: wanted };
      return [{ kind: "ready", peer: this.#peer }];
    }
    throw new BridgeError("bridge.malformed", `${body.case} before the link stands`);
  }

  #greet({ publicKey, signature, bridgeId, filters }: LinkHello): LinkPeer {
    const { signer, nonce, bridgeId: own, admits } = this.#parts;
    if (!signer.verify(publicKey, PURPOSE, signedText(nonce, own), signature))
      throw new BridgeError("bridge.unauthenticated", "the signature of the hello is wrong");
    const peerId = signer.peerIdOf(publicKey);
    if (!admits(peerId))
      throw new BridgeError("bridge.denied", "the credentials are not good for that device");
    if (bridgeId === own) throw new BridgeError("bridge.loop", "the device is this gateway");
    return {
      bridgeId: checkedId("bridge id", bridgeId),
      peerId,
      filters: checkedFilters(filters),
    };
  }

  #take(body: LinkFrame["body"]): LinkEffect[] {
    switch (body.case) {
      case "topicMessage":
        if (body.value.payload.length > this.#parts.limits.messageBytesMax)
          return [{ kind: "refused", code: "bridge.too-large" }];
        return [{ kind: "message", message: checkedMessage(body.value) }];
      case "fleetChange":
        return this.#takeFleet(body.value);
      case "exchange":
        return this.#serve(body.value);
      case "answer":
        return this.#takeAnswer(body.value);
      case "challenge":
      case "hello":
      case "welcome":
      case undefined:
        break;
    }
    throw new BridgeError("bridge.malformed", `${body.case} on a link that stands`);
  }

  #takeFleet({ complete, upserted, removedPeerIds }: Body<"fleetChange">): LinkEffect[] {
    const { signer, isKnown } = this.#parts;
    if (upserted.length + removedPeerIds.length > FLEET_FRAME_AGENTS_MAX)
      throw new BridgeError("bridge.malformed", "too many agents in one frame");
    return [
      {
        kind: "fleet",
        complete,
        upserted: upserted.map((agent) => checkedAgent(agent, signer, isKnown)),
        removed: removedPeerIds.map((peerId) => checkedName("peer id", peerId)),
      },
    ];
  }

  #serve(asked: LinkExchange): LinkEffect[] {
    const { number, timeoutMs } = asked;
    const { requestsMax, messageBytesMax, timeoutMsMax } = this.#parts.limits;
    if (this.#serving.has(number))
      throw new BridgeError("bridge.malformed", "two requests have one number");
    // Numbers that are refused never get in, so that the table keeps its bound.
    const refuse = (code: BridgeCode, detail: string): LinkEffect[] => [
      send({
        case: "answer",
        value: { number, outcome: { case: "refusal", value: { code, detail } } },
      }),
      { kind: "refused", code },
    ];
    if (this.#serving.size >= requestsMax)
      return refuse("bridge.busy", "too many requests at once");
    if (asked.payload.length > messageBytesMax)
      return refuse("bridge.too-large", `over ${messageBytesMax} bytes`);
    const request: BridgeRequest = {
      id: checkedId("id", asked.id),
      target: checkedName("target", asked.target),
      task: checkedName("task", asked.task),
      payload: asked.payload,
      via: checkedVia(asked.via),
      timeoutMs: Math.min(Math.max(1, timeoutMs), timeoutMsMax),
    };
    this.#serving.add(number);
    return [{ kind: "serve", number, request }];
  }

  #takeAnswer({ number, outcome }: LinkAnswer): LinkEffect[] {
    // One that came too late.
    if (!this.#asked.delete(number)) return [{ kind: "refused", code: "bridge.timeout" }];
    if (outcome.case === "payload" && outcome.value.length <= this.#parts.limits.messageBytesMax)
      return [{ kind: "answered", number, outcome: { payload: outcome.value } }];
    const error =
      outcome.case === "refusal"
        ? refusalError(outcome.value.code, outcome.value.detail)
        : new BridgeError("bridge.malformed", "an answer without an outcome, or too large");
    return [{ kind: "answered", number, outcome: { error } }];
  }
}

const codes: ReadonlySet<string> = new Set<BridgeCode>([
  "bridge.denied",
  "bridge.malformed",
  "bridge.not-found",
  "bridge.ambiguous",
  "bridge.unreachable",
  "bridge.timeout",
  "bridge.closed",
  "bridge.too-large",
  "bridge.queue-full",
  "bridge.busy",
  "bridge.loop",
  "bridge.conflict",
  "bridge.unsupported",
  "bridge.failed",
]);

/** The bridge's own codes stay what they are over any number of bridges; others are an agent's. */
function refusalError(code: string, detail: string): BridgeError {
  const text = detail.slice(0, 300);
  if (codes.has(code)) return new BridgeError(code as BridgeCode, text);
  return new BridgeError("bridge.refused", text, { refusal: code.slice(0, 64) });
}

function send(body: Parameters<typeof encodeFrame>[0]): LinkEffect {
  return { kind: "send", frame: encodeFrame(body) };
}

function signedText(nonce: Uint8Array, gateway: string): Uint8Array {
  return Uint8Array.from([...nonce, ...new TextEncoder().encode(gateway)]);
}

function asBridgeError(error: unknown): BridgeError {
  if (error instanceof BridgeError) return error;
  return new BridgeError("bridge.failed", "a frame could not be handled", { cause: error });
}
