// better-auth's api-key plugin, which verifies a key for each call: `better-auth.js FILE [REDIS_URL]`. SQLite writes as it is
// usually set up to for a server. With Redis, keys are looked up there alone.

import { DatabaseSync } from 'node:sqlite';
import { apiKey } from '@better-auth/api-key';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { Redis } from 'ioredis';
import { serve } from './serve.js';

const [file = ':memory:', redisUrl = ''] = process.argv.slice(2);

const database = new DatabaseSync(file);
database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');

function inRedis() {
  const redis = new Redis(redisUrl);
  return {
    /** @param {string} key */
    get: (key) => redis.get(key),
    /** @type {(key: string, value: string, ttl?: number) => Promise<void>} */
    set: async (key, value, ttl) => {
      await (ttl === undefined ? redis.set(key, value) : redis.set(key, value, 'EX', ttl));
    },
    /** @param {string} key */
    delete: async (key) => {
      await redis.del(key);
    },
  };
}

const auth = betterAuth({
  baseURL: 'http://127.0.0.1',
  secret: 'of-a-bench-and-of-nothing-else-0123456789',
  database,
  emailAndPassword: { enabled: true },
  telemetry: { enabled: false },
  // It tells of the missing tables before they can be made.
  logger: { disabled: true },
  rateLimit: { enabled: false },
  ...(redisUrl === '' ? {} : { secondaryStorage: inRedis() }),
  plugins: [
    apiKey({
      rateLimit: { enabled: false },
      storage: redisUrl === '' ? 'database' : 'secondary-storage',
    }),
  ],
});
const { runMigrations } = await getMigrations(auth.options);
await runMigrations();
const { user } = await auth.api.signUpEmail({
  body: { name: 'Bench', email: 'bench@example.com', password: 'of-a-bench-0123' },
});
const { key } = await auth.api.createApiKey({ body: { name: 'bench 1', userId: user.id } });

serve(key, (body) => auth.api.verifyApiKey({ body: { key: body.token } }));
