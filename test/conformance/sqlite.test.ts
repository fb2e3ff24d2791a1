import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CachedKeyStore } from '../../src/storage/cache/memory.ts';
import { ALONE, BLIND } from '../../src/storage/cache/shared.ts';
import type { KeyStore } from '../../src/storage/key-store.ts';
import { openSqliteStore } from '../../src/storage/sqlite/open.ts';
import { keyStoreConformance, type Opened } from './key-store.ts';

keyStoreConformance('sqlite in a file', () => openFile());
keyStoreConformance('sqlite in memory', openMemory, { durable: false });
// What is moved is moved without the memory.
keyStoreConformance('sqlite in a file, cached', () => openFile(cached), { movable: false });
// A record or two are kept, so that eviction plays a part in every case.
keyStoreConformance(
  'sqlite in a file, cached in a tiny memory',
  () =>
    openFile(
      (store) =>
        new CachedKeyStore(store, { sizes: { secrets: 500, keys: 1000, owners: 300 }, lease: ALONE }),
    ),
  { movable: false },
);
keyStoreConformance(
  'sqlite in a file, with shared loads and no lease',
  () => openFile((store) => new CachedKeyStore(store, { sizes: SIZES, lease: BLIND })),
  { movable: false },
);

const SIZES = { secrets: 1_000_000, keys: 1_000_000, owners: 1_000_000 };

function cached(store: KeyStore): KeyStore {
  return new CachedKeyStore(store, { sizes: SIZES, lease: ALONE });
}

async function openMemory(): Promise<Opened> {
  const store = await openSqliteStore(':memory:');
  return { store, discard: () => store.close() };
}

async function openFile(behind: (store: KeyStore) => KeyStore = (store) => store): Promise<Opened> {
  const folder = await mkdtemp(join(tmpdir(), 'gatehouse-'));
  const path = join(folder, 'data', 'gatehouse.db');
  let store = behind(await openSqliteStore(path));
  return {
    store,
    async reopen(options) {
      await store.close();
      store = behind(await openSqliteStore(path, options));
      return store;
    },
    async discard() {
      await store.close();
      await rm(folder, { recursive: true });
    },
  };
}
