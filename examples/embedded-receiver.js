// A receiver within your own ingest: every update once, whatever agents send again.
// Run it in the checkout: npm run build && npx node examples/embedded-receiver.js
import { createServer } from "node:http";
import { openReceiver } from "agent-mesh/receiver";

const receiver = await openReceiver({
  dataDirectory: process.env.DATA ?? "./receiver-data",
  onUpdate: ({ line }) => console.log(line), // your database goes here; throw, and it comes again
});
const server = createServer(async (request, response) => {
  try {
    const body = (await Array.fromAsync(request)).join("");
    const result = await receiver.take(body.trim().split("\n"));
    response.end(JSON.stringify(result));
  } catch (error) {
    response.writeHead(400).end(error.message);
  }
});
server.listen(Number(process.env.PORT ?? 8090), "127.0.0.1", () =>
  console.error(`POST lines to http://127.0.0.1:${server.address().port}/v1/updates`),
);
process.once("SIGTERM", () => server.close(() => receiver.close()));
