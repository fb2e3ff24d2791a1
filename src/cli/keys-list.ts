/** `gatehouse keys list`. */

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import type { Timestamp } from '@bufbuild/protobuf/wkt';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { KeyState } from '../gen/gatehouse/v1/key_pb.js';
import {
  KeyService,
  type ListKeysRequestSchema,
  type ListKeysResponse,
  ListKeysResponseSchema,
} from '../gen/gatehouse/v1/key_service_pb.js';
import { allPages, LARGEST_PAGE } from './all-pages.ts';
import { type ServerOptions, withClient } from './connection.ts';
import { KEY_COLUMNS } from './key-view.ts';
import { printAnswer } from './print-answer.ts';
import { table } from './table.ts';
import type { Terminal } from './terminal.ts';
import { parseCount, parseOwner, parseTime } from './values.ts';

interface ListOptions extends ServerOptions {
  readonly keyspace?: string;
  readonly owner?: { kind: string; id: string };
  /** False: bound to none. */
  readonly project?: string | false;
  readonly state?: KeyState[];
  readonly name?: string;
  readonly displayPrefix?: string;
  readonly createdAfter?: Timestamp;
  readonly createdBefore?: Timestamp;
  readonly lastUsedAfter?: Timestamp;
  readonly lastUsedBefore?: Timestamp;
  readonly expiresAfter?: Timestamp;
  readonly expiresBefore?: Timestamp;
  readonly pageSize?: number;
  readonly pageToken?: string;
  readonly all?: true;
  readonly totals?: true;
}

type Filter = MessageInitShape<typeof ListKeysRequestSchema>;

const STATES = {
  active: KeyState.ACTIVE,
  disabled: KeyState.DISABLED,
  expired: KeyState.EXPIRED,
  revoked: KeyState.REVOKED,
};
/** Options that bound a time, with what happened at it. */
const BOUNDS = { created: 'made', 'last-used': 'last used', expires: 'those that expire' };

export function addKeysList(keys: Command, terminal: Terminal): void {
  const command = keys
    .command('list')
    .description('list keys, newest first, revoked and expired ones too; all that is given must match')
    .option('--keyspace <id>', 'only of this keyspace')
    .option('--owner <kind:id>', 'only of this owner', parseOwner)
    .option('--project <project>', 'only bound to this project')
    .option('--no-project', 'only bound to none')
    .option('--state <state>', `only ${Object.keys(STATES).join(', ')}; may be given again`, collectState)
    .option('--name <text>', 'only with this in the name')
    .option('--display-prefix <text>', 'only those that begin like this; never give a whole key');
  for (const [what, happened] of Object.entries(BOUNDS)) {
    command.option(`--${what}-after <time>`, `only ${happened} then or later`, parseTime);
    command.option(`--${what}-before <time>`, `only ${happened} before`, parseTime);
  }
  command
    .option('--page-size <count>', 'keys in one page, 1 to 1000; 50 if not given', parseCount)
    .option('--page-token <token>', 'go on where the page before ended')
    .addOption(new Option('--all', 'all pages').conflicts('pageToken'))
    .option('--totals', 'count the keys that match, whatever their state')
    .action(async () => {
      const options = command.optsWithGlobals<ListOptions>();
      const answer = await withClient(terminal, options, KeyService, (client) =>
        listed((request) => client.listKeys(request), filterOf(options), options.all === true),
      );
      printAnswer(terminal, options, ListKeysResponseSchema, answer, () => listText(answer, terminal.width));
    });
}

function collectState(text: string, before: readonly KeyState[] = []): KeyState[] {
  const state = Object.entries(STATES).find(([name]) => name === text)?.[1];
  if (state === undefined)
    throw new InvalidArgumentError(`It must be one of ${Object.keys(STATES).join(', ')}.`);
  return [...before, state];
}

function filterOf(options: ListOptions): Filter {
  const bounds = {
    createdAfter: options.createdAfter,
    createdBefore: options.createdBefore,
    lastUsedAfter: options.lastUsedAfter,
    lastUsedBefore: options.lastUsedBefore,
    expiresAfter: options.expiresAfter,
    expiresBefore: options.expiresBefore,
  };
  const { project } = options;
  return {
    keyspace: options.keyspace ?? '',
    ...(options.owner === undefined ? {} : { owner: options.owner }),
    ...(project === undefined ? {} : { project: project === false ? '' : project }),
    states: options.state ?? [],
    nameContains: options.name ?? '',
    displayPrefix: options.displayPrefix ?? '',
    ...Object.fromEntries(Object.entries(bounds).filter(([, time]) => time !== undefined)),
    pageSize: options.pageSize ?? (options.all ? LARGEST_PAGE : 0),
    pageToken: options.pageToken ?? '',
    withTotals: options.totals ?? false,
  };
}

/** One page, or with `all` every page as one answer, the totals as the first page has them. */
async function listed(
  call: (request: Filter) => Promise<ListKeysResponse>,
  filter: Filter,
  all: boolean,
): Promise<ListKeysResponse> {
  if (!all) return call(filter);
  const { withTotals = false } = filter;
  const pages = await allPages((pageToken) =>
    call({ ...filter, pageToken, withTotals: withTotals && pageToken === '' }),
  );
  const keys = pages.flatMap((page) => page.keys);
  return create(ListKeysResponseSchema, { ...pages[0], keys, nextPageToken: '' });
}

function listText(answer: ListKeysResponse, width: number | undefined): string {
  const lines = [answer.keys.length === 0 ? 'No keys.' : table(KEY_COLUMNS, answer.keys, width)];
  if (answer.totalSize !== undefined) {
    lines.push('', `${answer.totalSize} in all, ${answer.activeSize ?? 0} active`);
  }
  if (answer.nextPageToken !== '') lines.push('', `more: --page-token ${answer.nextPageToken}`);
  return lines.join('\n');
}
