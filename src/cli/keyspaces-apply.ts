/** `gatehouse keyspaces apply`. */

import { toJson } from '@bufbuild/protobuf';
import type { GenService } from '@bufbuild/protobuf/codegenv2';
import type { Command } from 'commander';
import type { GrpcClient } from '../client/grpc.ts';
import { RpcError } from '../client/rpc-error.ts';
import { type Keyspace, KeyspaceSchema } from '../gen/gatehouse/v1/keyspace_pb.js';
import { KeyspaceService } from '../gen/gatehouse/v1/keyspace_service_pb.js';
import { type ServerOptions, withClient } from './connection.ts';
import { shown, shownJson } from './escape.ts';
import { differenceOf, type KeyspaceDifference } from './keyspace-difference.ts';
import { readKeyspaces, type WrittenKeyspace } from './keyspace-file.ts';
import type { Terminal } from './terminal.ts';

type Client = typeof KeyspaceService extends GenService<infer Methods> ? GrpcClient<Methods> : never;

/** A keyspace whose format is not what the server has for good; the message is the sentence to show. */
export class FormatDiffers extends Error {}

interface Step extends WrittenKeyspace {
  /** As the server has it; undefined: it has none of this id. */
  readonly before: Keyspace | undefined;
  readonly difference: KeyspaceDifference;
}

interface Outcome {
  readonly id: string;
  readonly outcome: 'created' | 'updated' | 'unchanged';
  /** Under their names in the file. */
  readonly changedFields: readonly string[];
  readonly keyspace: Keyspace | undefined;
}

export function addKeyspacesApply(keyspaces: Command, terminal: Terminal): void {
  const command = keyspaces
    .command('apply')
    .description('make the keyspaces of a file, or change those that exist until they are as it says')
    .requiredOption('-f, --file <file>', 'YAML or JSON, a keyspace in each document; "-" is stdin');
  command.action(async () => {
    const options = command.optsWithGlobals<ServerOptions & { file: string }>();
    const written = await readKeyspaces(terminal, options.file);
    const outcomes: Outcome[] = [];
    try {
      await withClient(terminal, options, KeyspaceService, async (client) => {
        // All is compared before anything is changed: a file that is refused changes nothing.
        const steps: Step[] = [];
        for (const one of written) steps.push(await compared(client, one));
        for (const step of steps) {
          const outcome = await applied(client, step);
          outcomes.push(outcome);
          if (!options.json) terminal.print(outcomeText(outcome));
        }
      });
    } finally {
      // What was done before a failure is told as well.
      if (options.json) terminal.print(shownJson({ results: outcomes.map(outcomeJson) }));
    }
  });
}

async function compared(client: Client, written: WrittenKeyspace): Promise<Step> {
  const before = await present(client, written.keyspace.id);
  const difference =
    before === undefined ? { fixed: [], changed: [] } : differenceOf(written.keyspace, before);
  const [first] = difference.fixed;
  if (first !== undefined) {
    const { field, file, server } = first;
    throw new FormatDiffers(
      `${written.place}: keyspace "${written.keyspace.id}" has ${field.jsonName} ${server}, which is fixed since it was made; the file says ${file}`,
    );
  }
  return { ...written, before, difference };
}

async function present(client: Client, id: string): Promise<Keyspace | undefined> {
  try {
    return (await client.getKeyspace({ id })).keyspace;
  } catch (error) {
    if (error instanceof RpcError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

async function applied(client: Client, { keyspace, before, difference }: Step): Promise<Outcome> {
  const { id } = keyspace;
  if (before === undefined) {
    const made = await client.createKeyspace({ keyspace });
    return { id, outcome: 'created', changedFields: [], keyspace: made.keyspace };
  }
  const { changed } = difference;
  if (changed.length === 0) return { id, outcome: 'unchanged', changedFields: [], keyspace: before };
  const answer = await client.updateKeyspace({
    keyspace,
    updateMask: { paths: changed.map((field) => field.name) },
    expectedRevision: before.revision,
  });
  const changedFields = changed.map((field) => field.jsonName);
  return { id, outcome: 'updated', changedFields, keyspace: answer.keyspace };
}

function outcomeText({ id, outcome, changedFields }: Outcome): string {
  return shown(
    [`${outcome} ${id}`, ...(changedFields.length === 0 ? [] : [changedFields.join(', ')])].join(': '),
  );
}

function outcomeJson({ keyspace, ...rest }: Outcome) {
  return {
    ...rest,
    ...(keyspace && { keyspace: toJson(KeyspaceSchema, keyspace, { alwaysEmitImplicit: true }) }),
  };
}
