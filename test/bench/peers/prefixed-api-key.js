// prefixed-api-key with one record for each key in Redis: `prefixed-api-key.js REDIS_URL`. A call checks its token; one of
// /loop makes `calls` checks in this process, as many at once as the load has calls under way, and tells the seconds.

import { Redis } from 'ioredis';
import prefixed from 'prefixed-api-key';
import { serve } from './serve.js';

const { checkAPIKey, extractShortToken, generateAPIKey } = prefixed;
const AT_ONCE = 64;

const redis = new Redis(process.argv[2] ?? '');
const { token, shortToken, longTokenHash } = await generateAPIKey({ keyPrefix: 'bench' });
await redis.set(
  `key:${shortToken}`,
  JSON.stringify({ hash: longTokenHash, owner: { kind: 'user', id: 'u1' }, permissions: ['docs:*'] }),
);

/** @param {string} asked */
async function verify(asked) {
  const record = await redis.get(`key:${extractShortToken(asked)}`);
  if (record === null) return { valid: false };
  const { hash, ...principal } = JSON.parse(record);
  return checkAPIKey(asked, hash) ? { valid: true, ...principal } : { valid: false };
}

/** @param {number} calls */
async function loop(calls) {
  const begun = performance.now();
  let left = calls;
  const caller = async () => {
    while (left-- > 0) {
      if (!(await verify(token)).valid) throw new Error('a good key is not valid');
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, caller));
  return { seconds: (performance.now() - begun) / 1000 };
}

serve(token, (body, path) => (path === '/loop' ? loop(body.calls) : verify(body.token)));
