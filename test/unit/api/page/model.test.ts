import t from "tap";
import type * as page from "../../../../src/api/page/model.ts";
import type { Body } from "../../../../src/api/schemas/common.ts";
import type { device } from "../../../../src/api/schemas/device.ts";
import type { event } from "../../../../src/api/schemas/events.ts";
import type {
  learning,
  learningRounds,
  learningTasks,
} from "../../../../src/api/schemas/learning.ts";
import type {
  learningAlerts,
  learningServing,
} from "../../../../src/api/schemas/learning-serving.ts";
import type { fleetAgents, mesh, meshPeers } from "../../../../src/api/schemas/mesh.ts";
import type { power } from "../../../../src/api/schemas/power.ts";
import type { deadLetters, queue } from "../../../../src/api/schemas/queue.ts";
import type { mappings, readings } from "../../../../src/api/schemas/readings.ts";
import type { resourceHistory, resources } from "../../../../src/api/schemas/resources.ts";
import type { roles } from "../../../../src/api/schemas/roles.ts";
import type { notReady, ready } from "../../../../src/api/schemas/system.ts";
import type { token } from "../../../../src/api/schemas/tokens.ts";
import type { uplinks } from "../../../../src/api/schemas/uplinks.ts";

/** What is served must be what the page reads: the type checker refuses this file where it is not. */
interface Served {
  device: Body<typeof device>;
  health: Body<typeof ready> | Body<typeof notReady>;
  snapshot: Body<typeof resources>;
  history: Body<typeof resourceHistory>;
  power: Body<typeof power>;
  queue: Body<typeof queue>;
  deadLetters: Body<typeof deadLetters>;
  uplinks: Body<typeof uplinks>;
  readings: Body<typeof readings>;
  broker: Body<typeof mappings>["broker"];
  event: Body<typeof event>;
  self: Body<typeof token>;
  mesh: Body<typeof mesh>;
  peers: Body<typeof meshPeers>;
  fleet: Body<typeof fleetAgents>;
  roles: Body<typeof roles>;
  learning: Body<typeof learning>;
  learningTasks: Body<typeof learningTasks>;
  learningRounds: Body<typeof learningRounds>;
  learningServing: Body<typeof learningServing>;
  learningAlerts: Body<typeof learningAlerts>;
}

interface Read {
  device: page.Device;
  health: page.Health;
  snapshot: page.ResourceSnapshot;
  history: page.Items<page.ResourcePoint>;
  power: page.Power;
  queue: page.Queue;
  deadLetters: page.Items<page.DeadLetter>;
  uplinks: page.Items<page.Uplink>;
  readings: page.Readings;
  broker: page.Broker;
  event: page.AgentEvent;
  self: page.TokenSelf;
  mesh: page.Mesh;
  peers: page.Items<page.MeshPeer>;
  fleet: page.FleetPage;
  roles: page.Roles;
  learning: page.Learning;
  learningTasks: page.Items<page.LearningTask>;
  learningRounds: page.Items<page.LearningRound>;
  learningServing: page.LearningServing;
  learningAlerts: page.Items<page.LearningAlert>;
}

t.test("every answer the page reads fits the schema it is served by", async (t) => {
  const read = (served: Served): Read => served;
  t.type(read, "function");
});
