/* The protocol of docs/revocation.md as a model that Spin explores exhaustively: `npm run model`. README.md beside this file says what
   is in it and what is not.

   One record. Replicas with memory, a lease, one sync and one load under way each; a Redis; a store whose reads see every earlier write;
   clients who ask for changes. Any reply may be late or lost, any process may be slow for any time: nothing here is forced to happen.

   Time has no ticks. All that the protocol takes from clocks is this: when LEASE has passed since a moment, each lease is over whose sync
   Redis had executed by that moment (it was sent even earlier, and a lease ends 0.8 LEASE after the sending). So a lease may end at any
   time (LAPSE), and "LEASE has passed" is a step that can be taken only when those leases are over (ELAPSE, SETTLE). This covers every
   real timing, and some that real clocks do not allow.

   A guard is taken out by -DNO_<GUARD>: see the table in README.md, and the places below. */

/* ---- the bounds ---- */
#ifndef REPLICAS
#define REPLICAS 2  /* 2 or 3. Replica 0 may die. Replicas 0 and 1 are asked for changes, 2 only reads. */
#endif
#ifndef READERS
#define READERS REPLICAS /* the last so many of them answer Verifies; the others take no lease */
#endif
#ifndef CALLS
#define CALLS 1     /* changes that clients ask for, up to 3 */
#endif
#define READS(i) ((i) >= REPLICAS - READERS)
#define HOSTS (CALLS == 1 -> 1 : 2)
#ifndef WRITES
#define WRITES 1    /* how many of them write a new version, up to 2. The others find that it is done already. */
#endif
#ifndef RESTARTS
#define RESTARTS 0  /* how often Redis comes back empty, or with an older copy of its data: up to 2 */
#endif
#ifndef DEATHS
#define DEATHS 0    /* 1: replica 0 may be killed */
#endif
#ifndef TRIMS
#define TRIMS 0     /* 1: the log may be trimmed */
#endif

/* ---- versions of the record, and what else a slot may hold ---- */
#define NONE 0
#define V0 1                      /* before the first change; each change that is written makes the next version */
#define TOKEN(i) (4 + (i))        /* the fill token that replica i has left */
#define IS_RECORD(x) ((x) != NONE && (x) < TOKEN(0))
#define LATER(a, b) ((a) > (b) -> (a) : (b))

typedef ReplicaState {
  bit dead;
  unsigned epoch : 2;       /* that it knows; 0: none yet */
  bit settled;              /* LEASE has passed since the reply of its first sync in this epoch */
  unsigned applied : 3;     /* the last entry of the log that it has applied */
  bit lease;
  unsigned leaseOld : 3;    /* the calls (a bit each) whose wait began when this lease's sync had been executed */
  unsigned memory : 2;      /* the record in memory, or NONE */
  /* the reply of its sync, on its way */
  unsigned reply : 2;
  unsigned replyEpoch : 2;
  unsigned replySeq : 3;
  unsigned replyOld : 3;    /* as leaseOld */
#if TRIMS
  bit replyGap;
#endif
  /* its load */
  unsigned load : 2;
  unsigned loaded : 2;
  bit owned;                /* not disowned: it may be kept, and callers may join it */
  /* its field in Redis's hash of members */
  bit member;
  unsigned ack : 3
}
/* reply */
#define COMING 1
#define TOO_OLD 2           /* 0.8 LEASE have passed since its sending: it gives no lease any more */
/* load */
#define TAKEN 1             /* the slot was taken, or refused */
#define READ 2
#define FILLED 3

typedef CallState {
  unsigned step : 3;
  bit host;                 /* the replica that was asked */
  unsigned version : 2;     /* what the store holds with this change in it */
  unsigned seq : 3;         /* of its entry */
  unsigned epoch : 2;       /* of the announce's reply */
  bit believes;             /* the members in that reply */
  unsigned asked : 3;       /* those members (a bit each), the host left out: it drops the record itself */
  unsigned same : 3         /* those of them whose value is still what it was in that reply */
#ifdef NO_UNIQUE
  ; unsigned zero : 3       /* those whose acknowledgement in that reply was 0 */
#endif
}
/* step, after 0: not asked yet */
#define WRITTEN 1           /* the store holds it, Redis does not know */
#define WAITING 2
#define REMOVING 3          /* OK was given after LEASE, its silent members are still to be removed */
#define OVER 4              /* OK was given, or UNCONFIRMED, or its host is dead */

ReplicaState r[REPLICAS];
CallState c[CALLS];
unsigned store : 2 = V0;
unsigned pending : 2;       /* the newest version whose event is still pending in the store */
unsigned announced : 2 = V0;
unsigned promised : 2 = V0; /* the newest version for which OK was given */
#if DEATHS && defined(NO_ORDER)
unsigned taken : 2;         /* taken off by replica 0 and not announced yet */
#endif
/* Redis */
unsigned epoch : 2 = 1;
unsigned seq : 3;
unsigned slot : 3;
#ifdef NO_TAKE
unsigned oldSlot : 3;       /* the slot in an earlier epoch's name */
#endif
#if TRIMS
unsigned trimmed : 3;       /* the last entry that the log has lost */
#endif
unsigned restarts : 2;
unsigned asked : 2;         /* calls so far, so that they begin in their order */
unsigned k : 2;             /* for loops, 0 between the steps */
unsigned k2 : 2;

/* ---- the promise ---- */

/* A Verify that starts now on replica i is answered from an older record than the last OK was for: out of memory, by a load that it joins,
   or by the slot that it takes. (What it would read from the store is new enough, always.) */
#ifdef NO_TAKE
#define SLOT_OF(i) (r[i].epoch == epoch -> slot : oldSlot)
#else
/* take: refused where the epoch in the slot's name is not Redis's own. */
#define SLOT_OF(i) (r[i].epoch == epoch -> slot : NONE)
#endif
#define OLDER(x) (IS_RECORD(x) && (x) < promised)
#define RIGHT(i) (!(r[i].lease && (OLDER(r[i].memory) || (r[i].owned && OLDER(r[i].loaded)) || OLDER(SLOT_OF(i)))))
/* A change that nobody has announced and nobody will. */
#define WILL(j) (c[j].step == WRITTEN)
#if CALLS == 1
#define NOBODY_WILL (!WILL(0))
#elif CALLS == 2
#define NOBODY_WILL (!WILL(0) && !WILL(1))
#else
#define NOBODY_WILL (!WILL(0) && !WILL(1) && !WILL(2))
#endif
#if DEATHS && defined(NO_ORDER)
#define LOST (announced < store && pending == NONE && NOBODY_WILL && taken == NONE)
#else
#define LOST (announced < store && pending == NONE && NOBODY_WILL)
#endif

#if REPLICAS == 2
#define EACH(condition) (condition(0) && condition(1))
#else
#define EACH(condition) (condition(0) && condition(1) && condition(2))
#endif

/* ---- the guards ---- */

#ifdef NO_LOADS
#define DISOWN(i) skip
#else
#define DISOWN(i) r[i].owned = 0
#endif

#if defined(NO_TOKEN)
#define MAY_FILL(i) (1)
#elif defined(NO_TAKE)
#define MAY_FILL(i) (slot == TOKEN(i) || oldSlot == TOKEN(i))
#else
#define MAY_FILL(i) (slot == TOKEN(i))
#endif

/* "each named record is dropped from memory, and the load under way for it is disowned" (A disowned load that may not fill its slot either
   can do nothing any more: it ends here.) */
inline drop(i) {
  r[i].memory = NONE;
  DISOWN(i);
  if :: !r[i].owned && !MAY_FILL(i) -> r[i].load = 0; r[i].loaded = NONE :: else -> skip fi
}

/* "Any other reply (another epoch ...): memory is emptied and all loads are disowned first" */
inline dropAtEpoch(i) {
#ifndef NO_EPOCH
  drop(i)
#else
  skip
#endif
}

/* "... and any reply that comes when the lease had lapsed": done at the lapse here, since nothing reads memory, joins a load or keeps it
   between the lapse and that reply. */
inline dropAtLapse(i) {
#ifndef NO_LAPSE
  drop(i)
#else
  skip
#endif
}

/* "The members are believed only if the epoch is the one that the changer itself has been in for LEASE" */
#if defined(NO_AGE)
#define BELIEVES(h) (r[h].epoch == epoch)
#elif defined(NO_SAME_EPOCH)
#define BELIEVES(h) (r[h].settled)
#else
#define BELIEVES(h) (r[h].settled && r[h].epoch == epoch)
#endif

/* "until each member in the reply has acknowledged the entry (applied >= seq, same epoch)" */
#define ACKNOWLEDGED(i) (!(me.asked & (1 << (i))) || (r[i].member && r[i].ack >= me.seq))
#ifdef NO_WAIT
#define MAY_OK (1)
#else
#define MAY_OK (me.believes && me.epoch == epoch && EACH(ACKNOWLEDGED))
#endif

/* ---- what several may do ---- */

/* The clock of call j's wait begins. */
inline startClock(j) {
  k = 0;
  do
  :: k < REPLICAS ->
    if :: r[k].lease -> r[k].leaseOld = r[k].leaseOld | (1 << (j)) :: else -> skip fi;
    if :: READS(k) && r[k].reply == COMING -> r[k].replyOld = r[k].replyOld | (1 << (j)) :: else -> skip fi;
    k++
  :: else -> break
  od;
  k = 0
}
/* It is of no use any more. */
inline stopClock(j) {
  k2 = 0;
  do
  :: k2 < REPLICAS ->
    r[k2].leaseOld = r[k2].leaseOld & (7 ^ (1 << (j)));
    r[k2].replyOld = r[k2].replyOld & (7 ^ (1 << (j)));
    k2++
  :: else -> break
  od;
  k2 = 0
}
/* "delete the slots; append" */
inline announce() {
  slot = NONE;
  seq++;
  announced = store
}
inline over(j) {
  stopClock(j);
  c[j].step = OVER; c[j].version = NONE; c[j].seq = 0; c[j].epoch = 0; c[j].believes = 0; c[j].asked = 0; c[j].same = 0; c[j].host = 0
#ifdef NO_UNIQUE
  ; c[j].zero = 0
#endif
}

/* ---- a replica ---- */
#define i _pid
#define my r[_pid]
#ifdef NO_LEASE
#define NOT_EARLIER(x) (1)
#define ENDED(x) (1)
#else
#define NOT_EARLIER(x) (!r[x].lease || r[x].epoch >= my.epoch)
#define ENDED(x) (!(r[x].leaseOld & (1 << j)))
#endif

active [REPLICAS] proctype Replica() {
  do
  /* Its sync is executed: "note me: applied if epochKnown is the epoch, else 0; count+1". (epoch and applied have not changed since it was
     sent: one sync at a time.) */
  :: d_step {
      !my.dead && my.reply == 0 ->
      printf("replica %d: Redis executes its sync\n", i);
      k = 0;
      do
      :: k < CALLS ->
#ifdef NO_UNIQUE
        /* The counter begins anew with the field, so its value comes again. */
        if
        :: !my.member && (c[k].zero & (1 << i)) && (my.epoch != epoch || my.applied == 0) -> c[k].same = c[k].same | (1 << i)
        :: else -> c[k].same = c[k].same & (7 ^ (1 << i))
        fi;
#elif !defined(NO_COMPARE)
        c[k].same = c[k].same & (7 ^ (1 << i));
#endif
        k++
      :: else -> break
      od;
      k = 0;
      my.member = 1;
#ifdef NO_ACK_EPOCH
      my.ack = my.applied;
#else
      my.ack = (my.epoch == epoch -> my.applied : 0);
#endif
      my.reply = COMING;
      my.replyEpoch = epoch;
#if TRIMS
      my.replyGap = (my.epoch == epoch && my.applied < trimmed);
#endif
      my.replySeq = seq
    }
  /* The reply comes. */
  :: d_step {
      my.reply != 0 ->
      printf("replica %d: the reply comes (epoch %d, seq %d)\n", i, my.replyEpoch, my.replySeq);
      if
      :: my.replyEpoch != my.epoch -> dropAtEpoch(i); my.epoch = my.replyEpoch; my.settled = 0
#if TRIMS && defined(NO_GAP)
      :: my.replyEpoch == my.epoch && my.replyGap -> skip
#endif
      :: else -> if :: my.replySeq > my.applied -> drop(i) :: else -> skip fi
      fi;
      my.applied = my.replySeq;
      /* "It then holds a lease until sending of that sync + 0.8 LEASE" */
#ifdef NO_SENDING
      if :: READS(i) -> my.lease = 1; my.leaseOld = 0 :: else -> skip fi;
#else
      if :: READS(i) && my.reply == COMING -> my.lease = 1; my.leaseOld = my.replyOld :: else -> skip fi;
#endif
#if TRIMS
      my.replyGap = 0;
#endif
      my.reply = 0; my.replyEpoch = 0; my.replySeq = 0; my.replyOld = 0
    }
  :: d_step {
      my.reply != 0 ->
      printf("replica %d: the reply is lost\n", i);
#if TRIMS
      my.replyGap = 0;
#endif
      my.reply = 0; my.replyEpoch = 0; my.replySeq = 0; my.replyOld = 0
    }
#ifndef NO_LEASE
  /* LAPSE */
  :: d_step { my.lease -> printf("replica %d: its lease lapses\n", i); my.lease = 0; my.leaseOld = 0; dropAtLapse(i) }
#endif
  /* SETTLE: LEASE has passed since its first reply in this epoch. Redis had executed each sync in an earlier epoch by then. */
  :: d_step {
      i < HOSTS && my.epoch != 0 && !my.settled && EACH(NOT_EARLIER) ->
      printf("replica %d: has been in epoch %d for LEASE\n", i, my.epoch);
      my.settled = 1;
      k = 0;
      do
      :: k < REPLICAS -> if :: r[k].reply == COMING && r[k].replyEpoch < my.epoch -> r[k].reply = TOO_OLD; r[k].replyOld = 0 :: else -> skip fi; k++
      :: else -> break
      od;
      k = 0
    }
  /* A Verify, "with a lease: memory; else a load: take the slot" */
  :: d_step {
      my.lease && my.memory == NONE && my.load == 0 ->
      my.owned = 1;
      if
      :: IS_RECORD(SLOT_OF(i)) -> my.loaded = SLOT_OF(i); my.load = FILLED; printf("replica %d: takes V%d from the slot\n", i, my.loaded - V0)
      :: else ->
        my.load = TAKEN;
        printf("replica %d: finds no record in the slot\n", i);
        if
        :: my.epoch == epoch -> slot = TOKEN(i)
#ifdef NO_TAKE
        :: my.epoch != epoch -> oldSlot = TOKEN(i)
#endif
        :: else -> skip
        fi
      fi
    }
  :: d_step { my.load == TAKEN -> my.loaded = store; my.load = READ; printf("replica %d: reads V%d from the store\n", i, store - V0) }
  /* "only where the slot still holds this token" */
  :: d_step {
      my.load == READ ->
      if
#ifdef NO_TAKE
      :: oldSlot == TOKEN(i) -> oldSlot = my.loaded; printf("replica %d: fills the slot of the earlier epoch\n", i)
      :: MAY_FILL(i) && oldSlot != TOKEN(i) -> slot = my.loaded; printf("replica %d: fills the slot\n", i)
#else
      :: MAY_FILL(i) -> slot = my.loaded; printf("replica %d: fills the slot\n", i)
#endif
      :: else -> printf("replica %d: may not fill the slot\n", i)
      fi;
      my.load = FILLED
    }
  /* "It is kept in memory only if the load was not disowned and the lease holds." */
  :: d_step {
      my.load == FILLED ->
      if
      :: my.owned && my.lease -> my.memory = my.loaded; printf("replica %d: keeps V%d\n", i, my.loaded - V0)
      :: else -> printf("replica %d: does not keep V%d\n", i, my.loaded - V0)
      fi;
      my.load = 0; my.loaded = NONE; my.owned = 0
    }
  od
}
#undef i
#undef my

/* ---- a change that a client asks for ---- */
#define j (_pid - REPLICAS)
#define me c[_pid - REPLICAS]

/* The event is taken off the record: those of later versions stay. */
inline takeOff() {
  if :: pending <= me.version -> pending = NONE :: else -> skip fi
}

inline ok() {
#ifdef NO_STORE_FIRST
  store = LATER(store, me.version);
  announced = store;
#endif
  printf("call %d: OK for V%d\n", j, me.version - V0);
  promised = LATER(promised, me.version)
}

inline write() {
  asked++;
#ifdef NO_STORE_FIRST
  me.version = store + 1;
#else
  store++;
  me.version = store;
  pending = store;
#endif
  me.step = WRITTEN;
  printf("call %d: on replica %d, V%d\n", j, me.host, me.version - V0);
#ifdef NO_REPLY
  startClock(j)
#else
  skip
#endif
}

inline already() {
  asked++;
  me.version = store;
  printf("call %d: on replica %d, V%d is there already\n", j, me.host, store - V0);
#ifdef NO_REPEAT
  announce();
  drop(me.host);
  ok();
  over(j)
#else
  me.step = WRITTEN
#ifdef NO_REPLY
  ; startClock(j)
#endif
#endif
}

active [CALLS] proctype Call() {
  do
  /* "store write (compare-and-set, majority, event pending inside)" */
  :: d_step { asked == j && !r[0].dead && store < V0 + WRITES -> me.host = 0; write() }
  :: d_step { asked == j && j > 0 && store < V0 + WRITES -> me.host = 1; write() }
  /* "Every OK does this, 'already revoked' too." */
  :: d_step { asked == j && !r[0].dead && store > V0 -> me.host = 0; already() }
  :: d_step { asked == j && j > 0 && store > V0 -> me.host = 1; already() }
  /* "Announce fails: retried until patience ends, then UNAVAILABLE PROPAGATION_UNCONFIRMED" */
  :: d_step { me.step == WRITTEN -> printf("call %d: UNCONFIRMED\n", j); over(j) }
  /* "announce -> own drop -> wait" */
  :: d_step {
      me.step == WRITTEN ->
      me.believes = BELIEVES(me.host);
      announce();
      me.seq = seq;
      me.epoch = epoch;
      k = 0;
      do
      :: k < REPLICAS ->
        if
        :: r[k].member && k != me.host ->
          me.asked = me.asked | (1 << k);
#ifdef NO_UNIQUE
          if :: r[k].ack == 0 -> me.zero = me.zero | (1 << k) :: else -> skip fi
#endif
        :: else -> skip
        fi;
        k++
      :: else -> break
      od;
      k = 0;
      me.same = me.asked;
      printf("call %d: announced as %d, members asked: %d, believed: %d\n", j, seq, me.asked, me.believes);
#ifndef NO_OWN
      drop(me.host);
#endif
#ifndef NO_REPLY
      startClock(j);
#endif
      takeOff();
      me.step = WAITING
    }
  /* "until each member in the reply has acknowledged the entry" */
  :: d_step { me.step == WAITING && MAY_OK -> ok(); over(j) }
  /* ELAPSE: "or LEASE has passed on the changer's own monotonic clock since the reply came" */
  :: d_step {
      me.step == WAITING && EACH(ENDED) ->
      printf("call %d: LEASE has passed\n", j);
      ok();
      k = 0;
      do
      :: k < REPLICAS ->
        if :: r[k].replyOld & (1 << j) -> r[k].reply = TOO_OLD; r[k].replyOld = 0 :: else -> skip fi;
#if defined(NO_COMPARE) || defined(NO_UNIQUE)
        if :: r[k].member && r[k].ack >= me.seq && me.epoch == epoch -> me.same = me.same & (7 ^ (1 << k)) :: else -> skip fi;
#endif
        k++
      :: else -> break
      od;
      k = 0;
      if
      :: me.same != 0 -> stopClock(j); me.step = REMOVING
      :: else -> over(j)
      fi
    }
  /* "A member that has not acknowledged after LEASE, and whose value is still what it was in the reply, is removed" (the command may come
     late, and may be lost) */
  :: d_step {
      me.step == REMOVING ->
      k = 0;
      do
      :: k < REPLICAS ->
        if
        :: r[k].member && (me.same & (1 << k)) -> printf("call %d: removes replica %d\n", j, k); r[k].member = 0; r[k].ack = 0
        :: else -> skip
        fi;
        k++
      :: else -> break
      od;
      k = 0;
      over(j)
    }
  od;
  k = 0
}

#undef j
#undef me

/* ---- what else happens ---- */

inline restart() {
  restarts++;
  epoch++;
  seq = 0;
#if TRIMS
  trimmed = 0;
#endif
  k = 0;
  do
  :: k < REPLICAS -> r[k].member = 0; r[k].ack = 0; k++
  :: else -> break
  od;
  k = 0
}

#if TRIMS
#ifdef SLOW_TRIM
/* Only what is older than each lease is trimmed, and than each reply that may still give one. */
#define BEYOND(x) ((!r[x].lease || (r[x].epoch == epoch && r[x].applied >= seq)) && (r[x].reply != COMING || (r[x].replyEpoch == epoch && r[x].replySeq >= seq)))
#define MAY_TRIM EACH(BEYOND)
#else
#define MAY_TRIM (1)
#endif
#endif

active proctype World() {
  do
  /* "the sweep of any replica announces it, then takes the event off". (One that dies in between leaves it to the next. With several calls
     it comes only to what its changer has left: a smaller bound.) */
#ifndef NO_ORDER
  :: d_step { pending != NONE && (CALLS == 1 || NOBODY_WILL) -> printf("sweep: announces and takes the event off\n"); announce(); pending = NONE }
#else
  :: d_step { pending != NONE && !r[0].dead && taken == NONE -> printf("sweep on replica 0: takes the event off\n"); taken = pending; pending = NONE }
  :: d_step { taken != NONE -> printf("sweep on replica 0: announces\n"); announce(); taken = NONE }
#endif
#if RESTARTS
  /* Redis comes back empty, or with an older copy of its data; or is emptied; or another becomes the master. The first script begins an
     epoch: "DEL members, log". Under the slot's new name there is nothing. Under its old one there may be what there was. */
  :: d_step {
      restarts < RESTARTS -> printf("Redis comes back empty\n"); restart();
      slot = NONE
#ifdef NO_TAKE
      ; oldSlot = NONE
#endif
    }
#if defined(NO_NAME)
  :: d_step { restarts < RESTARTS -> printf("Redis comes back with an older copy\n"); restart(); slot = V0 }
#elif defined(NO_TAKE)
  :: d_step { restarts < RESTARTS -> printf("Redis comes back with an older copy\n"); restart(); slot = NONE; oldSlot = V0 }
#endif
#endif
#if TRIMS
  :: d_step { trimmed < seq && MAY_TRIM -> printf("the log is trimmed\n"); trimmed = seq }
#endif
#if DEATHS
  :: d_step {
      !r[0].dead -> printf("replica 0 dies\n");
      r[0].dead = 1; r[0].epoch = 0; r[0].settled = 0; r[0].applied = 0; r[0].lease = 0; r[0].leaseOld = 0; r[0].memory = NONE;
      r[0].reply = 0; r[0].replyEpoch = 0; r[0].replySeq = 0; r[0].replyOld = 0;
      r[0].load = 0; r[0].loaded = NONE; r[0].owned = 0;
#if TRIMS
      r[0].replyGap = 0;
#endif
#ifdef NO_ORDER
      taken = NONE;
#endif
      k = 0;
      do
      :: k < CALLS -> if :: c[k].step != 0 && c[k].step != OVER && c[k].host == 0 -> over(k) :: else -> skip fi; k++
      :: else -> break
      od;
      k = 0
    }
#endif
  od
}

active proctype Verify() {
  do
  :: d_step { !EACH(RIGHT) -> printf("a Verify that starts now is answered from an older record\n"); assert(false) }
  :: d_step { LOST -> printf("a change was recorded that nobody will announce\n"); assert(false) }
  od
}
