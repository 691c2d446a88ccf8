/** Cells are padded, as the formatter would have them. */
function row(cells: readonly string[], widths: readonly number[]): string {
  return `| ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join(" | ")} |`;
}

/**
 * A Markdown table that the formatter leaves as it is.
 * @param rows each as long as `head`; bars inside cells are escaped.
 */
export function markdownTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  const lines = [head, ...rows].map((cells) => cells.map((cell) => cell.replaceAll("|", "\\|")));
  const widths = head.map((_, at) => Math.max(3, ...lines.map((cells) => cells[at]?.length ?? 0)));
  const [first = [], ...rest] = lines;
  const rule = widths.map((width) => "-".repeat(width));
  return [first, rule, ...rest].map((cells) => row(cells, widths)).join("\n");
}
