/** A message out of parsed JSON or YAML, and where it does not fit. */

import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonObject,
  type JsonValue,
  type MessageShape,
  ScalarType,
} from '@bufbuild/protobuf';

const SCALARS = new Map([
  [ScalarType.STRING, 'text'],
  [ScalarType.BOOL, 'true or false'],
  [ScalarType.BYTES, 'text in base64'],
]);

/** The path of the field that is wrong, and what it must be; never its value. */
export class Misfit extends Error {}

/**
 * Reads a message in protobuf's JSON mapping. Unknown fields are refused: a misspelt one would be a rule that is
 * silently not there.
 *
 * @throws Misfit such as `selfServiceCallers[0]: must be one of SELF_SERVICE_CALLER_KEY, ...`.
 */
export function readMessage<D extends DescMessage>(schema: D, value: unknown): MessageShape<D> {
  checkFields(schema, value, '');
  try {
    return fromJson(schema, value as JsonValue);
  } catch {
    // What spans fields, such as two of a oneof; all else is found above.
    throw new Misfit(`is no ${schema.name} in protobuf's JSON mapping`);
  }
}

function checkFields(schema: DescMessage, value: unknown, at: string): void {
  if (!isObject(value))
    throw new Misfit(`${at === '' ? '' : `${at}: `}must be the fields of a ${schema.name}`);
  const seen = new Set<DescField>();
  for (const [name, one] of Object.entries(value)) {
    const path = at === '' ? name : `${at}.${name}`;
    const field = schema.fields.find((known) => known.jsonName === name || known.name === name);
    if (field === undefined) {
      const known = schema.fields.map((one) => one.jsonName).join(', ');
      throw new Misfit(`${path}: ${schema.name} has no such field; it has ${known}`);
    }
    if (seen.has(field)) throw new Misfit(`${path}: is there twice`);
    seen.add(field);
    checkField(schema, field, one, path);
  }
}

function checkField(schema: DescMessage, field: DescField, value: unknown, path: string): void {
  const message = field.message;
  const nested = message !== undefined && !message.typeName.startsWith('google.protobuf.');
  if (field.fieldKind === 'list' && Array.isArray(value)) {
    for (const [index, one] of value.entries()) {
      const at = `${path}[${index}]`;
      if (nested) checkFields(message, one, at);
      else checkLeaf(schema, field, [one], at);
    }
  } else if (field.fieldKind === 'map' && isObject(value)) {
    for (const [key, one] of Object.entries(value)) {
      const at = `${path}[${JSON.stringify(key)}]`;
      checkLeaf(schema, field, { [key]: nested ? {} : one }, at);
      if (nested) checkFields(message, one, at);
    }
  } else if (field.fieldKind === 'message' && nested && value !== null) {
    checkFields(message, value, path);
  } else {
    checkLeaf(schema, field, value, path);
  }
}

/** Decodes the one field by itself. */
function checkLeaf(schema: DescMessage, field: DescField, value: unknown, path: string): void {
  try {
    fromJson(schema, { [field.jsonName]: value } as JsonObject);
  } catch {
    throw new Misfit(`${path}: must be ${expected(field, value)}`);
  }
}

function expected(field: DescField, value: unknown): string {
  if (field.fieldKind === 'list' && !Array.isArray(value)) return 'a list';
  if (field.fieldKind === 'map') return 'a map with keys and values of the right kind';
  if (field.enum !== undefined) {
    return `one of ${field.enum.values
      .filter((one) => one.number !== 0)
      .map((one) => one.name)
      .join(', ')}`;
  }
  switch (field.message?.typeName) {
    case 'google.protobuf.Duration':
      return 'a duration in seconds, such as "3600s"';
    case 'google.protobuf.Timestamp':
      return 'a time such as "2027-01-01T00:00:00Z"';
    default:
      return (field.scalar && SCALARS.get(field.scalar)) ?? 'a whole number';
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
