import * as Type from "typebox";
import { epochMs } from "./common.ts";

/** GET /v1/device */
export const device = Type.Object(
  {
    agentId: Type.String(),
    version: Type.String(),
    startedAtMs: epochMs("When the agent started."),
    uptimeMs: Type.Number({ description: "Time since the agent started." }),
    clock: Type.Object({
      wallMs: epochMs("The device's own time."),
      trusted: Type.Boolean({
        description:
          "False while the clock is evidently wrong (no battery-backed clock, no NTP yet).",
      }),
    }),
    identity: Type.Object({
      model: Type.String(),
      compatible: Type.Array(Type.String(), {
        description: "Device tree `compatible` list, most specific first.",
      }),
      serial: Type.Optional(Type.String()),
      hostname: Type.String(),
      kernel: Type.String(),
      architecture: Type.String(),
      operatingSystem: Type.String(),
    }),
    profile: Type.Object({
      id: Type.String(),
      name: Type.String(),
      chosenBecause: Type.String(),
    }),
  },
  { $id: "Device" },
);

/** GET /v1/device/capabilities */
export const deviceCapabilities = Type.Object(
  {
    architecture: Type.String(),
    cpuCores: Type.Optional(Type.Integer()),
    memoryTotalBytes: Type.Optional(Type.Number()),
    diskTotalBytes: Type.Optional(Type.Number()),
    sensors: Type.Array(
      Type.Object({
        name: Type.String({ description: "Name in `sample` of GET /v1/resources." }),
        available: Type.Boolean(),
        reason: Type.Optional(Type.String({ description: "Why it is not available." })),
      }),
    ),
    broker: Type.Enum(["embedded", "client"]),
    uplinkKinds: Type.Array(Type.String()),
  },
  { $id: "DeviceCapabilities" },
);
