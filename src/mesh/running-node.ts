import type { NetworkEvent } from "../platform/network.ts";
import type { PeerId } from "../platform/signer.ts";
import { Errands } from "./fleet/errands.ts";
import { Fleet } from "./fleet/fleet.ts";
import type { MemberChange } from "./membership/member.ts";
import { Channels } from "./messaging/channels.ts";
import { Mail } from "./messaging/mail.ts";
import { Topics } from "./messaging/topics.ts";
import type { MeshParts, MessageListener } from "./node-parts.ts";
import { SurveyRunner } from "./survey/runner.ts";

/** What a start brings. */
interface Start {
  readonly epoch: number;
  /** Records kept from earlier starts. */
  readonly remembered: readonly Uint8Array[];
  /** Sees to a link. @throws NetworkError */
  readonly link: (peer: PeerId) => Promise<void>;
  readonly onMessage: MessageListener;
  readonly onChange: (change: MemberChange) => void;
  /** Hears what listeners throw. */
  readonly onFault: (error: unknown) => void;
}

/** What a node has from its start on: the fleet around it, and what needs the epoch of this start to tell messages apart. */
export class RunningNode {
  readonly fleet: Fleet;
  readonly mail: Mail;
  readonly topics: Topics;
  readonly channels: Channels;
  readonly surveys: SurveyRunner;
  readonly errands: Errands;

  constructor(parts: MeshParts, start: Start) {
    const { network, clock, random, limits, membership } = parts;
    const { epoch, remembered, link, onMessage, onChange, onFault } = start;
    this.mail = new Mail({ network, clock, random, epoch, ...limits, link, receive: onMessage });
    this.channels = new Channels({ network, random, ...limits, link });
    this.topics = new Topics(network, epoch, onFault);
    this.fleet = new Fleet({ ...parts, options: membership, epoch, remembered, onChange });
    const { fleet } = this;
    this.errands = new Errands({
      clock,
      random: random.fork("errands"),
      open: (peer) => fleet.linkFor(peer),
      part: (peer) => fleet.part(peer),
      hasRoom: () => fleet.size().agents <= limits.connectionsMax,
    });
    this.surveys = new SurveyRunner({ ...parts, random: random.fork("survey"), fleet });
  }

  /** Passes on what the network tells. */
  take(event: NetworkEvent): void {
    this.fleet.take(event);
    if (event.kind === "link-up") this.mail.linked(event.link.peer);
    if (event.kind === "link-down") {
      this.channels.unlinked(event.peer);
      this.errands.linkDown(event.peer);
    }
  }

  /** What came and was not taken, by kind. */
  untaken(): Readonly<Record<string, number>> {
    const { replayed, malformed } = this.topics.counters();
    const messages = { replayedMessages: replayed, malformedMessages: malformed };
    return { ...this.fleet.idleGossip(), ...messages };
  }

  /** Says good-bye. @throws StoreError */
  async stop(): Promise<void> {
    this.mail.close();
    this.channels.close();
    this.surveys.stop();
    this.errands.stop();
    await this.fleet.stop();
  }
}
