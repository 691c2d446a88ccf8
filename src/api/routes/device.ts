import * as Type from "typebox";
import type { Measured } from "../../platform/device-probe.ts";
import { decodeCursor, encodeCursor, listQuery } from "../cursor.ts";
import { ApiProblem } from "../problem.ts";
import { alreadySent, type Router } from "../route.ts";
import type { Body } from "../schemas/common.ts";
import { device, deviceCapabilities } from "../schemas/device.ts";
import { power, powerPolicy } from "../schemas/power.ts";
import { resourceHistory, resources } from "../schemas/resources.ts";

const json = "application/json; charset=utf-8";

/** What the device is. */
export function addDevice({ add, context }: Router): void {
  add({
    method: "GET",
    url: "/v1/device",
    operationId: "getDevice",
    tag: "device",
    summary: "What this device and its agent are",
    scope: "viewer",
    success: { status: 200, description: "The device.", schema: device },
    handler: () => ({
      agentId: context.agentId,
      version: context.version,
      startedAtMs: context.startedAtMs,
      uptimeMs: Math.max(0, context.clock.wallMs() - context.startedAtMs),
      clock: { wallMs: context.clock.wallMs(), trusted: context.clock.wallTrusted() },
      identity: context.device.identity(),
      profile: context.device.profile(),
    }),
  });

  add({
    method: "GET",
    url: "/v1/device/capabilities",
    operationId: "getDeviceCapabilities",
    tag: "device",
    summary: "What this device can measure and do",
    scope: "viewer",
    success: { status: 200, description: "The capabilities.", schema: deviceCapabilities },
    problems: ["resources.not-sampled"],
    handler() {
      const { sample } = latest(context.device.latest());
      const sensors = Object.entries(sample).map(([name, value]: [string, Measured<object>]) =>
        value.available
          ? { name, available: true }
          : { name, available: false, reason: value.reason },
      );
      const { cpu, memory, disk } = sample;
      return {
        architecture: context.device.identity().architecture,
        ...(cpu.available ? { cpuCores: cpu.cores } : {}),
        ...(memory.available ? { memoryTotalBytes: memory.totalBytes } : {}),
        ...(disk.available ? { diskTotalBytes: disk.totalBytes } : {}),
        sensors,
        broker: context.brokerStatus().kind,
        uplinkKinds: [...new Set(context.uplinks.status().map(({ kind }) => kind))],
      };
    },
  });
}

const historyQuery = listQuery(
  {
    sinceMs: Type.Optional(
      Type.Number({ minimum: 0, description: "Not before this time, milliseconds since 1970." }),
    ),
  },
  { limitDefault: 500, limitMax: 5_000 },
);

/** How the device is. */
export function addResources({ add, context }: Router): void {
  const encoded = encodedOnce();
  add({
    method: "GET",
    url: "/v1/resources",
    operationId: "getResources",
    tag: "device",
    summary: "The latest look at the device",
    scope: "viewer",
    success: { status: 200, description: "The latest sample.", schema: resources },
    problems: ["resources.not-sampled"],
    handler(_request, reply) {
      reply.type(json).send(encoded(latest(context.device.latest())));
      return alreadySent;
    },
  });

  add({
    method: "GET",
    url: "/v1/resources/history",
    operationId: "listResourceHistory",
    tag: "device",
    summary: "Earlier looks at the device, oldest first",
    scope: "viewer",
    query: historyQuery,
    success: { status: 200, description: "A page of points.", schema: resourceHistory },
    problems: ["request.cursor"],
    handler({ query: { limit, cursor, sinceMs = 0 } }) {
      const filter = String(sinceMs);
      const after = decodeCursor(context.tokens.seal, "history", filter, cursor, "number");
      const begin = after === undefined ? sinceMs : after + 1;
      const points = context.device.history({ sinceMs: begin, limit: limit + 1 });
      const items = points.slice(0, limit);
      const last = items.at(-1);
      return {
        items,
        ...(points.length > limit && last !== undefined
          ? {
              nextCursor: encodeCursor(
                context.tokens.seal,
                "history",
                filter,
                Math.trunc(last.wallMs),
              ),
            }
          : {}),
      };
    },
  });
}

/** What the power policy makes of it. */
export function addPower({ add, context }: Router): void {
  add({
    method: "GET",
    url: "/v1/power",
    operationId: "getPower",
    tag: "device",
    summary: "The power mode, why it holds, and what it changes",
    scope: "viewer",
    success: { status: 200, description: "The power mode.", schema: power },
    handler: () => context.device.power(),
  });

  add({
    method: "GET",
    url: "/v1/power/policy",
    operationId: "getPowerPolicy",
    tag: "device",
    summary: "Thresholds of the power policy, and the settings of every mode",
    scope: "viewer",
    success: { status: 200, description: "The policy.", schema: powerPolicy },
    handler: () => context.device.powerPolicy(),
  });
}

function latest<Snapshot>(snapshot: Snapshot | undefined): Snapshot {
  if (snapshot === undefined) {
    throw new ApiProblem("resources.not-sampled", undefined, { headers: { "retry-after": "1" } });
  }
  return snapshot;
}

/** A snapshot is asked for many times and changes every few seconds: it is turned into JSON once. */
function encodedOnce(): (value: Body<typeof resources>) => string {
  let known: { readonly value: object; readonly text: string } | undefined;
  return (value) => {
    if (known?.value !== value) known = { value, text: JSON.stringify(value) };
    return known.text;
  };
}
