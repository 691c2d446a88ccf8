import * as Type from "typebox";
import { count, epochMs, list, named, payload } from "./common.ts";

/** GET /v1/queue */
export const queue = Type.Object(
  {
    updates: count("Updates waiting."),
    bytes: count("Bytes they take."),
    bytesMax: count("The quota (`outbox.bytesMax`)."),
    evict: Type.Enum(["drop-oldest", "drop-lowest-priority", "thin", "reject"]),
    paused: Type.Boolean(),
    streams: count("Streams that ever had an update."),
    updatesByPriority: Type.Array(
      Type.Object({ priority: Type.Integer({ minimum: 0, maximum: 9 }), updates: count("") }),
    ),
    oldestObservedAtMs: Type.Optional(epochMs("When the oldest waiting update came in.")),
    appended: count("Updates taken since the agent started."),
    acknowledged: count("Updates delivered since the agent started."),
    shed: count("Updates dropped to keep the quota, since the agent started."),
    expired: count("Updates that grew too old, since the agent started."),
    superseded: count(
      "State-like updates not sent because a newer one of the same key was queued.",
    ),
    written: Type.Object(
      {
        bytes: count("Keys and values handed to the store, since the agent started."),
        syncs: count("Durable writes; each waits for one sync of the disk."),
        deviceBytes: Type.Optional(
          count("What the whole process sent to its disks, as the kernel counts: whole pages."),
        ),
        bytesPerDayMax: count("The day's flash budget; 0: none."),
        budgetUsed: Type.Number({ description: "Part of the budget that is in use; 1 is all." }),
        lingerMs: Type.Number({ description: "How long a commit waits for company now." }),
      },
      { description: "What the flash had to take." },
    ),
    lost: count("Queued updates that could not be read back from the disk."),
    refused: count("Updates refused because the quota was used up, since the agent started."),
    deadLetters: count("Dead letters kept now."),
    deadLetterBytes: count("Bytes they take."),
    storeFault: Type.Optional(
      Type.String({ description: "Why the store cannot write at the moment." }),
    ),
    storeRecoveries: count("Times the store was reopened after a failed write."),
    commits: count("Durable commits since the agent started."),
    lastCommitMs: Type.Number({ description: "Duration of the latest durable commit." }),
  },
  { $id: "Queue" },
);

/** An update that waits. */
export const message = Type.Object(
  {
    id: Type.String({ description: "`agentId/stream/sequence`, the same at every attempt." }),
    stream: Type.String(),
    sequence: Type.Integer(),
    ordinal: Type.Integer({ description: "Place in the order of arrival across streams." }),
    priority: Type.Integer({ minimum: 0, maximum: 9 }),
    observedAtMs: epochMs("When it came in."),
    observedAtTrusted: Type.Boolean(),
    bootId: Type.String(),
    monotonicMs: Type.Number(),
    expiresAfterMs: Type.Optional(Type.Number()),
    key: Type.Optional(Type.String()),
    contentType: Type.String(),
    payload: named(payload),
  },
  { $id: "QueueMessage" },
);

/** GET /v1/queue/messages: in delivery order. */
export const queueMessages = list("QueueMessages", message, {});

/** Answer of POST /v1/queue/{flush,pause,resume}. */
export const queueControl = Type.Object(
  {
    paused: Type.Boolean(),
    updates: count("Updates waiting."),
    bytes: count("Bytes they take."),
  },
  { $id: "QueueControl" },
);

/** What cannot be delivered, with the reason. */
export const deadLetter = Type.Object(
  {
    id: Type.String(),
    code: Type.String({ description: "Why, as a stable code: `payload.too-large`, …" }),
    reason: Type.String({ description: "Why, in words." }),
    topic: Type.String(),
    priority: Type.Integer({ minimum: 0, maximum: 9 }),
    deadAtMs: epochMs("When it was set aside."),
    updateId: Type.Optional(Type.String({ description: "The update's id, had it got that far." })),
    contentType: Type.String(),
    payload: named(payload),
  },
  { $id: "DeadLetter" },
);

/** GET /v1/queue/dead-letters */
export const deadLetters = list("DeadLetters", deadLetter, {});
