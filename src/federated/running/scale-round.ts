import type { PeerId } from "../../platform/signer.ts";
import type { Combined, CombineJob, Inspected } from "../combining/combine.ts";
import { DataError } from "../data/data-error.ts";
import {
  agreeNormalization,
  type ChannelMoments,
  decodeMoments,
  decodeNormalization,
  encodeMoments,
  encodeNormalization,
  type Normalization,
} from "../streams/normalization.ts";

/** "AMM", and the version: what an agent tells of its channels. */
const MOMENTS_MAGIC = Uint8Array.of(0x41, 0x4d, 0x4d, 1);
/** "AMN", and the version: what the agents agreed on, before what the strategy remembers. */
const SCALE_MAGIC = Uint8Array.of(0x41, 0x4d, 0x4e, 1);
const HEADER_BYTES = 4;
const NAME_BYTES_MAX = 256;
const SCALE_BYTES = 16;
/** Ids of agents are printable ASCII. */
const NAME = /^[!-~]+$/;

/**
 * The update of round 1 of a task with `normalize: federated`: moments of the agent's channels in the place of weights. It names its agent, so
 * that two sensors that say the same do not look as if one agent had copied the other.
 *
 * @returns 4 bytes of magic, the moments, the agent's id in ASCII
 */
export function encodeScaleUpdate(agent: PeerId, moments: readonly ChannelMoments[]): Uint8Array {
  return Buffer.concat([MOMENTS_MAGIC, encodeMoments(moments), new TextEncoder().encode(agent)]);
}

/** @returns what an update of round 1 is, before it is put together with others; never throws */
export function inspectScaleUpdate(bytes: Uint8Array, channels: number): Inspected {
  const read = readUpdate(bytes, channels);
  if (typeof read === "string") return "malformed";
  return read.moments.some(({ count }) => count > 0) ? "good" : "empty";
}

/**
 * Puts a round together, of a task whose agents agree on a scale: round 1 makes the scale and leaves the model as it is, later rounds carry
 * it on before what the strategy remembers. Members do the same to judge it: what comes of it is bit for bit the same.
 *
 * @param combine later rounds, without the scale
 */
export async function combineScaled(
  job: CombineJob,
  channels: number,
  combine: (job: CombineJob) => Promise<Combined>,
): Promise<Combined> {
  const { state: joint, ...rest } = job;
  if (joint === undefined) return agreeScale(job, channels);
  const parted = partState(joint, channels);
  if (parted === undefined) return { kind: "failed", reason: "the scale can not be read" };
  const { state } = parted;
  const combined = await combine({ ...rest, ...(state !== undefined && { state }) });
  if (combined.kind !== "combined") return combined;
  const { model } = combined;
  return { kind: "combined", model, state: joinState(parted.scale, combined.state) };
}

/** @returns the scale of a round's state; undefined for one that holds none */
export function scaleIn(joint: Uint8Array, channels: number): Normalization | undefined {
  return partState(joint, channels)?.scale;
}

/** @returns what the strategy remembers, of a round's state; undefined where that is nothing yet */
export function strategyStateIn(joint: Uint8Array, channels: number): Uint8Array | undefined {
  return partState(joint, channels)?.state;
}

function agreeScale({ base, updates }: CombineJob, channels: number): Combined {
  const told = new Map<PeerId, readonly ChannelMoments[]>();
  for (const { sender, bytes } of updates) {
    const read = readUpdate(bytes, channels);
    if (typeof read === "string") return { kind: "blamed", sender, reason: read };
    if (read.agent !== sender)
      return { kind: "blamed", sender, reason: "these are another agent's moments" };
    told.set(sender, read.moments);
  }
  const scale = agreeNormalization(told, channels);
  return { kind: "combined", model: base, state: joinState(scale, undefined) };
}

/** @returns in words why it is none */
function readUpdate(
  bytes: Uint8Array,
  channels: number,
): { readonly agent: PeerId; readonly moments: readonly ChannelMoments[] } | string {
  const end = HEADER_BYTES + 24 * channels;
  if (bytes.length <= end || bytes.length > end + NAME_BYTES_MAX || !begins(bytes, MOMENTS_MAGIC))
    return `${bytes.length} bytes are no moments of ${channels} channels`;
  const agent = Buffer.from(bytes.subarray(end)).toString("latin1");
  if (!NAME.test(agent)) return "the agent's id is none";
  try {
    return { agent, moments: decodeMoments(bytes.subarray(HEADER_BYTES, end), channels) };
  } catch (error) {
    if (error instanceof DataError) return error.message;
    throw error;
  }
}

function joinState(scale: Normalization, state: Uint8Array | undefined): Uint8Array {
  return Buffer.concat([SCALE_MAGIC, encodeNormalization(scale), state ?? new Uint8Array(0)]);
}

function partState(
  joint: Uint8Array,
  channels: number,
): { readonly scale: Normalization; readonly state?: Uint8Array } | undefined {
  const end = HEADER_BYTES + SCALE_BYTES * channels;
  if (joint.length < end || !begins(joint, SCALE_MAGIC)) return undefined;
  try {
    const scale = decodeNormalization(joint.subarray(HEADER_BYTES, end), channels);
    // A copy: what reads it may want it to begin at a whole word.
    return { scale, ...(joint.length > end && { state: joint.slice(end) }) };
  } catch (error) {
    if (error instanceof DataError) return undefined;
    throw error;
  }
}

function begins(bytes: Uint8Array, magic: Uint8Array): boolean {
  return magic.every((byte, at) => bytes[at] === byte);
}
