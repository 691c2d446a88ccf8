import type { AgentOffer, Requirements } from "./task.ts";

/** Whether an idle agent would meet all requirements. */
export function meets(offer: AgentOffer, needs: Requirements): boolean {
  return (
    needs.memoryBytes <= offer.memoryBytes &&
    needs.cpuShare <= offer.cpuShare &&
    (!needs.mains || offer.mains) &&
    offer.tasksMax >= 1 &&
    needs.skills.every((skill) => offer.skills.includes(skill))
  );
}

/**
 * Which requirements nobody meets, each as `skill camera`, `memory`, `processor` or `mains`. Where each is met by somebody,
 * but all of them by nobody: `all at once`. Without any agent: `an agent`. Empty where somebody meets all.
 */
export function unmet(needs: Requirements, offers: readonly AgentOffer[]): readonly string[] {
  if (offers.some((offer) => meets(offer, needs))) return [];
  if (offers.length === 0) return ["an agent"];
  const missing: string[] = [];
  for (const skill of needs.skills)
    if (!offers.some((offer) => offer.skills.includes(skill))) missing.push(`skill ${skill}`);
  if (!offers.some((offer) => offer.memoryBytes >= needs.memoryBytes)) missing.push("memory");
  if (!offers.some((offer) => offer.cpuShare >= needs.cpuShare)) missing.push("processor");
  if (needs.mains && !offers.some((offer) => offer.mains)) missing.push("mains");
  return missing.length === 0 ? ["all at once"] : missing;
}

/** Tasks of the same key are met by the same agents. */
export function keyOf({ skills, memoryBytes, cpuShare, mains }: Requirements): string {
  return JSON.stringify([[...new Set(skills)].sort(), memoryBytes, cpuShare, mains]);
}
