/** A service over a store that was filled before it started. */

import { type Gatehouse, startGatehouse, storeLocation } from '../support/gatehouse.ts';
import { type Filling, fill } from './filled-store.ts';
import { pin } from './machine.ts';

const QUIET = { GATEHOUSE_LOG_LEVEL: 'warn' };

export interface FilledGatehouse {
  readonly gatehouse: Gatehouse;
  /** Tokens of each filling. */
  readonly tokens: readonly (readonly string[])[];
}

/** Over the embedded store, on the core of the servers. None of the keys is in memory yet. */
export async function serveFilled(
  fillings: readonly Filling[],
  env: Readonly<Record<string, string>> = {},
): Promise<FilledGatehouse> {
  const { folder, tokens } = await filledFolder(fillings);
  const gatehouse = await startGatehouse({ env: { ...QUIET, ...env }, folder });
  pin(gatehouse.pid);
  return { gatehouse, tokens };
}

/** A folder with such a store, as `startGatehouse` takes it; who starts a service on it removes it with the service. */
export async function filledFolder(
  fillings: readonly Filling[],
): Promise<{ readonly folder: string; readonly tokens: readonly (readonly string[])[] }> {
  // Makes the store, with all that a new one has.
  const { folder, stop } = await startGatehouse({ env: QUIET });
  await stop();
  const tokens: string[][] = [];
  for (const filling of fillings) tokens.push(await fill(storeLocation(folder), filling));
  return { folder, tokens };
}
