import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type Accusation,
  AccusationSchema,
  type MembershipMessage,
  MembershipMessageSchema,
} from "../../wire/agent_mesh/v1/membership_pb.ts";
import { RECORD_BYTES_MAX } from "../records/record-codec.ts";
import { BUCKETS } from "./digest.ts";
import { SAMPLE_MAX } from "./fleet-sample.ts";
import { decodeProbe, encodeProbe, type ProbeBody } from "./probe-codec.ts";
import { putVarint, varintBytes } from "./varint.ts";

/** Largest membership message either way. */
export const MESSAGE_BYTES_MAX = 65_536;
/** Most members in one Listing. */
export const LISTING_MEMBERS_MAX = 800;
/** Most members in one Want. */
export const WANT_MEMBERS_MAX = 128;

/** Most agents asked for in one SampleWant. */
export const SAMPLE_WANT_MAX = 128;

const PEER_ID_LENGTH_MAX = 64;
const RECORDS_MAX = 1_024;
const ACCUSATIONS_MAX = 1_024;
const TAG_RECORD = (14 << 3) | 2;
const TAG_ACCUSATION = (15 << 3) | 2;
const READ_OPTIONS = { readUnknownFields: false } as const;

/** A message as it comes in; of a probe and its answer only the fields. */
export interface Message extends Pick<MembershipMessage, "records" | "accusations"> {
  readonly body:
    | ProbeBody
    | Exclude<MembershipMessage["body"], { readonly case: ProbeBody["case"] }>;
}

/** The part of a message that is not news. */
export type MessageBody =
  | ProbeBody
  | Exclude<
      NonNullable<MessageInitShape<typeof MembershipMessageSchema>["body"]>,
      { readonly case: ProbeBody["case"] }
    >;

/** One encoded piece of news, ready to be put into any message. */
export interface News {
  readonly kind: "record" | "accusation";
  readonly bytes: Uint8Array;
}

/** Bytes that the news takes in a message. */
export function newsBytes(news: News): number {
  return 1 + varintBytes(news.bytes.length) + news.bytes.length;
}

/** An accusation as news. */
export function accusationNews(accusation: MessageInitShape<typeof AccusationSchema>): News {
  const bytes = toBinary(AccusationSchema, create(AccusationSchema, accusation));
  return { kind: "accusation", bytes };
}

/** Encodes a message; news, which many messages carry, is not encoded again. */
export function encodeMessage(body: MessageBody | undefined, news: readonly News[]): Uint8Array {
  const head = encodeBody(body);
  if (news.length === 0) return head;
  const message = new Uint8Array(news.reduce((sum, one) => sum + newsBytes(one), head.length));
  message.set(head, 0);
  let at = head.length;
  for (const { kind, bytes } of news) {
    message[at++] = kind === "record" ? TAG_RECORD : TAG_ACCUSATION;
    at = putVarint(message, at, bytes.length);
    message.set(bytes, at);
    at += bytes.length;
  }
  return message;
}

function encodeBody(body: MessageBody | undefined): Uint8Array {
  if (body === undefined) return new Uint8Array(0);
  if (body.case === "probe" || body.case === "probeAnswer") return encodeProbe(body);
  return toBinary(MembershipMessageSchema, create(MembershipMessageSchema, { body }));
}

/** @returns the message, or undefined when it is none, or breaks a bound; never throws */
export function decodeMessage(bytes: Uint8Array): Message | undefined {
  const body = decodeProbe(bytes);
  if (body !== undefined) return { body, records: [], accusations: [] };
  if (bytes.length > MESSAGE_BYTES_MAX) return undefined;
  let message: MembershipMessage;
  try {
    message = fromBinary(MembershipMessageSchema, bytes, READ_OPTIONS);
  } catch {
    // What the decoder throws depends on the bytes; to us it is all the same.
    return undefined;
  }
  return isSound(message) ? message : undefined;
}

function isSound({ body, records, accusations }: Message): boolean {
  if (records.length > RECORDS_MAX || accusations.length > ACCUSATIONS_MAX) return false;
  if (records.some((record) => record.length > RECORD_BYTES_MAX)) return false;
  if (!accusations.every(isSoundAccusation)) return false;
  switch (body.case) {
    case "probeRequest":
      return isPeerName(body.value.peer);
    case "tableDigest":
      return body.value.words.length === 2 * BUCKETS;
    case "listing": {
      const { peers, epochs, sequences, agesS } = body.value;
      return (
        peers.length <= LISTING_MEMBERS_MAX &&
        [epochs, sequences, agesS].every((list) => list.length === peers.length) &&
        peers.every(isPeerName)
      );
    }
    case "want":
      return body.value.peers.length <= WANT_MEMBERS_MAX && body.value.peers.every(isPeerName);
    case "recordPage":
      return body.value.agesS.length === records.length;
    case "sample": {
      const { places, agesS } = body.value;
      return places.length <= SAMPLE_MAX && agesS.length === places.length;
    }
    case "sampleWant":
      return body.value.places.length <= SAMPLE_WANT_MAX;
    case "probe":
    case "probeAnswer":
    case "parting":
    case undefined:
      break;
  }
  return true;
}

function isSoundAccusation({ about, by }: Accusation): boolean {
  return isPeerName(about) && isPeerName(by);
}

/** It is only looked up, so its form does not matter, its length does. */
function isPeerName(peer: string): boolean {
  return peer.length > 0 && peer.length <= PEER_ID_LENGTH_MAX;
}
