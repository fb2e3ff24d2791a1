/** Questions in a VerifyStream or a VerifyBatch: as they should be, malformed in what they say, and mutated in their bytes. */

import { create, type MessageInitShape, toBinary, toJsonString } from '@bufbuild/protobuf';
import {
  VerifyRequestSchema,
  VerifyStreamRequestSchema,
} from '../../src/gen/gatehouse/v1/auth_service_pb.js';
import type { Choices } from '../faults/coherence/random.ts';
import { mutateBytes } from './mutate.ts';

type Question = MessageInitShape<typeof VerifyRequestSchema>;
const LENGTH_DELIMITED = 2;
const REQUEST_FIELD = VerifyStreamRequestSchema.field.request.number;

/** What decodes and has to be refused, each by an error of its own. */
const ODD: readonly Question[] = [
  {},
  { token: 'x'.repeat(8193) },
  { token: 'gate_junk', permissions: ['a b'] },
  { token: 'gate_junk', permissions: Array.from({ length: 65 }, () => 'a') },
  { token: 'gate_junk', keyspaces: ['Not one'] },
  { token: 'gate_junk', project: 'a\u0000b' },
  { token: 'gate_junk', cost: 0xffffffff, chargeId: ' ' },
  { token: 'gate_junk', consistency: 99 as 0 },
  { token: 'gate_junk', explain: true },
  { token: 'gate_junk', owner: { kind: '', id: '\u0007' } },
  { token: 'gate_junk', context: { clientIp: '::1%'.repeat(16), path: '\u007f' } },
];
const ODD_IDS = ['', 'x'.repeat(64), 'x'.repeat(65), 'x'.repeat(3000), 'a\nb', 'größe ✓ 😀', '__proto__'];

/** A question as it goes out, without its envelope. */
export interface Message {
  readonly bytes: Buffer;
  /** Of VerifyStream: what its answer has to carry. */
  readonly id: string;
  readonly mutated: boolean;
}

/** @param refused what must never be valid. */
export class Questions {
  readonly #refused: readonly Question[];

  constructor(refused: readonly Question[]) {
    this.#refused = refused;
  }

  /** Of VerifyStream, one that decodes: an answer with its id has to come. */
  sound(id: string, choices: Choices, asJson = false): Message {
    const odd = choices.between(0, 3) === 0;
    const ownId = choices.between(0, 7) === 0 ? choices.oneOf(ODD_IDS) : id;
    const request = choices.oneOf(odd ? ODD : this.#refused);
    const lacking = choices.between(0, 15) === 0;
    const question = create(VerifyStreamRequestSchema, lacking ? { id: ownId } : { id: ownId, request });
    const bytes = Buffer.from(
      asJson
        ? toJsonString(VerifyStreamRequestSchema, question)
        : toBinary(VerifyStreamRequestSchema, question),
    );
    return { bytes, id: ownId, mutated: odd || lacking || ownId !== id };
  }

  /** Of VerifyStream, mutated as a whole or in its request alone, so that what is around it decodes. */
  mutated(id: string, choices: Choices, asJson: boolean): Message {
    if (asJson || choices.between(0, 1) === 0)
      return { bytes: mutateBytes(this.sound(id, choices, asJson).bytes, choices), id, mutated: true };
    const named = toBinary(VerifyStreamRequestSchema, create(VerifyStreamRequestSchema, { id }));
    const bytes = Buffer.concat([named, delimited(REQUEST_FIELD, mutateBytes(this.#one(choices), choices))]);
    return { bytes, id, mutated: true };
  }

  /** One item of VerifyBatch, in the field that it has there. @param sound it has to decode. */
  item(choices: Choices, sound: boolean): { readonly bytes: Buffer; readonly mutated: boolean } {
    const kind = choices.weighted({ good: 4, odd: 3, mutated: sound ? 0 : 5 });
    const odd = () =>
      Buffer.from(toBinary(VerifyRequestSchema, create(VerifyRequestSchema, choices.oneOf(ODD))));
    const bytes =
      kind === 'odd'
        ? odd()
        : kind === 'good'
          ? this.#one(choices)
          : mutateBytes(this.#one(choices), choices);
    return { bytes: delimited(1, bytes), mutated: kind !== 'good' };
  }

  #one(choices: Choices): Buffer {
    const question = create(VerifyRequestSchema, choices.oneOf(this.#refused));
    return Buffer.from(toBinary(VerifyRequestSchema, question));
  }
}

function delimited(field: number, bytes: Buffer): Buffer {
  const head = [(field << 3) | LENGTH_DELIMITED];
  let rest = bytes.length;
  for (; rest >= 128; rest >>= 7) head.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...head, rest]), bytes]);
}
