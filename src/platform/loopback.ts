/**
 * @param host an IP address, a name, or what `URL.hostname` says, which has IPv6 in brackets
 * @returns whether nobody but this device is there; a name that only begins like an address is none
 */
export function isLoopback(host: string): boolean {
  return (
    host === "localhost" || host === "::1" || host === "[::1]" || /^127(\.\d{1,3}){3}$/.test(host)
  );
}
