import type { EventSink } from "../platform/event-sink.ts";
import type { AuditTrail } from "./audit.ts";

/** @returns a sink that passes everything on, and notes in the audit log when tokens are made and taken back. */
export function auditedEvents(events: EventSink, audit: AuditTrail): EventSink {
  return {
    emit(type, data) {
      events.emit(type, data);
      if (type !== "token.created" && type !== "token.revoked") return;
      const { id, name, scope } = data;
      audit.note({
        // Who holds an admin token of this device; the event does not say which.
        actor: "local",
        action: type,
        subject: `token:${String(id)}`,
        outcome: "allowed",
        detail: [name, scope].filter((text) => typeof text === "string").join(" "),
      });
    },
  };
}
