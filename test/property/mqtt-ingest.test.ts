import * as fc from "fast-check";
import mqttPacket from "mqtt-packet";
import t from "tap";
import { PacketReader } from "../../src/platform/mqtt/packet-reader.ts";
import { MalformedPublish, PublishDecoder } from "../../src/platform/mqtt/publish-decoder.ts";
import { filterMatches, TopicTree } from "../../src/platform/mqtt/topic-tree.ts";

const seed = Number(process.env["FC_SEED"] ?? Date.now() % 2 ** 31);
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
const runs = { seed, numRuns: 300 };

const topic = fc
  .array(fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }), {
    minLength: 1,
    maxLength: 5,
  })
  .map((levels) => levels.join("/").replaceAll(/[#+\0]/g, "x"));

const published = fc.record({
  topic,
  payload: fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
  qos: fc.constantFrom(0 as const, 1 as const),
  messageId: fc.integer({ min: 1, max: 65_535 }),
  contentType: fc.option(fc.string({ unit: "grapheme", maxLength: 20 }), { nil: undefined }),
});

t.test("what another encoder wrote is read, however the bytes are cut", async (t) => {
  fc.assert(
    fc.property(
      fc.array(published, { minLength: 1, maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 30 }),
      fc.constantFrom(4 as const, 5 as const),
      (messages, cuts, version) => {
        const wire = Buffer.concat(
          messages.map(({ contentType, ...message }) =>
            mqttPacket.generate(
              {
                cmd: "publish",
                dup: false,
                retain: false,
                ...message,
                ...(contentType === undefined ? {} : { properties: { contentType } }),
              },
              { protocolVersion: version },
            ),
          ),
        );
        const decoder = new PublishDecoder(version);
        const read: unknown[] = [];
        let paused = false;
        const reader = new PacketReader(
          {
            isPaused: () => paused,
            packet: (data, start, body, end) => {
              const { topic, messageId, payload, properties } = decoder.decode(
                data,
                start,
                body,
                end,
              );
              read.push([
                topic,
                messageId,
                Buffer.from(payload).toString("hex"),
                properties?.contentType,
              ]);
              paused = read.length % 3 === 0;
            },
            unreadable: (why) => read.push(why),
          },
          10_000,
        );
        for (let at = 0, n = 0; at < wire.length; n++) {
          const size = cuts[n % cuts.length] ?? 1;
          reader.push(wire.subarray(at, at + size));
          at += size;
        }
        while (paused) {
          paused = false;
          reader.resume();
        }
        const expected = messages.map(({ topic, qos, messageId, payload, contentType }) => [
          topic,
          qos === 0 ? 0 : messageId,
          payload.toString("hex"),
          version === 5 ? contentType : undefined,
        ]);
        return JSON.stringify(read) === JSON.stringify(expected);
      },
    ),
    runs,
  );
  t.pass("as it was written");
});

t.test("bytes that make no sense are refused in words, and never crash", async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(4, 5), (bytes, version) => {
      const data = Buffer.concat([Buffer.from([0x32, bytes.length]), bytes]);
      try {
        new PublishDecoder(version).decode(data, 0, 2, data.length);
        return true;
      } catch (error) {
        return error instanceof MalformedPublish && error.reasonCode >= 0x80;
      }
    }),
    { ...runs, numRuns: 2_000 },
  );
  t.pass("each is told with a reason code");
});

const level = fc.constantFrom("a", "b", "", "c");
const filter = fc
  .tuple(fc.array(fc.oneof(level, fc.constant("+")), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([levels, open]) => [...levels, ...(open ? ["#"] : [])].join("/"));

t.test("the tree finds what matching every filter by itself finds", async (t) => {
  fc.assert(
    fc.property(
      fc.uniqueArray(filter, { maxLength: 12 }),
      fc.array(level, { minLength: 1, maxLength: 5 }).map((levels) => levels.join("/")),
      fc.integer({ min: 0, max: 11 }),
      (filters, topic, gone) => {
        const tree = new TopicTree<string>();
        for (const filter of filters) tree.add(filter, filter);
        const removed = filters[gone];
        if (removed !== undefined) tree.remove(removed, removed);
        const expected = filters.filter(
          (filter) => filter !== removed && filterMatches(filter, topic),
        );
        return tree.match(topic).toSorted().join(" ") === expected.toSorted().join(" ");
      },
    ),
    runs,
  );
  t.pass("and nothing of what was removed");
});
