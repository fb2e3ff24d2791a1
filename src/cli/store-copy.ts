/** `gatehouse store copy`. */

import type { Command } from 'commander';
import type { Comparison } from '../storage/copy/compare.ts';
import type { CopyResult } from '../storage/copy/copy.ts';
import type { CopyOptions } from '../storage/copy/progress.ts';
import { shownJson } from './escape.ts';
import { interruptible } from './interruptible.ts';
import { PLACES_HELP, readPlace } from './store-place.ts';
import { type Column, table } from './table.ts';
import { BadUsage, type Terminal } from './terminal.ts';

interface StoreCopyOptions {
  readonly from: string;
  readonly to: string;
  readonly json?: true;
}

const COLUMNS: readonly Column<Comparison>[] = [
  { title: 'RECORDS', text: ({ kind }) => kind },
  { title: 'COUNT', text: ({ source }) => String(source.count) },
  { title: 'DIGEST', text: ({ source }) => source.digest },
];

export function addStoreCopy(program: Command, terminal: Terminal): void {
  const command = program
    .command('store')
    .description('the store itself; calls no server')
    .command('copy')
    .description(
      'copy everything that one store holds into another, which is new or empty. Stop the service first. What was interrupted goes on with the same command, and no service starts on half a store.',
    )
    .requiredOption('--from <store>', 'store to read; it stays as it is')
    .requiredOption('--to <store>', 'store to fill')
    .addHelpText('after', PLACES_HELP);
  command.action(async () => {
    const options = command.optsWithGlobals<StoreCopyOptions>();
    const from = readPlace(terminal, '--from', options.from);
    const to = readPlace(terminal, '--to', options.to);
    if (from === to) throw new BadUsage('--from and --to name the same store');
    const result = await copyShowing(terminal, from, to);
    terminal.print(options.json ? shownJson(resultJson(result)) : resultText(result, await nameOf(to)));
  });
}

async function copyShowing(terminal: Terminal, from: string, to: string): Promise<CopyResult> {
  // Loaded here, so that no other command loads drivers of stores.
  const { showProgress } = await import('./copy-progress.ts');
  const progress = showProgress(terminal.stderr);
  const work = async (signal: AbortSignal) => {
    try {
      return await copyBetween(from, to, { signal, onProgress: progress.onProgress });
    } finally {
      progress.stop();
    }
  };
  return interruptible(work, () =>
    terminal.stderr.write('interrupted; the same command goes on where it was\n'),
  );
}

async function copyBetween(from: string, to: string, options: CopyOptions): Promise<CopyResult> {
  const { openStore, nameLocation } = await import('../storage/open.ts');
  const { copyStore } = await import('../storage/copy/copy.ts');
  const { Side } = await import('../storage/copy/side.ts');
  const source = await openStore(from, { existing: true });
  try {
    const target = await openStore(to, { unfinished: true });
    try {
      return await copyStore(
        new Side(source, nameLocation(from)),
        new Side(target, nameLocation(to)),
        options,
      );
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

async function nameOf(place: string): Promise<string> {
  return (await import('../storage/open.ts')).nameLocation(place);
}

function resultText({ kinds, resumedAfter }: CopyResult, target: string): string {
  const resumed = resumedAfter === 0 ? '' : `, of which ${resumedAfter} records by an earlier run`;
  return `copied to ${target}${resumed}; both stores were read again and hold the same\n\n${table(COLUMNS, kinds, undefined)}`;
}

function resultJson({ kinds, resumedAfter }: CopyResult) {
  return {
    resumedAfter,
    records: kinds.map(({ kind, source: { count, digest } }) => ({ kind, count, digest })),
  };
}
