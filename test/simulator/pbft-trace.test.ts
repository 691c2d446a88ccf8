// The worked example of docs/pbft.md is what happens.
import t from "tap";
import type { Vote } from "../../src/consensus/pbft/vote.ts";
import { sameAsDocumented } from "../support/consensus/documented-trace.ts";
import { Cluster, type Mail } from "../support/pbft/cluster.ts";

const NAMES = ["a", "b", "c", "d"];

/** @returns undefined for what replicas say while nothing happens */
function wordsOf({ message }: Mail): string | undefined {
  // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- what is left out would fill the page
  switch (message.kind) {
    case "request":
      return "a client's request, handed on";
    case "pre-prepare":
      return `pre-prepare ${about(message.vote)}`;
    case "vote":
      return `${message.vote.kind} ${about(message.vote)}`;
    case "view-change":
    case "new-view":
      return message.kind;
    case "decision":
      return "decision, with its certificate";
    default:
      return undefined;
  }
}

function about({ view, sequence, digest }: Vote): string {
  return `view ${view}, number ${sequence}, batch ${digest.slice(0, 6)}`;
}

t.test("the worked example", async (t) => {
  const cluster = new Cluster();
  const lines: string[] = [];
  let told = 0;
  const say = (text: string): void => {
    // What is executed comes of the message before.
    for (const [at, { executed }] of cluster.nodes.entries())
      for (const { sequence, requests } of executed.splice(0))
        lines.push(
          `   ${NAMES[at]}     executes ${sequence}: ${requests.map(({ operation }) => Buffer.from(operation).toString()).join(", ") || "nothing"}`,
        );
    lines.push(text);
    told++;
  };
  const seen = (mail: Mail): boolean => {
    const words = wordsOf(mail);
    if (words !== undefined) say(`   ${NAMES[mail.from]} → ${NAMES[mail.to]} ${words}`);
    return true;
  };
  say("1. All are well; a is the primary of view 0");
  cluster.ask(cluster.request("client", 1, "open the valve"));
  cluster.deliver(seen);
  say("2. a is killed; a client asks the others");
  cluster.crash(0);
  cluster.ask(cluster.request("client", 2, "close the valve"));
  cluster.deliver(seen);
  say("3. Nothing happens until the others lose patience");
  cluster.fire("progress");
  cluster.deliver(seen);
  say("4. The group goes on, with b as the primary of view 1");
  t.ok(told > 20);
  t.equal(cluster.replica(1).view, 1);
  t.equal(cluster.replica(3).executed, 2);
  sameAsDocumented(t, "pbft.md", lines);
});
