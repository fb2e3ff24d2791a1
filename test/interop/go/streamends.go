package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	gatehouse "gatehouse/interop/gen/gatehouse/v1"
)

// resets is how many calls are cancelled on one connection: fewer than the service takes for a flood.
const resets = 300

// streamCancelled gives a stream up with questions under way.
func streamCancelled(s *service) any {
	good := &gatehouse.VerifyRequest{Token: s.make(&gatehouse.CreateKeyRequest{Name: "cancelled"}).GetSecret()}
	ctx, cancel := context.WithCancel(s.root)
	stream := begun(ctx, s, good)
	for n := range 200 {
		must(0, ask(stream, fmt.Sprint(n), good))
	}
	cancel()
	_, end := rest(stream)
	return map[string]any{"end": codeOf(end), "afterwards": must(s.auth.Verify(s.root, good)).GetValid()}
}

// streamLate lets a stream's time run out.
func streamLate(s *service) any {
	good := &gatehouse.VerifyRequest{Token: s.make(&gatehouse.CreateKeyRequest{Name: "late"}).GetSecret()}
	// The connection is there before the time runs.
	must(s.auth.Verify(s.root, good))
	ctx, cancel := context.WithTimeout(s.root, time.Second)
	defer cancel()
	_, end := rest(begun(ctx, s, good))
	return map[string]any{"end": codeOf(end)}
}

// streamRevoked has the caller's own key revoked in the middle.
func streamRevoked(s *service) any {
	good := &gatehouse.VerifyRequest{Token: s.make(&gatehouse.CreateKeyRequest{Name: "good"}).GetSecret()}
	caller := s.make(&gatehouse.CreateKeyRequest{
		Keyspace:    "gatehouse",
		Name:        "caller",
		Permissions: []string{"tokens:verify"},
	})
	stream := begun(bearer(caller.GetSecret()), s, good)
	must(s.keys.RevokeKey(s.root, &gatehouse.RevokeKeyRequest{
		Target: &gatehouse.RevokeKeyRequest_Id{Id: caller.GetKey().GetId()},
	}))
	for n := range 20 {
		// Where the stream has ended already, its end is told by the reading.
		_ = ask(stream, fmt.Sprint(n), good)
	}
	answers, end := rest(stream)
	return map[string]any{"answers": len(answers), "end": told(end)}
}

// reset gives hundreds of unary calls up, each at another moment of its way.
func reset(s *service) any {
	good := &gatehouse.VerifyRequest{Token: s.make(&gatehouse.CreateKeyRequest{Name: "reset"}).GetSecret()}
	must(s.auth.Verify(s.root, good))
	found := map[string]int{}
	var calls sync.WaitGroup
	var guard sync.Mutex
	for n := range resets {
		calls.Go(func() {
			ctx, cancel := context.WithCancel(s.root)
			defer cancel()
			time.AfterFunc(time.Duration(n*50)*time.Microsecond, cancel)
			_, err := s.auth.Verify(ctx, good)
			guard.Lock()
			defer guard.Unlock()
			found[codeOf(err)]++
		})
	}
	calls.Wait()
	return map[string]any{"ended": found, "afterwards": must(s.auth.Verify(s.root, good)).GetValid()}
}
