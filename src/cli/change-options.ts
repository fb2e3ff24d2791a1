/** Options that commands share which change something, whatever it is. */

import { type Command, Option } from 'commander';
import { parseCount, parseGiven } from './values.ts';

/** The revision that a change is made to, or not at all; `expectedRevision` among the options, as calls take it. */
export function expectedRevision(): Option {
  return new Option(
    '--if-revision, --expected-revision <number>',
    'only while it is at this revision',
  ).argParser((text) => BigInt(parseCount(text)));
}

/** Makes a command safe to repeat by who did not see its answer. */
export function requestId(): Option {
  return new Option(
    '--request-id <id>',
    'makes it safe to repeat for 24 hours: with the same id it is done once, and its secret is not shown again',
  ).argParser(parseGiven);
}

/** `enable` and `disable` among the options. */
export function addSwitch(command: Command): Command {
  return command
    .addOption(new Option('--enable', 'switch it on again').conflicts('disable'))
    .option('--disable', 'switch it off');
}

export function reason(): Option {
  return new Option('--reason <text>', 'why, for the audit trail');
}
