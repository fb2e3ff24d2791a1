/** Makes contenders of servers. Each has to show first that it answers as it should; h2load looks at no answer. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cast } from './cast.ts';
import { GOOD } from './keys.ts';
import { type LoadOptions, type Question, runH2load, runLoad } from './load.ts';
import type { Contender } from './rounds.ts';

const PROOF = ['-n', '200'];
const GOOD_JSON = Buffer.from('"valid":true');
const GRPC_HEADERS = ['content-type: application/grpc', 'te: trailers'];

/** A server as contenders are made of it. */
export interface Asked {
  readonly name: string;
  /** Nothing where the server could not be had: there is no contender then. */
  readonly server: { readonly pid: number; readonly addr: string } | undefined;
  readonly against: Contender['against'];
  /** More headers of each call. */
  readonly headers?: readonly string[];
  /** Whether its answers mean nothing; those of all others say that a key is good. */
  readonly meaningless?: boolean;
}

/** Asked about one key over gRPC, by h2load. */
export async function byH2load({ files, credential }: Cast, asked: Asked): Promise<Contender[]> {
  const { name, server, against, headers = [], meaningless } = asked;
  if (server === undefined) return [];
  const question = { addr: server.addr, bodies: files.one, headers: [credential, ...headers] };
  await runLoad({ ...question, args: PROOF, ...(meaningless ? {} : { want: GOOD }) });
  const grpc: Question = { ...question, headers: [...GRPC_HEADERS, ...question.headers] };
  return [{ name, pid: server.pid, against, ask: (calls) => runH2load(grpc, calls) }];
}

/**
 * Asked by `go/load` in some mode and with some file of the cast's. Each answer is looked at. All that the file asks for was
 * asked once before: what is measured is a key in memory.
 */
export async function byLoad(
  { files, credential, tokens }: Cast,
  { name, server, against, headers = [], meaningless }: Asked,
  { bodies, ...options }: Omit<Partial<LoadOptions>, 'bodies'> & { readonly bodies: keyof Cast['files'] },
): Promise<Contender[]> {
  if (server === undefined) return [];
  const question = {
    addr: server.addr,
    headers: [credential, ...headers],
    bodies: files[bodies],
    ...options,
    ...(meaningless ? {} : { want: GOOD }),
  };
  await runLoad({ ...question, args: ['-inorder', '-n', String(tokens.length)] });
  const ask = async (calls: number) => (await runLoad({ ...question, args: ['-n', String(calls)] })).rate;
  return [{ name, pid: server.pid, against, ask }];
}

/** Asked about a token by JSON over HTTP/1.1, by h2load. */
export async function byJson(
  { folder, credential }: Cast,
  { name, server, against }: Asked,
  token: string,
): Promise<Contender[]> {
  if (server === undefined) return [];
  const bodies = join(folder, `${server.pid}.json`);
  writeFileSync(bodies, JSON.stringify({ token }));
  const headers = ['content-type: application/json', credential];
  const question: Question = { addr: server.addr, bodies, headers };
  await runLoad({ ...question, mode: 'json', args: PROOF, want: GOOD_JSON });
  return [{ name, pid: server.pid, against, ask: (calls) => runH2load(question, calls, true) }];
}
