/** A message as label and value, for people. Fields that are empty are left out. */

import { type DescEnum, type DescField, type DescMessage, isMessage, type Message } from '@bufbuild/protobuf';
import { isReflectMessage, type ReflectList, type ReflectMap, reflect } from '@bufbuild/protobuf/reflect';
import { DurationSchema, TimestampSchema } from '@bufbuild/protobuf/wkt';
import { ownerText } from '../domain/key.ts';
import { OwnerSchema } from '../gen/gatehouse/v1/owner_pb.js';
import { spanText, timeText } from './values.ts';

export type DetailRow = readonly [label: string, value: string];

/** @param skip names of fields, as in the .proto file, that are shown otherwise. */
export function describe(schema: DescMessage, message: Message, skip: readonly string[] = []): DetailRow[] {
  const reflected = reflect(schema, message);
  return schema.fields
    .filter((field) => reflected.isSet(field) && !skip.includes(field.name))
    .map((field) => [labelOf(field), fieldText(field, reflected.get(field))] as const)
    .filter(([, text]) => text !== '');
}

export function labelOf(field: DescField): string {
  return field.name.replaceAll('_', ' ');
}

function fieldText(field: DescField, value: unknown): string {
  switch (field.fieldKind) {
    case 'list':
      return [...(value as ReflectList)].map((one) => valueText(one, field.enum)).join(', ');
    case 'map':
      return [...(value as ReflectMap)]
        .map(([key, one]) => `${key}=${valueText(one, field.enum)}`)
        .join(', ');
    default:
      return valueText(value, field.enum);
  }
}

function valueText(value: unknown, schema: DescEnum | undefined): string {
  if (schema !== undefined) return enumText(schema, Number(value));
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (!isReflectMessage(value)) return String(value);
  const { message, desc } = value;
  if (isMessage(message, TimestampSchema)) return timeText(message);
  if (isMessage(message, DurationSchema)) return spanText(message);
  if (isMessage(message, OwnerSchema)) return ownerText(message);
  const rows = describe(desc, message).map((row) => row.join(' '));
  return rows.length === 0 ? '' : `{${rows.join('; ')}}`;
}

/** `KEY_STATE_ACTIVE` as `active`; a value that this version does not know as its number. */
export function enumText(schema: DescEnum, value: number): string {
  const name = schema.values.find((one) => one.number === value)?.localName;
  return name === undefined ? String(value) : name.toLowerCase();
}
