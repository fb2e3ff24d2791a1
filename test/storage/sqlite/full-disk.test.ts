import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { type Child, nextLine, startChild } from './child.ts';
import { dataFile, openForTest } from './data-file.ts';

const LIMIT = 2 * 1024 * 1024;

/** What the child answers to each of the commands. */
async function answers(child: Child, ...commands: string[]): Promise<string[]> {
  const said: string[] = [];
  for (const command of commands) {
    child.process.stdin?.write(`${command}\n`);
    said.push(await nextLine(child));
  }
  return said;
}

// A limit on the size of files makes real writes fail, and unlike a full disk it can be had without being root.
// The system raises it later for the running process, as if somebody had made room.
describe.runIf(process.platform === 'linux')('where the disk is full', () => {
  test('writes are rejected as unavailable, reads go on, and so do writes once there is room', async () => {
    const path = await dataFile();
    const child = startChild('./full-disk-child.ts', [path], ['prlimit', `--fsize=${LIMIT}:unlimited`]);
    expect(await nextLine(child)).toBe('ready');
    expect(await answers(child, 'fill')).toEqual(['full']);
    for (let round = 0; round < 3; round++) {
      expect(await answers(child, 'add', 'ping', 'read', 'count')).toEqual([
        'unavailable',
        'unavailable',
        'found',
        'as acknowledged',
      ]);
    }
    await promisify(execFile)('prlimit', [`--pid=${child.process.pid}`, '--fsize=unlimited:unlimited']);
    expect(await answers(child, 'add', 'ping', 'read', 'count')).toEqual([
      'added',
      'pong',
      'found',
      'as acknowledged',
    ]);
    await child.kill();
    expect((await (await openForTest(path)).countKeys({}, 0)).total).toBeGreaterThan(1);
  });
});
