import type { Test } from "tap";
import type { Clock } from "../../src/platform/clock.ts";
import type { Hasher } from "../../src/platform/hasher.ts";
import type { Logger } from "../../src/platform/logger.ts";
import type { Random } from "../../src/platform/random.ts";
import type { ServiceManager } from "../../src/platform/service-manager.ts";

/** What every {@link Clock} keeps to. @param pass lets some of its time go by */
export function clockConformance(
  t: Test,
  name: string,
  make: () => { clock: Clock; pass: (ms: number) => Promise<void> },
): void {
  t.test(`Clock: ${name}`, async (t) => {
    const { clock, pass } = make();
    const [monotonicMs, wallMs, { bootId }] = [clock.monotonicMs(), clock.wallMs(), clock];
    const fired: string[] = [];
    // Soonest first: set later, on a machine that pauses in between, it would be due later.
    const now = clock.setTimer("now", 0, () => fired.push("now"));
    clock.setTimer("a", 5, () => fired.push("a"));
    clock.setTimer("b", 30, () => fired.push("b"));
    const cancelled = clock.setTimer("c", 1, () => fired.push("c"));
    cancelled.cancel();
    cancelled.cancel();
    clock.setTimer("far", 2 ** 33, () => fired.push("far")).cancel();
    const far = clock.setTimer("farther", 2 ** 33, () => fired.push("farther"));
    t.same(fired, [], "a timer never fires before setTimer has returned");
    await pass(100);
    t.same(fired, ["now", "a", "b"], "in the order in which they are due, once; not long before");
    now.cancel();
    far.cancel();
    t.ok(clock.monotonicMs() - monotonicMs >= 30);
    t.ok(clock.wallMs() - wallMs >= 29);
    t.equal(clock.bootId, bootId);
    t.ok(bootId.length > 0);
    t.equal(clock.wallTrusted(), true);
  });
}

/** What every {@link Random} keeps to. */
export function randomConformance(t: Test, name: string, make: () => Random): void {
  t.test(`Random: ${name}`, async (t) => {
    const random = make();
    const draws = Array.from({ length: 10_000 }, () => random.next());
    t.ok(draws.every((draw) => draw >= 0 && draw < 1));
    const mean = draws.reduce((sum, draw) => sum + draw, 0) / draws.length;
    // Twelve standard errors: by chance less often than once in 10^30 runs.
    t.ok(Math.abs(mean - 0.5) < 0.035, `mean ${mean}`);
    t.ok(new Set(draws).size > 9_990);
    const bytes = random.bytes(4_096);
    t.equal(bytes.length, 4_096);
    t.ok(new Set(bytes).size > 200);
    t.equal(random.bytes(0).length, 0);
    const [one, two] = [random.fork("one"), random.fork("two")];
    t.notSame([one.next(), one.next()], [two.next(), two.next()]);
  });
}

/** What every {@link Logger} keeps to. @param lines what was written, parsed */
export function loggerConformance(
  t: Test,
  name: string,
  make: () => { logger: Logger; lines: () => readonly Readonly<Record<string, unknown>>[] },
): void {
  t.test(`Logger: ${name}`, async (t) => {
    const { logger, lines } = make();
    const circular: Record<string, unknown> = {};
    circular["self"] = circular;
    logger.debug("not at this level");
    logger.info("started", { port: 1_883 });
    logger.child("outbox").warn("is slow", { ms: 12 });
    logger.error("odd values", { circular, big: 1n, none: undefined });
    t.match(lines(), [
      { level: "info", message: "started", port: 1_883 },
      { level: "warn", message: "is slow", room: "outbox", ms: 12 },
      { level: "error", message: "odd values" },
    ]);
    t.equal(lines().length, 3);
  });
}

/** What every {@link ServiceManager} keeps to: nothing waits, nothing throws. */
export function serviceManagerConformance(
  t: Test,
  name: string,
  make: (t: Test) => ServiceManager,
): void {
  t.test(`ServiceManager: ${name}`, async (t) => {
    const service = make(t);
    for (let n = 0; n < 100; n++) {
      t.equal(service.ready(), undefined);
      service.status(`line ${n}\nand another ${"x".repeat(5_000)}`);
      service.watchdog();
    }
    service.stopping();
    t.ok(service.watchdogIntervalMs === undefined || service.watchdogIntervalMs > 0);
  });
}

/** Digests are functions of every byte of their input, and compare by value. */
export function hasherConformance(t: Test, name: string, hasher: Hasher): void {
  t.test(`Hasher: ${name}`, async (t) => {
    const digests = ["", "a", "b", "a".repeat(100), `${"a".repeat(99)}b`].map((text) =>
      hasher.sha256Hex(text),
    );
    for (const digest of digests) t.match(digest, /^[0-9a-f]{64}$/);
    t.equal(new Set(digests).size, digests.length, "other input, other digest");
    t.equal(hasher.sha256Hex("é"), hasher.sha256Hex(Buffer.from("é", "utf8")), "text is UTF-8");
    const [first = "", second = ""] = digests;
    t.equal(hasher.equal(first, hasher.sha256Hex("")), true);
    t.equal(hasher.equal(first, second), false);
    t.equal(hasher.equal(first, first.slice(1)), false, "lengths may differ");
  });
}
