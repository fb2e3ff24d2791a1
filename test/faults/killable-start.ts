/** A start of the service that is not waited for, so that it can be killed in the middle. */

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CHILD_ENV } from '../support/child-env.ts';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

export interface KillableStart {
  /** Ends the process with kill -9, whatever it is at. @returns all that it printed for people. */
  kill(): Promise<string>;
}

/** @param rootKey GATEHOUSE_ROOT_KEY; empty: none. */
export function beginStart(uri: string, rootKey: string): KillableStart {
  const folder = mkdtempSync(join(tmpdir(), 'gatehouse-test-'));
  const child = spawn(process.execPath, [MAIN], {
    cwd: folder,
    env: {
      ...CHILD_ENV,
      MONGODB_URI: uri,
      GATEHOUSE_ROOT_KEY: rootKey,
      GATEHOUSE_GRPC_PORT: '0',
      GATEHOUSE_HTTP_PORT: '0',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let printed = '';
  child.stderr.on('data', (chunk: Buffer) => {
    printed += chunk.toString();
  });
  const end = new Promise((resolve) => child.once('close', resolve));
  return {
    async kill() {
      child.kill('SIGKILL');
      await end;
      rmSync(folder, { recursive: true, force: true });
      return printed;
    },
  };
}
