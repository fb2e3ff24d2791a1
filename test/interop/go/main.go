// Plays one scenario against the service and prints what came as JSON: `client SCENARIO ADDRESS ROOT_KEY`.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

var scenarios = map[string]func(*service) any{
	"life":       life,
	"pages":      pages,
	"large page": largePage,
	"refusals":   refusals,
	"too large":  tooLarge,
	"busy":       busy,
	"batch":      batch,
	"parallel":   parallel,
	"deadline":   deadline,
	"cancel":     cancelled,
	"edges":      edges,
	"health":     healthy,

	"stream":           streamed,
	"stream packed":    packed,
	"stream unread":    unread,
	"stream cancelled": streamCancelled,
	"stream late":      streamLate,
	"stream revoked":   streamRevoked,
	"reset":            reset,
}

func main() {
	scenario, ok := scenarios[os.Args[1]]
	if !ok {
		fail(fmt.Errorf("no scenario %q", os.Args[1]))
	}
	out, err := json.Marshal(scenario(connect(os.Args[2], os.Args[3])))
	if err != nil {
		fail(err)
	}
	fmt.Println(string(out))
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// must gives the answer of a call that may not fail.
func must[T any](answer T, err error) T {
	if err != nil {
		fail(err)
	}
	return answer
}
