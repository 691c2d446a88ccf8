/** What can happen that a fleet manager would want to hear of. Names are stable; they may grow. */
export type EventType =
  | "agent.started"
  | "agent.stopping"
  | "power.mode-changed"
  | "resources.sampled"
  | "readings.received"
  | "readings.refused"
  | "queue.lost"
  | "queue.shed"
  | "queue.dead-lettered"
  | "queue.store-recovered"
  | "store.repaired"
  | "uplink.up"
  | "uplink.down"
  | "uplink.took-over"
  | "uplink.command"
  | "mesh.peer-linked"
  | "mesh.peer-unlinked"
  | "mesh.agent-joined"
  | "mesh.agent-dead"
  | "mesh.agent-back"
  | "mesh.agent-left"
  | "roles.changed"
  | "relay.guest-joined"
  | "relay.guest-left"
  | "relay.refused"
  | "relay.forgotten"
  | "relay.host-chosen"
  | "bridge.attached"
  | "bridge.detached"
  | "token.created"
  | "token.revoked"
  | "access.granted"
  | "access.revoked"
  | "access.denied"
  | "mesh.peer-banned"
  | "mesh.peer-unbanned";

/** Takes note of what happened. Never throws, never blocks. */
export interface EventSink {
  emit(type: EventType, data: Readonly<Record<string, unknown>>): void;
}
