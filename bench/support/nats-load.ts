/**
 * A publisher at a NATS leaf and a subscriber at its hub, in a process of their own, as lean as load.ts:
 * `node nats-load.ts LEAF_PORT HUB_PORT MESSAGES`. The leaf keeps the messages in a JetStream stream, the hub in one
 * that is fed by it. Publishes with 256 unacknowledged, waits for all of them at the hub, and prints
 * `{ms, received, repeated, disordered}` as JSON. NATS client protocol and JetStream API as documented by NATS.
 */
import { connect, type Socket } from "node:net";
import { giveUpAfter, PAYLOAD_BYTES } from "./mqtt-wire.ts";

const IN_FLIGHT = 256;
const [leafPort, hubPort, count] = process.argv.slice(2);
const messages = Number(count);
giveUpAfter(300_000);

type Take = (subject: string, payload: Buffer) => void;

/** Speaks the client protocol: calls `take` for every message, and answers PING. */
function follow(socket: Socket, take: Take): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    const data = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (;;) {
      const end = data.indexOf("\r\n", at, "latin1");
      if (end < 0) break;
      const first = data[at];
      if (first === 0x4d) {
        // MSG <subject> <sid> [reply] <bytes>
        const words = data.toString("latin1", at, end).split(" ");
        const bytes = Number(words.at(-1));
        if (data.length < end + 2 + bytes + 2) break;
        take(words[1] ?? "", data.subarray(end + 2, end + 2 + bytes));
        at = end + 2 + bytes + 2;
        continue;
      }
      if (first === 0x50) socket.write("PONG\r\n");
      if (first === 0x2d) throw new Error(data.toString("latin1", at, end));
      at = end + 2;
    }
    rest = data.subarray(at);
  });
}

function dial(port: string | undefined, take: Take): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), "127.0.0.1");
    socket.setNoDelay(true);
    socket.once("error", reject);
    socket.once("connect", () => {
      follow(socket, take);
      socket.write('CONNECT {"verbose":false,"pedantic":false}\r\nSUB _answer.> 1\r\n');
      resolve(socket);
    });
  });
}

const answers = new Map<string, (body: string) => void>();
let asked = 0;
/** Asks the JetStream API. @throws Error with what it says is wrong */
async function ask(socket: Socket, subject: string, body: object): Promise<void> {
  const reply = `_answer.${asked++}`;
  const text = JSON.stringify(body);
  const answer = await new Promise<string>((resolve) => {
    answers.set(reply, resolve);
    socket.write(`PUB ${subject} ${reply} ${text.length}\r\n${text}\r\n`);
  });
  if (answer.includes('"error"')) throw new Error(`${subject}: ${answer}`);
}

const answered = (subject: string, payload: Buffer): boolean => {
  const waiting = answers.get(subject);
  answers.delete(subject);
  waiting?.(payload.toString());
  return waiting !== undefined;
};

const run = `run${process.pid}`;
const result = { ms: 0, received: 0, repeated: 0, disordered: 0 };
const seen = new Uint8Array(messages);
let last = -1;
const complete = Promise.withResolvers<void>();
const hub = await dial(hubPort, (subject, payload) => {
  // What a consumer delivers keeps the subject that it was published to.
  if (answered(subject, payload) || !subject.startsWith(`${run}.`)) return;
  const number = Number(payload.toString("latin1", 0, 8));
  if (seen[number] === 1) result.repeated++;
  else {
    seen[number] = 1;
    result.received++;
    if (number < last) result.disordered++;
    last = number;
  }
  if (result.received === messages) complete.resolve();
});

const filler = "r".repeat(PAYLOAD_BYTES - 8);
let sent = 0;
let acknowledged = 0;
let filling = false;
const leaf = await dial(leafPort, (subject, payload) => {
  if (answered(subject, payload)) return;
  if (!subject.startsWith("_ack.")) return;
  if (payload.includes('"error"')) throw new Error(payload.toString());
  acknowledged++;
  if (filling) return;
  filling = true;
  setImmediate(() => {
    filling = false;
    fill();
  });
});
leaf.write("SUB _ack.> 2\r\n");
await ask(leaf, `$JS.API.STREAM.CREATE.${run}`, {
  name: run,
  subjects: [`${run}.>`],
  storage: "file",
});
await ask(hub, `$JS.API.STREAM.CREATE.${run}`, {
  name: run,
  storage: "file",
  sources: [{ name: run, external: { api: "$JS.leaf.API", deliver: "" } }],
});
hub.write(`SUB deliver.${run} 3\r\n`);
await ask(hub, `$JS.API.CONSUMER.CREATE.${run}`, {
  stream_name: run,
  config: { deliver_subject: `deliver.${run}`, ack_policy: "none", deliver_policy: "all" },
});

function fill(): void {
  const batch: string[] = [];
  for (; sent < messages && sent - acknowledged < IN_FLIGHT; sent++)
    batch.push(
      `PUB ${run}.bench _ack.${sent} ${PAYLOAD_BYTES}\r\n${String(sent).padStart(8, "0")}${filler}\r\n`,
    );
  if (batch.length > 0) leaf.write(batch.join(""));
}
const startedMs = performance.now();
fill();
await complete.promise;
result.ms = performance.now() - startedMs;
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
