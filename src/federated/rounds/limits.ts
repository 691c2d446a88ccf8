/** Updates of a round. */
export const UPDATES_MAX = 1_024;
/** Rounds of a task. */
export const ROUNDS_MAX = 1_000_000;
/** Samples that one update counts for. Together with the two above, the total of a task stays a safe integer. */
export const SAMPLES_MAX = 2 ** 23 - 1;
/** Words of one trainer on one base. */
export const EDITIONS_MAX = 8;
/** Those of who knows what it said before: one more for each time that it loses its update in a restart. */
export const SURE_EDITIONS_MAX = 4;
/** Largest update or model. */
export const TENSOR_BYTES_MAX = 268_435_456;
/** Largest encoded trainer's word; one takes about 110. */
export const WORD_BYTES_MAX = 160;
/** Largest update that goes with its word; longer ones are asked for. */
export const UPDATE_ALONG_BYTES_MAX = 16_384;
/** Largest sheet; one with 1,024 words takes about 230 KiB. */
export const SHEET_BYTES_MAX = 1_048_576;
/** Largest signed record. */
export const RECORD_BYTES_MAX = 512;
/** A decision of a committee of 64 with its certificate takes 8 KiB. */
export const DECISION_BYTES_MAX = 16_384;
/** Largest message between agents: a head, or a word with its update. */
export const MESSAGE_BYTES_MAX = DECISION_BYTES_MAX + 256;
/** Heads that are asked for in one message. */
export const TASKS_WANTED_MAX = 64;
/** Words of one task that wait for their round. */
export const WORDS_WAITING_MAX = 2_048;
/** Agents of which a table keeps something. */
export const PEERS_MAX = 16_384;
/** Proofs that are kept; the oldest give way. */
export const EVIDENCE_MAX = 256;
/** Records of one task that are before the committee. */
export const OPEN_MAX = 256;

/** Raw lengths on the wire. */
export const TASK_BYTES = 16;
/** Of a SHA-256. */
export const HASH_BYTES = 32;
/** Of a raw Ed25519 public key. */
export const KEY_BYTES = 32;
