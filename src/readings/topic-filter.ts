const TOPIC_BYTES_MAX = 512;
const TOPIC_LEVELS_MAX = 32;

/**
 * Matches topics against one MQTT topic filter (MQTT 5 section 4.7).
 * @throws Error when the filter is not well-formed.
 */
export function topicMatcher(filter: string): (topic: string) => boolean {
  const levels = filter.split("/");
  levels.forEach((level, at) => {
    if (level.includes("#") && (level !== "#" || at !== levels.length - 1))
      throw new Error(`topic filter "${filter}": # stands alone, as the last level`);
    if (level.includes("+") && level !== "+")
      throw new Error(`topic filter "${filter}": + stands alone in its level`);
  });
  const open = levels.at(-1) === "#";
  const fixed = open ? levels.slice(0, -1) : levels;
  return (topic) => {
    const parts = topic.split("/");
    if (open ? parts.length < fixed.length : parts.length !== fixed.length) return false;
    // A wildcard in the first level does not match topics that begin with $.
    if (topic.startsWith("$") && (filter.startsWith("+") || filter.startsWith("#"))) return false;
    return fixed.every((level, at) => level === "+" || level === parts[at]);
  };
}

/** @returns what is wrong with a topic as the name of a stream, or undefined. */
export function topicFault(topic: string): string | undefined {
  if (topic.length === 0) return "the topic is empty";
  if (Buffer.byteLength(topic) > TOPIC_BYTES_MAX)
    return `the topic is over ${TOPIC_BYTES_MAX} bytes`;
  if (topic.split("/").length > TOPIC_LEVELS_MAX)
    return `the topic has more than ${TOPIC_LEVELS_MAX} levels`;
  // Control characters and non-characters: MQTT 5 section 1.5.4 lets a receiver refuse them.
  if (/[\p{Cc}\uFFFE\uFFFF\uFFFD]/u.test(topic)) return "the topic has control characters";
  return undefined;
}
