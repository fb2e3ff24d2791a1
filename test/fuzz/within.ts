/** Waits for the first of them, and no longer than so many milliseconds. */
export async function within(ms: number, ...awaited: readonly Promise<unknown>[]): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, ms);
  await Promise.race([promise, ...awaited]);
  clearTimeout(timer);
}
