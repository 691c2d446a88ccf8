/** Stands before the names of topics in gossipsub. */
export const TOPIC_PREFIX = "agent-mesh/topic";
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}(\/[A-Za-z0-9._-]{1,64}){0,7}$/;

/**
 * @returns the name under which a topic travels in gossipsub
 * @throws RangeError for a name that is not letters, digits, `.`, `_`, `-` in at most eight parts between `/`
 */
export function topicId(topic: string): string {
  if (!NAME.test(topic))
    throw new RangeError(
      `"${topic.slice(0, 100)}" can not be a topic: letters, digits, ".", "_", "-", in parts of at most 64 between "/"`,
    );
  return `${TOPIC_PREFIX}/${topic}`;
}

/** @returns the protocol under which a task is called @throws RangeError, as {@link topicId} does */
export function taskProtocolId(task: string): string {
  if (!NAME.test(task) || task.includes("/"))
    throw new RangeError(
      `"${task.slice(0, 100)}" can not be a task: letters, digits, ".", "_", "-", at most 64`,
    );
  return `/agent-mesh/task/${task}/1.0.0`;
}
