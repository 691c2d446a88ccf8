import t from "tap";
import { topicFault, topicMatcher } from "../../../src/readings/topic-filter.ts";
import { TopicMap } from "../../../src/readings/topic-map.ts";

t.test("topic filters match as MQTT 5 section 4.7 says", async (t) => {
  const table: [filter: string, yes: string[], no: string[]][] = [
    [
      "sport/tennis/player1/#",
      [
        "sport/tennis/player1",
        "sport/tennis/player1/ranking",
        "sport/tennis/player1/score/wimbledon",
      ],
      ["sport/tennis", "sport/tennis/player10", "sport/tennis/player2/x"],
    ],
    ["sport/#", ["sport", "sport/", "sport/a/b"], ["sports", "a/sport"]],
    ["#", ["a", "/", "a/b/c"], ["$SYS", "$SYS/x"]],
    ["sport/tennis/+", ["sport/tennis/player1", "sport/tennis/"], ["sport/tennis/player1/ranking"]],
    ["sport/+", ["sport/", "sport/a"], ["sport"]],
    ["+/+", ["/finance", "a/b"], ["finance", "$SYS/x"]],
    ["/+", ["/finance"], ["finance"]],
    ["+", ["finance", ""], ["/finance", "$SYS"]],
    ["+/tennis/#", ["a/tennis", "a/tennis/b"], ["tennis", "$a/tennis"]],
    ["$SYS/#", ["$SYS/", "$SYS/x"], ["SYS/x"]],
    ["$SYS/monitor/+", ["$SYS/monitor/Clients"], ["$SYS/monitor"]],
    ["ACCOUNTS", ["ACCOUNTS"], ["Accounts", "/ACCOUNTS"]],
    ["Accounts payable", ["Accounts payable"], []],
    ["a//b", ["a//b"], ["a/b", "a/x/b"]],
  ];
  for (const [filter, yes, no] of table) {
    const matches = topicMatcher(filter);
    t.same(
      yes.filter((topic) => !matches(topic)),
      [],
      `${filter} matches`,
    );
    t.same(no.filter(matches), [], `${filter} does not match`);
  }
  for (const filter of ["sport/tennis#", "sport/tennis/#/ranking", "sport+", "sport/+a/x", "#/a"])
    t.throws(() => topicMatcher(filter), /stands alone/, filter);
});

t.test("topics that can not name a stream", async (t) => {
  t.equal(topicFault("sensors/räum/1"), undefined);
  t.match(topicFault(""), /empty/);
  t.match(topicFault("x".repeat(513)), /512 bytes/);
  t.match(topicFault("ä".repeat(257)), /512 bytes/);
  t.match(topicFault("a/".repeat(32)), /32 levels/);
  for (const bad of ["a\u0000b", "a\u001f", "a\u0085", "a\uFFFE", "a\uFFFD"])
    t.match(topicFault(bad), /control characters/);
});

t.test("the first mapping that matches counts, also the second time", async (t) => {
  const topic = (filter: string, priority: number, expireAfterMs?: number) => ({
    filter,
    priority,
    format: "any" as const,
    keep: "all" as const,
    ...(expireAfterMs === undefined ? {} : { expireAfterMs }),
  });
  const map = new TopicMap([topic("a/b", 9), topic("a/#", 1, 0), topic("a/c", 5)], 60_000);
  for (let n = 0; n < 2; n++) {
    t.match(map.find("a/b").mapping, { priority: 9, expireAfterMs: 60_000 });
    t.match(map.find("a/c").mapping, { priority: 1, expireAfterMs: 0 });
    t.same(map.find("b"), { mapping: undefined, fault: undefined });
    t.match(map.find("a/\u0001"), { mapping: { priority: 1 }, fault: String });
  }
  t.throws(() => new TopicMap([topic("a", 1), topic("a#", 1)], 0), /mqtt\.topics\[1\]\.filter/);
});
