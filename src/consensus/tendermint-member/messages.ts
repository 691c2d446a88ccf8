import type { TendermintMessage } from "../tendermint/messages.ts";
import type { Part } from "../tendermint/parts.ts";
import type { Offer } from "./offer.ts";
import type { Operation } from "./operation.ts";
import type { SignedTicket } from "./ticket.ts";

/** What members tell each other beside the protocol itself. */
export type HouseMessage =
  /** Operations that wait to be decided. */
  | { readonly kind: "pool"; readonly operations: readonly Operation[] }
  /** Of somebody who is to be added: how far it is. Answered with an offer where it is far behind. */
  | { readonly kind: "join"; readonly ticket: SignedTicket; readonly height: number }
  | { readonly kind: "offer"; readonly offer: Offer }
  /** Asks for parts of a state. */
  | { readonly kind: "state-ask"; readonly digest: string; readonly indexes: readonly number[] }
  | { readonly kind: "state-part"; readonly digest: string; readonly part: Part };

/** Everything that members of a group say to each other. */
export type GroupMessage =
  | { readonly kind: "core"; readonly message: TendermintMessage }
  | HouseMessage;
