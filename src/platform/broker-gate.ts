/** What a client of the broker says of itself, and what is known of its connection. */
export interface BrokerCredentials {
  readonly clientId: string;
  readonly username?: string;
  readonly password?: Uint8Array;
  /** Common name of the certificate that the client proved to hold. */
  readonly certificateName?: string;
  /** Address that the connection comes from. */
  readonly address: string;
}

/** What one client may do. Asked for each message, so the answers must be cheap. */
export interface BrokerRights {
  /** Name of the user; undefined for an anonymous client. */
  readonly user: string | undefined;
  mayPublish(topic: string): boolean;
  /** Whether every topic that the filter matches may be read. */
  maySubscribe(filter: string): boolean;
  mayReceive(topic: string): boolean;
}

/** Why a client was not let in. */
export type BrokerRefusal =
  | "bad-credentials"
  | "not-authorized"
  /** Too many wrong passwords from there; asking again later helps. */
  | "too-many-attempts"
  /** Too many passwords being checked at once. */
  | "busy";

/** Decides whom the embedded broker lets in, and what they may do. */
export interface BrokerGate {
  /** Never rejects. */
  admit(credentials: BrokerCredentials): Promise<BrokerRights | BrokerRefusal>;
}
