// Pools and networks are named by people and by us, but the daemon finds them by UUID. This remembers which is which.

interface Named { readonly name: string; readonly uuid: string }

export class ObjectNames<T extends Named> {
  private readonly known = new Map<string, T>();

  constructor(private readonly lookup: (name: string, options: { signal?: AbortSignal } | undefined) => Promise<T>, private readonly isGone: (error: unknown) => boolean) {}

  remember(object: T): T {
    this.known.set(object.name, object);
    return object;
  }

  forget(name: string): void {
    this.known.delete(name);
  }

  /** Runs `use` with the object of that name; asks again once when it was replaced by another of the same name. */
  async with<R>(name: string, options: { signal?: AbortSignal } | undefined, use: (object: T) => Promise<R>): Promise<R> {
    const known = this.known.get(name);
    if (known !== undefined) {
      try {
        return await use(known);
      } catch (error) {
        if (!this.isGone(error)) throw error;
        this.forget(name);
      }
    }
    return use(this.remember(await this.lookup(name, options)));
  }
}
