/** The first signal asks for an orderly stop; a second one does not wait for it. */
export function stopSignal(): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const)
      process.on(signal, () => {
        process.once(signal, () => process.exit(1));
        resolve(signal);
      });
  });
}
