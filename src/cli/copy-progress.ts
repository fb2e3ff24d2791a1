/** How far a copy is: a bar on a terminal, a line now and then elsewhere. */

import { type Options, SingleBar } from 'cli-progress';
import type { CopyOptions, CopyStep } from '../storage/copy/progress.ts';

const BAR = '{step} [{bar}] {percentage}%  {value} of {total} records, {eta_formatted} left';
const LINE = '{step}: {value} of {total} records ({percentage}%)';
/** Milliseconds between two lines. */
const LINE_EVERY = 5000;

export interface CopyProgress {
  readonly onProgress: CopyOptions['onProgress'];
  /** Leaves the place to what is printed next. */
  stop(): void;
}

export function showProgress(stderr: NodeJS.WritableStream): CopyProgress {
  const options: Options = {
    stream: stderr,
    format: 'isTTY' in stderr && stderr.isTTY === true ? BAR : LINE,
    // So that all of it fits into 80 columns.
    barsize: 20,
    noTTYOutput: true,
    notTTYSchedule: LINE_EVERY,
    clearOnComplete: true,
    // Left as it is, so that nobody has to mend the terminal after a kill -9.
    linewrap: true,
    formatValue: (value, _, type) => (type === 'percentage' ? String(value) : value.toLocaleString('en')),
  };
  let bar: SingleBar | undefined;
  let shown: CopyStep | undefined;
  return {
    onProgress(step, done, total) {
      // An estimate may be less than what there is.
      const most = Math.max(done, total);
      if (step !== shown) {
        bar?.stop();
        bar = new SingleBar(options);
        bar.start(most, done, { step });
        shown = step;
      }
      bar?.setTotal(most);
      bar?.update(done);
    },
    stop: () => bar?.stop(),
  };
}
