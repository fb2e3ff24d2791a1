/** Which store an option of `gatehouse store copy` names. */

import { resolve } from 'node:path';
import { BadUsage, setting, type Terminal } from './terminal.ts';

/** What is accepted, for `--help`. */
export const PLACES_HELP = `
A store is one of
  mongodb://HOST/DATABASE, mongodb+srv://HOST/DATABASE
  sqlite:PATH, or just PATH   the data file of the embedded store
  env:NAME                    what the environment variable NAME says; other users of this
                              machine can see arguments, so give a URI with a password so`;

const MONGODB = /^mongodb(\+srv)?:\/\/./;
/** Of two letters or more: one is a drive of Windows. */
const SCHEME = /^[a-z][a-z0-9+.-]+:/i;

/**
 * The place as the storage knows it: a URI of MongoDB or an absolute path.
 *
 * @param option its name, for messages.
 * @throws BadUsage, which never repeats the place: it may hold a password.
 */
export function readPlace(terminal: Terminal, option: string, text: string): string {
  const [, name] = /^env:(.*)$/s.exec(text) ?? [];
  if (name === undefined) return placeOf(option, text);
  const value = setting(terminal, name);
  if (value === undefined) throw new BadUsage(`${option}: ${name} is not set in the environment (exported?)`);
  return placeOf(`${option}: ${name}`, value);
}

function placeOf(where: string, text: string): string {
  if (MONGODB.test(text)) return text;
  const path = text.replace(/^sqlite:/, '');
  // A URI in quotes, behind a space or without its scheme would become a folder, named like its password or its server.
  const notPath = /:\/\/|^[\s"']|^[^/\\]+:\d+(?:\/|$)/.test(path);
  // sqlite://PATH would lose its first folder to those who read URIs, and be another path to those who do not.
  if (
    notPath ||
    path === '' ||
    path === ':memory:' ||
    (path === text && SCHEME.test(text)) ||
    /^\/\/[^/]/.test(path)
  ) {
    throw new BadUsage(
      `${where} must be mongodb://HOST/DATABASE, mongodb+srv://HOST/DATABASE, sqlite:PATH, a path, or env:NAME`,
    );
  }
  return resolve(path);
}
