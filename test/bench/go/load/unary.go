package main

import (
	"bytes"

	"golang.org/x/net/http2"
)

// unary makes each call on an HTTP/2 stream of its own.
type unary struct {
	*wire
	*turns
	seen  *recorder
	draw  func() []byte
	limit int
	// under are the calls under way, by their stream.
	under map[uint32]call
	next  uint32
}

type call struct {
	begun int64
	// good is set when an answer came as it is wanted.
	good bool
}

func (u *unary) open() error {
	u.under = make(map[uint32]call, u.limit)
	u.next = 1
	return u.connect(u)
}

func (u *unary) run() {
	u.kick()
	why := u.converse(u)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	for range u.under {
		u.seen.failed(why)
	}
	for range u.due {
		u.seen.failed(why)
	}
}

func (u *unary) push(due int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		u.seen.failed("the connection is gone")
		return
	}
	u.due = append(u.due, due)
}

func (u *unary) kick() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return
	}
	u.now = clock()
	u.ready()
	if err := u.flush(); err != nil {
		u.close(err.Error())
	}
}

// ready makes as many calls as there are places and turns.
func (u *unary) ready() {
	for !u.retired && len(u.under) < min(u.limit, int(u.maxStreams)) && u.sendWindow > largestBody {
		begun, ok := u.turns.next(u.now)
		if !ok {
			break
		}
		u.seen.sent(begun, u.now)
		u.under[u.next] = call{begun: begun}
		u.begin(u.next)
		u.send(u.next, u.draw(), true)
		u.next += 2
	}
	if len(u.under) == 0 && (u.retired || u.over(u.now)) {
		why := ""
		if !u.over(u.now) {
			why = "the server has closed the connection"
		}
		u.close(why)
	}
}

// largestBody is what the window has to have room for before a call is made.
const largestBody = 16 << 10

func (u *unary) data(id uint32, payload []byte, end bool) {
	if call, ok := u.under[id]; ok && !call.good {
		call.good = len(payload) > 0 && bytes.Contains(payload, u.options.want)
		u.under[id] = call
	}
	if end {
		u.status, u.message = "", "the answer has no trailers"
		u.done(id, u.refused())
	}
}

func (u *unary) headers(id uint32, end bool) {
	if end {
		u.done(id, u.refused())
	}
}

func (u *unary) reset(id uint32, code http2.ErrCode) {
	u.done(id, "reset "+code.String())
}

func (u *unary) done(id uint32, why string) {
	call, ok := u.under[id]
	if !ok {
		return
	}
	delete(u.under, id)
	switch {
	case why != "":
		u.seen.failed(why)
	case !call.good:
		u.seen.failed("another answer than is wanted")
	default:
		u.seen.answered(call.begun, u.now)
	}
}
