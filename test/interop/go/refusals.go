package main

import (
	"context"
	"fmt"
	"strings"
	"sync"

	gatehouse "gatehouse/interop/gen/gatehouse/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"
)

func refusals(s *service) any {
	create := func(ctx context.Context, request *gatehouse.CreateKeyRequest) refusal {
		_, err := s.keys.CreateKey(ctx, request)
		return told(err)
	}
	good := &gatehouse.CreateKeyRequest{Keyspace: "default", Name: "x"}
	return map[string]refusal{
		"invalid": create(s.root, &gatehouse.CreateKeyRequest{
			Keyspace:    "default",
			Permissions: []string{"docs:read", "a b"},
		}),
		"unknownKeyspace": create(s.root, &gatehouse.CreateKeyRequest{Keyspace: "nowhere", Name: "x"}),
		"noKey":           create(context.Background(), good),
		"wrongKey":        create(bearer("ghm_wrong"), good),
	}
}

func tooLarge(s *service) any {
	verify := func(options ...grpc.CallOption) refusal {
		_, err := s.auth.Verify(s.root, &gatehouse.VerifyRequest{Token: strings.Repeat("x", 70_000)}, options...)
		return told(err)
	}
	batchOf := func(length int) refusal {
		request := &gatehouse.VerifyBatchRequest{}
		for range batchSize {
			request.Requests = append(request.Requests, &gatehouse.VerifyRequest{Token: strings.Repeat("x", length)})
		}
		_, err := s.auth.VerifyBatch(s.root, request)
		return told(err)
	}
	return map[string]any{
		"verify":   verify(),
		"unpacked": verify(grpc.UseCompressor(gzip.Name)),
		"batch":    batchOf(11_000),
		// As many tokens of the most that one may have are less than the batch's bound.
		"largestTokens": batchOf(8192).Code,
	}
}

// busy has the service hash more tokens at once than it takes on: all are found by the start of one Argon2id key.
func busy(s *service) any {
	secret := s.make(&gatehouse.CreateKeyRequest{Keyspace: "slow", Name: "busy"}).GetSecret()
	outcomes := make([]refusal, 64)
	var calls sync.WaitGroup
	for n := range outcomes {
		calls.Go(func() {
			token := fmt.Sprintf("%s%04d", secret[:len(secret)-4], n)
			_, err := s.auth.Verify(s.root, &gatehouse.VerifyRequest{Token: token})
			outcomes[n] = told(err)
		})
	}
	calls.Wait()
	return outcomes
}
