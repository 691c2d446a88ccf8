import * as Type from "typebox";

/** Settings under `relay`. */
export const relayOptions = Type.Object(
  {
    enabled: Type.Optional(
      Type.Boolean({
        description:
          "Take updates of neighbours and send them on. Unless set: yes, where the mesh is on and there is an uplink of kind mqtt, https or nats. One that has neighbours alone relays for others where this is true.",
      }),
    ),
    guestsMax: Type.Integer({
      minimum: 1,
      maximum: 1_024,
      default: 16,
      description: "Neighbours that are relayed for at once.",
    }),
    bytesMax: Type.Integer({
      minimum: 65_536,
      maximum: 17_179_869_184,
      default: 67_108_864,
      description: "Bytes of all guests' updates kept on disk.",
    }),
    bytesPerGuestMax: Type.Integer({
      minimum: 65_536,
      maximum: 17_179_869_184,
      default: 16_777_216,
      description: "Bytes of one guest's updates kept on disk.",
    }),
    bytesPerMinuteMax: Type.Integer({
      minimum: 1_024,
      maximum: 17_179_869_184,
      default: 268_435_456,
      description: "Bytes taken from all guests in a minute.",
    }),
    bytesPerGuestPerMinuteMax: Type.Integer({
      minimum: 1_024,
      maximum: 17_179_869_184,
      default: 134_217_728,
      description: "Bytes taken from one guest in a minute.",
    }),
    streamsMax: Type.Integer({
      minimum: 16,
      maximum: 100_000,
      default: 10_000,
      description:
        "Streams of all guests that are remembered; those that were settled longest ago give way.",
    }),
    hopsMax: Type.Integer({
      minimum: 1,
      maximum: 8,
      default: 3,
      description: "Agents that an update may pass on its way to an uplink, its own not counted.",
    }),
    ownWeight: Type.Integer({
      minimum: 1,
      maximum: 1_000,
      default: 4,
      description:
        "How much this agent's own updates weigh beside those of one guest, while both wait for the uplink.",
    }),
    powerModeMin: Type.Enum(["normal", "saving"], {
      default: "saving",
      description:
        "The thriftiest power mode in which updates of others are taken; never in `aggressive` and `critical`.",
    }),
    minBatteryPercent: Type.Integer({
      minimum: 0,
      maximum: 100,
      default: 40,
      description: "While on battery: nothing is taken below this charge.",
    }),
    forgetAfterDays: Type.Integer({
      minimum: 1,
      maximum: 3_650,
      default: 30,
      description:
        "A guest that has not shown itself for so long, and of which nothing waits, is forgotten.",
    }),
  },
  {
    additionalProperties: false,
    default: {},
    description: "Relaying for neighbours that have no uplink of their own.",
  },
);

/** @see relayOptions */
export type RelayOptions = Type.Static<typeof relayOptions>;

/** @returns what each key of `relay` allows and their combination does not; every line names its setting */
export function relayFaults(relay: RelayOptions, meshIsOn: boolean): string[] {
  const faults: string[] = [];
  if (relay.enabled === true && !meshIsOn)
    faults.push("relay.enabled needs mesh.enabled=true: guests come over the mesh");
  if (relay.bytesPerGuestMax > relay.bytesMax)
    faults.push("relay.bytesPerGuestMax is over relay.bytesMax");
  if (relay.bytesPerGuestPerMinuteMax > relay.bytesPerMinuteMax)
    faults.push("relay.bytesPerGuestPerMinuteMax is over relay.bytesPerMinuteMax");
  return faults;
}
