import { expect, test } from 'vitest';
import { createLog, withoutSecrets } from '../../src/telemetry/log.ts';

const TOKEN = 'gate_4fJ9dK2mQ8xR1tV6bN3cZ7wL5pH0sY2e';

function logged(write: (log: ReturnType<typeof createLog>) => void): string {
  let text = '';
  write(createLog({ level: 'info', destination: { write: (line) => (text += line) } }));
  return text;
}

test('a line is one JSON object with a level by name and a time', () => {
  const line = JSON.parse(logged((log) => log.info({ code: 'OK' }, 'call')));
  expect(line).toEqual({
    level: 'info',
    time: expect.stringMatching(/^\d{4}-.*Z$/),
    code: 'OK',
    msg: 'call',
  });
});

test('fields that hold secrets are redacted, also inside others', () => {
  const text = logged((log) => {
    log.info({ authorization: TOKEN, 'x-api-key': TOKEN, secret: TOKEN, token: TOKEN, rootKey: TOKEN });
    log.info({ headers: { authorization: TOKEN, 'x-api-key': TOKEN }, answer: { key: { secret: TOKEN } } });
  });
  expect(text).not.toContain(TOKEN);
  expect(text.match(/\[Redacted\]/g)).toHaveLength(8);
});

test('a key that an error quotes is taken out of its message, its stack and its causes', () => {
  const error = new Error(`bad "${TOKEN}"`, { cause: new Error(`from ${TOKEN}`) });
  const text = logged((log) => log.error({ err: error }, 'failed'));
  expect(logged((log) => log.error({ err: error })) + logged((log) => log.error(error))).not.toContain(TOKEN);
  expect(text).not.toContain(TOKEN);
  expect(text).toContain('log.test.ts');
  expect(JSON.parse(text).err).toMatchObject({
    type: 'Error',
    message: 'bad "[redacted]"',
    cause: { message: 'from [redacted]' },
  });
});

test('words and short ids are left as they are', () => {
  const text = 'connection to mongodb.internal.example.com refused at universalResponseToNodeResponse';
  expect(withoutSecrets(text)).toBe(text);
});

test('text from outside cannot begin a line of its own', () => {
  expect(
    logged((log) => log.info({ request_id: 'a\n{"level":"error"}' }))
      .trim()
      .split('\n'),
  ).toHaveLength(1);
});
