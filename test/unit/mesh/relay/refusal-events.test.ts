import t from "tap";
import { RefusalEvents } from "../../../../src/mesh/relay/refusal-events.ts";

const refusal = { code: "relay.guests" as const, detail: "no room", retryAfterMs: 1_000 };

function told(): { readonly events: RefusalEvents; readonly peers: unknown[] } {
  const peers: unknown[] = [];
  const emit = (_type: string, data: Readonly<Record<string, unknown>>): void =>
    void peers.push(data["peerId"]);
  return { events: new RefusalEvents({ emit }), peers };
}

t.test("the same refusal of one guest is told once a minute", async (t) => {
  const { events, peers } = told();
  for (const atMs of [0, 1_000, 59_999, 60_000, 60_001])
    events.refused({ peer: "a", agentId: "a" }, refusal, atMs);
  t.equal(peers.length, 2);
});

t.test("made-up names are bounded, and do not silence the others for longer", async (t) => {
  const { events, peers } = told();
  for (let name = 0; name < 5_000; name++)
    events.refused({ peer: `made-up ${name}`, agentId: "x" }, refusal, name);
  t.equal(peers.length, 1_024);
  events.refused({ peer: "honest", agentId: "honest" }, refusal, 60_000);
  t.equal(peers.at(-1), "honest");
});
