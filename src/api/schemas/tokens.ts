import * as Type from "typebox";
import { epochMs, list } from "./common.ts";

/** What a token may do; each includes the ones before it. */
export const scope = Type.Enum(["viewer", "operator", "admin"]);

const tokenFields = {
  id: Type.String(),
  name: Type.String(),
  scope,
  createdAtMs: epochMs("When it was created."),
  expiresAtMs: Type.Optional(epochMs("When it ends.")),
  lastUsedAtMs: Type.Optional(epochMs("Latest use since the agent started.")),
};

/** A token without its secret. GET /v1/tokens/self */
export const token = Type.Object(tokenFields, { $id: "Token" });

/** GET /v1/tokens */
export const tokens = list("Tokens", token, {});

/** POST /v1/tokens: the only time that the secret is told. */
export const tokenCreated = Type.Object(
  {
    ...tokenFields,
    token: Type.String({ description: "The bearer token. It is not told again." }),
  },
  { $id: "TokenCreated" },
);

/** Body of POST /v1/tokens. */
export const tokenRequest = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 100, description: "Who or what will use it." }),
    scope,
    expiresInMs: Type.Optional(
      Type.Integer({ minimum: 1000, description: "Ends this long from now; absent: never." }),
    ),
  },
  { $id: "TokenRequest", additionalProperties: false },
);
