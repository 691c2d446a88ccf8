import type { Stream } from "@libp2p/interface";
import {
  NetworkError,
  type NetworkGate,
  type Protocol,
  Refused,
  type Service,
} from "../network.ts";
import type { PeerId } from "../signer.ts";
import { type FrameBody, FrameError, frameHeader, refusalFrame } from "./frame-codec.ts";
import { FrameReader } from "./frame-reader.ts";
import { StreamWriter } from "./stream-writer.ts";
import type { Tally } from "./tally.ts";

/** What an answering stream needs to know. */
export interface Answering {
  readonly peer: PeerId;
  readonly protocol: Protocol;
  readonly service: Service;
  readonly gate: NetworkGate;
  readonly tally: Tally;
  /** A service threw what is no refusal. */
  onFault(error: unknown): void;
}

/** The side of a kept stream that answers. Attach it as soon as the stream is there: what comes earlier is lost. */
export class AnsweringStream {
  readonly #stream: Stream;
  readonly #parts: Answering;
  readonly #writer: StreamWriter;
  #inFlight = 0;

  /** Listens to the stream from now on, until it closes. */
  static attach(stream: Stream, parts: Answering): void {
    new AnsweringStream(stream, parts).#listen();
  }

  private constructor(stream: Stream, parts: Answering) {
    this.#stream = stream;
    this.#parts = parts;
    this.#writer = new StreamWriter(stream, parts.protocol.queueBytesMax);
  }

  #listen(): void {
    const stream = this.#stream;
    const reader = new FrameReader(this.#parts.protocol.messageBytesMax);
    stream.addEventListener("message", ({ data }) => {
      try {
        reader.push(data, (frame) => this.#take(frame));
      } catch (error) {
        this.#giveUp(error instanceof FrameError ? error.offence : "malformed", error as Error);
      }
    });
    stream.addEventListener("remoteCloseWrite", () => void stream.close().catch(() => undefined));
    stream.addEventListener("close", () =>
      this.#writer.fail(new NetworkError("network.closed", "the stream was closed")),
    );
  }

  #take(frame: FrameBody): boolean {
    const { peer, protocol, service, gate, tally } = this.#parts;
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
    else if (this.#inFlight >= protocol.requestsInFlightMax)
      this.#refuse(frame.id, "rate.limited", "too many requests at once");
    else this.#answer(frame.id, frame.payload);
    return this.#stream.status === "open";
  }

  #tell(payload: Uint8Array): void {
    const { peer, service, tally } = this.#parts;
    if (service.message === undefined) {
      tally.refused("service.unsupported");
      return;
    }
    try {
      service.message(peer, payload);
    } catch (error) {
      if (error instanceof Refused) tally.refused(error.code);
      else this.#parts.onFault(error);
    }
  }

  #answer(id: number, payload: Uint8Array): void {
    this.#inFlight++;
    try {
      const answer = this.#parts.service.request?.(this.#parts.peer, payload);
      if (answer instanceof Promise)
        answer.then(
          (bytes) => this.#answered(id, bytes),
          (error: unknown) => this.#failed(id, error),
        );
      else this.#answered(id, answer ?? new Uint8Array(0));
    } catch (error) {
      this.#failed(id, error);
    }
  }

  #answered(id: number, bytes: Uint8Array): void {
    this.#inFlight--;
    const { protocol, tally } = this.#parts;
    if (bytes.length > protocol.messageBytesMax) {
      const detail = `the answer of ${bytes.length} bytes is past ${protocol.messageBytesMax}`;
      this.#refuse(id, "service.too-large", detail);
      return;
    }
    tally.requestsServed++;
    tally.sentBytes += bytes.length;
    this.#write([frameHeader("response", id, bytes.length), bytes]);
  }

  #failed(id: number, error: unknown): void {
    this.#inFlight--;
    if (error instanceof Refused) {
      this.#refuse(id, error.code, error.message);
      return;
    }
    this.#parts.onFault(error);
    this.#refuse(id, "service.failed", "the service failed; its own log tells why");
  }

  #refuse(id: number, code: string, detail: string): void {
    this.#parts.tally.refused(code);
    if (id !== 0) this.#write([refusalFrame(id, code, detail)]);
  }

  #write(parts: readonly Uint8Array[]): void {
    if (!this.#writer.write(parts))
      this.#giveUp("slow-reader", new Error("the peer does not read its answers"));
  }

  #giveUp(offence: string, error: Error): void {
    const { peer, gate, tally } = this.#parts;
    tally.refused(offence);
    gate.offence(peer, offence);
    this.#stream.abort(error);
  }
}
