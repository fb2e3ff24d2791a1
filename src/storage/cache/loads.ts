/**
 * Loads that are shared only by callers who asked before they began: nobody is given what was read before it asked. Of
 * each name at most one load runs and one waits, so a thousand callers of one record cost two reads.
 */

interface Load<Value> {
  next?: { readonly read: () => Promise<Value>; readonly answer: PromiseWithResolvers<Value> };
}

export class SharedLoads<Value> {
  readonly #running = new Map<string, Load<Value>>();

  get(name: string, read: () => Promise<Value>): Promise<Value> {
    const running = this.#running.get(name);
    if (running === undefined) return this.#start(name, read);
    running.next ??= { read, answer: Promise.withResolvers<Value>() };
    return running.next.answer.promise;
  }

  async #start(name: string, read: () => Promise<Value>): Promise<Value> {
    const load: Load<Value> = {};
    this.#running.set(name, load);
    try {
      return await read();
    } finally {
      if (load.next === undefined) this.#running.delete(name);
      else load.next.answer.resolve(this.#start(name, load.next.read));
    }
  }
}
