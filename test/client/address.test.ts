import { describe, expect, test } from 'vitest';
import { parseAddress } from '../../src/client/address.ts';

describe('an address', () => {
  test.each([
    ['127.0.0.1:50051', false, 'dns:127.0.0.1:50051'],
    ['localhost', false, 'dns:localhost:50051'],
    ['http://localhost:8080', false, 'dns:localhost:8080'],
    ['http://localhost:80', false, 'dns:localhost:80'],
    ['https://keys.example.com', true, 'dns:keys.example.com:50051'],
    ['https://keys.example.com:443/', true, 'dns:keys.example.com:443'],
    ['HTTPS://keys.example.com:443', true, 'dns:keys.example.com:443'],
    ['[::1]:50051', false, 'dns:[::1]:50051'],
    ['https://[2001:db8::1]', true, 'dns:[2001:db8::1]:50051'],
  ])('%s is read', (text, tls, target) => {
    expect(parseAddress(text)).toEqual({ tls, target });
  });

  test.each([
    '',
    ':50051',
    'host:port',
    'host:70000',
    'grpc://host:1',
    'unix:/run/gatehouse',
    'host/path',
    'host?x',
    'user:secret@host:1',
    'a b',
  ])('%j is refused and not repeated', (text) => {
    expect(() => parseAddress(text)).toThrow(
      new TypeError('an address must be host:port, http://host:port or https://host:port'),
    );
  });
});
