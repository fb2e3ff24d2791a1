/** The audit trail: one event for each change, written inside the changed record and published after it. */

export type EventAction =
  | 'key.create'
  | 'key.update'
  | 'key.rotate'
  | 'key.revoke'
  | 'keyspace.create'
  | 'keyspace.update'
  | 'keyspace.revoke_keys'
  | 'owner.update'
  | 'owner.revoke_keys';

export interface AuditEvent {
  /** `evt_` and random characters; publishing the same id twice leaves one event. */
  readonly id: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly action: EventAction;
  readonly keyspace: string;
  readonly keyId?: string;
  /** Owner of the changed key, or the changed owner. */
  readonly owner?: { readonly kind: string; readonly id: string };
  /** Revision that the change led to. */
  readonly revision: number;
  /** Id of the key that made the change, or `system`. */
  readonly actor: string;
  /** What the caller's `x-gatehouse-on-behalf-of` said; nobody verified it. */
  readonly onBehalfOf?: string;
  /** Names of changed fields, never their values. */
  readonly changedFields: readonly string[];
  readonly requestId?: string;
}

/** Who makes a change and in which request; goes into its audit event. */
export interface Actor {
  readonly id: string;
  readonly onBehalfOf?: string;
  readonly requestId?: string;
}

/** What every changeable record has: compare-and-set on `revision`, and events that are not published yet. */
export interface ChangeableRecord {
  readonly id: string;
  /** 1 when made, one more with each change. Taking off a published event moves no revision. */
  readonly revision: number;
  readonly pending: readonly AuditEvent[];
}
