/** Says what is wrong with a body that does not decode, without repeating anything of it but names of fields. */

import { isUtf8 } from 'node:buffer';
import type { DescMessage } from '@bufbuild/protobuf';
import { Failure, type Violation } from '../domain/failure.ts';
import { jsonViolations } from './json-violations.ts';

const REASON = 'INVALID_BODY';

/** A body that is wrong as a whole. */
export function invalidBody(description: string): Failure {
  return bodyFailure(`the body is not valid: ${description}`, [{ field: '', description }]);
}

/** @throws Failure `invalid` for JSON in broken UTF-8, which a decoder would quietly repair. */
export function assertUtf8(body: Uint8Array): void {
  if (!isUtf8(body)) throw bodyFailure('the body is not valid UTF-8');
}

/** Why a body is no message of a type, once decoding it has failed. */
export function explainBody(desc: DescMessage, body: Uint8Array, json: boolean): Failure {
  if (!json) return bodyFailure(`the body is not a valid protobuf message of ${desc.typeName}`);
  const text = new TextDecoder().decode(body);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return bodyFailure(`the body is not valid JSON${positionIn(error)}`);
  }
  const violations = jsonViolations(desc, value);
  const [first] = violations;
  if (first === undefined) {
    // What the walk accepts and the decoder does not: a name that is there twice, or a fault beyond the walk's bound.
    return bodyFailure(`the body is not valid JSON of ${desc.typeName}; a field may be given twice`);
  }
  const more = violations.length > 1 ? ` (and ${violations.length - 1} more)` : '';
  return bodyFailure(
    `${first.field === '' ? 'the body' : first.field}: ${first.description}${more}`,
    violations,
  );
}

function bodyFailure(
  message: string,
  violations: readonly Violation[] = [{ field: '', description: message }],
): Failure {
  return new Failure('invalid', REASON, message, { violations });
}

// The engine's message quotes the body; its position alone does not.
function positionIn(error: unknown): string {
  const [, position] = /at position (\d+)/.exec(error instanceof Error ? error.message : '') ?? [];
  return position === undefined ? '' : ` (at character ${position})`;
}
