import type { Requirements } from "../access/requirements.ts";
import { MEMBERSHIP_PROTOCOL } from "./fleet/fleet.ts";
import { CHANNEL_PROTOCOL_ID } from "./messaging/channels.ts";
import { CONTENT_PROTOCOL_ID } from "./messaging/content.ts";
import { MAIL_PROTOCOL_ID } from "./messaging/mail.ts";
import { TOPIC_PREFIX } from "./messaging/names.ts";
import { FLEET_PROTOCOL } from "./survey/bounds.ts";

/** Says what others need to use the protocols that every node has. @throws RequirementError */
export function requireOwn(requirements: Requirements): void {
  requirements.protocol(MEMBERSHIP_PROTOCOL.id, { send: "membership" });
  requirements.protocol(FLEET_PROTOCOL.id, { send: "membership" });
  requirements.protocol(MAIL_PROTOCOL_ID, { send: "request" });
  requirements.protocol(CHANNEL_PROTOCOL_ID, { send: "request" });
  requirements.protocol(CONTENT_PROTOCOL_ID, { send: "transfer" });
  requirements.topics(TOPIC_PREFIX, { send: "publish", receive: "subscribe" });
}
