/** Starts of the service that are expected to fail. */

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CHILD_ENV } from './child-env.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface FailedStart {
  readonly code: number | null;
  /** Of the standard error. */
  readonly lines: readonly string[];
  readonly stdout: string;
}

/** Starts the service in an empty folder, with these settings and free ports, and waits for its end. */
export function failingStart(env: Readonly<Record<string, string>>): FailedStart {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
  const result = spawnSync(process.execPath, [MAIN], {
    cwd: folder,
    env: { ...CHILD_ENV, GATEHOUSE_GRPC_PORT: '0', GATEHOUSE_HTTP_PORT: '0', ...env },
    encoding: 'utf8',
    timeout: 20_000,
  });
  rmSync(folder, { recursive: true });
  return { code: result.status, lines: result.stderr.trim().split('\n'), stdout: result.stdout };
}

/** Holds a port while `use` runs. */
export async function withPortInUse(use: (port: string) => Promise<void>): Promise<void> {
  const blocker = createServer().listen(0, '127.0.0.1');
  await once(blocker, 'listening');
  try {
    await use(String((blocker.address() as AddressInfo).port));
  } finally {
    blocker.close();
  }
}
