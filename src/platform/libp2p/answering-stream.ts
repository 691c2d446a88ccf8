import type { Stream } from "@libp2p/interface";
import {
  NetworkError,
  type NetworkGate,
  type Protocol,
  Refused,
  type Service,
} from "../network.ts";
import type { Tally } from "../network-tally.ts";
import type { PeerId } from "../signer.ts";
import { type FrameBody, FrameError, frameHeader, refusalFrame } from "./frame-codec.ts";
import { FrameReader } from "./frame-reader.ts";
import { StreamWriter } from "./stream-writer.ts";
import { lazyWindow } from "./yamux-window.ts";

/** Refusals may wait beyond the queue's bound; a peer that reads not even those is given up. */
const REFUSALS_BYTES_MAX = 65_536;

const NOTHING = new Uint8Array(0);

/** What an answering stream needs to know. */
export interface Answering {
  readonly peer: PeerId;
  readonly protocol: Protocol;
  readonly service: Service;
  readonly gate: NetworkGate;
  readonly tally: Tally;
  /** Requests that are being answered, by peer; shared by all streams of the protocol. */
  readonly inFlight: Map<PeerId, number>;
  /** A service threw what is no refusal. */
  readonly onFault: (error: unknown) => void;
}

/** Answers what comes on a stream. Attach it as soon as the stream is there: what comes earlier is lost. */
export function answerStream(stream: Stream, parts: Answering): void {
  new AnsweringStream(stream, parts).attach();
}

/** The side of a kept stream that answers. */
class AnsweringStream {
  readonly #stream: Stream;
  readonly #parts: Answering;
  readonly #writer: StreamWriter;

  constructor(stream: Stream, parts: Answering) {
    this.#stream = stream;
    this.#parts = parts;
    this.#writer = new StreamWriter(stream, parts.protocol.queueBytesMax);
  }

  attach(): void {
    const stream = this.#stream;
    lazyWindow(stream);
    const reader = new FrameReader(this.#parts.protocol.messageBytesMax);
    stream.addEventListener("message", ({ data }) => {
      try {
        reader.push(data, (frame) => this.#take(frame));
      } catch (error) {
        this.#giveUp(error instanceof FrameError ? error.offence : "malformed", error as Error);
      }
    });
    const close = (): void => void stream.close().catch(() => undefined);
    stream.addEventListener("remoteCloseWrite", close);
    // What has come already is told in a microtask, and answered before that.
    if (stream.remoteWriteStatus !== "writable") queueMicrotask(close);
    stream.addEventListener("close", () =>
      this.#writer.fail(new NetworkError("network.closed", "the stream was closed")),
    );
  }

  #take(frame: FrameBody): boolean {
    const { peer, protocol, service, gate, tally, inFlight } = this.#parts;
    if (frame.kind !== "message" && frame.kind !== "request")
      throw new FrameError("malformed", `a ${frame.kind} from the side that asks`);
    tally.receivedBytes += frame.payload.length;
    const refusal = gate.allows(peer, protocol.id, frame.payload.length);
    if (refusal !== undefined) {
      this.#refuse(frame.id, refusal, `not allowed on ${protocol.id}`);
      return this.#stream.status === "open";
    }
    if (frame.kind === "message") this.#tell(frame.payload);
    else if (service.request === undefined)
      this.#refuse(frame.id, "service.unsupported", `${protocol.id} takes no requests`);
    else if ((inFlight.get(peer) ?? 0) >= protocol.requestsInFlightMax)
      this.#refuse(frame.id, "rate.limited", "too many requests at once");
    else this.#answer(frame.id, frame.payload);
    return this.#stream.status === "open";
  }

  #tell(payload: Uint8Array): void {
    const { peer, service, tally, onFault } = this.#parts;
    if (service.message === undefined) {
      tally.refused("service.unsupported");
      return;
    }
    try {
      service.message(peer, payload);
    } catch (error) {
      if (error instanceof Refused) tally.refused(error.code);
      else onFault(error);
    }
  }

  #answer(id: number, payload: Uint8Array): void {
    const { peer, service, inFlight } = this.#parts;
    try {
      const answer = service.request?.(peer, payload) ?? NOTHING;
      if (answer instanceof Uint8Array) {
        this.#answered(id, answer);
        return;
      }
      inFlight.set(peer, (inFlight.get(peer) ?? 0) + 1);
      answer.then(
        (bytes) => {
          this.#ended();
          this.#answered(id, bytes);
        },
        (error: unknown) => {
          this.#ended();
          this.#failed(id, error);
        },
      );
    } catch (error) {
      this.#failed(id, error);
    }
  }

  #answered(id: number, bytes: Uint8Array): void {
    const { protocol, tally } = this.#parts;
    if (bytes.length > protocol.messageBytesMax) {
      const detail = `the answer of ${bytes.length} bytes is past ${protocol.messageBytesMax}`;
      this.#refuse(id, "service.too-large", detail);
      return;
    }
    if (!this.#writer.write([frameHeader("response", id, bytes.length), bytes])) {
      this.#refuse(id, "rate.limited", "too many answers wait to be read");
      return;
    }
    tally.requestsServed++;
    tally.sentBytes += bytes.length;
  }

  #failed(id: number, error: unknown): void {
    if (error instanceof Refused) {
      this.#refuse(id, error.code, error.message);
      return;
    }
    this.#parts.onFault(error);
    this.#refuse(id, "service.failed", "the service failed; its own log tells why");
  }

  #refuse(id: number, code: string, detail: string): void {
    this.#parts.tally.refused(code);
    if (id === 0) return;
    const refusal = refusalFrame(id, code, detail);
    if (!this.#writer.write([refusal], undefined, REFUSALS_BYTES_MAX))
      this.#giveUp("slow-reader", new Error("the peer does not read its answers"));
  }

  /** A request that was under way is not any more. */
  #ended(): void {
    const { peer, inFlight } = this.#parts;
    const others = (inFlight.get(peer) ?? 0) - 1;
    if (others > 0) inFlight.set(peer, others);
    else inFlight.delete(peer);
  }

  #giveUp(offence: string, error: Error): void {
    const { peer, gate, tally } = this.#parts;
    tally.refused(offence);
    gate.offence(peer, offence);
    this.#stream.abort(error);
  }
}
