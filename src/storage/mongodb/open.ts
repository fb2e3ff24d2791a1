/** Opening the database of a MONGODB_URI. */

import {
  type DbOptions,
  MongoClient,
  type MongoClientOptions,
  MongoNetworkError,
  MongoServerSelectionError,
  ReadConcern,
  ReadPreference,
} from 'mongodb';
import type { OpenOptions } from '../movable-store.ts';
import { StoreUnusable, unfinishedCopy } from '../unusable.ts';
import { Connection, type Deadlines, deadlinesWith, durable, silenceOf } from './connection.ts';
import { openError } from './errors.ts';
import { collectionsOf, prepare, requireVersion } from './schema.ts';
import { MongoKeyStore } from './store.ts';
import { locate } from './uri.ts';

/** MongoDB's rule, without its own databases; what breaks it may also be the rest of a password that was not escaped. */
const DATABASE_NAME = /^(?!(?:admin|local|config)$)[^/\\. "$*<>:|?@]{1,63}$/;
/** How long a start waits for a server that is not there yet: it may be starting as well. */
const START_MS = 10_000;

/** What a URI may have as its `timeoutMS`: less, and nothing is answered in time; more, and nobody waits for it. */
const TIMEOUT_MS = { least: 100, most: 30_000 } as const;

// The URI decides where, who, how many connections (maxPoolSize) and how long a call may take (timeoutMS); what Gatehouse's
// promises rest on is decided here.
function clientOptions(deadlines: Deadlines): MongoClientOptions {
  return {
    appName: 'gatehouse',
    serverSelectionTimeoutMS: deadlines.record,
    waitQueueTimeoutMS: deadlines.record,
    connectTimeoutMS: 2000,
    // After one answer of "not primary" the driver asks no server anything before its next heartbeat: by its default 10 s.
    heartbeatFrequencyMS: 1000,
    socketTimeoutMS: silenceOf(deadlines),
    // A record's own fields are never taken for operators, and an absent field is absent.
    ignoreUndefined: true,
  };
}

// Given with the database: to the client, the URI's own would go before them.
function concerns(deadlines: Deadlines): DbOptions {
  return {
    writeConcern: durable(deadlines.record),
    readConcern: new ReadConcern('majority'),
    readPreference: ReadPreference.primary,
  };
}

/**
 * Opens the database that the URI names (`gatehouse` where it names none), making what is missing unless told.
 *
 * @throws StoreUnusable where the URI is none, or there is no such server, user or database of ours, or it holds half a
 *   store.
 */
export async function openMongoStore(uri: string, options: OpenOptions = {}): Promise<MongoKeyStore> {
  const deadlines = deadlinesWith(timeoutOf(uri));
  const client = newClient(uri, deadlines);
  const { place, database: name } = locate(uri);
  try {
    const database = client.db(name, concerns(deadlines));
    await connected(client);
    const { setName, msg } = await database.command({ hello: 1 });
    const collections = collectionsOf(database);
    await (options.existing ? requireVersion(collections, place) : prepare(collections, place));
    // A member of a replica set, or the router of a sharded cluster.
    const replicated = setName !== undefined || msg === 'isdbgrid';
    const store = new MongoKeyStore(new Connection(client, collections, replicated, deadlines));
    if (!options.unfinished && (await store.readCopyNote()) !== undefined) {
      throw unfinishedCopy(`MongoDB at ${place}`);
    }
    return store;
  } catch (error) {
    await client.close();
    throw openError(place, error);
  }
}

/** A standard option of the URI. The driver does nothing with it but to warn that it does nothing: it is not passed on. */
function timeoutOf(uri: string): number | undefined {
  const [, given] = /[?&]timeoutMS=([^&]*)/i.exec(uri) ?? [];
  if (given === undefined) return undefined;
  const { least, most } = TIMEOUT_MS;
  if (/^\d{1,6}$/.test(given) && Number(given) >= least && Number(given) <= most) return Number(given);
  throw new StoreUnusable(
    `the URI of MongoDB has a timeoutMS that is not ${least} to ${most} milliseconds, the time for a call that reads or writes few documents`,
  );
}

function newClient(uri: string, deadlines: Deadlines): MongoClient {
  try {
    const client = new MongoClient(uri.replace(/(?<=[?&])timeoutMS=[^&]*&?/i, ''), clientOptions(deadlines));
    if (DATABASE_NAME.test(locate(uri).database)) return client;
  } catch (error) {
    throw new StoreUnusable(`the URI of MongoDB cannot be read: ${mistakeIn(error)}`, error);
  }
  throw new StoreUnusable(
    'the URI of MongoDB names no database for Gatehouse: mongodb://host:port/database, where the name is not admin, local or config and has none of / \\ . " $ * < > : | ? @ and space',
  );
}

/** What the driver says of a URI, without what the URI says. */
function mistakeIn(error: unknown): string {
  const message = error instanceof Error ? error.message : '';
  const [option] = /^option \w{1,64} is not supported/.exec(message) ?? [];
  if (option !== undefined) return option;
  const [, named] = /^(?:Expected )?(\w{1,64}) (?:to be|must be|can only)/.exec(message) ?? [];
  if (named !== undefined) return `${named} has a value that it does not take`;
  return 'it must be mongodb://user:password@host:port/database or mongodb+srv://host/database, with @ : / % in user and password percent-encoded';
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
