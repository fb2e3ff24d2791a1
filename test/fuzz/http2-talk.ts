/** One connection to the port of gRPC, with mutated calls on it. */

import { setImmediate as turn } from 'node:timers/promises';
import type { Choices } from '../faults/coherence/random.ts';
import {
  END_STREAM,
  ERROR,
  frame,
  Http2Peer,
  SETTING,
  settings,
  TYPE,
  windowUpdate,
} from '../support/http2-peer.ts';
import type { Conversations, Kind } from './conversations.ts';
import { cutAt } from './framing.ts';
import { bodiesOf, isAccepted, messagesOf } from './judge.ts';
import type { Asked } from './streams.ts';
import { within } from './within.ts';

/** Calls on a connection, and such whose frames are mutated: one of them may end it, and the rest with it. */
const CALLS = 24;
const FRAMED_CALLS = 3;
/** Calls of many questions, and their bytes: what the service takes before it has told of its windows. */
const MANY = 6;
const WINDOW = 50_000;
/** Milliseconds that answers are waited for: those that may never come, a body without an end among them, and those that are owed. */
const PATIENCE_MS = 250;
const OWED_MS = 20_000;
/** A reader's first window, and how long it keeps it. */
const SLOW_BYTES = 50;
const SLOW_MS = 10;
const WIDE = 1 << 20;

/** What a conversation has to do with. */
export interface Talk {
  readonly conversations: Conversations;
  readonly key: string;
  /** The key is revoked: no call may be answered with anything but an error. */
  readonly dead: boolean;
  readonly choices: Choices;
  readonly count: (kind: Kind, mutations: number) => void;
  readonly fault: (what: string) => void;
}

export interface Talked {
  readonly answers: number;
  /** Answers that had to come, and came unless a fault was told. */
  readonly owed: number;
}

/** Unary calls. @param framed whether frames are mutated, or what is in them. */
export async function talkOfCalls(address: string, framed: boolean, talk: Talk): Promise<Talked> {
  const { conversations, key, choices, count } = talk;
  const asked = Array.from({ length: framed ? FRAMED_CALLS : CALLS }, (_, index): Asked => {
    const stream = 2 * index + 1;
    const { kind, bytes } = conversations.http2(stream, key, framed, choices);
    count(kind, 1);
    return { stream, bytes, mutations: 1, ends: true };
  });
  return converse(address, asked, talk);
}

/** Streams and batches. @param framed whether frames are mutated as well: no answer is owed then. */
export async function talkOfQuestions(address: string, framed: boolean, talk: Talk): Promise<Talked> {
  const { conversations, key, dead, choices, count } = talk;
  const asked: Asked[] = [];
  let bytes = 0;
  for (let stream = 1; stream < 2 * MANY; stream += 2) {
    const one = conversations.questions(stream, key, !framed && !dead, choices);
    bytes += one.asked.bytes.length;
    if (bytes > WINDOW && !framed) break;
    count(one.kind, one.asked.mutations);
    asked.push(one.asked);
  }
  return converse(address, asked, talk);
}

async function converse(address: string, asked: readonly Asked[], talk: Talk): Promise<Talked> {
  const { choices } = talk;
  const slow = choices.between(0, 7) === 0;
  const peer = await Http2Peer.open(address, [
    [SETTING.initialWindowSize, slow ? choices.between(0, SLOW_BYTES) : WIDE],
  ]);
  try {
    peer.send(windowUpdate(0, WIDE));
    const bytes = Buffer.concat(asked.map((one) => one.bytes));
    const places = Array.from({ length: choices.between(0, 3) }, () => choices.between(0, bytes.length));
    // The peer acknowledges settings as soon as they come: in the middle of a frame once it is cut.
    if (places.length > 0) await peer.find(({ type }) => type === TYPE.settings);
    for (const part of cutAt(bytes, places)) {
      await peer.sent(part);
      await turn();
    }
    if (slow) {
      await within(SLOW_MS, peer.closed);
      peer.send(settings([SETTING.initialWindowSize, WIDE]));
    }
    const owed = asked.filter(({ isAnswer }) => isAnswer !== undefined);
    await within(
      PATIENCE_MS,
      peer.closed,
      ended(
        peer,
        asked.filter(({ ends }) => ends),
      ),
    );
    if (owed.length > 0) await within(OWED_MS, peer.closed, ended(peer, owed));
    return { answers: judge(peer, owed, talk), owed: owed.length };
  } finally {
    leave(peer, choices);
  }
}

/** Resolves once each of them has ended, by whomever. */
async function ended(peer: Http2Peer, asked: readonly Asked[]): Promise<void> {
  const open = new Set(asked.map(({ stream }) => stream));
  if (open.size === 0) return;
  await peer.find(({ type, flags, stream }) => {
    const ends = type === TYPE.resetStream || ((flags & END_STREAM) === END_STREAM && type <= TYPE.headers);
    if (ends) open.delete(stream);
    return open.size === 0;
  });
}

/** @returns how many were answered. */
function judge(peer: Http2Peer, owed: readonly Asked[], { dead, fault }: Talk): number {
  const bodies = bodiesOf(peer.frames);
  for (const body of bodies.values())
    if (isAccepted(body, dead)) fault(`accepted: ${body.subarray(0, 200).toString('latin1')}`);
  for (const { stream, isAnswer } of owed) {
    const body = bodies.get(stream);
    if (body === undefined || !isAnswer?.(messagesOf(body)))
      fault(`an answer that is not the one owed: ${body?.subarray(0, 200).toString('hex')}`);
  }
  return bodies.size;
}

/** As clients do that crash, that have ended, or that a firewall has cut off. */
function leave(peer: Http2Peer, { weighted }: Choices): void {
  switch (weighted({ close: 4, goaway: 1, reset: 1 })) {
    case 'close':
      return peer.end();
    case 'goaway': {
      const [lastStream, code] = [Buffer.alloc(4), Buffer.from([0, 0, 0, ERROR.none])];
      peer.send(frame(TYPE.goaway, 0, 0, Buffer.concat([lastStream, code])));
      peer.socket.end();
      return;
    }
    case 'reset':
      peer.socket.resetAndDestroy();
  }
}
