import t from "tap";
import { ageMs, isExpired } from "../../../src/outbox/expiry.ts";
import { VirtualClock } from "../../../src/simulator/virtual-clock.ts";

/** What an update taken now would carry. */
const taken = (clock: VirtualClock) => ({
  bootId: clock.bootId,
  monotonicMs: clock.monotonicMs(),
  observedAtMs: clock.wallMs(),
  observedAtTrusted: clock.wallTrusted(),
});

t.test("within a boot only the monotonic clock counts", async (t) => {
  const clock = new VirtualClock();
  await clock.advance(1_000);
  const update = taken(clock);
  await clock.advance(500);
  clock.wallOffsetMs += 86_400_000;
  t.equal(ageMs(update, clock), 500, "the wall clock jumped ahead");
  clock.wallOffsetMs -= 2 * 86_400_000;
  t.equal(ageMs(update, clock), 500, "and back");
  t.equal(isExpired({ ...update, expiresAfterMs: 500 }, clock), false);
  t.equal(isExpired({ ...update, expiresAfterMs: 499 }, clock), true);
  t.equal(isExpired({ ...update, expiresAfterMs: 0 }, clock), false, "0 is never");
});

t.test(
  "across boots the wall clock counts if it can be trusted, else this boot's age",
  async (t) => {
    const clock = new VirtualClock();
    await clock.advance(1_000);
    const update = taken(clock);
    await clock.advance(9_000);
    clock.reboot();
    await clock.advance(300);
    t.equal(ageMs(update, clock), 9_300);
    t.equal(ageMs({ ...update, observedAtTrusted: false }, clock), 300);
    clock.trusted = false;
    t.equal(ageMs(update, clock), 300);
    clock.trusted = true;
    clock.wallOffsetMs -= 86_400_000;
    t.equal(
      ageMs(update, clock),
      300,
      "a wall clock set back makes nothing younger than this boot",
    );
  },
);
