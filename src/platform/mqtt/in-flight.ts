const IDS = 65_535;
const FIRST_SIZE = 16;

/**
 * What waits for an acknowledgement, by packet identifier (MQTT 5 section 2.2.1): an identifier is given out again
 * only when its acknowledgement has come. A Map would do, but one through which tens of thousands pass a second keeps
 * V8's collector busy: each table that it outgrows holds on to the next one, and to all that was in it.
 */
export class InFlight<T> {
  /** Rings of the same size, a power of two; an identifier's place is its remainder. */
  #ids = new Uint16Array(FIRST_SIZE);
  #values: (T | undefined)[] = Array.from({ length: FIRST_SIZE });
  #size = 0;
  #lastId = 0;

  /** @returns an identifier that nothing waits under. */
  nextId(): number {
    if (this.#size >= IDS) throw new RangeError("every packet identifier is in use");
    if (this.#size === this.#ids.length) this.#grow();
    do this.#lastId = (this.#lastId % IDS) + 1;
    while (this.#ids[this.#placeOf(this.#lastId)] !== 0);
    return this.#lastId;
  }

  /** @param id from {@link nextId}, in the same turn */
  add(id: number, value: T): void {
    const place = this.#placeOf(id);
    this.#ids[place] = id;
    this.#values[place] = value;
    this.#size++;
  }

  /** @returns what waits under this identifier, which is free from now on; undefined where nothing does. */
  take(id: number): T | undefined {
    const place = this.#placeOf(id);
    if (id === 0 || this.#ids[place] !== id) return undefined;
    const value = this.#values[place];
    this.#ids[place] = 0;
    this.#values[place] = undefined;
    this.#size--;
    return value;
  }

  clear(): void {
    this.#ids.fill(0);
    this.#values.fill(undefined);
    this.#size = 0;
  }

  #placeOf(id: number): number {
    return id & (this.#ids.length - 1);
  }

  #grow(): void {
    const ids = this.#ids;
    const values = this.#values;
    this.#ids = new Uint16Array(ids.length * 2);
    this.#values = Array.from({ length: ids.length * 2 });
    for (const [at, id] of ids.entries()) {
      const place = this.#placeOf(id);
      this.#ids[place] = id;
      this.#values[place] = values[at];
    }
  }
}
