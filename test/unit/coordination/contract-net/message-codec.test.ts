import t from "tap";
import {
  decodeMessage,
  encodeMessage,
  MESSAGE_BYTES_MAX,
} from "../../../../src/coordination/contract-net/message-codec.ts";
import type { ContractMessage } from "../../../../src/coordination/contract-net/messages.ts";
import { TASK } from "../../../support/coordination/contract-world.ts";

const announce: ContractMessage = {
  kind: "announce",
  call: "3-7",
  task: { ...TASK, input: '{"room":"Küche"}', needs: ["task:measure", "camera"] },
  route: { root: "a/3-7", path: ["a", "b"], hopsLeft: 6 },
  bidWithinMs: 2_000,
  holdMs: 10_000,
  expiresInMs: 300_000,
};

t.test("every word comes back as it was", async (t) => {
  const call = "3-7";
  const words: readonly ContractMessage[] = [
    announce,
    { kind: "bid", call, cost: 1.25, endsInMs: 900 },
    ...(
      ["not-able", "no-capacity", "unwilling", "loop", "known", "busy", "delegated"] as const
    ).map((reason): ContractMessage => ({ kind: "refuse", call, reason })),
    ...(["award", "reject", "cancel", "settle", "accept"] as const).map(
      (kind): ContractMessage => ({ kind, call }),
    ),
    { kind: "progress", call, percent: 12.5 },
    { kind: "result", call, output: '{"celsius":21}' },
    ...(["failed", "withdrawn", "no-capacity", "unknown", "expired"] as const).map(
      (reason): ContractMessage => ({ kind: "failure", call, reason }),
    ),
  ];
  for (const word of words) t.strictSame(decodeMessage(encodeMessage(word)), word, word.kind);
});

t.test("times are cut to whole milliseconds, to the side that promises less", async (t) => {
  const cut = decodeMessage(encodeMessage({ ...announce, bidWithinMs: 2.9, holdMs: 0.5 }));
  t.match(cut, { bidWithinMs: 2, holdMs: 0 });
  const bid = decodeMessage(encodeMessage({ kind: "bid", call: "1-1", cost: 0, endsInMs: 2.1 }));
  t.match(bid, { endsInMs: 3 });
});

t.test("what is no word, or out of bounds, is none", async (t) => {
  t.equal(decodeMessage(new Uint8Array(0)), undefined, "without a call");
  t.equal(decodeMessage(Uint8Array.of(0xff, 0xff)), undefined);
  t.equal(decodeMessage(new Uint8Array(MESSAGE_BYTES_MAX + 1)), undefined);
  for (const bad of [
    { ...announce, expiresInMs: 90_000_000 },
    { ...announce, task: { ...announce.task, demand: 0 } },
    { ...announce, task: { ...announce.task, demand: Number.NaN } },
    { ...announce, task: { ...announce.task, kind: "" } },
    { ...announce, route: { ...announce.route, path: [] } },
    { kind: "bid", call: "1-1", cost: Number.POSITIVE_INFINITY, endsInMs: 1 },
    { kind: "progress", call: "1-1", percent: 101 },
    { kind: "accept", call: "x".repeat(129) },
  ] as const)
    t.equal(decodeMessage(encodeMessage(bad)), undefined, JSON.stringify(bad).slice(0, 60));
});
