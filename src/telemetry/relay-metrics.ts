import type { RelayGuestStatus, RelayStatus, RelayView } from "../mesh/relay/view.ts";
import type { Add } from "./add-metric.ts";

/** Registers `agent_mesh_relay_*`. Guests are summed up: their names are no labels, since anybody may become one. */
export function addRelay(gauge: Add, counter: Add, relay: RelayView): void {
  const hosting =
    <T>(from: (status: RelayStatus) => T) =>
    (): T | undefined => {
      const status = relay.status();
      return status.enabled ? from(status) : undefined;
    };
  const sum = (from: (guest: RelayGuestStatus) => number) =>
    hosting(({ guests }) => guests.reduce((total, guest) => total + from(guest), 0));

  gauge(
    "relay_offering",
    "1 while this agent relays for neighbours.",
    hosting(({ offering }) => Number(offering)),
  );
  gauge(
    "relay_guests",
    "Neighbours that hand over now.",
    sum(({ connected }) => Number(connected)),
  );
  gauge(
    "relay_queue_updates",
    "Updates of neighbours that are stored and not delivered.",
    sum(({ updates }) => updates),
  );
  gauge(
    "relay_queue_bytes",
    "Bytes of neighbours' updates on disk.",
    hosting(({ bytes }) => bytes),
  );
  counter(
    "relay_taken_total",
    "Updates stored for neighbours.",
    sum(({ taken }) => taken),
  );
  counter(
    "relay_repeated_total",
    "Updates that neighbours handed over again and that were known already.",
    sum(({ repeated }) => repeated),
  );
  counter(
    "relay_delivered_total",
    "Updates of neighbours that were delivered.",
    sum(({ delivered }) => delivered),
  );
  counter(
    "relay_dead_total",
    "Updates of neighbours that were refused upstream for good.",
    sum(({ dead }) => dead),
  );
  counter(
    "relay_forgotten_total",
    "Updates of neighbours that were lost with the store, and are asked for again.",
    hosting(({ forgotten }) => forgotten),
  );
  counter("relay_refusals_total", "Times that neighbours were told to come later, by code.", () => {
    const counts: Record<string, number> = {};
    for (const { refused } of relay.status().guests)
      for (const [code, times] of Object.entries(refused))
        counts[code] = (counts[code] ?? 0) + times;
    return Object.entries(counts).map(([code, value]) => ({ labels: { code }, value }));
  });
  gauge("relay_host_hops", "Agents on the way through a neighbour, by uplink.", () =>
    relay.status().hosts.map(({ uplink, hops }) => ({ labels: { uplink }, value: hops })),
  );
}
