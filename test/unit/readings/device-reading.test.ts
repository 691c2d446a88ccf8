import t from "tap";
import type { ResourceSnapshot } from "../../../src/device/view.ts";
import { DeviceReadings } from "../../../src/readings/device-reading.ts";

const look = (monotonicMs: number): ResourceSnapshot =>
  ({ sequence: 1, wallMs: 0, monotonicMs, powerMode: "normal", sample: {} }) as ResourceSnapshot;

t.test(
  "of the looks at the device one a minute becomes a reading, the first one among them",
  async (t) => {
    const readings = new DeviceReadings(60_000);
    const taken = [];
    for (let at = 0; at < 20; at++) {
      const monotonicMs = 5_000 + 10_000 * at + (at % 3);
      if (readings.take(look(monotonicMs)) !== undefined) taken.push(at);
    }
    t.same(taken, [0, 6, 12, 18]);
    t.equal(new DeviceReadings(60_000).take(look(0))?.stream, "device/resources");
  },
);
