/** Options that several commands about keys share. */

import { type Command, Option } from 'commander';
import { collect, collectPair, parseCount, parseTime } from './values.ts';

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

/** The revision that a change is made to, or not at all; `expectedRevision` among the options. */
export function expectedRevision(): Option {
  return new Option(
    '--if-revision, --expected-revision <number>',
    'only while it is at this revision',
  ).argParser(parseCount);
}

/** Makes a command safe to repeat by who did not see its answer. */
export function requestId(): Option {
  return new Option(
    '--request-id <id>',
    'makes it safe to repeat for 24 hours: with the same id it is done once, and its secret is not shown again',
  );
}

export function neverExpires(): Option {
  return new Option('--never-expires', 'work until it is revoked').conflicts(['expires', 'ttl']);
}
