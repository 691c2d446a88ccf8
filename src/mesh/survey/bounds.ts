import type { Protocol } from "../../platform/network.ts";

/** Records in one answer: what is verified at a stretch, some tens of milliseconds on a small device. */
export const ANSWER_RECORDS_MAX = 64;
/** Records in one answer, in bytes. */
export const ANSWER_BYTES_MAX = 49_152;
/** Largest filter that a request carries: 13 bits for each of 10,000 agents. */
export const FILTER_BYTES_MAX = 16_384;
/** Largest message either way. */
export const FLEET_MESSAGE_BYTES_MAX = 65_536;
/** Answers that an agent gives, to all askers together; a survey of its whole table at once, and then a few a second. */
export const ANSWERS_PER_SECOND = 8;
/** @see ANSWERS_PER_SECOND */
export const ANSWERS_BURST = 64;

/** Rows that a survey keeps: some 6 MB. */
export const ROWS_MAX = 20_000;
/** Agents that wait to be asked. */
export const CONTACTS_MAX = 8_192;
/** Agents asked at once. */
export const ASKS_IN_FLIGHT_MAX = 8;
/** Agents asked in one survey. */
export const ASKS_MAX = 4_096;
/** Requests in one survey; an agent with a large table is asked several times. */
export const REQUESTS_MAX = 8_192;
/** Requests and answers of one survey, in bytes. */
export const SURVEY_BYTES_MAX = 67_108_864;
/** How long a survey may take. */
export const SURVEY_DEADLINE_MS = 180_000;
/** While the whole sample is found: answers in a row that brought almost nobody new before it is believed. */
export const CONFIRMING_ANSWERS = 128;
/** While it is not: answers in a row without anybody new that end the survey. */
export const FRUITLESS_ANSWERS_MAX = 192;
/** A finished survey is the answer for this long. */
export const SURVEY_KEPT_MS = 60_000;

/** Asks other agents whom they know. */
export const FLEET_PROTOCOL: Protocol = {
  id: "/agent-mesh/fleet/1.0.0",
  messageBytesMax: FLEET_MESSAGE_BYTES_MAX,
  queueBytesMax: 262_144,
  requestsInFlightMax: 4,
};
