import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { canonicalNetwork, isAllowedAddress, networksWithin } from '../../src/domain/address.ts';

const ipv4 = fc.ipV4();
// Without the deprecated form of IPv4 inside IPv6, which is refused.
const ipv6 = fc.ipV6().filter((text) => !/^::\d+\./.test(text));

/** A network that contains the address: its bits behind a random mask cut off by asking for the canonical form. */
function around(address: string, bits: number): string {
  const result = canonicalNetwork(`${address}/${bits}`);
  if ('network' in result) return result.network;
  return result.error.replace(/^.* is /, '');
}

describe('address lists', () => {
  test('an address lies in every network around it, IPv4 and IPv6', () => {
    fc.assert(
      fc.property(ipv4, fc.integer({ min: 0, max: 32 }), (ip, bits) =>
        isAllowedAddress([around(ip, bits)], ip),
      ),
    );
    fc.assert(
      fc.property(ipv6, fc.integer({ min: 0, max: 128 }), (ip, bits) =>
        isAllowedAddress([around(ip, bits)], ip),
      ),
    );
  });

  test('a network is within every wider one around it and in no narrower one', () => {
    fc.assert(
      fc.property(
        ipv4,
        fc.integer({ min: 0, max: 32 }),
        fc.integer({ min: 0, max: 32 }),
        (ip, one, other) => {
          const wider = around(ip, Math.min(one, other));
          const narrower = around(ip, Math.max(one, other));
          return (
            networksWithin([wider], [narrower]) && (one === other || !networksWithin([narrower], [wider]))
          );
        },
      ),
    );
  });

  test('no list means any address; a list and no address means none', () => {
    expect(isAllowedAddress([], undefined)).toBe(true);
    expect(isAllowedAddress(['0.0.0.0/0'], undefined)).toBe(false);
    expect(isAllowedAddress(['0.0.0.0/0'], 'not an address')).toBe(false);
  });

  test('IPv4 inside IPv6 is the IPv4 address, in the list and from the client', () => {
    expect(isAllowedAddress(['192.0.2.0/24'], '::ffff:192.0.2.7')).toBe(true);
    expect(canonicalNetwork('::ffff:192.0.2.0/120')).toEqual({ network: '192.0.2.0/24' });
    expect(isAllowedAddress(['::/0'], '192.0.2.7')).toBe(false);
  });

  test('a bare address is a network of one', () => {
    expect(canonicalNetwork('192.0.2.1')).toEqual({ network: '192.0.2.1/32' });
    expect(canonicalNetwork('2001:db8::1')).toEqual({ network: '2001:db8::1/128' });
  });

  test('bits behind the mask are refused with the network that was meant', () => {
    expect(canonicalNetwork('10.1.2.3/8')).toEqual({
      error: 'has bits set behind its mask; the network is 10.0.0.0/8',
    });
  });

  test.each([
    '',
    '1',
    '010.1.1.1',
    '1.2.3',
    '1.2.3.4/33',
    '1.2.3.4/-1',
    '1.2.3.4/08',
    '1.2.3.4/8/8',
    'fe80::1%eth0',
    '::1/129',
    'localhost',
    '::ffff:1.2.3.4/95',
    '::1.2.3.4',
  ])('what is no network is refused: %s', (text) => {
    expect(canonicalNetwork(text)).toHaveProperty('error');
  });

  test('a client that does not send a plain address is in no network', () => {
    for (const bad of ['1', '010.0.0.1', 'fe80::1%1', '', '1.2.3.4/32', '::1.2.3.4']) {
      expect(isAllowedAddress(['0.0.0.0/0', '::/0'], bad)).toBe(false);
    }
  });

  test('an unlimited list is within no limited one, and any list within an unlimited one', () => {
    expect(networksWithin(['10.0.0.0/8'], [])).toBe(false);
    expect(networksWithin([], [])).toBe(true);
    expect(networksWithin([], ['10.0.0.0/8'])).toBe(true);
    expect(networksWithin(['10.0.0.0/8'], ['::/0'])).toBe(false);
  });
});
