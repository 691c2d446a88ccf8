import { allows, type Scope, type TokenStore } from "../access/tokens.ts";
import type { Authenticate, BridgeAction, BridgePrincipal } from "../platform/bridge.ts";
import type { PeerId } from "../platform/signer.ts";

/** Least scope of a token for each thing that can be done over the bridge. */
const SCOPES: Readonly<Record<BridgeAction, Scope>> = {
  agents: "viewer",
  subscribe: "viewer",
  download: "viewer",
  publish: "operator",
  exchange: "operator",
  upload: "operator",
  link: "operator",
};

/** What an attached device may do with nothing but its certificate. */
const DEVICE_ACTIONS: ReadonlySet<BridgeAction> = new Set(["link", "publish", "exchange"]);

/**
 * Who comes in at the bridge's door: whoever has a token of this agent, and devices whose certificate leads to
 * `bridge.listen.tls.caFile`. A token that ends or is revoked may do nothing any more, on calls that go on too.
 * @param deviceIn the device that a certificate of its identity key names; undefined for certificates of others
 */
export function bridgeDoor(
  tokens: Pick<TokenStore, "authenticate" | "isLive">,
  deviceIn: (certificate: Uint8Array) => PeerId | undefined,
): Authenticate {
  return ({ token, certificate }): BridgePrincipal | undefined => {
    const peerId = certificate === undefined ? undefined : deviceIn(certificate);
    const device = peerId === undefined ? {} : { peerId };
    if (token === undefined)
      return peerId === undefined
        ? undefined
        : { name: `device ${peerId}`, ...device, allows: (action) => DEVICE_ACTIONS.has(action) };
    const bearer = tokens.authenticate(token);
    // A certificate does not mend a wrong token: who sends one means to be who it says.
    if (typeof bearer === "string") return undefined;
    const { id, scope } = bearer;
    return {
      name: `token ${id}`,
      ...device,
      allows: (action) => tokens.isLive(id) && allows(scope, SCOPES[action]),
    };
  };
}
