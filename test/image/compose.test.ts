/** compose.yaml: what it gives to Gatehouse, and what it keeps from everybody else. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readSettings } from '../../src/settings.ts';
import { ROOT_KEY } from '../support/gatehouse.ts';
import { parseDockerfile } from './dockerfile.ts';

interface Service {
  readonly image?: string;
  readonly build?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: readonly string[];
  readonly command?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly [more: string]: unknown;
}

const CHECKOUT = fileURLToPath(new URL('../..', import.meta.url));
const text = readFileSync(join(CHECKOUT, 'compose.yaml'), 'utf8');
const { services } = parse(text) as { services: Record<'gatehouse' | 'mongodb' | 'redis', Service> };
const { gatehouse, mongodb, redis } = services;

/** A value as compose would pass it on, for a variable that is unset or has a value. */
function interpolate(value: string, variables: Readonly<Record<string, string>>): string {
  return value.replace(/\$\{(\w+):([?-])([^}]*)\}/g, (_all, name: string, sign: string, rest: string) => {
    if (variables[name]) return variables[name];
    if (sign === '-') return rest;
    throw new Error(`${name} ${rest}`);
  });
}

function environment(variables: Readonly<Record<string, string>>): Record<string, string> {
  const entries = Object.entries(gatehouse.environment ?? {});
  return Object.fromEntries(entries.map(([name, value]) => [name, interpolate(value, variables)]));
}

describe('Gatehouse', () => {
  test('is given settings that it knows, over those of its image', () => {
    const own = parseDockerfile(readFileSync(join(CHECKOUT, 'Dockerfile'), 'utf8')).flatMap((one) =>
      one.name === 'ENV' ? [one.variables] : [],
    );
    const given = environment({ GATEHOUSE_ROOT_KEY: ROOT_KEY });
    for (const name of Object.keys(given)) expect(name).toMatch(/^GATEHOUSE_|^MONGODB_URI$|^REDIS_URL$/);
    const settings = readSettings(Object.assign({}, ...own, given));
    expect(settings.rootKey).toBe(ROOT_KEY);
    expect(settings.host).toBe('0.0.0.0');
  });

  test('is not started without a root key, and the message says how to get one', () => {
    expect(() => environment({})).toThrow(/GATEHOUSE_ROOT_KEY is not set.*gatehouse root-key/);
  });

  test('is built from the Dockerfile, and has its HEALTHCHECK', () => {
    expect(gatehouse.build).toBe('.');
    expect(gatehouse).not.toHaveProperty('image');
    expect(gatehouse).not.toHaveProperty('healthcheck');
  });

  test('can write nowhere but to its volume, and gains no rights', () => {
    expect(gatehouse).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    });
    for (const name of ['user', 'privileged', 'cap_add', 'volumes'])
      expect(gatehouse).not.toHaveProperty(name);
  });

  test('publishes the ports that its image exposes', () => {
    const exposed = parseDockerfile(readFileSync(join(CHECKOUT, 'Dockerfile'), 'utf8')).flatMap((one) =>
      one.name === 'EXPOSE' ? one.words : [],
    );
    expect(gatehouse.ports?.map((port) => port.split(':').at(-1))).toEqual(exposed);
  });

  test('is stopped more slowly than it stops', () => {
    expect(Number.parseInt(String(gatehouse.stop_grace_period), 10)).toBeGreaterThan(10);
  });
});

test('MongoDB is the replica set that Gatehouse is told of, initiated by its health check', () => {
  const [, host, set] =
    /^mongodb:\/\/([^/]+)\/gatehouse\?replicaSet=(\w+)$/.exec(
      environment({ GATEHOUSE_ROOT_KEY: ROOT_KEY }).MONGODB_URI ?? '',
    ) ?? [];
  expect(host).toBe('mongodb:27017');
  expect(mongodb.command?.join(' ')).toContain(`--replSet ${set} `);
  expect(mongodb.healthcheck?.test.at(-1)).toContain(
    `rs.initiate({ _id: '${set}', members: [{ _id: 0, host: '${host}' }] })`,
  );
});

test('Redis is where Gatehouse is told, and forgets nothing for want of memory', () => {
  expect(environment({ GATEHOUSE_ROOT_KEY: ROOT_KEY }).REDIS_URL).toBe('redis://redis:6379');
  expect(redis.networks).toEqual(['stores']);
  expect(redis.command?.join(' ')).toContain('--maxmemory-policy noeviction');
  expect(redis).not.toHaveProperty('volumes');
});

test('Gatehouse is started when both are healthy', () => {
  for (const { profiles, healthcheck } of [mongodb, redis]) {
    expect(profiles).toBeUndefined();
    expect(healthcheck?.test.length).toBeGreaterThan(1);
  }
  const healthy = { condition: 'service_healthy' };
  expect(gatehouse.depends_on).toEqual({ mongodb: healthy, redis: healthy });
});

test('images are pinned to an exact version', () => {
  for (const { image, build } of Object.values(services)) {
    if (build === undefined) expect(image).toMatch(/^[a-z]+:\d+\.\d+\.\d+$/);
  }
});

test('nothing is published but to this machine', () => {
  for (const service of Object.values(services)) {
    expect(service).not.toHaveProperty('network_mode');
    for (const port of service.ports ?? []) expect(port).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  }
});

test('it holds no secret: each comes from the environment', () => {
  expect(text).not.toMatch(/ghm_[\w-]{8}|\/\/[^/\s]*:[^/\s]*@/);
  for (const { environment = {} } of Object.values(services)) {
    for (const [name, value] of Object.entries(environment)) {
      if (/KEY|PEPPER|SECRET|PASSWORD|TOKEN/.test(name)) expect(value).toMatch(/^\$\{\w+:(-|\?[^}]+)\}$/);
    }
  }
});
