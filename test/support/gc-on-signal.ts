/** Loaded into a service under test (`--import`): SIGUSR2 collects garbage, so that its memory can be compared. */

process.on('SIGUSR2', () => {
  globalThis.gc?.();
  globalThis.gc?.();
});
