import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ELSEWHERE_KEY, GOOD_KEY, type Rig, startRig } from './rig.ts';
import { call, type Told, WAYS } from './wire.ts';

const GET_KEY = '/gatehouse.v1.KeyService/GetKey';
const CREATE_KEY = '/gatehouse.v1.KeyService/CreateKey';
const VERIFY = '/gatehouse.v1.AuthService/Verify';
const QUESTION = '{"id":"key_1"}';

describe.each(WAYS)('credentials in $protocol over $over', (way) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig();
  });
  afterAll(() => rig.drain(1000));

  const refusal = async (headers: readonly string[], path = GET_KEY) => {
    const { told, answer } = await call(rig, way, path, QUESTION, { headers });
    if (way.protocol === 'connect' && told.code === 'unauthenticated') {
      expect(answer.status).toBe(401);
      expect(answer.headers['www-authenticate']).toBe('Bearer');
    }
    return `${told.code} ${told.reason}`;
  };

  test('a call without a credential is UNAUTHENTICATED with reason CREDENTIALS_MISSING', async () => {
    expect(await refusal([])).toBe('unauthenticated CREDENTIALS_MISSING');
    expect(await refusal(['authorization', 'Bearer '])).toBe('unauthenticated CREDENTIALS_MISSING');
    expect(await refusal(['x-api-key', ''])).toBe('unauthenticated CREDENTIALS_MISSING');
  });

  test('a bad credential gets the same answer whatever makes it bad', async () => {
    const answers: Told[] = [];
    for (const value of ['Bearer unknown', 'Bearer ghm_x', 'Basic abc', 'bare-token', 'Bearer a b']) {
      const { told } = await call(rig, way, GET_KEY, QUESTION, { headers: ['authorization', value] });
      answers.push(told);
    }
    expect(
      answers.every(({ code, reason }) => code === 'unauthenticated' && reason === 'CREDENTIALS_INVALID'),
    ).toBe(true);
    expect(new Set(answers.map((one) => JSON.stringify(one))).size).toBe(1);
  });

  test('a live key from another address is PERMISSION_DENIED', async () => {
    expect(await refusal(['authorization', `Bearer ${ELSEWHERE_KEY}`])).toBe(
      'permission_denied ADDRESS_NOT_ALLOWED',
    );
  });

  test('either header authenticates, and both with the same key', async () => {
    expect(await refusal(['x-api-key', GOOD_KEY])).toMatch(/^ok/);
    expect(await refusal(['authorization', `bearer ${GOOD_KEY}`])).toMatch(/^ok/);
    expect(await refusal(['authorization', `Bearer ${GOOD_KEY}`, 'x-api-key', GOOD_KEY])).toMatch(/^ok/);
  });

  test('two credentials are refused as ambiguous, never chosen from', async () => {
    const ambiguous = 'unauthenticated AMBIGUOUS_CREDENTIALS';
    expect(await refusal(['authorization', `Bearer ${GOOD_KEY}`, 'x-api-key', 'other'])).toBe(ambiguous);
    expect(await refusal(['authorization', `Bearer ${GOOD_KEY}, Bearer other`])).toBe(ambiguous);
    expect(await refusal(['x-api-key', `${GOOD_KEY},${GOOD_KEY}`])).toBe(ambiguous);
    expect(await refusal(['x-api-key', GOOD_KEY, 'x-api-key', GOOD_KEY])).toBe(ambiguous);
    if (way.over === 'h1') {
      const twice = ['authorization', `Bearer ${GOOD_KEY}`, 'authorization', `Bearer ${GOOD_KEY}`];
      expect(await refusal(twice)).toBe(ambiguous);
    }
  });

  test('callers are judged before the body and again after it: writes then against the system of record', async () => {
    rig.asked.length = 0;
    await call(rig, way, GET_KEY, QUESTION, { token: GOOD_KEY });
    await call(rig, way, CREATE_KEY, '{"keyspace":"acme","name":"n"}', { token: GOOD_KEY });
    await call(rig, way, VERIFY, '{"token":"good"}', { token: GOOD_KEY });
    expect(rig.asked.map(({ strong, counts }) => ({ strong, counts }))).toEqual([
      { strong: false, counts: false },
      { strong: false, counts: true },
      { strong: false, counts: false },
      { strong: true, counts: true },
      { strong: false, counts: false },
      { strong: false, counts: true },
    ]);
    expect(rig.asked[0]?.clientIp).toBe('127.0.0.1');
  });

  test('the caller is refused before the body is looked at', async () => {
    const { told } = await call(rig, way, GET_KEY, 'this is no JSON');
    expect(told.code).toBe('unauthenticated');
  });

  test('health needs no caller and looks at no credential', async () => {
    const { told } = await call(rig, way, '/grpc.health.v1.Health/Check', '{}', { token: 'bad' });
    expect(told.code).toBe('ok');
  });

  test('who acts for somebody is noted, and refused where it is not 256 printable characters', async () => {
    const name = 'x-gatehouse-on-behalf-of';
    await call(rig, way, GET_KEY, QUESTION, { token: GOOD_KEY, headers: [name, 'user:42'] });
    expect(rig.calls.at(-1)?.onBehalfOf).toBe('user:42');
    const { told } = await call(rig, way, GET_KEY, QUESTION, {
      token: GOOD_KEY,
      headers: [name, 'x'.repeat(257)],
    });
    expect(told.code).toBe('invalid_argument');
    expect(told.violations).toEqual([`${name}: must be at most 256 printable ASCII characters`]);
  });
});

describe('open access', () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig({ verifyAccess: 'open' });
  });
  afterAll(() => rig.drain(1000));

  const ask = async (path: string, body: string, token?: string) => {
    const way = { protocol: 'connect', over: 'h1' } as const;
    const { told } = await call(rig, way, path, body, token === undefined ? {} : { token });
    return `${told.code} ${told.reason}`;
  };

  test('AuthService answers anyone', async () => {
    expect(await ask(VERIFY, '{"token":"good"}')).toMatch(/^ok/);
    expect(rig.calls.at(-1)?.caller).toBeUndefined();
  });

  test('a bad credential that was sent is still an error', async () => {
    expect(await ask(VERIFY, '{"token":"good"}', 'bad')).toBe('unauthenticated CREDENTIALS_INVALID');
  });

  test('every other service still needs a caller', async () => {
    expect(await ask(GET_KEY, QUESTION)).toBe('unauthenticated CREDENTIALS_MISSING');
  });
});
