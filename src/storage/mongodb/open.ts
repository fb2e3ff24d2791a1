/** Opening the database of a MONGODB_URI. */

import { MongoClient, MongoNetworkError, MongoServerSelectionError } from 'mongodb';
import { StoreUnusable } from '../unusable.ts';
import { Connection, DEADLINES } from './connection.ts';
import { openError } from './errors.ts';
import { collectionsOf, prepare } from './schema.ts';
import { MongoKeyStore } from './store.ts';

const DEFAULT_DATABASE = 'gatehouse';
/** How long a start waits for a server that is not there yet: it may be starting as well. */
const START_MS = 10_000;

// The URI decides where, who and how many connections (maxPoolSize); what Gatehouse's promises rest on is decided here.
const OPTIONS = {
  appName: 'gatehouse',
  // Acknowledged is what a majority has on disk.
  writeConcern: { w: 'majority', journal: true, wtimeoutMS: DEADLINES.record },
  readConcern: { level: 'majority' },
  readPreference: 'primary',
  serverSelectionTimeoutMS: DEADLINES.record,
  waitQueueTimeoutMS: DEADLINES.record,
  connectTimeoutMS: 2000,
  // The last resort against a peer that went silent: our own deadlines are over long before.
  socketTimeoutMS: 2 * DEADLINES.list,
  // A record's own fields are never taken for operators, and an absent field is absent.
  ignoreUndefined: true,
} as const;

/** Whether this names a database of MongoDB. */
export function isMongoUri(location: string): boolean {
  return /^mongodb(\+srv)?:\/\//.test(location);
}

/** Which database on which servers a URI names, without the user and password that it may hold. */
export function locate(uri: string): { readonly database: string; readonly place: string } {
  const [, servers = '', path = ''] = /^[^/]*\/\/(?:[^/]*@)?([^/?]*)(?:\/([^?]*))?/.exec(uri) ?? [];
  const database = path === '' ? DEFAULT_DATABASE : decodeURIComponent(path);
  return { database, place: `${servers}/${database}` };
}

/**
 * Opens the database that the URI names (`gatehouse` where it names none), making what is missing.
 *
 * @throws StoreUnusable where the URI is none, or there is no such server, user or database of ours.
 */
export async function openMongoStore(uri: string): Promise<MongoKeyStore> {
  const client = newClient(uri);
  const { place, database: name } = locate(uri);
  const database = client.db(name);
  try {
    await connected(client);
    const { setName, msg } = await database.command({ hello: 1 });
    const collections = collectionsOf(database);
    await prepare(collections, place);
    // A member of a replica set, or the router of a sharded cluster.
    const replicated = setName !== undefined || msg === 'isdbgrid';
    return new MongoKeyStore(new Connection(client, collections, replicated));
  } catch (error) {
    await client.close();
    throw openError(place, error);
  }
}

function newClient(uri: string): MongoClient {
  try {
    return new MongoClient(uri, OPTIONS);
  } catch (error) {
    throw new StoreUnusable(
      'the URI of MongoDB is not one: mongodb://host:port/database or mongodb+srv://host/database',
      error,
    );
  }
}

/** Tries again while no server is found. */
async function connected(client: MongoClient): Promise<void> {
  const end = performance.now() + START_MS;
  for (;;) {
    try {
      await client.connect();
      return;
    } catch (error) {
      const away = error instanceof MongoServerSelectionError || error instanceof MongoNetworkError;
      if (!away || performance.now() > end) throw error;
    }
  }
}
