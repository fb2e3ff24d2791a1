/** A client in Go: google.golang.org/grpc, with code generated from /proto. */

import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe } from 'vitest';
import { BUF, borrowProtos } from '../../scripts/generate.js';
import { root } from '../../scripts/run-tool.js';
import { describeClient } from './grpc-client.ts';
import { runTool } from './program.ts';

const go = process.env.GATEHOUSE_TEST_GO ?? '';
const plugins = process.env.GATEHOUSE_TEST_GO_PLUGINS ?? '';
const SOURCES = join(import.meta.dirname, 'go');

describe.skipIf(go === '' || plugins === '')('a client in Go', () => {
  describeClient(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'gatehouse-go-'));
    cpSync(SOURCES, folder, { recursive: true });
    borrowProtos();
    const buf = [join(root, 'node_modules', BUF), 'generate', '--output', folder];
    await runTool(process.execPath, [...buf, '--template', join(SOURCES, 'buf.gen.yaml')], {
      cwd: root,
      env: { PATH: `${plugins}${delimiter}${process.env.PATH}` },
    });
    const program = join(folder, 'client');
    // -trimpath: what was compiled in one temporary folder is good in the next.
    await runTool(go, ['build', '-trimpath', '-o', program, '.'], { cwd: folder, env: process.env });
    return {
      command: [program],
      remove: () => rmSync(folder, { recursive: true, force: true }),
    };
  });
});
