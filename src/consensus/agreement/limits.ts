/** Bytes of the id of a group or a proposal. */
export const ID_BYTES = 16;
/** Largest value. With what is around it, an entry fits into the 64 KiB that orderings take. */
export const VALUE_BYTES_MAX = 61_440;
/** Largest entry, and how much it may hold. */
export const ENTRY_BYTES_MAX = 65_536;
/** Items of an entry. */
export const ITEMS_MAX = 256;
/** Of a topic, which consists of lower case letters, digits, dots, hyphens and slashes. */
export const TOPIC_CHARACTERS_MAX = 64;
/** Of why a member rejects, in UTF-8. */
export const REASON_BYTES_MAX = 256;
/** How long members may have to vote: seven days. */
export const DEADLINE_MS_MAX = 604_800_000;
/** Members of a group. */
export const MEMBERS_MAX = 64;
/** Proposals that are open, of all members and of each; further ones are refused. */
export const OPEN_MAX = 256;
/** Open proposals of one member. */
export const OPEN_OF_ONE_MAX = 64;
/** Values of the proposals that are open, of all members and of each. */
export const OPEN_BYTES_MAX = 4 * 1_048_576;
/** Values of the open proposals of one member. */
export const OPEN_BYTES_OF_ONE_MAX = 1_048_576;
/** Decisions that are kept with their certificates; the oldest give way. */
export const DECISIONS_MAX = 1_024;
/** Values and reasons of decisions that are kept; the newest decision is kept in any case. */
export const DECISIONS_BYTES_MAX = 2 * 1_048_576;
/** Changes of members that are kept with their certificates, however many other decisions there were since. */
export const LINKS_MAX = 256;
/** Decided proposals that are known by their id; who proposes must know one of as many last decisions. */
export const RECENT_IDS_MAX = 4_096;
/** Pairs of words that contradict each other; the oldest give way. */
export const EVIDENCE_MAX = 64;
