/** Settings -> app -> listen -> signals, or a primary over several processes that do so; nothing else. */

import { fileURLToPath } from 'node:url';
import type { App } from './app.ts';
import { readSettings, type Settings } from './settings.ts';
import { createLog } from './telemetry/log.ts';
import { startPrimary } from './workers/primary.ts';
import { thisWorker } from './workers/worker.ts';

/** Runs the service until SIGTERM or SIGINT. A start that cannot be prints one line and exits with 1. */
export async function serve(env?: Readonly<Record<string, string | undefined>>): Promise<void> {
  const worker = thisWorker();
  let settings: Settings;
  let app: App;
  try {
    settings = readSettings(env);
    if (settings.workers > 1 && worker === undefined) {
      const program = fileURLToPath(import.meta.url);
      return startPrimary({
        workers: settings.workers,
        program,
        log: createLog({ level: settings.logLevel }),
      });
    }
    // Loaded here, so that a primary, which needs none of it, does not hold it in memory.
    const { startApp } = await import('./app.ts');
    app = await startApp(settings, worker);
  } catch (error) {
    process.stderr.write(`gatehouse: ${error instanceof Error ? error.message : 'the start failed'}\n`);
    process.exit(1);
  }
  // One greeting for all; but a root key that was made is printed by whoever made it, since nobody else knows it.
  if (worker === undefined || worker.first || app.roots.generated !== undefined) {
    const { greeting } = await import('./greeting.ts');
    process.stderr.write(greeting(settings, app));
  }
  if (worker !== undefined) return worker.started(() => void stop(app));
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      // A second signal ends it at once.
      process.once(signal, () => process.exit(1));
      void stop(app);
    });
  }
}

async function stop(app: App): Promise<void> {
  try {
    await app.stop();
    process.exit(0);
  } catch (err) {
    app.log.error({ err }, 'the stop did not go well');
    process.exit(1);
  }
}

if (import.meta.main) await serve();
