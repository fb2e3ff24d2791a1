/**
 * WatchRevocations: tells a client of changes, so that it may drop answers that it keeps.
 *
 * Changes are told from one feed for all streams (coherence/feed.ts), each stream at its own place in it, so that a client
 * which reads slowly costs nothing: it finds its place gone and is told that it missed some. One that does not read at all
 * is cut off (answer.ts).
 *
 * Too much may be told, as a renaming of a key; what was taken away always is.
 */

import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { type Change, type ChangeFeed, type FeedPosition, PAGE } from '../../coherence/feed.ts';
import { type Caller, isManager, outOfReach } from '../../domain/caller.ts';
import { denied, Failure, invalid } from '../../domain/failure.ts';
import { beyondManagement, manages, managesSomewhere, RESERVED_KEYSPACE } from '../../domain/permissions.ts';
import {
  RevocationSchema,
  RevocationScope,
  type WatchRevocationsRequest,
  type WatchRevocationsResponse,
  WatchRevocationsResponseSchema,
} from '../../gen/gatehouse/v1/auth_service_pb.js';
import { makePageToken, readPageToken } from '../../keys/page-token.ts';
import type { Verifier } from '../../verification/verifier.ts';
import { type Call, callerOf } from '../call.ts';

export interface WatchParts {
  readonly verifier: Pick<Verifier, 'directory'>;
  /** Undefined where changes by other processes are not seen. */
  readonly feed: ChangeFeed | undefined;
  /** The registry's; resume tokens carry a MAC under it. */
  readonly macKey: string;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

type Event = Exclude<MessageInitShape<typeof WatchRevocationsResponseSchema>['event'], undefined>;

/** Milliseconds between two heartbeats. Clients trust nothing after five seconds without one. */
const BEAT_MS = 1000;

/**
 * Tells until the client goes away.
 *
 * @throws Failure `unauthenticated` or `denied` where the caller may not, or may not any more; `not-found` for a keyspace
 *   that it may not verify in; `invalid` for a token of another stream; `precondition` and `unavailable` where changes cannot
 *   be seen at all, or now.
 */
export async function* watchRevocations(
  { verifier, feed, macKey, now }: WatchParts,
  call: Call,
  { resumeToken, keyspaces }: WatchRevocationsRequest,
): AsyncGenerator<WatchRevocationsResponse> {
  const { signal, notes } = call;
  let caller = callerOf(call);
  const directory = await verifier.directory();
  requireScope(caller, keyspaces, (id) => directory.get(id) !== undefined);
  if (feed === undefined) throw noLog();
  const bound = ['revocations', caller.key.id, [...keyspaces].sort()];
  const resumed =
    resumeToken === '' ? undefined : readPageToken<FeedPosition>(macKey, bound, resumeToken, foreignToken);
  if (!feed.current) throw unseen();

  let at = feed.position;
  const answer = (event: Event) =>
    create(WatchRevocationsResponseSchema, { resumeToken: makePageToken(macKey, bound, at), event });
  const time = () => timestampFromMs(now());

  if (resumed !== undefined) {
    if (feed.after(resumed, 0) === undefined) yield answer(cannotResume());
    // Another replica may be further: what it has told already is told again.
    else if (resumed.number < at.number) at = resumed;
  }
  yield answer({ case: 'position', value: { time: time() } });

  notes.count = 0;
  for (let due = performance.now() + BEAT_MS; ; ) {
    await feed.moved(at, due - performance.now(), signal);
    if (signal.aborted) return;
    const changes = feed.after(at, PAGE);
    // After the look at the changes, so that what one of them did to the caller itself is seen before others are told.
    caller = notNarrowed(caller, await call.judgedAgain());
    if (changes === undefined) {
      at = feed.position;
      yield answer(cannotResume());
      // A place that is found without a lease might not be in the log that all others write.
      while (!feed.current) {
        await feed.moved(feed.position, BEAT_MS, signal);
        if (signal.aborted) return;
      }
      at = feed.position;
      yield answer({ case: 'position', value: { time: time() } });
      continue;
    }
    for (const change of changes) {
      at = { epoch: at.epoch, number: at.number + 1 };
      const value = revocationOf(change);
      if (value !== undefined && isTold(caller, keyspaces, change.keyspace)) {
        notes.count++;
        yield answer({ case: 'change', value });
      }
      // Whoever reads slowly may have been revoked meanwhile.
      if (performance.now() > due) break;
    }
    if (performance.now() < due) continue;
    // Nothing may be known here that the client is yet to be told.
    const told = feed.after(at, 1)?.length === 0;
    if (told && feed.current) yield answer({ case: 'heartbeat', value: { time: time() } });
    if (told) due = performance.now() + BEAT_MS;
  }
}

/** @throws Failure `denied`, or `not-found` for a keyspace that is not there or not the caller's to verify in. */
function requireScope(
  caller: Caller,
  keyspaces: readonly string[],
  exists: (keyspace: string) => boolean,
): void {
  const held = isManager(caller) ? caller.key.permissions : [];
  if (!managesSomewhere(held, 'tokens:verify')) throw outOfReach(caller, 'tokens:verify', 'keyspace');
  const beyond = keyspaces.find((id) => !exists(id) || !manages(held, 'tokens:verify', id));
  if (beyond !== undefined) throw outOfReach(caller, 'tokens:verify', `keyspace "${beyond}"`);
}

function isTold({ key }: Caller, asked: readonly string[], keyspace: string): boolean {
  const accepted = asked.length === 0 ? keyspace !== RESERVED_KEYSPACE : asked.includes(keyspace);
  return accepted && manages(key.permissions, 'tokens:verify', keyspace);
}

/**
 * The caller as it is now.
 *
 * @throws Failure `denied` where it may verify less than before: silence about the rest would pass for "no change there".
 */
function notNarrowed(before: Caller, now: Caller): Caller {
  const held = before.key.permissions.filter((one) => managesSomewhere([one], 'tokens:verify'));
  if (beyondManagement(now.key.permissions, held).length === 0) return now;
  throw denied('PERMISSION_MISSING', 'the calling key may verify in fewer keyspaces than before');
}

/** What the change of a record means for answers; undefined where it cannot have made a valid one invalid. */
function revocationOf({ record, keyspace, revision, time, isMark }: Change) {
  // Whoever was told of the owner or the keyspace keeps no answer of the key.
  if (isMark) return undefined;
  const [kind] = record.split(':', 1);
  // A secret is announced when its key is made. What is at its first revision was not there before, but for an owner: of
  // one that has no record there may be keys.
  if (kind === 'secret' || (revision === 1 && kind !== 'owner')) return undefined;
  const [scope, id] = {
    key: [RevocationScope.KEY, record.slice('key:'.length)] as const,
    owner: [RevocationScope.OWNER, record.slice(`owner:${keyspace}/`.length)] as const,
  }[kind ?? ''] ?? [RevocationScope.KEYSPACE, keyspace];
  return create(RevocationSchema, {
    scope,
    id,
    keyspace,
    revision: BigInt(revision),
    time: timestampFromMs(time),
  });
}

function cannotResume(): Event {
  const message = 'changes may have been missed: drop every answer that you keep';
  return { case: 'cannotResume', value: { message } };
}

function foreignToken(): Failure {
  return invalid('resume_token', 'must be a resume_token of the same caller, for the same keyspaces');
}

function noLog(): Failure {
  return new Failure(
    'precondition',
    'NO_CHANGE_LOG',
    'over MongoDB the setting REDIS_URL is needed to see the changes that other processes make',
  );
}

function unseen(): Failure {
  return new Failure('unavailable', 'CHANGES_UNSEEN', 'Redis is away, so changes cannot be seen now', {
    retryAfterMs: 1000,
  });
}
