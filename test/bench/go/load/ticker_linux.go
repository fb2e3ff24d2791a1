package main

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// newTicker gives a function that returns at the next tick, the first of which is so far away. Go's own timers are late by up to a millisecond where the
// program is idle otherwise, which is how long its poller sleeps at the least; a timer of the kernel wakes the poller itself.
func newTicker(first, every time.Duration) func() {
	descriptor, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		panic(err)
	}
	ticks := unix.ItimerSpec{Interval: unix.NsecToTimespec(int64(every)), Value: unix.NsecToTimespec(int64(first))}
	if err := unix.TimerfdSettime(descriptor, 0, &ticks, nil); err != nil {
		panic(err)
	}
	timer := os.NewFile(uintptr(descriptor), "timer")
	var count [8]byte
	return func() {
		if _, err := timer.Read(count[:]); err != nil {
			panic(err)
		}
	}
}
