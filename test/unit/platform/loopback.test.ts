import t from "tap";
import { isLoopback } from "../../../src/platform/loopback.ts";

t.test("only what can not leave the device is loopback", async (t) => {
  for (const host of ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"])
    t.equal(isLoopback(host), true, host);
  for (const host of [
    "0.0.0.0",
    "::",
    "10.0.0.1",
    "128.0.0.1",
    "127.attacker.example",
    "127.0.0.1.example",
    "localhost.example",
    "",
  ])
    t.equal(isLoopback(host), false, host);
});
