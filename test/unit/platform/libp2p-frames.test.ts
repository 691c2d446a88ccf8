import { create, toBinary } from "@bufbuild/protobuf";
import * as fc from "fast-check";
import t from "tap";
import { Uint8ArrayList } from "uint8arraylist";
import {
  type FrameBody,
  FrameError,
  frameHeader,
  putVarint,
  readFrameBody,
  readVarint,
  refusalFrame,
  varintBytes,
} from "../../../src/platform/libp2p/frame-codec.ts";
import { FrameReader } from "../../../src/platform/libp2p/frame-reader.ts";
import { FrameSchema } from "../../../src/wire/agent_mesh/v1/messaging_pb.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed });

const kinds = fc.constantFrom("message", "request", "response");
const ids = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 0xffff_ffff }));
const payloads = fc.uint8Array({ maxLength: 300 });

/** The frame as the generated encoder writes it, after its length. */
function generated(
  kind: "message" | "request" | "response",
  id: number,
  value: Uint8Array,
): Buffer {
  const body = toBinary(FrameSchema, create(FrameSchema, { id, body: { case: kind, value } }));
  const length = new Uint8Array(varintBytes(body.length));
  putVarint(length, 0, body.length);
  return Buffer.concat([length, body]);
}

/** @returns everything that a reader makes of the pieces, and the offence at which it stopped */
function read(
  pieces: readonly (Uint8Array | Uint8ArrayList)[],
  payloadBytesMax = 1_000,
): { frames: FrameBody[]; offence: string | undefined } {
  const frames: FrameBody[] = [];
  const reader = new FrameReader(payloadBytesMax);
  try {
    for (const piece of pieces) reader.push(piece, (frame) => frames.push(frame) > 0);
  } catch (error) {
    if (!(error instanceof FrameError)) throw error;
    return { frames, offence: error.offence };
  }
  return { frames, offence: undefined };
}

/** Cuts bytes at random places; some of the pieces come as lists. */
const cuts = fc.array(fc.tuple(fc.nat(40), fc.boolean()), { maxLength: 60 });

function cut(whole: Buffer, places: readonly (readonly [number, boolean])[]) {
  const pieces: (Uint8Array | Uint8ArrayList)[] = [];
  let at = 0;
  for (const [length, asList] of places) {
    const piece = whole.subarray(at, at + length);
    at += piece.length;
    const half = piece.length >> 1;
    pieces.push(asList ? new Uint8ArrayList(piece.subarray(0, half), piece.subarray(half)) : piece);
  }
  return [...pieces, whole.subarray(at)];
}

t.test("a header made by hand is what the generated encoder writes", async () => {
  fc.assert(
    fc.property(kinds, ids, payloads, (kind, id, payload) => {
      const frame = Buffer.concat([frameHeader(kind, id, payload.length), payload]);
      return frame.equals(generated(kind, id, payload));
    }),
  );
});

t.test("varints: as the generated encoder has them, up to 32 bits", async (t) => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (value) => {
      const bytes = new Uint8Array(varintBytes(value) + 2);
      const next = putVarint(bytes, 1, value);
      const [back, after] = readVarint(bytes, 1) ?? [];
      return back === value && after === next && next === bytes.length - 1;
    }),
  );
  t.equal(readVarint(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x10), 0), undefined, "past 2^32");
  t.equal(readVarint(Uint8Array.of(0x80, 0x80), 0), undefined, "cut short");
  t.same(readVarint(Uint8Array.of(0x80, 0x80, 0x00), 0), [0, 3], "longer than needed is allowed");
});

t.test("any chunking gives the same frames", async () => {
  const frame = fc.tuple(kinds, ids, payloads);
  fc.assert(
    fc.property(fc.array(frame, { maxLength: 12 }), cuts, (sent, places) => {
      const whole = Buffer.concat(sent.map(([kind, id, payload]) => generated(kind, id, payload)));
      const { frames, offence } = read(cut(whole, places));
      return (
        offence === undefined &&
        frames.length === sent.length &&
        frames.every((got, n) => {
          const [kind, id, payload] = sent[n] ?? [];
          if (got.kind === "refusal" || payload === undefined) return false;
          return got.kind === kind && got.id === id && Buffer.from(payload).equals(got.payload);
        })
      );
    }),
  );
});

t.test("large frames in small pieces, and small frames in one large piece", async (t) => {
  const large = Buffer.alloc(700_000, 5);
  const frame = generated("request", 7, large);
  const pieces = Array.from({ length: Math.ceil(frame.length / 1_000) }, (_, n) =>
    frame.subarray(n * 1_000, (n + 1) * 1_000),
  );
  const [one] = read(pieces, 1_048_576).frames;
  t.ok(one?.kind === "request" && large.equals(one.payload));
  const many = Buffer.concat(
    Array.from({ length: 500 }, (_, n) => generated("message", 0, Buffer.from(`number ${n}`))),
  );
  const { frames } = read([many]);
  t.equal(frames.length, 500);
  const [first] = frames;
  t.ok(first?.kind === "message");
  if (first?.kind !== "message") return;
  t.ok(first.payload.buffer.byteLength < 1_000, "keeping one does not keep all the others");
  t.equal(Buffer.from(first.payload).toString(), "number 0");
});

t.test("single bytes without end cost no more than the frame", async (t) => {
  const frame = generated("message", 0, Buffer.alloc(200_000, 1));
  const reader = new FrameReader(200_000);
  let frames = 0;
  const startedMs = performance.now();
  for (const byte of frame) reader.push(Uint8Array.of(byte), () => ++frames > 0);
  t.equal(frames, 1);
  // Joining all pieces anew for each of them would take minutes.
  t.ok(performance.now() - startedMs < 5_000);
});

t.test("whatever comes, it is frames or a FrameError", async () => {
  const noise = fc.uint8Array({ maxLength: 400 });
  fc.assert(
    fc.property(noise, cuts, (bytes, places) => {
      const whole = read([bytes], 50);
      const pieces = read(cut(Buffer.from(bytes), places), 50);
      return whole.offence === pieces.offence && whole.frames.length === pieces.frames.length;
    }),
    { numRuns: 2_000 },
  );
  fc.assert(
    fc.property(noise, (bytes) => {
      try {
        return readFrameBody(bytes).id >= 0;
      } catch (error) {
        return error instanceof FrameError;
      }
    }),
    { numRuns: 5_000 },
  );
});

t.test("frames that were damaged on the way are frames or a FrameError", async () => {
  const damage = fc.array(fc.tuple(fc.nat(500), fc.nat(255)), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(kinds, ids, payloads, damage, (kind, id, payload, flips) => {
      const frame = Buffer.concat([
        generated(kind, id, payload),
        Buffer.from(refusalFrame(id, "test.no", "why not")),
      ]);
      for (const [at, value] of flips) frame[at % frame.length] = value;
      return read([frame], 300).frames.length >= 0;
    }),
    { numRuns: 2_000 },
  );
});

t.test("what is too large is told by its length alone", async (t) => {
  const header = frameHeader("message", 0, 5_000);
  t.equal(read([header]).offence, "oversize", "before any of it has come");
  t.equal(
    read([Buffer.concat([frameHeader("message", 0, 1_001), Buffer.alloc(1_001)])]).offence,
    "oversize",
  );
  t.equal(read([Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 1)]).offence, "malformed");
  t.equal(read([Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f)]).offence, "oversize");
  t.equal(read([Uint8Array.of(0)]).offence, "malformed", "a frame that says nothing");
  const exact = Buffer.concat([frameHeader("message", 0xffff_ffff, 1_000), Buffer.alloc(1_000)]);
  t.equal(read([exact]).frames.length, 1);
});

t.test("a refusal fits, whatever its texts, where payloads are tiny", async () => {
  const texts = fc.string({ unit: "binary", maxLength: 2_000 });
  fc.assert(
    fc.property(ids, texts, texts, fc.boolean(), (id, code, detail, broken) => {
      const lone = broken ? "\ud800" : "";
      const { frames, offence } = read([refusalFrame(id, code + lone, lone + detail)], 1);
      const [refusal] = frames;
      if (offence !== undefined || refusal?.kind !== "refusal") return false;
      return refusal.id === id && refusal.code.length <= 64 && refusal.detail.length <= 256;
    }),
  );
});

t.test("a listener that has enough gets nothing more", async (t) => {
  const two = Buffer.concat([
    generated("message", 0, Buffer.from("a")),
    generated("message", 0, Buffer.from("b")),
  ]);
  for (const pieces of [[two], [two.subarray(0, 3), two.subarray(3)]]) {
    const reader = new FrameReader(100);
    let frames = 0;
    for (const piece of pieces) reader.push(piece, () => ++frames < 1);
    t.equal(frames, 1);
  }
});
