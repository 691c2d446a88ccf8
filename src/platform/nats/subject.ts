/**
 * Subjects have tokens between dots, and no blanks or wildcards in them (NATS, "Subject-Based Messaging"). What a
 * topic may hold beyond that is written as `%` and its bytes in hexadecimal, so that no two topics meet.
 */
const FORBIDDEN = /[.*>%\s\p{Cc}]/gu;
/** A header's value ends with its line, and blanks around it are cut off. */
const FORBIDDEN_IN_HEADER = /[%\p{Cc}]|^\s+|\s+$/gu;

/** @returns `{prefix}.{agentId}.{topic}`, with dots for the topic's slashes; `prefix` is a subject already. */
export function subjectOf(prefix: string, agentId: string, topic: string): string {
  return `${prefix}.${token(agentId)}.${topic.split("/").map(token).join(".")}`;
}

/** @returns the topic that {@link subjectOf} was given, from the tokens after prefix and agent. */
export function topicOf(tokens: string): string {
  return tokens
    .split(".")
    .map((token) => (token === "%" ? "" : decode(token)))
    .join("/");
}

/** @returns text as a header's value. */
export function headerValue(text: string): string {
  return text.replaceAll(FORBIDDEN_IN_HEADER, percent);
}

function token(text: string): string {
  // A token can not be empty; "%" alone stands for nothing else.
  return text === "" ? "%" : text.replaceAll(FORBIDDEN, percent);
}

function percent(text: string): string {
  return [...Buffer.from(text, "utf8")]
    .map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`)
    .join("");
}

function decode(token: string): string {
  try {
    return decodeURIComponent(token);
  } catch {
    return token;
  }
}
