/** `gatehouse keyspaces list | get`, and `apply`. */

import { create } from '@bufbuild/protobuf';
import { durationFromMs } from '@bufbuild/protobuf/wkt';
import type { Command } from 'commander';
import { cachePolicy } from '../domain/keyspace.ts';
import {
  AlphabetSchema,
  HashAlgorithmSchema,
  type Keyspace,
  KeyspaceSchema,
  SelfServiceCallerSchema,
} from '../gen/gatehouse/v1/keyspace_pb.js';
import {
  GetKeyspaceResponseSchema,
  KeyspaceService,
  ListKeyspacesResponseSchema,
} from '../gen/gatehouse/v1/keyspace_service_pb.js';
import { allPages, LARGEST_PAGE } from './all-pages.ts';
import { type ServerOptions, withClient } from './connection.ts';
import { type DetailRow, describe, enumText, labelOf } from './describe.ts';
import { addKeyspacesApply } from './keyspaces-apply.ts';
import { printAnswer } from './print-answer.ts';
import { type Column, details, table } from './table.ts';
import type { Terminal } from './terminal.ts';
import { spanText } from './values.ts';

const COLUMNS: readonly Column<Keyspace>[] = [
  { title: 'ID', text: (one) => one.id },
  { title: 'NAME', text: (one) => one.displayName, least: 8 },
  { title: 'PREFIX', text: (one) => one.prefix },
  {
    title: 'FORMAT',
    text: (one) =>
      `${one.secretLength} ${enumText(AlphabetSchema, one.alphabet)}${one.checksum ? ' + checksum' : ''}`,
  },
  { title: 'HASH', text: (one) => enumText(HashAlgorithmSchema, one.hash) },
  { title: 'DEFAULT TTL', text: (one) => (one.defaultTtl ? spanText(one.defaultTtl) : ''), optional: true },
  { title: 'MAX TTL', text: (one) => (one.maxTtl ? spanText(one.maxTtl) : ''), optional: true },
  {
    title: 'SELF-SERVICE',
    text: (one) =>
      one.selfServiceCallers.map((caller) => enumText(SelfServiceCallerSchema, caller)).join(', '),
    optional: true,
  },
];

export function addKeyspaces(program: Command, terminal: Terminal): void {
  const keyspaces = program
    .command('keyspaces')
    .description('set up and look at keyspaces, the policies of keys');
  addKeyspacesApply(keyspaces, terminal);

  const list = keyspaces.command('list').description('list all keyspaces that the key may read');
  list.action(async () => {
    const options = list.optsWithGlobals<ServerOptions>();
    const pages = await withClient(terminal, options, KeyspaceService, (client) =>
      allPages((pageToken) => client.listKeyspaces({ pageSize: LARGEST_PAGE, pageToken })),
    );
    const found = pages.flatMap((page) => page.keyspaces);
    const answer = create(ListKeyspacesResponseSchema, { keyspaces: found });
    printAnswer(terminal, options, ListKeyspacesResponseSchema, answer, () =>
      found.length === 0 ? 'No keyspaces.' : table(COLUMNS, found, terminal.width),
    );
  });

  const get = keyspaces.command('get <id>').description('show one keyspace');
  get.action(async (id: string) => {
    const options = get.optsWithGlobals<ServerOptions>();
    const answer = await withClient(terminal, options, KeyspaceService, (client) =>
      client.getKeyspace({ id }),
    );
    printAnswer(terminal, options, GetKeyspaceResponseSchema, answer, () =>
      answer.keyspace === undefined ? '' : details(rowsOf(answer.keyspace)),
    );
  });
}

/** Also what holds where the keyspace says nothing. */
function rowsOf(keyspace: Keyspace): DetailRow[] {
  const { cacheTtl, negativeTtl, clientCacheTtl } = cachePolicy(undefined);
  const defaults = { cacheTtl, negativeTtl, clientCacheTtl };
  const unsaid = Object.entries(defaults).filter(
    ([field]) => keyspace[field as keyof Keyspace] === undefined,
  );
  const whole = create(KeyspaceSchema, {
    ...keyspace,
    ...Object.fromEntries(unsaid.map(([field, ms]) => [field, durationFromMs(ms)])),
  });
  const byDefault = KeyspaceSchema.fields
    .filter(({ localName }) => unsaid.some(([field]) => field === localName))
    .map(labelOf);
  return describe(KeyspaceSchema, whole).map(([label, value]) => [
    label,
    byDefault.includes(label) ? `${value} (default)` : value,
  ]);
}
