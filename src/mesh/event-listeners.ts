/** Who hears of one kind of event. A listener that fails keeps nobody else from hearing. */
export class EventListeners<Event> {
  readonly #listeners = new Set<(event: Event) => void>();
  readonly #onFault: (error: unknown) => void;

  /** @param onFault hears what listeners throw */
  constructor(onFault: (error: unknown) => void) {
    this.#onFault = onFault;
  }

  /** @returns what ends it */
  add(listener: (event: Event) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  tell(event: Event): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#onFault(error);
      }
    }
  }
}
