/**
 * Puts an entry at the end of a map that is kept in order of use, and drops the one at its beginning when there are
 * more than `max`.
 */
export function putNewest<K, V>(map: Map<K, V>, key: K, value: V, max: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= max) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
