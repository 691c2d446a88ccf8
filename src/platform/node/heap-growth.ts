import { setFlagsFromString } from "node:v8";

const FLAG = "--heap-growing-percent";
/** How many in this process have asked for more at the moment. */
let asked = 0;

/**
 * Lets V8's heap grow further between two collections of all of it, in a process that was started to keep it small (`bin/agent-mesh`); in others
 * nothing changes. V8 reads the flag anew at the end of each collection.
 * @param percent beyond what is alive
 * @returns undoes it, once
 */
export function letHeapGrow(percent: number): () => void {
  const started = process.execArgv.find((word) => word.startsWith(`${FLAG}=`));
  if (started === undefined) return () => undefined;
  asked++;
  setFlagsFromString(`${FLAG}=${percent}`);
  let isUndone = false;
  return () => {
    if (isUndone) return;
    isUndone = true;
    if (--asked === 0) setFlagsFromString(started);
  };
}
