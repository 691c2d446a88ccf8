import { NetworkError, type Protocol, Refused, type Service } from "../platform/network.ts";
import type { PeerId } from "../platform/signer.ts";
import type { LinkEnd } from "./virtual-link.ts";
import type { VirtualNode } from "./virtual-node.ts";

/** What one node does with the messages and requests of one protocol. */
export class VirtualService {
  readonly #node: VirtualNode;
  readonly #protocol: Protocol;
  readonly #service: Service;
  /** What waits of answers does not count against what the node sends itself. */
  readonly #answers: string;
  #inFlight: Map<PeerId, number> | undefined;

  constructor(node: VirtualNode, protocol: Protocol, service: Service) {
    this.#node = node;
    this.#protocol = protocol;
    this.#service = service;
    this.#answers = `${protocol.id} answers`;
  }

  /** @param id of a request; none with a message */
  take(end: LinkEnd, payload: Uint8Array, id?: number): void {
    const { settings, tally } = this.#node;
    const { messageBytesMax, requestsInFlightMax } = this.#protocol;
    const { peer } = end.link;
    if (payload.length > messageBytesMax) {
      tally.refused("oversize");
      settings.gate.offence(peer, "oversize");
      end.close();
      return;
    }
    tally.receivedBytes += payload.length;
    const refusal = settings.gate.allows(peer, this.#protocol.id, payload.length);
    if (refusal !== undefined) this.#refuse(end, id, new Refused(refusal, "not allowed"));
    else if (id === undefined) this.#tell(peer, payload);
    else if (this.#service.request === undefined)
      this.#refuse(end, id, new Refused("service.unsupported", "takes no requests"));
    else if ((this.#inFlight?.get(peer) ?? 0) >= requestsInFlightMax)
      this.#refuse(end, id, new Refused("rate.limited", "too many requests at once"));
    else this.#answer(end, id, payload);
  }

  #tell(peer: PeerId, payload: Uint8Array): void {
    const { tally } = this.#node;
    if (this.#service.message === undefined) tally.refused("service.unsupported");
    else
      try {
        this.#service.message(peer, payload);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        tally.refused(error.code);
      }
  }

  #answer(end: LinkEnd, id: number, payload: Uint8Array): void {
    this.#count(end.link.peer, 1);
    try {
      const answer = this.#service.request?.(end.link.peer, payload);
      if (answer instanceof Promise)
        answer.then(
          (bytes) => this.#answered(end, id, bytes),
          (error: unknown) => this.#failed(end, id, error),
        );
      else this.#answered(end, id, answer ?? new Uint8Array(0));
    } catch (error) {
      this.#failed(end, id, error);
    }
  }

  #answered(end: LinkEnd, id: number, bytes: Uint8Array): void {
    this.#count(end.link.peer, -1);
    const { messageBytesMax, queueBytesMax } = this.#protocol;
    if (bytes.length > messageBytesMax)
      this.#refuse(end, id, new Refused("service.too-large", "the answer is too large"));
    else if (!end.fits(this.#answers, bytes.length, queueBytesMax))
      this.#refuse(end, id, new Refused("rate.limited", "too many answers wait to be read"));
    else {
      this.#node.tally.requestsServed++;
      this.#node.tally.sentBytes += bytes.length;
      end.transmit(this.#answers, bytes, (at) => at.settle(id)?.resolve(bytes));
    }
  }

  #failed(end: LinkEnd, id: number, error: unknown): void {
    this.#count(end.link.peer, -1);
    const refused =
      error instanceof Refused ? error : new Refused("service.failed", "the service failed");
    this.#refuse(end, id, refused);
  }

  #refuse(end: LinkEnd, id: number | undefined, { code, message }: Refused): void {
    this.#node.tally.refused(code);
    if (id === undefined) return;
    const error = new NetworkError("network.refused", `${code}: ${message}`, { refusal: code });
    end.transmit(this.#answers, message.length, (at) => at.settle(id)?.reject(error));
  }

  #count(peer: PeerId, change: 1 | -1): void {
    this.#inFlight ??= new Map();
    const count = (this.#inFlight.get(peer) ?? 0) + change;
    if (count > 0) this.#inFlight.set(peer, count);
    else this.#inFlight.delete(peer);
  }
}
