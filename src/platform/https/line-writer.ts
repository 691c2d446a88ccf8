import { StatePatcher } from "../../sync/state-patcher.ts";
import { contentOf, encodeUpdateLine } from "../../sync/update-line.ts";
import type { OutboundUpdate } from "../uplink-connection.ts";

/** States that are remembered as bases, roughly. */
const STATES_BYTES_MAX = 2 * 1_024 * 1_024;

/** An update that is to travel, and its line in full. */
export interface Written {
  readonly update: OutboundUpdate;
  readonly line: Buffer;
  /** It may not travel as a difference: the receiver does not have the base. */
  readonly whole: boolean;
}

/**
 * Makes the lines of batches. States travel as their difference from the one that was acknowledged last on this
 * connection, once the receiver has said that it understands that.
 */
export class LineWriter {
  readonly #states = new StatePatcher(STATES_BYTES_MAX);
  #patches = false;

  /** The receiver understands differences. */
  allowPatches(): void {
    this.#patches = true;
  }

  /** The connection has ended: another receiver may answer next, which has none of the states. */
  reset(): void {
    this.#patches = false;
    this.#states.clear();
  }

  /** @returns the update's line in full */
  write(update: OutboundUpdate): Buffer {
    return Buffer.from(encodeUpdateLine(update));
  }

  /**
   * @returns the lines of one batch, in its order. Behind a difference no update of its stream travels by other means
   *   than a difference from the same base: the receiver takes all of them or none, and none overtakes another.
   */
  writeBatch(batch: readonly Written[]): Buffer[] {
    const lines = batch.map(({ line }) => line);
    if (!this.#patches) return lines;
    /** By stream: the base of what follows, or 0 where that travels in full. */
    const bases = new Map<string, number>();
    for (let at = batch.length - 1; at >= 0; at--) {
      const written = batch[at];
      if (written === undefined) continue;
      const { update } = written;
      const patch = this.#patchOf(written);
      const of = streamOf(update);
      const following = bases.get(of) ?? patch?.base;
      const fits = patch !== undefined && patch.base === following;
      if (fits) lines[at] = Buffer.from(encodeUpdateLine(update, { patch }));
      bases.set(of, fits ? patch.base : 0);
    }
    return lines;
  }

  /** The receiver has this update: if it is a state, the next one may build on it. */
  acknowledged(update: OutboundUpdate): void {
    const { key, sequence } = update;
    const text = this.#patches ? stateOf(update) : undefined;
    if (key !== undefined && text !== undefined)
      this.#states.acknowledged(streamOf(update), key, sequence, text);
  }

  /** The receiver does not have the state that this update builds on. */
  forget(update: OutboundUpdate): void {
    if (update.key !== undefined) this.#states.forget(streamOf(update), update.key);
  }

  #patchOf({ update, whole }: Written): ReturnType<StatePatcher["patch"]> {
    const { key } = update;
    const text = whole ? undefined : stateOf(update);
    return key === undefined || text === undefined
      ? undefined
      : this.#states.patch(streamOf(update), key, text);
  }
}

/** @returns the JSON text of a state */
function stateOf(update: OutboundUpdate): string | undefined {
  if (update.key === undefined) return undefined;
  const { kind, text } = contentOf(update);
  return kind === "json" ? text : undefined;
}

/** Two agents may have streams of one name. */
function streamOf({ agentId, stream }: OutboundUpdate): string {
  return `${agentId}/${stream}`;
}
