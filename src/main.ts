/** Settings -> app -> listen -> signals; nothing else. */

import { type App, startApp } from './app.ts';
import { greeting } from './greeting.ts';
import { readSettings, type Settings } from './settings.ts';

/** Runs the service until SIGTERM or SIGINT. A start that cannot be prints one line and exits with 1. */
export async function serve(env?: Readonly<Record<string, string | undefined>>): Promise<void> {
  let settings: Settings;
  let app: App;
  try {
    settings = readSettings(env);
    app = await startApp(settings);
  } catch (error) {
    process.stderr.write(`gatehouse: ${error instanceof Error ? error.message : 'the start failed'}\n`);
    process.exit(1);
  }
  process.stderr.write(greeting(settings, app));
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
