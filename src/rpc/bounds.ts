/**
 * What is checked of a message before the schema's rules are: how many items its lists and maps have, and that its
 * times are times. The rules would first judge every one of ten thousand items, and they do not look at nanos.
 */

import { type DescField, type DescMessage, getOption, type Message } from '@bufbuild/protobuf';
import { type ReflectMessage, reflect } from '@bufbuild/protobuf/reflect';
import { type Duration, DurationSchema, type Timestamp, TimestampSchema } from '@bufbuild/protobuf/wkt';
import type { Violation } from '../domain/failure.ts';
import { field as fieldRules } from '../gen/buf/validate/validate_pb.js';

const MAX_NANOS = 999_999_999;

/** Checks one field that is set. */
type Check = (message: ReflectMessage, path: string) => Violation[];

const checks = new Map<DescMessage, readonly Check[]>();

/** @returns a violation for each bound that the message breaks, with field paths below `path`. */
export function boundViolations(schema: DescMessage, message: Message, path = ''): Violation[] {
  const reflected = reflect(schema, message as never, false);
  return checksOf(schema).flatMap((check) => check(reflected, path));
}

function checksOf(schema: DescMessage): readonly Check[] {
  let known = checks.get(schema);
  if (known === undefined) {
    known = schema.fields.flatMap(checkOf);
    checks.set(schema, known);
  }
  return known;
}

function checkOf(field: DescField): Check[] {
  switch (field.fieldKind) {
    case 'list':
      return sizeCheck(field, (message) => message.get(field).size);
    case 'map':
      return sizeCheck(field, (message) => message.get(field).size);
    case 'message':
      return [messageCheck(field, field.message)];
    default:
      return [];
  }
}

function sizeCheck(field: DescField, sizeOf: (message: ReflectMessage) => number): Check[] {
  const { type } = getOption(field, fieldRules);
  const max =
    type.case === 'repeated' ? type.value.maxItems : type.case === 'map' ? type.value.maxPairs : undefined;
  if (max === undefined || max === 0n) return [];
  const description = `must have at most ${max} entries`;
  return [(message, path) => (sizeOf(message) <= max ? [] : [{ field: path + field.name, description }])];
}

function messageCheck(field: DescField & { fieldKind: 'message' }, schema: DescMessage): Check {
  return (message, path) => {
    if (!message.isSet(field)) return [];
    const value = message.get(field).message;
    if (schema.typeName === TimestampSchema.typeName || schema.typeName === DurationSchema.typeName) {
      const good = isTime(schema, value as Timestamp | Duration);
      return good
        ? []
        : [
            {
              field: path + field.name,
              description: 'must have nanos from 0 to 999999999, of the sign of its seconds',
            },
          ];
    }
    return boundViolations(schema, value, `${path}${field.name}.`);
  };
}

function isTime({ typeName }: DescMessage, { seconds, nanos }: Timestamp | Duration): boolean {
  if (Math.abs(nanos) > MAX_NANOS) return false;
  if (nanos >= 0 && seconds >= 0n) return true;
  return typeName === DurationSchema.typeName ? nanos <= 0 && seconds <= 0n : nanos >= 0;
}
