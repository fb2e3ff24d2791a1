/** Keyspace files: YAML or JSON, one keyspace in each document. */

import { parseAllDocuments } from 'yaml';
import { type Keyspace, KeyspaceSchema } from '../gen/gatehouse/v1/keyspace_pb.js';
import { Misfit, readMessage } from './json-message.ts';
import { BadUsage, readStdin, readTextFile, type Terminal } from './terminal.ts';

/** A keyspace and where it was written down. */
export interface WrittenKeyspace {
  /** Such as `examples/auxot/keyspace.yaml, document 2`. */
  readonly place: string;
  readonly keyspace: Keyspace;
}

const MOST_BYTES = 4_194_304;

/**
 * Reads all keyspaces of a file before anything is done with one of them.
 *
 * @param file a path, or `-` for stdin.
 * @throws BadUsage naming file, document and field.
 */
export async function readKeyspaces(terminal: Terminal, file: string): Promise<WrittenKeyspace[]> {
  const name = file === '-' ? 'stdin' : file;
  const text = file === '-' ? await readStdin(terminal, MOST_BYTES) : readTextFile(file);
  const documents = [...parseAllDocuments(text)];
  const found = documents.flatMap((document, index) => {
    const place = documents.length > 1 ? `${name}, document ${index + 1}` : name;
    const [wrong] = [...document.errors, ...document.warnings];
    // The first line says what and where; the rest repeats the text.
    if (wrong !== undefined)
      throw new BadUsage(`${place}: ${wrong.message.split('\n')[0]?.replace(/:$/, '')}`);
    const value = plain(place, () => document.toJS());
    return value === null ? [] : [{ place, keyspace: keyspaceOf(place, value) }];
  });
  if (found.length === 0) throw new BadUsage(`${name}: holds no keyspace`);
  refuseTwice(found);
  return found;
}

function plain(place: string, convert: () => unknown): unknown {
  try {
    return convert();
  } catch {
    throw new BadUsage(`${place}: has an alias that is unknown, or too many of them`);
  }
}

function keyspaceOf(place: string, value: unknown): Keyspace {
  try {
    const keyspace = readMessage(KeyspaceSchema, value);
    if (keyspace.id === '') throw new Misfit('id: is missing');
    return keyspace;
  } catch (error) {
    if (error instanceof Misfit) throw new BadUsage(`${place}: ${error.message}`);
    throw error;
  }
}

function refuseTwice(found: readonly WrittenKeyspace[]): void {
  const seen = new Set<string>();
  for (const { place, keyspace } of found) {
    if (seen.has(keyspace.id)) throw new BadUsage(`${place}: keyspace "${keyspace.id}" is there twice`);
    seen.add(keyspace.id);
  }
}
