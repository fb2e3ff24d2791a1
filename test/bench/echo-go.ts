/** Builds and starts the echo server of `echo-go`: grpc-go, with code generated from /proto. */

import { cpSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { BUF, borrowProtos } from '../../scripts/generate.js';
import { root } from '../../scripts/run-tool.js';
import { findTools } from '../../scripts/setup-tests.js';
import { runTool } from '../interop/program.ts';
import { type ServerProcess, startServer } from './server-process.ts';

const SOURCES = join(import.meta.dirname, 'echo-go');

/** @param folder where it is built. @throws Error where there is no Go, or none of its plugins for buf. */
export async function startGoEcho(folder: string): Promise<ServerProcess> {
  const { GATEHOUSE_TEST_GO: go = '', GATEHOUSE_TEST_GO_PLUGINS: plugins = '' } = findTools();
  if (go === '' || plugins === '')
    throw new Error('there is no Go, or none of what `npm test` sets up for it');
  const place = join(folder, 'echo-go');
  cpSync(SOURCES, place, { recursive: true });
  borrowProtos();
  const buf = [join(root, 'node_modules', BUF), 'generate', '--output', place];
  await runTool(process.execPath, [...buf, '--template', join(SOURCES, 'buf.gen.yaml')], {
    cwd: root,
    env: { PATH: `${plugins}${delimiter}${process.env.PATH}` },
  });
  const program = join(place, 'echo');
  await runTool(go, ['build', '-trimpath', '-o', program, '.'], { cwd: place, env: process.env });
  return startServer(program, [], { GOMAXPROCS: '1' });
}
