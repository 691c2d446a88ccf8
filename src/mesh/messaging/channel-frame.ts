import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { fromHex, toHex } from "../../platform/hex.ts";
import { ChannelFrameSchema } from "../../wire/agent_mesh/v1/messaging_pb.ts";

const ID_BYTES = 16;
/** Most bytes that a frame has beyond its payload. */
export const CHANNEL_OVERHEAD_BYTES = 48;

/** One step of a channel. */
export interface ChannelFrame {
  /** 32 hexadecimal digits. */
  readonly channelId: string;
  /** 0 establishes the channel. */
  readonly sequence: number;
  readonly payload: Uint8Array;
  readonly last: boolean;
}

/** @returns `agent_mesh.v1.ChannelFrame` */
export function encodeChannelFrame(frame: ChannelFrame): Uint8Array {
  const { channelId, sequence, payload, last } = frame;
  return toBinary(
    ChannelFrameSchema,
    create(ChannelFrameSchema, {
      channelId: fromHex(channelId),
      sequence: BigInt(sequence),
      payload,
      last,
    }),
  );
}

/** @returns undefined for bytes that are none */
export function decodeChannelFrame(bytes: Uint8Array): ChannelFrame | undefined {
  try {
    const { channelId, sequence, payload, last } = fromBinary(ChannelFrameSchema, bytes);
    if (channelId.length !== ID_BYTES || sequence > BigInt(Number.MAX_SAFE_INTEGER))
      return undefined;
    const id = toHex(channelId);
    return { channelId: id, sequence: Number(sequence), payload, last };
  } catch {
    return undefined;
  }
}
