import * as Type from "typebox";

/** Settings under `outbox`. */
export const outboxOptions = Type.Object(
  {
    bytesMax: Type.Integer({
      minimum: 65_536,
      default: 268_435_456,
      description: "Bytes of queued updates kept on disk before `outbox.evict` applies.",
    }),
    evict: Type.Enum(["drop-oldest", "drop-lowest-priority", "thin", "reject"], {
      default: "drop-oldest",
      description:
        "What gives way when the outbox is full: the oldest updates, the oldest of the lowest priority, every second one of each stream's history (the oldest once it is down to a sixteenth), or the new one (its publisher is refused).",
    }),
    expireAfterMs: Type.Integer({
      minimum: 0,
      default: 0,
      description: "Updates older than this are dropped instead of sent; 0: never.",
    }),
    updateBytesMax: Type.Integer({
      minimum: 256,
      maximum: 16_777_216,
      default: 262_144,
      description: "Largest payload of one update; larger ones become dead letters.",
    }),
    streamsMax: Type.Integer({
      minimum: 1,
      maximum: 100_000,
      default: 10_000,
      description: "Distinct streams whose sequence numbers are kept.",
    }),
    deadLetterBytesMax: Type.Integer({
      minimum: 4_096,
      default: 16_777_216,
      description: "Bytes of dead letters kept; the oldest give way.",
    }),
    commitLingerMs: Type.Integer({
      minimum: 0,
      maximum: 1_000,
      default: 0,
      description:
        "Waits this long for more readings before a disk sync: fewer syncs and less flash wear, later acknowledgement.",
    }),
    commitLingerMaxMs: Type.Integer({
      minimum: 0,
      maximum: 10_000,
      default: 1_000,
      description: "How long that wait may become as the day's flash budget is used up.",
    }),
    flashBytesPerDayMax: Type.Optional(
      Type.Integer({
        minimum: 0,
        description:
          "Bytes that the agent may write to flash in a day; as they are used up, commits wait longer. 0: no budget. Default: the firmware profile's.",
      }),
    ),
    compress: Type.Boolean({
      default: true,
      description:
        "Compress what is written: less flash wear and more history for a little CPU time.",
    }),
    cacheBytesMax: Type.Integer({
      minimum: 65_536,
      maximum: 67_108_864,
      default: 8_388_608,
      description: "Memory for the newest updates, so that they can leave without being read back.",
    }),
  },
  {
    additionalProperties: false,
    default: {},
    description: "What is kept on disk until an uplink has carried it.",
  },
);

/** @see outboxOptions */
export type OutboxOptions = Type.Static<typeof outboxOptions>;
