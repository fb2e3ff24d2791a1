/** A client in Python: grpcio, with code generated from /proto by protoc. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';
import { describeClient } from './grpc-client.ts';
import { runTool } from './program.ts';

const python = process.env.GATEHOUSE_TEST_PYTHON ?? '';
const SOURCES = join(import.meta.dirname, 'python');

describe.skipIf(python === '')('a client in Python', () => {
  describeClient(async () => {
    const generated = mkdtempSync(join(tmpdir(), 'gatehouse-python-'));
    await runTool(python, [join(SOURCES, 'generate.py'), generated]);
    return {
      // -B: nothing is written beside the sources.
      command: [python, '-B', join(SOURCES, 'client.py')],
      env: { PYTHONPATH: generated },
      remove: () => rmSync(generated, { recursive: true, force: true }),
    };
  });
});
