/** What the driver really sends to the server. */

import { type Document, MongoClient } from 'mongodb';
import { vi } from 'vitest';
import { openMongoStore } from '../../../src/storage/mongodb/open.ts';
import type { MongoKeyStore } from '../../../src/storage/mongodb/store.ts';

export interface Command {
  readonly name: string;
  /** As it goes over the wire, without what belongs to the session. */
  readonly body: Document;
}

const OF_THE_SESSION = ['lsid', 'txnNumber', '$clusterTime', '$db', '$readPreference'];

/** All commands that a store sends while it is used; those of its opening are not among them. */
export async function commandsOf(
  uri: string,
  use: (store: MongoKeyStore) => Promise<unknown>,
): Promise<Command[]> {
  const commands: Command[] = [];
  const { connect } = MongoClient.prototype;
  const spy = vi.spyOn(MongoClient.prototype, 'connect').mockImplementation(function (this: MongoClient) {
    this.on('commandStarted', ({ commandName: name, command }) => {
      const entries = Object.entries(command).filter(([field]) => !OF_THE_SESSION.includes(field));
      commands.push({ name, body: Object.fromEntries(entries) });
    });
    return connect.call(this);
  });
  const store = await openMongoStore(`${uri}${uri.includes('?') ? '&' : '?'}monitorCommands=true`);
  spy.mockRestore();
  try {
    commands.splice(0);
    await use(store);
    return [...commands];
  } finally {
    await store.close();
  }
}

/** What a command asks for in its collection, where it asks. */
export function filtersOf({ name, body }: Command): Document[] {
  if (name === 'find') return [body.filter];
  if (name === 'update') return body.updates.map(({ q }: Document) => q);
  if (name === 'delete') return body.deletes.map(({ q }: Document) => q);
  return [];
}

/** Whether a filter names the documents that it wants. */
export function isById({ _id }: Document): boolean {
  return typeof _id === 'string' || Array.isArray(_id?.$in);
}
