// What the fleet should hear of before its time.
import t from "tap";
import { isNews } from "../../../src/agent/self-description.ts";
import type { SelfDescription } from "../../../src/mesh/records/record-codec.ts";
import { PowerSupply } from "../../../src/wire/agent_mesh/v1/record_pb.ts";

const said: SelfDescription = {
  agentId: "one",
  version: "1",
  addresses: [],
  capabilities: { powerSupply: PowerSupply.MAINS, cpuCores: 4 },
  health: { status: "ok", powerMode: "normal", batteryPercent: 80, cpuPercent: 10 },
};

t.test("a loss of mains is told at once, load when its time comes", async (t) => {
  type Measured = { powerMode?: string; batteryPercent?: number; cpuPercent?: number };
  const now = (health: Measured, powerSupply: PowerSupply = PowerSupply.MAINS) =>
    isNews(said, {
      ...said,
      capabilities: { ...said.capabilities, powerSupply },
      health: { status: "ok", powerMode: "normal", batteryPercent: 80, cpuPercent: 10, ...health },
    });
  t.notOk(now({}));
  t.ok(now({}, PowerSupply.BATTERY));
  t.ok(now({ powerMode: "saving" }));
  t.ok(now({ batteryPercent: 75 }));
  t.notOk(now({ batteryPercent: 76 }));
  t.notOk(now({ cpuPercent: 100 }));
});
