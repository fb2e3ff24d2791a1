/** Finds every place where a JSON value is not the message that it should be. */

import {
  type DescEnum,
  type DescField,
  type DescMessage,
  fromJson,
  type JsonValue,
  ScalarType,
} from '@bufbuild/protobuf';
import type { Violation } from '../domain/failure.ts';
import { closestName } from './closest-name.ts';
import { MAX_VIOLATIONS } from './errors.ts';

const MAX_DEPTH = 100;
const MAX_NAMES = 16;
const MAX_STEPS = 5000;

// Only what looks like the name of a field is repeated: a key pasted in the wrong place does not.
const NAME = /^[A-Za-z_][A-Za-z0-9_]{0,31}$/;

const ACCEPTED_SCALARS: Readonly<Partial<Record<ScalarType, string>>> = {
  [ScalarType.STRING]: 'a string of valid Unicode',
  [ScalarType.BOOL]: 'true or false',
  [ScalarType.BYTES]: 'a string of base64',
  [ScalarType.INT32]: 'a whole number from -2147483648 to 2147483647',
  [ScalarType.UINT32]: 'a whole number from 0 to 4294967295',
  [ScalarType.INT64]: 'a whole number of 64 bits, best as a string',
  [ScalarType.UINT64]: 'a whole number of 64 bits from 0 on, best as a string',
  [ScalarType.DOUBLE]: 'a number',
  [ScalarType.FLOAT]: 'a number',
};

const ACCEPTED_MESSAGES: Readonly<Record<string, string>> = {
  'google.protobuf.Timestamp': 'a time such as "2030-01-31T12:00:00Z"',
  'google.protobuf.Duration': 'a duration in seconds such as "3600s"',
  'google.protobuf.FieldMask': 'names of fields, separated by commas, in one string',
};

type JsonObject = { readonly [name: string]: JsonValue };

/** The violations of a parsed JSON body; empty where the walk finds none. */
export function jsonViolations(desc: DescMessage, value: unknown): Violation[] {
  const walk = new Walk();
  walkMessage(desc, value as JsonValue, '', 0, walk);
  return walk.found;
}

/** What was found, and how much was looked at: a body of a megabyte must not hold up everybody else's calls. */
class Walk {
  readonly found: Violation[] = [];
  #steps = 0;

  report(field: string, description: string): void {
    if (this.found.length < MAX_VIOLATIONS) this.found.push({ field, description });
  }

  /** Counts one value. @returns whether the walk ends here. */
  over(): boolean {
    this.#steps++;
    return this.#steps > MAX_STEPS || this.found.length >= MAX_VIOLATIONS;
  }
}

function walkMessage(desc: DescMessage, value: JsonValue, path: string, depth: number, walk: Walk): void {
  if (depth >= MAX_DEPTH) return walk.report('', `is nested more than ${MAX_DEPTH} levels deep`);
  if (!isObject(value)) return walk.report(path, 'must be an object');
  const oneofs = new Map<string, string>();
  for (const [name, member] of Object.entries(value)) {
    if (walk.over()) return;
    const field = desc.fields.find((one) => one.name === name || one.jsonName === name);
    if (field === undefined) {
      walk.report(join(path, shownName(name)), unknownField(desc, name));
    } else if (member !== null) {
      checkOneof(field, path, oneofs, walk);
      walkField(field, member, join(path, field.name), depth, walk);
    }
  }
}

function checkOneof(field: DescField, path: string, oneofs: Map<string, string>, walk: Walk): void {
  if (field.oneof === undefined) return;
  const other = oneofs.get(field.oneof.name);
  if (other !== undefined) walk.report(join(path, field.name), `cannot be given together with ${other}`);
  oneofs.set(field.oneof.name, field.name);
}

function walkField(field: DescField, value: JsonValue, path: string, depth: number, walk: Walk): void {
  switch (field.fieldKind) {
    case 'list':
      if (!Array.isArray(value)) return walk.report(path, 'must be a list');
      value.forEach((item, index) => {
        walkSingle(field, field.message, [item], item, `${path}[${index}]`, depth, walk);
      });
      return;
    case 'map':
      if (!isObject(value)) return walk.report(path, 'must be an object');
      for (const [key, item] of Object.entries(value)) {
        walkSingle(field, field.message, { [key]: item }, item, `${path}["${shownName(key)}"]`, depth, walk);
      }
      return;
    default:
      return walkSingle(field, field.message, value, value, path, depth, walk);
  }
}

/** @param probe `value` in the form in which it stands in the field: bare, in a list or in a map. */
function walkSingle(
  field: DescField,
  message: DescMessage | undefined,
  probe: JsonValue,
  value: JsonValue,
  path: string,
  depth: number,
  walk: Walk,
): void {
  if (value !== null && message !== undefined && !message.typeName.startsWith('google.protobuf.')) {
    return walkMessage(message, value, path, depth + 1, walk);
  }
  // The decoder itself judges what has no fields of ours, so that the two cannot disagree.
  if (!walk.over() && !decodes(field, probe)) walk.report(path, `must be ${accepted(field)}`);
}

function decodes(field: DescField, probe: JsonValue): boolean {
  try {
    fromJson(field.parent, { [field.jsonName]: probe });
    return true;
  } catch {
    return false;
  }
}

function accepted(field: DescField): string {
  if (field.message !== undefined)
    return ACCEPTED_MESSAGES[field.message.typeName] ?? `a ${field.message.typeName}`;
  if (field.enum !== undefined) return acceptedEnum(field.enum);
  const scalar = field.scalar === undefined ? undefined : ACCEPTED_SCALARS[field.scalar];
  return scalar ?? 'of the type that the contract gives it';
}

function acceptedEnum(desc: DescEnum): string {
  return `one of ${listed(desc.values.map(({ name }) => name))}`;
}

function unknownField(desc: DescMessage, name: string): string {
  const names = desc.fields.map(({ jsonName }) => jsonName);
  const close = closestName(name, names);
  if (close !== undefined) return `unknown field, did you mean ${close}?`;
  return names.length === 0
    ? 'unknown field, there are none here'
    : `unknown field, accepted are ${listed(names)}`;
}

function listed(names: readonly string[]): string {
  return names.length > MAX_NAMES ? `${names.slice(0, MAX_NAMES).join(', ')}, ...` : names.join(', ');
}

function shownName(name: string): string {
  return NAME.test(name) ? name : '...';
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
