/** One bare Fastify route that answers with the JSON in a file: `bare-route.ts FILE PORT`. */
import { readFileSync } from "node:fs";
import Fastify from "fastify";

const [file = "", port] = process.argv.slice(2);
const document = JSON.parse(readFileSync(file, "utf8")) as object;
const app = Fastify();
app.get("/v1/resources", (_request, reply) => reply.send(document));
await app.listen({ port: Number(port), host: "127.0.0.1" });
