// Whatever an edge node writes, Eclipse Tahu's decoder reads; whatever a broker sends, the node survives.
import * as fc from "fast-check";
import t from "tap";
import { EdgeNode } from "../../src/platform/mqtt/sparkplug/edge-node.ts";
import {
  DataType,
  decodeCommand,
  encodePayload,
  type Metric,
} from "../../src/platform/mqtt/sparkplug/payload.ts";
import type { OutboundUpdate } from "../../src/platform/uplink-connection.ts";
import { outbound } from "../conformance/uplink-connection.ts";
import { decode } from "../support/sparkplug-host.ts";

const seed = Number(process.env["FC_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: 300 });

const text = fc
  .string({ unit: "grapheme", maxLength: 200 })
  .filter((words) => words.isWellFormed());
const valued = fc.oneof(
  fc.record({ type: fc.constant(DataType.Double), value: fc.double({ noNaN: true }) }),
  fc.record({ type: fc.constant(DataType.Boolean), value: fc.boolean() }),
  fc.record({ type: fc.constant(DataType.String), value: text }),
  fc.record({ type: fc.constant(DataType.Bytes), value: fc.uint8Array({ maxLength: 300 }) }),
  fc.record({ type: fc.constant(DataType.Int64), value: fc.maxSafeNat() }),
  fc.record({ type: fc.constantFrom(DataType.Double, DataType.Bytes), value: fc.constant(null) }),
);
const metric = fc
  .record({
    name: text,
    alias: fc.maxSafeNat(),
    timestampMs: fc.integer({ min: 0, max: 8.64e15 }),
    declared: fc.boolean(),
    historical: fc.boolean(),
    quality: fc.option(fc.constantFrom(0, 192, 500), { nil: undefined }),
    valued,
  })
  .map(
    ({ valued, quality, ...rest }): Metric => ({
      ...rest,
      ...valued,
      ...(quality === undefined ? {} : { quality }),
    }),
  );

t.test("every payload is read by a decoder that was not written here", async () => {
  fc.assert(
    fc.property(
      fc.array(metric, { maxLength: 20 }),
      fc.integer({ min: 0, max: 255 }),
      fc.integer({ min: 0, max: 8.64e15 }),
      (metrics, seq, timestampMs) => {
        const seen = decode(encodePayload({ metrics, seq, timestampMs }));
        if (seen.seq !== seq || seen.timestampMs !== timestampMs) return false;
        return metrics.every((metric, n) => {
          const read = seen.metrics[n]!;
          const bytes = metric.value instanceof Uint8Array;
          return (
            read.name === metric.name &&
            read.alias === metric.alias &&
            read.timestampMs === metric.timestampMs &&
            read.datatype === (metric.declared ? metric.type : undefined) &&
            read.historical === metric.historical &&
            read.quality === metric.quality &&
            read.isNull === (metric.value === null) &&
            (bytes
              ? Buffer.from(read.value as Uint8Array).equals(metric.value)
              : Object.is(read.value, metric.value))
          );
        });
      },
    ),
  );
});

t.test("no bytes from outside hang or crash the reader of commands", async () => {
  const valid = fc
    .array(metric, { maxLength: 5 })
    .map((metrics) => encodePayload({ metrics, timestampMs: 1 }));
  const cut = fc
    .tuple(valid, fc.nat(), fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 }))
    .map(([bytes, length, changes]) => {
      const copy = Buffer.from(bytes).subarray(0, length % (bytes.length + 1));
      for (const [where, byte] of changes) if (copy.length > 0) copy[where % copy.length] = byte;
      return copy;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 100 }), cut), (bytes) => {
      try {
        return decodeCommand(bytes).length <= bytes.length;
      } catch (error) {
        return error instanceof Error;
      }
    }),
    { numRuns: 2_000 },
  );
});

const value = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.boolean(),
  text,
  fc.constant(null),
  fc.dictionary(fc.constantFrom("x", "y", "z"), fc.oneof(fc.integer(), text)),
);
const step = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("data" as const),
      updates: fc.array(
        fc.record({
          stream: fc.constantFrom("a", "a/b", "c/d", "c/e/f", "g/h"),
          value,
          age: fc.nat(50),
        }),
        { minLength: 1, maxLength: 8 },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom("rebirth" as const, "silence" as const) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("reconnect" as const) }) },
);

t.test(
  "whatever happens, a host sees numbers without a gap and no metric that was not declared",
  async () => {
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 40 }),
        fc.nat({ max: 2 }),
        fc.boolean(),
        (steps, deviceLevels, aliases) => {
          const node = new EdgeNode({
            groupId: "g",
            edgeNodeId: "n",
            deviceLevels,
            aliases,
            metricsMax: 1_000,
            deviceSilenceMs: 100,
          });
          let nowMs = 0;
          let birthSequence = 0;
          let bornAtMs = 0;
          const now = () => ({ wallMs: 1e12 + nowMs, monotonicMs: nowMs });
          let expected = 0;
          const declared = new Map<string, number>();
          const alive = new Set<string>();
          const look = (messages: readonly { topic: string; payload: Uint8Array }[]): void => {
            for (const { topic, payload } of messages) {
              const [, , verb = "", , device] = topic.split("/");
              const seen = decode(payload);
              if (verb === "NBIRTH") {
                expected = 0;
                declared.clear();
                alive.clear();
                if (seen.metrics.find(({ name }) => name === "bdSeq")?.value !== birthSequence)
                  throw new Error("bdSeq is not that of the will");
              }
              if (seen.seq !== expected) throw new Error(`${topic}: ${seen.seq}, not ${expected}`);
              expected = (expected + 1) % 256;
              if (verb === "DBIRTH" && device !== undefined) alive.add(device);
              if (verb === "DDEATH" && !alive.delete(device ?? ""))
                throw new Error(`${topic} twice`);
              if (verb === "DDATA" && !alive.has(device ?? "")) throw new Error(`${topic} unborn`);
              for (const {
                name,
                alias,
                datatype,
                field,
                historical,
                timestampMs,
              } of seen.metrics) {
                const key = `${device} ${aliases && alias !== undefined ? alias : name}`;
                if (verb.endsWith("BIRTH")) declared.set(key, datatype ?? 0);
                else if (!declared.has(key)) throw new Error(`${topic}: ${key} not declared`);
                else if (field !== undefined && FIELDS[declared.get(key) ?? 0] !== field)
                  throw new Error(
                    `${topic}: ${key} is declared ${declared.get(key)}, sent as ${field}`,
                  );
                if (verb.endsWith("DATA") && historical !== (timestampMs ?? 0) < 1e12 + bornAtMs)
                  throw new Error(`${topic}: ${key} historical ${historical}`);
              }
            }
          };
          const connect = (): void => {
            node.connecting(birthSequence, now());
            bornAtMs = nowMs;
            look(node.birth(now()));
          };
          connect();
          for (const each of steps) {
            nowMs += 30;
            if (each.kind === "data") {
              const updates = each.updates.map(
                ({ stream, value, age }): OutboundUpdate =>
                  outbound(1, {
                    stream,
                    payload: Buffer.from(JSON.stringify(value)),
                    contentType: "application/json",
                    observedAtMs: 1e12 + nowMs - age,
                  }),
              );
              const { publish, refused } = node.data(updates, 1e6, now());
              const carried = publish.flatMap(({ update }) => update ?? []);
              if (refused.length > 0 || carried.some((update, n) => update !== updates[n]))
                throw new Error("an update is missing or out of order");
              look(publish);
            } else if (each.kind === "rebirth") look(node.rebirth(now()));
            else if (each.kind === "silence") look(node.silentDevices(now()));
            else {
              birthSequence = (birthSequence + 1) % 256;
              connect();
            }
          }
          return true;
        },
      ),
    );
  },
);

const FIELDS: Readonly<Record<number, string>> = {
  [DataType.Int64]: "longValue",
  [DataType.Double]: "doubleValue",
  [DataType.Boolean]: "booleanValue",
  [DataType.String]: "stringValue",
  [DataType.Bytes]: "bytesValue",
};
