/** One connection to the port of HTTP/1.1, with mutated requests on it. */

import { once } from 'node:events';
import { connect } from 'node:net';
import type { Talk } from './http2-talk.ts';
import { within } from './within.ts';

const MAX_REQUESTS = 4;
/** Milliseconds that answers are waited for. A body that never ends is not worth more. */
const PATIENCE_MS = 200;
const STATUS_LINE = /^HTTP\/1\.1 [2-5]/gm;

/** @returns how many were answered. */
export async function talkHttp1(url: string, talk: Talk): Promise<number> {
  const { conversations, key, dead, choices, count, fault } = talk;
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.on('error', () => {});
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const sent = choices.between(1, MAX_REQUESTS);
  let text = '';
  const answered = new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (statuses(text) >= sent) resolve();
    });
  });
  for (let left = sent; left > 0; left--) {
    // All at once, as browsers no longer do: what one request leaves over is the next one's beginning.
    const { kind, bytes } = conversations.http1(key, choices);
    count(kind, 1);
    socket.write(bytes);
  }
  await within(PATIENCE_MS, closed, answered);
  socket.destroy();
  if (text.includes('"valid":true') || (dead && /^HTTP\/1\.1 2/m.test(text)))
    fault(`accepted: ${text.slice(0, 400)}`);
  return statuses(text);
}

function statuses(text: string): number {
  return text.match(STATUS_LINE)?.length ?? 0;
}
