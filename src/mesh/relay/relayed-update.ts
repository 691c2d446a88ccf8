import type { PeerId } from "../../platform/signer.ts";
import type { OutboundUpdate } from "../../platform/uplink-connection.ts";

/** An update of another agent, as it was handed over. */
export interface UpdateFields extends Omit<OutboundUpdate, "id"> {
  readonly key: string | undefined;
  readonly path: readonly PeerId[];
}

/** An update of another agent, in its place among those of a guest. */
export class RelayedUpdate implements OutboundUpdate {
  readonly agentId: string;
  readonly stream: string;
  readonly sequence: number;
  readonly payload: Uint8Array;
  readonly contentType: string;
  readonly observedAtMs: number;
  readonly observedAtTrusted: boolean;
  readonly key: string | undefined;
  readonly path: readonly PeerId[];
  /** Delivered, or refused for good; `refusal` says which. */
  settled = false;
  refusal: string | undefined;

  constructor(fields: UpdateFields) {
    this.agentId = fields.agentId;
    this.stream = fields.stream;
    this.sequence = fields.sequence;
    this.payload = fields.payload;
    this.contentType = fields.contentType;
    this.observedAtMs = fields.observedAtMs;
    this.observedAtTrusted = fields.observedAtTrusted;
    this.key = fields.key;
    this.path = fields.path;
  }

  get id(): string {
    return `${this.agentId}/${this.stream}/${this.sequence}`;
  }
}

/** @returns a name of its own for every stream of every agent */
export function streamKey({ agentId, stream }: { agentId: string; stream: string }): string {
  return `${agentId}/${stream}`;
}
