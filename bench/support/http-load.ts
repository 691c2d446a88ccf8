/**
 * GETs one URL over 32 connections for a while, in a process of its own: `http-load.ts URL SECONDS [TOKEN]`.
 * Prints answers per second. Reads only as much of an answer as finds its end.
 */
import { connect } from "node:net";

const CONNECTIONS = 32;
const [url = "", seconds, token] = process.argv.slice(2);
const { hostname, port, pathname } = new URL(url);
const request = Buffer.from(
  [
    `GET ${pathname} HTTP/1.1`,
    `host: ${hostname}:${port}`,
    ...(token === undefined ? [] : [`authorization: Bearer ${token}`]),
    "",
    "",
  ].join("\r\n"),
);
let answers = 0;

function client(): void {
  const socket = connect(Number(port), hostname);
  socket.setNoDelay(true);
  let pending = "";
  let missing = 0;
  socket.on("data", (chunk: Buffer) => {
    if (missing > chunk.length) {
      missing -= chunk.length;
      return;
    }
    if (missing === 0) {
      pending += chunk.toString("latin1");
      const end = pending.indexOf("\r\n\r\n");
      if (end < 0) return;
      if (!pending.startsWith("HTTP/1.1 200")) throw new Error(pending.slice(0, 200));
      const [, length] = /content-length: (\d+)/i.exec(pending) ?? [];
      missing = Number(length) - (pending.length - end - 4);
      pending = "";
      if (missing > 0) return;
    }
    missing = 0;
    answers++;
    socket.write(request);
  });
  socket.on("connect", () => socket.write(request));
}

for (let count = 0; count < CONNECTIONS; count++) client();
setTimeout(() => {
  process.stdout.write(`${answers / Number(seconds)}\n`);
  process.exit(0);
}, Number(seconds) * 1_000);
