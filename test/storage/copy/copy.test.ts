/** A copy between two stores in memory: every interruption, and every way in which source and target come to differ. */

import { describe, expect, onTestFinished, test } from 'vitest';
import { storeUnavailable } from '../../../src/domain/failure.ts';
import { CopyDiffers, CopyOvertaken, copyStore } from '../../../src/storage/copy/copy.ts';
import { noteOf } from '../../../src/storage/copy/note.ts';
import type { CopyOptions } from '../../../src/storage/copy/progress.ts';
import { CopyRefused } from '../../../src/storage/copy/refusals.ts';
import { CopyBroken, Side } from '../../../src/storage/copy/side.ts';
import { BATCH, MOVED_KINDS, type MovableStore } from '../../../src/storage/movable-store.ts';
import { openSqliteStore } from '../../../src/storage/sqlite/open.ts';
import { allOf, fill } from '../../conformance/moved-samples.ts';
import {
  changed,
  newBatch,
  sampleKey,
  sampleRequest,
  sampleSecret,
  storeKey,
  T0,
} from '../../conformance/samples.ts';
import { overlaidStore } from '../../support/overlaid-store.ts';

async function newStore(): Promise<MovableStore> {
  const store = await openSqliteStore(':memory:');
  onTestFinished(() => store.close());
  return store;
}

async function filledStore(): Promise<MovableStore> {
  const store = await newStore();
  await fill(store);
  return store;
}

function copy(from: MovableStore, to: MovableStore, options: Partial<CopyOptions> = {}) {
  const quiet = { signal: new AbortController().signal, onProgress: () => undefined };
  return copyStore(new Side(from, 'the source'), new Side(to, 'the target'), { ...quiet, ...options });
}

function overlaid(store: MovableStore, methods: Partial<MovableStore>): MovableStore {
  return overlaidStore(store, methods) as MovableStore;
}

describe('a copy', () => {
  test('holds what its source holds, says so, and serves', async () => {
    const [from, to] = [await filledStore(), await newStore()];
    const { kinds, resumedAfter } = await copy(from, to);
    const all = await allOf(from);
    expect(await allOf(to)).toEqual(all);
    expect(await to.readCopyNote()).toBeUndefined();
    expect(resumedAfter).toBe(0);
    expect(Object.fromEntries(kinds.map(({ kind, target }) => [kind, target.count]))).toEqual(
      Object.fromEntries(Object.entries(all).map(([kind, records]) => [kind, records.length])),
    );
  });

  test('of a store with nothing in it is one', async () => {
    const [from, to] = [await newStore(), await newStore()];
    await copy(from, to);
    expect(await to.readRegistry()).toEqual(await from.readRegistry());
  });

  test('leaves its source as it is', async () => {
    const from = await filledStore();
    const before = await allOf(from);
    await copy(from, await newStore());
    expect(await allOf(from)).toEqual(before);
    expect(await from.readCopyNote()).toBeUndefined();
  });

  test('tells how far it is, up to the whole of both steps', async () => {
    const from = await filledStore();
    const told: string[] = [];
    await copy(from, await newStore(), {
      onProgress: (step, done, total) => {
        told.push(`${step} ${done} of ${total}`);
      },
    });
    const records = Object.values(await allOf(from)).flat().length;
    expect(told[0]).toBe(`copying 0 of ${records}`);
    expect(told).toContain(`copying ${records} of ${records}`);
    expect(told.at(-1)).toBe(`verifying ${2 * records} of ${2 * records}`);
  });

  test('is one, too, where either store drops requests meanwhile that have expired', async () => {
    const [from, to] = [await filledStore(), await newStore()];
    const dropped = sampleRequest({ expireTime: Date.now() - 1 });
    const [kept, forgotten] = [sampleRequest({ expireTime: Date.now() - 1 }), sampleRequest()];
    await from.putRecords('request', [dropped, kept, forgotten]);
    const { kinds } = await copy(
      from,
      overlaid(to, {
        writeCopyNote: async (note, before) => {
          const written = await to.writeCopyNote(note, before);
          await to.releaseRequest(dropped);
          await from.releaseRequest(forgotten);
          return written;
        },
      }),
    );
    expect(kinds.find(({ kind }) => kind === 'request')?.target.count).toBe(2);
    expect(await to.readRequest(kept.id)).toEqual(kept);
  });

  test('notes its beginning before it writes a record', async () => {
    const [from, to] = [await filledStore(), await newStore()];
    const events: string[] = [];
    await copy(
      from,
      overlaid(to, {
        putRecords: (kind, records) => {
          events.push(`put ${kind}`);
          return to.putRecords(kind, records);
        },
        writeCopyNote: (note, before) => {
          events.push(note === undefined ? 'note off' : `note ${noteOf(note)?.kind}`);
          return to.writeCopyNote(note, before);
        },
      }),
    );
    expect(events).toEqual([
      'note undefined',
      ...MOVED_KINDS.flatMap((kind) => [`put ${kind}`, `note ${kind}`]),
      'note off',
    ]);
  });
});

describe('an interrupted copy', () => {
  test('goes on where it was, whichever call was the last one', async () => {
    const from = await filledStore();
    const all = await allOf(from);
    for (let calls = 0; ; calls++) {
      const to = await newStore();
      let left = calls;
      const failing = <Args extends unknown[], Answer>(call: (...args: Args) => Promise<Answer>) => {
        return (...args: Args) =>
          left-- > 0 ? call(...args) : Promise.reject(storeUnavailable(new Error('gone')));
      };
      const dying = overlaid(to, {
        putRecords: failing(to.putRecords.bind(to)) as MovableStore['putRecords'],
        writeCopyNote: failing(to.writeCopyNote.bind(to)),
      });
      const error = await copy(from, dying).catch((one: unknown) => one);
      if (!(error instanceof Error)) {
        // Each kind and its note, between the first note and the last.
        expect(calls).toBe(2 * MOVED_KINDS.length + 2);
        return;
      }
      expect(error).toBeInstanceOf(CopyBroken);
      expect(error.message).toBe(
        'the target cannot answer now; the copy is unfinished, and the same command goes on where it was',
      );
      // Nothing is there without the note.
      if (calls > 0) expect(await to.readCopyNote()).toBeDefined();
      const moved = noteOf(await to.readCopyNote())?.moved ?? 0;
      const put: string[] = [];
      const { resumedAfter } = await copy(
        from,
        overlaid(to, {
          putRecords: (kind, records) => {
            put.push(kind);
            return to.putRecords(kind, records);
          },
        }),
      );
      expect(resumedAfter).toBe(moved);
      expect(put.length).toBe(MOVED_KINDS.length - Math.floor(Math.max(0, calls - 1) / 2));
      expect(await allOf(to)).toEqual(all);
    }
  });

  test('goes on within a kind', async () => {
    const [from, to] = [await newStore(), await newStore()];
    const keys = Array.from({ length: 3 * BATCH }, () => sampleKey());
    for (let start = 0; start < keys.length; start += BATCH) {
      await from.putRecords('key', keys.slice(start, start + BATCH));
    }
    const interruption = new AbortController();
    const onProgress = (_: unknown, done: number) => {
      if (done > BATCH) interruption.abort();
    };
    await expect(copy(from, to, { signal: interruption.signal, onProgress })).rejects.toThrow('aborted');
    expect(noteOf(await to.readCopyNote())).toMatchObject({ kind: 'key', moved: BATCH + 1 });
    let put = 0;
    await copy(
      from,
      overlaid(to, {
        putRecords: (kind, records) => {
          put += records.length;
          return to.putRecords(kind, records);
        },
      }),
    );
    expect(put).toBe(2 * BATCH);
    expect((await allOf(to)).key).toHaveLength(3 * BATCH);
  });

  test('that was interrupted while it was verified is verified anew, and nothing is copied twice', async () => {
    const [from, to] = [await filledStore(), await newStore()];
    const interruption = new AbortController();
    const onProgress = (step: string) => {
      if (step === 'verifying') interruption.abort();
    };
    await expect(copy(from, to, { signal: interruption.signal, onProgress })).rejects.toThrow('aborted');
    const put: string[] = [];
    await copy(
      from,
      overlaid(to, {
        putRecords: (kind) => {
          put.push(kind);
          return Promise.resolve();
        },
      }),
    );
    expect(put).toEqual([]);
    expect(await to.readCopyNote()).toBeUndefined();
  });

  test('names the store that failed', async () => {
    const [from, to] = [await filledStore(), await newStore()];
    const dying = overlaid(from, {
      // biome-ignore lint/correctness/useYield: it fails before it has anything to give
      async *batches() {
        throw storeUnavailable(new Error('gone'));
      },
    });
    await expect(copy(dying, to)).rejects.toThrow(/^the source cannot answer now; /);
  });
});

describe('records that changed', () => {
  /** Interrupts a copy of `from` after its keys. */
  async function interruptedAfterKeys(from: MovableStore, to: MovableStore): Promise<void> {
    const dying = overlaid(to, {
      putRecords: (kind, records) =>
        kind === 'usage' ? Promise.reject(storeUnavailable(new Error('gone'))) : to.putRecords(kind, records),
    });
    await expect(copy(from, dying)).rejects.toBeInstanceOf(CopyBroken);
  }

  test('between two runs are copied once more', async () => {
    const [from, to] = [await filledStore(), await newStore()];
    const key = await storeKey(from);
    await interruptedAfterKeys(from, to);
    await from.replaceKey(changed(key, { name: 'changed', revokeTime: T0 }));
    await storeKey(from);
    await from.addUsage(newBatch(), [{ keyId: key.id, count: 3, lastUsedTime: T0 }]);
    await copy(from, to);
    expect(await allOf(to)).toEqual(await allOf(from));
    expect(await to.getKey(key.id)).toMatchObject({ name: 'changed', revokeTime: T0 });
  });

  test('by another copy end this one, which writes nothing more', async () => {
    const [from, to] = [await filledStore(), await newStore()];
    const key = await storeKey(from);
    let overtaken = false;
    const paused = overlaid(to, {
      putRecords: async (kind, records) => {
        if (kind === 'key' && !overtaken) {
          overtaken = true;
          await copy(from, to);
          await to.replaceKey({ ...key, revision: key.revision + 1, revokeTime: T0 });
        }
        if (kind !== 'key') await to.putRecords(kind, records);
      },
    });
    await expect(copy(from, paused)).rejects.toBeInstanceOf(CopyOvertaken);
    expect((await to.getKey(key.id))?.revokeTime).toBe(T0);
    expect(await to.readCopyNote()).toBeUndefined();
  });

  test('all the time are found, and the note stays', async () => {
    const [from, to] = [await filledStore(), await newStore()];
    const key = await storeKey(from);
    const busy = async () => {
      await from.addUsage(newBatch(), [{ keyId: key.id, count: 1, lastUsedTime: T0 }]);
    };
    const writer = overlaid(to, {
      writeCopyNote: async (note, before) => {
        await busy();
        return to.writeCopyNote(note, before);
      },
    });
    const error = await copy(from, writer).catch((one: unknown) => one);
    expect(error).toBeInstanceOf(CopyDiffers);
    expect(String(error)).toMatch(
      /the target is not the same as the source in records of kind usage \(4 in the source, 4 in the target\), though it was copied twice: stop /,
    );
    expect(await to.readCopyNote()).toBeDefined();
    await copy(from, to);
    expect(await allOf(to)).toEqual(await allOf(from));
  });

  test('in the target, or are there and in no source, are found, and the note stays', async () => {
    const [from, to] = [await filledStore(), await newStore()];
    await interruptedAfterKeys(from, to);
    const extra = sampleKey();
    await to.putRecords('key', [extra]);
    await to.putRecords('secret', [sampleSecret(extra)]);
    await expect(copy(from, to)).rejects.toThrow(
      /in records of kind secret \(5 in the source, 6 in the target\), key \(4 in the source, 5 in the target\), though/,
    );
    expect(await to.readCopyNote()).toBeDefined();
  });
});

describe('nothing is copied into', () => {
  test('a store that holds anything at all', async () => {
    const from = await filledStore();
    const all = await allOf(from);
    for (const kind of ['keyspace', 'key', 'secret', 'usage', 'event'] as const) {
      const to = await newStore();
      await to.putRecords(kind, all[kind].slice(0, 1));
      await expect(copy(from, to)).rejects.toThrow(CopyRefused);
      expect(await to.readCopyNote()).toBeUndefined();
    }
    const used = await newStore();
    await used.replaceRegistry(changed(await used.readRegistry(), {}));
    await expect(copy(from, used)).rejects.toThrow('the target is not empty; name an empty target');
  });

  test('a store whose unfinished copy is of another', async () => {
    const [one, other, to] = [await filledStore(), await filledStore(), await newStore()];
    const gone = () => Promise.reject(storeUnavailable(new Error('gone')));
    await expect(copy(one, overlaid(to, { putRecords: gone }))).rejects.toBeInstanceOf(CopyBroken);
    await expect(copy(other, to)).rejects.toThrow('holds an unfinished copy of another store');
    await copy(one, to);
    expect(await allOf(to)).toEqual(await allOf(one));
  });

  test('the finished copy, nor from it into its source', async () => {
    const [from, to] = [await filledStore(), await newStore()];
    await copy(from, to);
    for (const [one, other] of [
      [from, to],
      [to, from],
    ] as const) {
      await expect(copy(one, other)).rejects.toThrow(/itself, or holds a copy of it/);
    }
  });
});

test('the note of a copy gives away nothing of the store', async () => {
  const [from, to] = [await filledStore(), await newStore()];
  const { macKey } = await from.readRegistry();
  const gone = () => Promise.reject(storeUnavailable(new Error('gone')));
  await expect(copy(from, overlaid(to, { putRecords: gone }))).rejects.toThrow();
  expect(await to.readCopyNote()).not.toContain(macKey);
});
