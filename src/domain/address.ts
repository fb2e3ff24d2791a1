/** Client addresses and the networks (CIDR) that keys may be limited to, IPv4 and IPv6. */

import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

type Address = ipaddr.IPv4 | ipaddr.IPv6;
type Network = readonly [Address, number];

/** `::192.0.2.1` (RFC 4291 deprecates it), which ipaddr.js reads as IPv4 while it reads `::c000:201`, the same, as IPv6. */
const DEPRECATED = /^::\d+\.\d+\.\d+\.\d+$/;

/**
 * Parses an address. IPv4 inside IPv6 (`::ffff:192.0.2.1`) is the IPv4 address, so that a dual-stack
 * listener and an IPv4 list agree. `isIP` goes first: ipaddr.js would also read `010.1` and `1`.
 */
function parseAddress(text: string): Address | undefined {
  if (isIP(text) === 0 || text.includes('%') || DEPRECATED.test(text)) return undefined;
  return ipaddr.process(text);
}

function parseNetwork(text: string): Network | undefined {
  const [host = '', length, ...rest] = text.split('/');
  const address = parseAddress(host);
  if (address === undefined || rest.length > 0) return undefined;
  const full = address.kind() === 'ipv4' ? 32 : 128;
  if (length === undefined) return [address, full];
  if (!/^(0|[1-9]\d{0,2})$/.test(length)) return undefined;
  // A mapped network (::ffff:192.0.2.0/120) has become IPv4, so its length loses the 96 bits in front.
  const bits = Number(length) - (full === 32 && host.includes(':') ? 96 : 0);
  return bits >= 0 && bits <= full ? [address, bits] : undefined;
}

/**
 * The canonical form of a network: `192.0.2.1` becomes `192.0.2.1/32`.
 *
 * @returns the text, or an error sentence: not a network, or bits set behind the mask (most often a typo).
 */
export function canonicalNetwork(text: string): { network: string } | { error: string } {
  const network = parseNetwork(text);
  if (network === undefined)
    return { error: 'must be an IPv4 or IPv6 network such as 192.0.2.0/24 or 2001:db8::/32' };
  const [address, bits] = network;
  const first = firstAddress(address, bits);
  if (first !== address.toString()) {
    return { error: `has bits set behind its mask; the network is ${first}/${bits}` };
  }
  return { network: `${first}/${bits}` };
}

function firstAddress(address: Address, bits: number): string {
  const bytes = address.toByteArray().map((byte, index) => {
    const keep = Math.min(8, Math.max(0, bits - index * 8));
    return byte & (0xff << (8 - keep)) & 0xff;
  });
  return ipaddr.fromByteArray(bytes).toString();
}

// Lists are short and few networks are in use, so parsed forms are kept; the bound only stops a leak.
const PARSED_LIMIT = 10_000;
const parsed = new Map<string, Network>();

function networkOf(canonical: string): Network {
  const known = parsed.get(canonical);
  if (known !== undefined) return known;
  const network = parseNetwork(canonical);
  if (network === undefined) throw new Error('a stored network does not parse');
  if (parsed.size >= PARSED_LIMIT) parsed.clear();
  parsed.set(canonical, network);
  return network;
}

function contains([network, bits]: Network, address: Address): boolean {
  if (network.kind() !== address.kind()) return false;
  return address.match(network as ipaddr.IPv4 & ipaddr.IPv6, bits);
}

/** Whether the address lies in one of the canonical networks. An empty list allows every address. */
export function isAllowedAddress(networks: readonly string[], address: string | undefined): boolean {
  if (networks.length === 0) return true;
  const client = address === undefined ? undefined : parseAddress(address);
  return client !== undefined && networks.some((one) => contains(networkOf(one), client));
}

/** Whether each of `inner` lies within one of `outer`. An empty list is every address. */
export function networksWithin(outer: readonly string[], inner: readonly string[]): boolean {
  if (outer.length === 0) return true;
  if (inner.length === 0) return false;
  return inner.every((one) => {
    const [address, bits] = networkOf(one);
    return outer.some(
      (candidate) => networkOf(candidate)[1] <= bits && contains(networkOf(candidate), address),
    );
  });
}
