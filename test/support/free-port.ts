import { randomInt } from "node:crypto";
import { createServer } from "node:net";

/**
 * Below the ports that the kernel gives to outgoing connections (32768 and up): a client that redials a server
 * which was killed would else take the server's port, or even connect to itself.
 */
const FROM = 10_240;
const BELOW = 32_768;

/** @returns a port on 127.0.0.1 that nobody listens on right now. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FROM, BELOW);
    if (await isFree(port)) return port;
  }
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) =>
      error.code === "EADDRINUSE" ? resolve(false) : reject(error),
    );
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
