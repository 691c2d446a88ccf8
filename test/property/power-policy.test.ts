import * as fc from "fast-check";
import t from "tap";
import {
  initialPowerState,
  type PowerInput,
  type PowerState,
  step,
} from "../../src/device/power-policy.ts";
import { powerModes } from "../../src/device/power-schema.ts";
import { defaultPowerPolicy, resolvePowerPolicy } from "../../src/device/power-settings.ts";

const seed = Number(process.env.FC_SEED ?? Math.floor(Math.random() * 2 ** 31));
t.comment(`fast-check seed ${seed} (FC_SEED=${seed} repeats it)`);
fc.configureGlobal({ seed, numRuns: 500 });

const policy = defaultPowerPolicy;
const depth = (state: PowerState): number => powerModes.indexOf(state.mode);
const input = (monotonicMs: number, rest: Partial<PowerInput>): PowerInput => ({
  monotonicMs,
  wanted: "auto",
  ...rest,
});

const observation = fc.record(
  {
    battery: fc.record(
      {
        chargePercent: fc.double({ min: 0, max: 100, noNaN: true }),
        state: fc.constantFrom("charging", "discharging", "full", "unknown"),
      },
      { requiredKeys: ["state"] },
    ),
    celsius: fc.double({ min: -20, max: 110, noNaN: true }),
    underVoltage: fc.boolean(),
    throttled: fc.boolean(),
    elapsedMs: fc.integer({ min: 0, max: 600_000 }),
  },
  { requiredKeys: ["elapsedMs"] },
) as fc.Arbitrary<Omit<PowerInput, "monotonicMs" | "wanted"> & { elapsedMs: number }>;

t.test(
  "whatever comes in: down at once, up by one step and never before the dwell time",
  async (t) => {
    fc.assert(
      fc.property(fc.array(observation, { minLength: 1, maxLength: 60 }), (observations) => {
        let state = initialPowerState(0);
        let now = 0;
        let lastChange = -1;
        for (const { elapsedMs, ...rest } of observations) {
          now += elapsedMs;
          const { state: next, effects } = step(policy, state, input(now, rest));
          const up = depth(state) - depth(next);
          if (up > 1)
            throw new Error(`skipped a mode on the way up: ${state.mode} to ${next.mode}`);
          if (up === 1 && lastChange >= 0 && now - lastChange < policy.dwellMs) {
            throw new Error(`came back after ${now - lastChange} ms`);
          }
          if (effects.length !== (up === 0 ? 0 : 1))
            throw new Error("effects do not tell the change");
          if (next.transitions !== state.transitions + effects.length)
            throw new Error("miscounted");
          if (next.reason === "") throw new Error("no reason");
          if (up !== 0) lastChange = now;
          state = next;
        }
      }),
    );
    t.pass();
  },
);

t.test("a charge that trembles within a band never flaps", async (t) => {
  fc.assert(
    fc.property(
      fc.constantFrom("saving", "aggressive", "critical"),
      fc.array(
        fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.integer({ min: 1, max: 9e5 })),
        {
          minLength: 2,
          maxLength: 80,
        },
      ),
      (mode, steps) => {
        const { enter, leave } = policy.batteryPercent[mode];
        let state = initialPowerState(0);
        let now = 0;
        for (const [portion, elapsedMs] of steps) {
          now += elapsedMs;
          // Strictly below the level at which the mode may end.
          const chargePercent = enter - 0.5 + portion * (leave - enter) * 0.99;
          ({ state } = step(
            policy,
            state,
            input(now, { battery: { chargePercent, state: "discharging" } }),
          ));
        }
        const settled = state.transitions;
        if (settled > 1 + powerModes.indexOf(mode)) throw new Error(`${settled} changes`);
        // Once in the mode, it stays.
        for (const [portion, elapsedMs] of steps) {
          now += elapsedMs;
          const chargePercent = enter + portion * (leave - enter) * 0.99;
          const before = state;
          ({ state } = step(
            policy,
            state,
            input(now, { battery: { chargePercent, state: "discharging" } }),
          ));
          if (depth(before) === powerModes.indexOf(mode) && state.mode !== before.mode) {
            throw new Error(`flapped from ${before.mode} to ${state.mode} at ${chargePercent} %`);
          }
        }
      },
    ),
  );
  t.pass();
});

t.test("monotone: less charge, more heat or more trouble never saves less", async (t) => {
  const worse = fc.double({ min: 0, max: 60, noNaN: true });
  fc.assert(
    fc.property(
      fc.double({ min: 0, max: 100, noNaN: true }),
      fc.double({ min: 0, max: 110, noNaN: true }),
      worse,
      worse,
      fc.boolean(),
      (chargePercent, celsius, less, more, underVoltage) => {
        const at = (charge: number, heat: number, low: boolean): number =>
          depth(
            step(
              policy,
              initialPowerState(0),
              input(0, {
                battery: { chargePercent: charge, state: "discharging" },
                celsius: heat,
                underVoltage: low,
              }),
            ).state,
          );
        return (
          at(Math.max(0, chargePercent - less), celsius + more, underVoltage || less > 30) >=
          at(chargePercent, celsius, underVoltage)
        );
      },
    ),
  );
  t.pass();
});

t.test("a discharge and a charge walk the four modes once each way", async (t) => {
  fc.assert(
    fc.property(
      fc.double({ min: 0.2, max: 2, noNaN: true }),
      fc.double({ min: 0, max: 0.9, noNaN: true }),
      fc.integer({ min: 1, max: 10_000 }),
      (percentPerStep, noise, randomness) => {
        const walk: string[] = ["normal"];
        let state = initialPowerState(0);
        let now = 0;
        let salt = randomness;
        const look = (chargePercent: number, charging: boolean): void => {
          now += policy.modes[state.mode].samplingIntervalMs;
          salt = (salt * 48_271) % 2_147_483_647;
          const read = chargePercent + (salt / 2_147_483_647 - 0.5) * 2 * noise;
          const battery = {
            chargePercent: Math.min(100, Math.max(0, read)),
            state: charging ? "charging" : "discharging",
          } as const;
          const result = step(policy, state, input(now, { battery }));
          state = result.state;
          for (const { to } of result.effects) walk.push(to);
        };
        for (let charge = 100; charge > 2; charge -= percentPerStep) look(charge, false);
        for (let charge = 2; charge < 100; charge += percentPerStep) look(charge, true);
        const expected = "normal saving aggressive critical aggressive saving normal";
        if (walk.join(" ") !== expected) throw new Error(walk.join(" "));
      },
    ),
  );
  t.pass();
});

t.test("resolved policies always hold together, or are refused by name", async (t) => {
  const percent = fc.integer({ min: 0, max: 100 });
  const band = fc.record({ enter: percent, leave: percent }, { requiredKeys: [] });
  fc.assert(
    fc.property(
      fc.record({ saving: band, aggressive: band, critical: band }, { requiredKeys: [] }),
      (batteryPercent) => {
        try {
          const { saving, aggressive, critical } = resolvePowerPolicy({
            batteryPercent,
          }).batteryPercent;
          return (
            saving.leave > saving.enter &&
            saving.enter > aggressive.enter &&
            aggressive.enter > critical.enter &&
            critical.leave > critical.enter
          );
        } catch (error) {
          return /^power\.batteryPercent\.\w+\.(enter|leave) is \d+; it must be above /.test(
            (error as Error).message,
          );
        }
      },
    ),
  );
  t.pass();
});
