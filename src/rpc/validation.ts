/** The rules that the schema states (protovalidate), as violations with field paths. */

import { setImmediate } from 'node:timers/promises';
import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { create } from '@bufbuild/protobuf';
import type { Path } from '@bufbuild/protobuf/reflect';
import { createValidator } from '@bufbuild/protovalidate';
import { Failure, invalidFields, type Violation } from '../domain/failure.ts';
import { boundViolations } from './bounds.ts';
import { MAX_VIOLATIONS } from './errors.ts';

// A key of a map is the caller's own text, and might be a secret in the wrong place.
const PLAIN_KEY = /^[A-Za-z_][A-Za-z0-9_.-]{0,31}$/;

// The patterns are those of our own schema, so the engine of the runtime may match them: it takes a hundredth of the
// time of the RE2 in JavaScript that protovalidate brings, which a message full of permissions would turn into seconds.
const patterns = new Map<string, RegExp>();

function matches(pattern: string, text: string): boolean {
  let known = patterns.get(pattern);
  if (known === undefined) {
    known = new RegExp(pattern, 'u');
    patterns.set(pattern, known);
  }
  return known.test(text);
}

const validator = createValidator({ regexMatch: matches });

/**
 * What a message breaks of its schema's rules; empty where nothing. At most MAX_VIOLATIONS, whatever the message is. Items that the
 * schema leaves to themselves (those of VerifyBatch) are judged by calling this for each.
 */
export function validateMessage<Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
): Violation[] {
  const beyond = boundViolations(schema, message);
  if (beyond.length > 0) return beyond.slice(0, MAX_VIOLATIONS);
  const result = validator.validate(schema, message);
  if (result.kind === 'error') throw result.error;
  if (result.kind === 'valid') return [];
  return result.violations.slice(0, MAX_VIOLATIONS).map(({ field, message: description, ruleId }) => ({
    field: pathText(field),
    description: description === '' ? `breaks the rule ${ruleId}` : description,
  }));
}

/** @throws Failure `invalid` with every violation. */
export function assertValid<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): void {
  const violations = validateMessage(schema, message);
  if (violations.length > 0) throw invalidMessage(violations);
}

// A rule of the message as a whole has no field to name.
function invalidMessage(violations: readonly Violation[]): Failure {
  const [first] = violations;
  if (first?.field !== '') return invalidFields(violations);
  return new Failure('invalid', 'INVALID_FIELD', first.description, { violations });
}

/**
 * Compiles the rules of these messages (a quarter of a second for all), so that no first call has to wait for it: one after
 * the other, so that calls which come meanwhile wait for one of them at most.
 */
export async function warmValidator(schemas: readonly DescMessage[]): Promise<void> {
  for (const schema of schemas) {
    await setImmediate();
    validator.validate(schema, create(schema));
  }
}

function pathText(path: Path): string {
  return path.map(stepText).join('').replace(/^\./, '');
}

function stepText(step: Path[number]): string {
  switch (step.kind) {
    case 'list_sub':
      return `[${step.index}]`;
    case 'map_sub':
      return `["${PLAIN_KEY.test(String(step.key)) ? step.key : '...'}"]`;
    default:
      return `.${step.name}`;
  }
}
