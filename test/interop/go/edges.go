package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gatehouse "gatehouse/interop/gen/gatehouse/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
)

// edges plays what befalls a Verify, all of it over one connection.
func edges(s *service) any {
	// Of a hash that takes milliseconds: such a call is under way when its client gives it up.
	slow := s.make(&gatehouse.CreateKeyRequest{Name: "slow", Keyspace: "slow"}).GetSecret()
	wrong := func(n int) *gatehouse.VerifyRequest {
		return &gatehouse.VerifyRequest{Token: slow[:len(slow)-4] + string(rune('a'+n)) + "aaa"}
	}
	good := &gatehouse.VerifyRequest{Token: s.make(&gatehouse.CreateKeyRequest{Name: "good"}).GetSecret()}
	watching, stop := context.WithCancel(context.Background())
	defer stop()
	_, first := watch(watching, s)

	// The codes that calls end with whose context ends so.
	ended := func(end func() (context.Context, context.CancelFunc)) []string {
		var calls sync.WaitGroup
		var guard sync.Mutex
		found := []string{}
		for n := range 20 {
			calls.Go(func() {
				ctx, cancel := end()
				defer cancel()
				_, err := s.auth.Verify(ctx, wrong(n))
				guard.Lock()
				defer guard.Unlock()
				code := codeOf(err)
				// One may be answered, or refused because of too much Argon2id work, before it ends otherwise.
				ran := code == "OK" || code == "RESOURCE_EXHAUSTED"
				if !ran && !slices.Contains(found, code) {
					found = append(found, code)
				}
			})
		}
		calls.Wait()
		return found
	}
	cancelled := ended(func() (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(s.root)
		time.AfterFunc(3*time.Millisecond, cancel)
		return ctx, cancel
	})
	late := ended(func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(s.root, 3*time.Millisecond)
	})

	with := func(bytes int) string {
		_, err := s.auth.Verify(metadata.AppendToOutgoingContext(s.root, "x-note", strings.Repeat("n", bytes)), good)
		return codeOf(err)
	}
	_, compressed := s.auth.Verify(s.root, good, grpc.UseCompressor(gzip.Name))
	large, tooLarge := with(14_000), with(40_000)

	var valid atomic.Int32
	var calls sync.WaitGroup
	for range 2048 {
		calls.Go(func() {
			if must(s.auth.Verify(s.root, good)).GetValid() {
				valid.Add(1)
			}
		})
	}
	calls.Wait()
	return map[string]any{
		"cancelled": cancelled, "late": late, "large": large, "tooLarge": tooLarge,
		"compressed": codeOf(compressed), "valid": valid.Load(), "watching": first,
	}
}
