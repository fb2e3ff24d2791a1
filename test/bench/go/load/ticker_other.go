//go:build !linux

package main

import "time"

// newTicker gives a function that returns at the next tick, or a little later.
func newTicker(_, every time.Duration) func() {
	ticks := time.Tick(every)
	return func() { <-ticks }
}
