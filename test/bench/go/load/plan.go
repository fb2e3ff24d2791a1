package main

import (
	"sync/atomic"
	"time"
)

var started = time.Now()

// clock is the time since the program's start, in nanoseconds.
func clock() int64 {
	return int64(time.Since(started))
}

// shortestTick is how often the schedule is looked at, at the most: what is due in between is sent together.
const shortestTick = 50 * time.Microsecond

// plan says when calls are to be made, over all connections. Times are of the clock.
type plan struct {
	options options
	// start is when the warm-up begins, from when it ends, to is behind the last call. None is known before begin.
	start, from, to int64
	left            atomic.Int64
	// paced is set when an open loop has no more calls.
	paced atomic.Bool
}

func newPlan(options options) *plan {
	plan := &plan{options: options}
	plan.left.Store(options.calls)
	return plan
}

func (p *plan) begin() {
	p.start = clock()
	p.from = p.start + int64(p.options.warmup)
	p.to = p.from + int64(p.options.duration)
}

// take says whether a closed loop may make one more call now.
func (p *plan) take(now int64) bool {
	if now < p.from {
		return true
	}
	if p.options.calls > 0 {
		return p.left.Add(-1) >= 0
	}
	return now < p.to
}

// over says whether no more calls will be made.
func (p *plan) over(now int64) bool {
	switch {
	case p.options.rate > 0:
		return p.paced.Load()
	case p.options.calls > 0:
		return p.left.Load() <= 0
	default:
		return now >= p.to
	}
}

// pace has the connections make the calls of an open loop in turn, each when it is due, whatever became of those before.
func (p *plan) pace(connections []connection) {
	interval := float64(time.Second) / p.options.rate
	tick := max(shortestTick, time.Duration(interval))
	// In step with what is due: calls would all be late by the same otherwise.
	wait := newTicker(max(1, tick-time.Duration(clock()-p.start)%tick), tick)
	pushed := make([]connection, 0, len(connections))
	for next := 0; ; wait() {
		pushed = pushed[:0]
		for now := clock(); ; next++ {
			due := p.start + int64(float64(next)*interval)
			if due >= p.to {
				p.paced.Store(true)
				break
			}
			if due > now {
				break
			}
			connection := connections[next%len(connections)]
			connection.push(due)
			if len(pushed) < len(connections) {
				pushed = append(pushed, connection)
			}
		}
		if p.paced.Load() {
			pushed = connections
		}
		for _, connection := range pushed {
			connection.kick()
		}
		if p.paced.Load() {
			return
		}
	}
}

// turns gives one connection its calls. Whoever uses it holds the connection's lock.
type turns struct {
	plan *plan
	// due are the calls of an open loop that wait for a place.
	due []int64
}

// next gives the moment from which the next call's time counts; false where none is to be made now.
func (t *turns) next(now int64) (int64, bool) {
	if t.plan.options.rate == 0 {
		return now, t.plan.take(now)
	}
	if len(t.due) == 0 {
		return 0, false
	}
	due := t.due[0]
	if t.due = t.due[1:]; len(t.due) == 0 {
		t.due = nil
	}
	return due, true
}

// over says whether this connection will get no more calls.
func (t *turns) over(now int64) bool {
	return len(t.due) == 0 && t.plan.over(now)
}
