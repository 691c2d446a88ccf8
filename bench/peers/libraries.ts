/**
 * What an agent can not be without, and nothing more: loads and opens the libraries that it stands on, in one
 * bundle made like the agent's own. The yardstick for launch time and memory.
 * `libraries.js DIRECTORY HTTP_PORT MQTT_PORT`
 */
import { createServer } from "node:net";
import fastifySwagger from "@fastify/swagger";
import { Aedes } from "aedes";
import { ClassicLevel } from "classic-level";
import Fastify from "fastify";
import mqtt from "mqtt";

const [directory = "", httpPort, mqttPort] = process.argv.slice(2);
const level = new ClassicLevel(directory);
const aedes = new Aedes();
const app = Fastify();
await app.register(fastifySwagger, { openapi: { openapi: "3.1.0" } });
app.get("/readyz", { schema: { response: { 200: { type: "object" } } } }, () => ({}));
await Promise.all([
  level.open(),
  aedes.listen(),
  new Promise<void>((done) => {
    createServer((socket) => {
      aedes.handle(socket);
    }).listen(Number(mqttPort), "127.0.0.1", done);
  }),
  app.listen({ port: Number(httpPort), host: "127.0.0.1" }),
]);
const client = mqtt.connect(`mqtt://127.0.0.1:${mqttPort}`);
process.on("SIGTERM", () => {
  client.end(true);
  process.exit(0);
});
