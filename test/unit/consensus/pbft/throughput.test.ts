// A run long enough to show what the core costs without real signatures; how fast that is, is said and not judged.
import t from "tap";
import { defaultPbftOptions } from "../../../../src/consensus/pbft/options.ts";
import { Cluster } from "../../../support/pbft/cluster.ts";

const ROUNDS = 20;

for (const [clients, batchRequestsMax] of [
  [8, 1],
  [400, 100],
] as const) {
  t.test(`${clients} clients, batches of up to ${batchRequestsMax}`, async (t) => {
    const cluster = new Cluster(4, { ...defaultPbftOptions, batchRequestsMax });
    const rounds = Array.from({ length: ROUNDS }, (_, round) =>
      Array.from({ length: clients }, (_, client) => cluster.request(`${client}`, round + 1)),
    );
    const startMs = performance.now();
    for (const requests of rounds) {
      for (const request of requests) cluster.ask(request, [0]);
      cluster.deliver();
    }
    const seconds = (performance.now() - startMs) / 1_000;
    const { executed } = cluster.replica(3);
    t.comment(
      `${Math.round(executed / seconds)} decisions/s, ${Math.round((ROUNDS * clients) / seconds)} values/s, four replicas and the checks of the invariants on one core`,
    );
    t.equal(cluster.invariants.executedCount, ROUNDS * clients);
    t.equal(cluster.replica(0).executed, executed);
  });
}
