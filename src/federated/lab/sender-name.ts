/** @returns what a client is called where contributions are put in order: padded, so that the order is that of numbers */
export function senderName(client: number): string {
  return `client-${String(client).padStart(5, "0")}`;
}
