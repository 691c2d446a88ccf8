// Two agents in one process learn together, each on samples that only it has: no coordinator, no files.
// Run it in the checkout: npm run build && npx node examples/federated-task.js
import { FederatedTask, startAgent } from "agent-mesh/agent";

const FEATURES = 4;
const data = process.env.DATA ?? ".";

/** Points around three centres; your sensors go here. */
function samples(count) {
  const labels = Array.from({ length: count }, (_, at) => at % 3);
  const features = labels.map((label) =>
    Array.from(
      { length: FEATURES },
      (_, at) => Math.sin(label * FEATURES + at) + 0.4 * (Math.random() - 0.5),
    ),
  );
  return { features, labels };
}

const config = {
  api: { port: 0 },
  mqtt: { broker: { port: 0 }, deviceReadings: false },
  mesh: { port: 0, transports: ["tcp"] },
  power: { mode: "normal" },
  // Of two agents one decides; a larger fleet leaves this as it is.
  consensus: { enabled: true, foundersMin: 1, foundAfterMs: 1_000 },
  learning: { enabled: true, gatherMs: 200 },
};
const first = await startAgent({ dataDirectory: `${data}/first-agent`, config });
const second = await startAgent({ dataDirectory: `${data}/second-agent`, config });
await second.join(first.info.mesh.addresses);

const define = () =>
  new FederatedTask({
    name: "points",
    modelFn: () => ({
      inputShape: [FEATURES],
      layers: [
        { kind: "dense", units: 8, activation: "relu" },
        { kind: "dense", units: 3 },
      ],
      loss: "softmax-cross-entropy",
    }),
    datasetFn: () => samples(150),
    aggregation: "mean",
    rounds: 5,
    client: { epochs: 3, learningRate: 0.1 },
    pace: { agentsMin: 2, deadlineMs: 30_000 },
  });
const [task, other] = [define(), define()];
await first.attachTask(task);
await second.attachTask(other);

for await (const { round, updates, evaluation } of task.rounds())
  console.log(`round ${round}: ${updates} updates, accuracy ${evaluation?.accuracy?.toFixed(3)}`);
const { features, labels } = samples(9);
const { classes } = await other.predict(features);
console.log("classes", classes.join(" "), "right", labels.join(" "));
await Promise.all([first.stop(), second.stop()]);
