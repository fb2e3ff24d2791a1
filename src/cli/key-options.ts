/** Options that several commands about keys share. */

import { type Command, Option } from 'commander';
import { collect, collectPair, parseTime } from './values.ts';

/** What a key may do, where from, and its metadata; given again, each option adds to its list. */
export function addKeyFields(command: Command): Command {
  return command
    .option('--permission <permission>', 'such as docs:read, docs:* or *; may be given again', collect)
    .option('--metadata <key=value>', 'your own data; may be given again', collectPair)
    .option(
      '--cidr <network>',
      'address or network that requests must come from; may be given again',
      collect,
    );
}

export function expires(): Option {
  return new Option(
    '--expires <time>',
    'stop working at this moment, such as 2027-01-01T00:00:00Z',
  ).argParser(parseTime);
}

/** What a key may do is then what its owner's bound lists; `inheritOwnerPermissions` among the options. */
export function inherits(): Option {
  return new Option(
    '--inherit-owner-permissions',
    "allow what the owner's permission bound lists, at each moment; without a bound that is nothing",
  );
}

export function neverExpires(): Option {
  return new Option('--never-expires', 'work until it is revoked').conflicts(['expires', 'ttl']);
}
