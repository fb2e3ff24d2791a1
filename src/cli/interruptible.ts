/** Work that Ctrl-C ends between two of its steps. */

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

/**
 * Does the work with a signal that is aborted when this process is told to end. Where the work ends for that reason, so
 * does the process, by the same signal: whoever waits for it learns why. A second one ends it at once.
 *
 * @param onInterrupt told just before.
 */
export async function interruptible<Answer>(
  work: (signal: AbortSignal) => Promise<Answer>,
  onInterrupt: () => void,
): Promise<Answer> {
  const interruption = new AbortController();
  let told: NodeJS.Signals | undefined;
  const interrupt = (signal: NodeJS.Signals) => {
    told = signal;
    stopListening();
    interruption.abort();
  };
  const stopListening = () => {
    for (const signal of SIGNALS) process.removeListener(signal, interrupt);
  };
  for (const signal of SIGNALS) process.on(signal, interrupt);
  try {
    return await work(interruption.signal);
  } catch (error) {
    if (told !== undefined && error === interruption.signal.reason) {
      onInterrupt();
      process.kill(process.pid, told);
    }
    throw error;
  } finally {
    stopListening();
  }
}
