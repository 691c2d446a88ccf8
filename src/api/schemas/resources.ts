import * as Type from "typebox";
import { epochMs, list, measured } from "./common.ts";

/** Names of the power modes, most generous first. */
export const powerMode = Type.Enum(["normal", "saving", "aggressive", "critical"]);

const percent = (description: string) =>
  Type.Number({ description: `${description} Percent, 0–100.` });
const optionalNumber = (description: string) => Type.Optional(Type.Number({ description }));
const bytes = (description: string) => Type.Number({ description: `${description} Bytes.` });

const sample = Type.Object({
  cpu: measured(
    Type.Object({
      cores: Type.Integer(),
      usedPercent: Type.Optional(percent("Use of all cores together since the last sample.")),
      perCorePercent: Type.Optional(Type.Array(Type.Number())),
      load1: Type.Number(),
      load5: Type.Number(),
      load15: Type.Number(),
      frequencyHz: optionalNumber("Current frequency in hertz."),
      frequencyMaxHz: optionalNumber("Highest frequency in hertz."),
    }),
  ),
  memory: measured(
    Type.Object({
      totalBytes: bytes("All memory."),
      availableBytes: bytes("What a new program could have (MemAvailable)."),
      swapTotalBytes: bytes("All swap."),
      swapFreeBytes: bytes("Free swap."),
    }),
  ),
  pressure: measured(
    Type.Object(
      {
        cpuSomeAvg10Percent: Type.Number(),
        memorySomeAvg10Percent: Type.Number(),
        memoryFullAvg10Percent: Type.Number(),
        ioSomeAvg10Percent: Type.Number(),
        ioFullAvg10Percent: Type.Number(),
      },
      { description: "Pressure stall information: percent of the last ten seconds spent waiting." },
    ),
  ),
  thermal: measured(
    Type.Object({
      celsius: Type.Number({ description: "The hottest zone." }),
      zones: Type.Array(Type.Object({ name: Type.String(), celsius: Type.Number() })),
    }),
  ),
  throttling: measured(
    Type.Object(
      {
        sources: Type.Array(Type.String(), { description: "Who told it, best first." }),
        underVoltageNow: Type.Optional(Type.Boolean()),
        throttledNow: Type.Optional(Type.Boolean()),
        frequencyCappedNow: Type.Optional(Type.Boolean()),
        underVoltageSinceBoot: Type.Optional(Type.Boolean()),
        throttledSinceBoot: Type.Optional(Type.Boolean()),
      },
      { description: "What no source can tell is absent: unknown is not the same as fine." },
    ),
  ),
  battery: measured(
    Type.Object({
      name: Type.String(),
      chargePercent: Type.Optional(percent("State of charge.")),
      state: Type.Enum(["charging", "discharging", "full", "unknown"]),
      volts: optionalNumber("Volts."),
      amperes: optionalNumber("Amperes, positive while discharging."),
      watts: optionalNumber("Watts."),
    }),
  ),
  powerRails: measured(
    Type.Object({
      rails: Type.Array(
        Type.Object({
          name: Type.String(),
          volts: Type.Number(),
          amperes: Type.Number(),
          watts: Type.Number(),
        }),
      ),
    }),
  ),
  disk: measured(
    Type.Object({
      path: Type.String(),
      totalBytes: bytes("Size of the file system that holds the agent's data."),
      freeBytes: bytes("Free there."),
      inodesFree: Type.Number(),
      readOnly: Type.Boolean(),
      writtenBytes: optionalNumber("Written to the block device since boot."),
    }),
  ),
  flashWear: measured(
    Type.Object({
      device: Type.String(),
      lifeUsedPercent: Type.Number({ description: "Upper bound, 10–110 in steps of 10." }),
      preEol: Type.Enum(["normal", "warning", "urgent", "unknown"]),
    }),
  ),
  network: measured(
    Type.Object({
      interfaces: Type.Array(
        Type.Object({
          name: Type.String(),
          up: Type.Boolean(),
          wireless: Type.Boolean(),
          receivedBytes: Type.Number(),
          sentBytes: Type.Number(),
          speedMbps: optionalNumber("Link speed in megabits per second."),
          signalDbm: optionalNumber("Wi-Fi signal level in dBm."),
        }),
      ),
    }),
  ),
  gpu: measured(Type.Object({ usedPercent: percent("Use of the GPU.") })),
  process: measured(
    Type.Object({
      residentBytes: bytes("Memory the agent itself holds."),
      cpuMs: Type.Number({ description: "CPU time the agent has used since it started." }),
    }),
  ),
  uptimeMs: measured(
    Type.Object({ value: Type.Number({ description: "Milliseconds since the device booted." }) }),
  ),
});

/** GET /v1/resources */
export const resources = Type.Object(
  {
    sequence: Type.Integer({ description: "Counts samples since the agent started." }),
    wallMs: epochMs("When the sample was taken."),
    monotonicMs: Type.Number({ description: "The same moment on the clock that never jumps." }),
    powerMode,
    sample,
  },
  { $id: "Resources" },
);

const orNull = (description: string) =>
  Type.Union([Type.Number(), Type.Null()], {
    description: `${description} Null where this device cannot tell.`,
  });

/** A point of the history. */
export const resourcePoint = Type.Object(
  {
    wallMs: epochMs("When the sample was taken."),
    cpuPercent: orNull("Use of all cores, 0–100."),
    memoryPercent: orNull("Memory in use, 0–100."),
    celsius: orNull("Hottest zone, degrees Celsius."),
    batteryPercent: orNull("State of charge, 0–100."),
    diskPercent: orNull("Disk in use, 0–100."),
    residentBytes: orNull("Memory the agent itself holds, bytes."),
  },
  { $id: "ResourcePoint" },
);

/** GET /v1/resources/history: `items` oldest first. */
export const resourceHistory = list("ResourceHistory", resourcePoint, {});
