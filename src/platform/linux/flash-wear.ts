import type { FlashWearSample, Measured } from "../device-probe.ts";
import { absent } from "./absent.ts";
import type { KernelFiles } from "./kernel-files.ts";

/** JESD84-B51, PRE_EOL_INFO: how much of the reserved blocks is used up. */
const preEolByCode: Readonly<Record<number, FlashWearSample["preEol"]>> = {
  1: "normal",
  2: "warning",
  3: "urgent",
};

/**
 * What an eMMC tells of its own wear (kernel `Documentation/driver-api/mmc/mmc-dev-attrs`). Of several, the
 * most worn one. SD cards tell nothing there.
 */
export async function sampleFlashWear(files: KernelFiles): Promise<Measured<FlashWearSample>> {
  const cards = files.list("/sys/block").filter((name) => /^mmcblk\d+$/.test(name));
  let worst: FlashWearSample | undefined;
  for (const card of cards) {
    const directory = `/sys/block/${card}/device`;
    const lifeTime = await files.text(`${directory}/life_time`);
    const steps = lifeTime === undefined ? [] : lifeTime.split(" ").map(parseHex);
    // Type A and type B cells; 0 is "not defined", 11 is "past its life".
    const worn = Math.max(0, ...steps.filter((step) => step >= 1 && step <= 11));
    if (worn === 0 || worn * 10 <= (worst?.lifeUsedPercent ?? 0)) continue;
    const preEol = preEolByCode[parseHex((await files.text(`${directory}/pre_eol_info`)) ?? "")];
    worst = { device: card, lifeUsedPercent: worn * 10, preEol: preEol ?? "unknown" };
  }
  if (worst !== undefined) return { available: true, ...worst };
  if (cards.length === 0) return absent("no eMMC or SD card (/sys/block/mmcblk*)");
  const types = await Promise.all(
    cards.map((card) => files.text(`/sys/block/${card}/device/type`)),
  );
  return absent(
    types.includes("SD")
      ? `the SD card ${cards[types.indexOf("SD")]} does not tell its wear`
      : `${cards.join(", ")} does not tell its wear`,
  );
}

function parseHex(text: string): number {
  return /^0x[0-9a-f]{1,2}$/i.test(text) ? Number.parseInt(text, 16) : 0;
}
