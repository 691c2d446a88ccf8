// What the encoder writes is what mqtt-packet, which MQTT.js and Aedes read with, reads.
import * as fc from "fast-check";
import { type IPublishPacket, type Packet, parser } from "mqtt-packet";
import t from "tap";
import { PublishEncoder } from "../../src/platform/mqtt/publish-encoder.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: 500 });

const latest = 8.64e15;
const name = fc
  .string({ unit: "grapheme", minLength: 1, maxLength: 60 })
  .filter((text) => text.isWellFormed() && !/[+#\0]/.test(text));
// Sizes on both sides of each length that the remaining length takes one more byte for.
const payload = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc
    .tuple(fc.constantFrom(16_384, 2_097_152), fc.integer({ min: -400, max: 10 }))
    .map(([edge, distance]) => new Uint8Array(edge + distance).fill(7)),
);
const update = fc.record({
  stream: name,
  sequence: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  observedAtMs: fc.oneof(fc.constant(1_700_000_000_000), fc.integer({ min: 0, max: latest })),
  observedAtTrusted: fc.boolean(),
  contentType: fc.oneof(fc.constant("application/json"), name),
  payload,
});
const messageId = fc.integer({ min: 1, max: 65_535 });

/** Bytes of one packet, written into the middle of a buffer as the socket's buffer is. */
function written(encoded: { bytes: number; write(into: Buffer, at: number): void }): Buffer {
  const margin = 5;
  const buffer = Buffer.alloc(encoded.bytes + 2 * margin, 0xaa);
  encoded.write(buffer, margin);
  const around = [buffer.subarray(0, margin), buffer.subarray(margin + encoded.bytes)];
  if (around.some((bytes) => bytes.some((byte) => byte !== 0xaa)))
    throw new Error("it wrote beside its place");
  return buffer.subarray(margin, margin + encoded.bytes);
}

function read(bytes: Buffer, protocolVersion: 4 | 5): IPublishPacket {
  const packets: Packet[] = [];
  const reader = parser({ protocolVersion });
  reader.on("packet", (packet: Packet) => packets.push(packet));
  reader.on("error", (error: Error) => {
    throw error;
  });
  const left = reader.parse(bytes);
  const [packet] = packets;
  if (left !== 0 || packets.length !== 1 || packet?.cmd !== "publish")
    throw new Error(`${packets.length} packets and ${left} bytes were read`);
  return packet;
}

for (const version of [4, 5] as const) {
  t.test(`MQTT ${version === 5 ? "5" : "3.1.1"}`, async (t) => {
    fc.assert(
      fc.property(fc.array(fc.tuple(update, messageId), { minLength: 1, maxLength: 3 }), (sent) => {
        const encoder = new PublishEncoder(version, "agent-mesh");
        // Two agents with streams of the same names, as where one relays for the other.
        for (const [at, [draft, id]] of sent.entries()) {
          const agentId = at % 2 === 0 ? "pi" : "guest";
          const updateId = `${agentId}/${draft.stream}/${draft.sequence}`;
          const outbound = { ...draft, id: updateId, agentId };
          const packet = read(written(encoder.encode(outbound, id)), version);
          const observedAt = new Date(draft.observedAtMs).toISOString();
          const faults = [
            packet.topic === `agent-mesh/${agentId}/${draft.stream}` || "topic",
            packet.messageId === id || "message id",
            (packet.qos === 1 && !packet.dup && !packet.retain) || "flags",
            Buffer.from(draft.payload).equals(packet.payload as Buffer) || "payload",
          ];
          if (version === 5) {
            const { contentType, userProperties = {} } = packet.properties ?? {};
            const wanted = {
              id: updateId,
              sequence: String(draft.sequence),
              stream: draft.stream,
              "observed-at": draft.observedAtTrusted ? observedAt : `${observedAt}?`,
            };
            faults.push(contentType === draft.contentType || "content type");
            faults.push(
              JSON.stringify(Object.entries(userProperties)) ===
                JSON.stringify(Object.entries(wanted)) || "user properties",
            );
          }
          const found = faults.filter((fault) => fault !== true);
          if (found.length > 0) throw new Error(`${found.join(", ")} differ`);
        }
      }),
    );
    t.pass("every packet was read as it was meant");
  });
}
