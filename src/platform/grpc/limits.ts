/** What a message may weigh beyond its payload: names, ids, and the encoding itself. */
export const ENVELOPE_BYTES_MAX = 65_536;

/** Largest piece of an upload or download that is taken. */
export const CHUNK_BYTES_MAX = 1_048_576;

/** Pieces that are sent: large enough to cost little, small enough that others get in between. */
export const CHUNK_BYTES = 262_144;

/** Below this, gzip saves less than it costs. */
export const COMPRESS_BYTES_MIN = 1_024;

/** Compression is asked for by name, since grpc-js keeps `grpc-accept-encoding` of a request to itself. */
export const ACCEPT_ENCODING = "agent-mesh-accept-encoding";

/** Trailing metadata with the stable code behind a status. */
export const CODE_KEY = "agent-mesh-code";

/** Trailing metadata with the code of the agent that said no. */
export const REFUSAL_KEY = "agent-mesh-refusal";

/** An idle connection is asked whether it still stands. */
export const KEEPALIVE_MS = 30_000;

/** How long it may take to say so. */
export const KEEPALIVE_TIMEOUT_MS = 10_000;
