/** @returns an HTML table; without rows it says so */
export function htmlTable(
  headings: readonly string[],
  rows: readonly (readonly string[])[],
): string {
  if (rows.length === 0) return "<p>none</p>";
  const head =
    headings.length === 0
      ? ""
      : `<tr>${headings.map((each) => `<th>${escapeHtml(each)}</th>`).join("")}</tr>`;
  const body = rows.map(
    (row) => `<tr>${row.map((cell) => `<td>${escapeHtml(cell)}</td>`).join("")}</tr>`,
  );
  return `<table>${head}${body.join("")}</table>`;
}

/** @returns text that is nothing but text in HTML */
export function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}
