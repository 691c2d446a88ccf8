import t from "tap";
import { stateKey } from "../../../src/readings/state-key.ts";

t.test("a state's key is what the pointer finds", async (t) => {
  const payload = Buffer.from(JSON.stringify({ valve: { "a/b": 7, "~": "x" }, list: [{ id: 1 }] }));
  t.equal(stateKey(payload, undefined), "", "a topic has one state");
  t.equal(stateKey(payload, "/valve/a~1b"), "7");
  t.equal(stateKey(payload, "/valve/~0"), "x");
  t.equal(stateKey(payload, "/list/0/id"), "1");
  t.equal(stateKey(payload, "/list"), '[{"id":1}]');
  for (const missing of ["/nothing", "/valve/a~1b/c", "/toString"])
    t.equal(stateKey(payload, missing), undefined, missing);
  t.equal(stateKey(Buffer.from("21.5 C"), "/x"), undefined, "not JSON");
});
