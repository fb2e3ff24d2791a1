package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// lateAfter is how long behind its due moment a call of an open loop may be sent and not count as late.
const lateAfter = int64(time.Millisecond)

// longest is the longest latency that is told from longer ones.
const longest = 2 * time.Minute

// recorder counts what came of the calls behind the warm-up. Times are of the clock.
type recorder struct {
	mu sync.Mutex
	// from is when the warm-up ends. Calls that began before it do not count.
	from int64
	// last is of the last answer to any call.
	last          int64
	whole, recent counts
	recentFrom    int64
	told          bool
}

type counts struct {
	answered, failed, late int64
	// microseconds are the latencies of what was answered.
	microseconds *hdrhistogram.Histogram
}

func newCounts() counts {
	return counts{microseconds: hdrhistogram.New(1, longest.Microseconds(), 3)}
}

func newRecorder() *recorder {
	return &recorder{whole: newCounts(), recent: newCounts()}
}

// sent notes a call of an open loop that could not be sent when it was due.
func (r *recorder) sent(begun, now int64) {
	if now-begun <= lateAfter || begun < r.from {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recent.late++
}

func (r *recorder) answered(begun, now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last = now
	if begun < r.from {
		return
	}
	r.recent.answered++
	// Fails only beyond the longest.
	_ = r.recent.microseconds.RecordValue(min((now-begun)/1000, longest.Microseconds()))
}

// failed counts also what fails during the warm-up: it is no run to speak of then.
func (r *recorder) failed(why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.recent.failed++
	if !r.told {
		r.told = true
		fmt.Fprintln(os.Stderr, "load: failed:", why)
	}
}

func (r *recorder) lastAnswer() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last
}

// printRecent prints what came since the last time.
func (r *recorder) printRecent() {
	now := clock()
	r.mu.Lock()
	recent := r.collect()
	since := max(r.recentFrom, r.from)
	r.recentFrom = now
	r.mu.Unlock()
	recent.print(now - since)
}

func (r *recorder) printWhole() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.collect()
	r.whole.print(r.last - r.from)
}

// collect adds what is recent to the whole and begins anew.
func (r *recorder) collect() counts {
	recent := r.recent
	r.recent = newCounts()
	r.whole.answered += recent.answered
	r.whole.failed += recent.failed
	r.whole.late += recent.late
	r.whole.microseconds.Merge(recent.microseconds)
	return recent
}

func (c counts) print(nanoseconds int64) {
	seconds := max(float64(nanoseconds)/1e9, 1e-9)
	latency := map[string]float64{"max": float64(c.microseconds.Max()) / 1000}
	for name, share := range map[string]float64{"p50": 50, "p90": 90, "p99": 99, "p999": 99.9} {
		latency[name] = float64(c.microseconds.ValueAtQuantile(share)) / 1000
	}
	line, err := json.Marshal(struct {
		Answered  int64              `json:"answered"`
		Failed    int64              `json:"failed"`
		Late      int64              `json:"late"`
		Seconds   float64            `json:"seconds"`
		Rate      float64            `json:"rate"`
		LatencyMs map[string]float64 `json:"latencyMs"`
	}{c.answered, c.failed, c.late, rounded(seconds, 1e6), rounded(float64(c.answered)/seconds, 10), latency})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

func rounded(figure, parts float64) float64 {
	return math.Round(figure*parts) / parts
}
