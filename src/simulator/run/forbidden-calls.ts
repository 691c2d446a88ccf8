/* oxlint-disable no-restricted-globals -- what is forbidden has to be named to be taken away */
import { createRequire, syncBuiltinESMExports } from "node:module";

/** Something in the simulated world asked the real one. */
export class ForbiddenCallError extends Error {
  override readonly name = "ForbiddenCallError";
}

interface Patch {
  readonly owner: object;
  readonly name: string;
}

const require = createRequire(import.meta.url);
const crypto = require("node:crypto") as object;
const timers = require("node:timers") as object;

/** What gives a different answer, or another order, each time it is called. */
const patches: readonly Patch[] = [
  { owner: Date, name: "now" },
  { owner: Math, name: "random" },
  { owner: performance, name: "now" },
  ...["setTimeout", "setInterval"].flatMap((name) => [
    { owner: globalThis, name },
    { owner: timers, name },
  ]),
  ...["getRandomValues", "randomUUID"].map((name) => ({ owner: globalThis.crypto, name })),
  ...["randomBytes", "randomFillSync", "randomInt", "randomUUID"].map((name) => ({
    owner: crypto,
    name,
  })),
];

/**
 * Runs something in which nobody may ask for the real time or for real chance: whoever does gets an error that names the
 * call. Timers of the real event loop are taken away as well.
 * @throws ForbiddenCallError out of the call, within what runs
 */
export async function withoutRealWorld<T>(run: () => Promise<T>): Promise<T> {
  const undo: (() => void)[] = [];
  const RealDate = Date;
  // `new Date(ms)` is arithmetic; without an argument it asks for the time.
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, values: unknown[], newTarget) => {
      if (values.length === 0) throw forbidden("new Date()");
      return Reflect.construct(target, values, newTarget) as object;
    },
    apply: () => {
      throw forbidden("Date()");
    },
  });
  undo.push(() => {
    globalThis.Date = RealDate;
  });
  for (const { owner, name } of patches) {
    const own = Object.getOwnPropertyDescriptor(owner, name);
    Object.defineProperty(owner, name, {
      configurable: true,
      writable: true,
      enumerable: own?.enumerable ?? true,
      value: () => {
        throw forbidden(name);
      },
    });
    undo.push(() => {
      if (own === undefined) Reflect.deleteProperty(owner, name);
      else Object.defineProperty(owner, name, own);
    });
  }
  syncBuiltinESMExports();
  try {
    return await run();
  } finally {
    for (const back of undo.reverse()) back();
    syncBuiltinESMExports();
  }
}

function forbidden(name: string): ForbiddenCallError {
  return new ForbiddenCallError(
    `${name} was called inside a simulation; time and chance come from the seams Clock and Random`,
  );
}
