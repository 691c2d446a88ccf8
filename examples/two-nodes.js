// Two nodes of a mesh in one process: a task, a topic, a message and a channel.
// Run it in the checkout: npm run build && npx node examples/two-nodes.js
import { openMeshNode, SecureChannel } from "agent-mesh/mesh";

const hub = await openMeshNode({ dataDirectory: "./hub-data", name: "hub" });
const leaf = await openMeshNode({ dataDirectory: "./leaf-data", name: "leaf" });
hub.attachTask("double", (_from, payload) => payload.map((byte) => byte * 2));
hub.onMessage((from, payload) => console.log(`${from} says ${Buffer.from(payload).toString()}`));
hub.onChannel(async (channel) => channel.send((await channel.receive()).toReversed()));
await Promise.all([hub.start(), leaf.start()]);
await leaf.join(hub.addresses());

console.log("double", await leaf.callTask(hub.id, "double", Uint8Array.of(1, 2, 3)));
await leaf.sendToPeer(hub.id, Buffer.from("hello"));
leaf.subscribe("news", (_from, payload) => console.log("news:", Buffer.from(payload).toString()));
await new Promise((resolve) => setTimeout(resolve, 1_500)); // until hub knows who listens
await hub.broadcast("news", Buffer.from("it works"));
const channel = await SecureChannel.establish(leaf, hub.id);
await channel.send(Uint8Array.of(1, 2, 3));
console.log("channel", await channel.receive());
await Promise.all([leaf.stop(), hub.stop()]);
