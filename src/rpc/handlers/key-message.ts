/** Keys between the contract's messages and the domain's records. */

import { create } from '@bufbuild/protobuf';
import { type Timestamp, timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Propagation } from '../../coherence/spread.ts';
import { type KeyState, keyState, type Owner } from '../../domain/key.ts';
import { optional } from '../../domain/optional.ts';
import {
  type Key as KeyMessage,
  KeySchema,
  KeyState as KeyStateMessage,
  type PreviousSecret,
  PreviousSecretSchema,
} from '../../gen/gatehouse/v1/key_pb.js';
import { type Owner as OwnerMessage, OwnerSchema } from '../../gen/gatehouse/v1/owner_pb.js';
import {
  type Propagation as PropagationMessage,
  PropagationSchema,
} from '../../gen/gatehouse/v1/propagation_pb.js';
import type { ShownKey } from '../../keys/read.ts';

const STATES: Readonly<Record<KeyState, KeyStateMessage>> = {
  active: KeyStateMessage.ACTIVE,
  disabled: KeyStateMessage.DISABLED,
  expired: KeyStateMessage.EXPIRED,
  revoked: KeyStateMessage.REVOKED,
};

/** @param now moment at which the state is judged. */
export function keyMessage({ key, usage, previousLastUsedTime }: ShownKey, now: number): KeyMessage {
  const { previous } = key;
  const state = keyState(key, now);
  const previousWorks = previous !== undefined && now < previous.expireTime && !isFinal(state);
  return create(KeySchema, {
    id: key.id,
    keyspace: key.keyspace,
    name: key.name,
    displayPrefix: key.displayPrefix,
    ...(key.owner === undefined ? {} : { owner: ownerMessage(key.owner) }),
    project: key.project ?? '',
    permissions: [...key.permissions],
    inheritOwnerPermissions: key.inheritOwnerPermissions ?? false,
    metadata: { ...key.metadata },
    state: STATES[state],
    disabled: key.disabled,
    createTime: timestampFromMs(key.createTime),
    createdBy: key.createdBy,
    parentKeyId: key.parentKeyId ?? '',
    updateTime: timestampFromMs(key.updateTime),
    ...timeField('expireTime', key.expireTime),
    ...timeField('revokeTime', key.revokeTime),
    revokeReason: key.revokeReason ?? '',
    ...timeField('lastUsedTime', usage?.lastUsedTime),
    usageCount: BigInt(usage?.count ?? 0),
    ...(previousWorks ? { previousSecret: previousMessage(previous.expireTime, previousLastUsedTime) } : {}),
    allowedCidrs: [...key.allowedCidrs],
    revision: BigInt(key.revision),
  });
}

function isFinal(state: KeyState): boolean {
  return state === 'revoked' || state === 'expired';
}

function previousMessage(expireTime: number, lastUsedTime: number | undefined): PreviousSecret {
  return create(PreviousSecretSchema, {
    expireTime: timestampFromMs(expireTime),
    ...timeField('lastUsedTime', lastUsedTime),
  });
}

/** A Timestamp field, left out where there is no time. */
export function timeField<N extends string>(name: N, time: number | undefined) {
  return optional(name, time === undefined ? undefined : timestampFromMs(time));
}

/** A Timestamp in milliseconds, cut: rounding up would bring the last moment of the year 9999 into the next. */
export function timeOf({ seconds, nanos }: Timestamp): number {
  return Number(seconds) * 1000 + Math.floor(nanos / 1_000_000);
}

export function ownerMessage({ kind, id }: Owner): OwnerMessage {
  return create(OwnerSchema, { kind, id });
}

export function ownerOf(message: OwnerMessage | undefined): Owner | undefined {
  return message === undefined ? undefined : { kind: message.kind, id: message.id };
}

export function stateOf(message: KeyStateMessage): KeyState | undefined {
  return (Object.keys(STATES) as KeyState[]).find((state) => STATES[state] === message);
}

export function propagationMessage({
  replicas,
  acknowledged,
  effectiveTime,
}: Propagation): PropagationMessage {
  return create(PropagationSchema, { replicas, acknowledged, effectiveTime: timestampFromMs(effectiveTime) });
}
