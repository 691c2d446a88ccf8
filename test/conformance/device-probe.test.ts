import { join } from "node:path";
import t from "tap";
import { LinuxDeviceProbe } from "../../src/platform/linux/linux-device-probe.ts";
import { VirtualDevice } from "../../src/simulator/virtual-device.ts";
import { deviceProbeConformance } from "./device-probe.ts";

const fixtures = join(import.meta.dirname, "../fixtures/devices");

await deviceProbeConformance(
  t,
  "Linux, this machine",
  () => new LinuxDeviceProbe({ dataDirectory: import.meta.dirname }),
);
for (const device of ["pi-ina219-ups", "jetson-orin-nano", "bare-vm"]) {
  await deviceProbeConformance(
    t,
    `Linux, ${device}`,
    () =>
      new LinuxDeviceProbe({
        root: join(fixtures, device),
        dataDirectory: import.meta.dirname,
      }),
  );
}
await deviceProbeConformance(t, "the simulator's", () => new VirtualDevice());
