// Asks a server as fast as it answers, or at a fixed rate, and prints what came of it as one line of JSON.
//
// It writes and reads HTTP/2's frames itself, over plain TCP: with a header block that is encoded once, and one write for all
// that is due together, it costs a fraction of any server in Node.
package main

import (
	"fmt"
	"os"
	"sync"
	"time"
)

// patience is how long nothing at all may be answered before the rest is given up.
const patience = 10 * time.Second

// connection is one of those over which calls are made.
type connection interface {
	// open connects, and returns when calls may be made.
	open() error
	// run makes the calls and returns when there are no more, or the connection is lost.
	run()
	// push has one more call made, that is due at this moment. Only in an open loop.
	push(due int64)
	// kick sends what was pushed, and ends the connection where all is done.
	kick()
	// abort gives up what is not answered.
	abort(why string)
}

func main() {
	options, err := readOptions(os.Args[1:])
	if err == nil {
		err = load(options)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

func load(options options) error {
	bodies, err := readBodies(options)
	if err != nil {
		return err
	}
	plan, seen := newPlan(options), newRecorder()
	connections := make([]connection, options.conns)
	for index := range connections {
		connections[index] = newConnection(options, plan, seen, bodies.drawer(options, index))
		if err := connections[index].open(); err != nil {
			return err
		}
	}
	plan.begin()
	seen.from, seen.last = plan.from, clock()

	var running sync.WaitGroup
	for _, connection := range connections {
		running.Go(connection.run)
	}
	if options.rate > 0 {
		go plan.pace(connections)
	}
	over := make(chan struct{})
	go func() {
		running.Wait()
		close(over)
	}()
	watch(over, options, seen, connections)
	seen.printWhole()
	return nil
}

// watch returns when all is over. Until then it prints the intervals and sees that there are answers.
func watch(over <-chan struct{}, options options, seen *recorder, connections []connection) {
	var begun, intervals <-chan time.Time
	if options.interval > 0 {
		begun = time.After(options.warmup)
	}
	look := time.Tick(time.Second)
	for {
		select {
		case <-over:
			return
		case <-begun:
			intervals = time.Tick(options.interval)
		case <-intervals:
			seen.printRecent()
		case <-look:
			if clock()-seen.lastAnswer() > int64(patience) {
				for _, connection := range connections {
					connection.abort(fmt.Sprintf("no answer for %v", patience))
				}
			}
		}
	}
}

func newConnection(options options, plan *plan, seen *recorder, draw func() []byte) connection {
	turns := &turns{plan: plan}
	switch options.mode {
	case "unary":
		return &unary{wire: newWire(options), turns: turns, seen: seen, draw: draw, limit: options.inflight}
	case "stream":
		return &stream{wire: newWire(options), turns: turns, seen: seen, draw: draw, limit: options.inflight}
	default:
		return &http1{options: options, plan: plan, seen: seen, draw: draw}
	}
}
