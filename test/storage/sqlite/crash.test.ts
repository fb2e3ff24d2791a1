import { describe, expect, test } from 'vitest';
import { sampleKey, sampleSecret, T0 } from '../../conformance/samples.ts';
import { nextLine, startChild } from './child.ts';
import { dataFile, openForTest } from './data-file.ts';

describe('a process that is killed in the middle of adding keys', () => {
  test('keeps every key that was acknowledged, and no key without its secret', async () => {
    const path = await dataFile();
    const acknowledged: string[] = [];
    for (const count of [1, 40, 400]) {
      const child = startChild('./inserting-child.ts', [path]);
      for (let line = 0; line < count; line++) acknowledged.push(await nextLine(child));
      await child.kill();
      // What it had said before it was killed counts as well.
      for (let next = await child.lines.next(); next.done !== true; next = await child.lines.next()) {
        if (next.value !== '') acknowledged.push(next.value);
      }
      const store = await openForTest(path);
      for (const id of acknowledged) expect(await store.getKey(id), id).toBeDefined();
      const stored = await store.listKeys({ filter: {}, limit: 1_000_000, now: T0 });
      for (const { key } of stored) {
        expect(await store.findSecret(key.keyspace, `lookup of ${key.id}`)).toMatchObject({ keyId: key.id });
      }
      await store.close();
    }
    expect(acknowledged.length).toBeGreaterThanOrEqual(441);
  });

  test('leaves a data file that the next process opens and changes at once', async () => {
    const path = await dataFile();
    const child = startChild('./inserting-child.ts', [path]);
    await nextLine(child);
    await child.kill();
    const store = await openForTest(path);
    const key = sampleKey();
    expect(await store.insertKey(key, sampleSecret(key))).toBe(true);
  });
});
