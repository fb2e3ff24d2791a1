package main

import (
	"sync"
	"sync/atomic"

	gatehouse "gatehouse/interop/gen/gatehouse/v1"

	"google.golang.org/grpc/status"
)

// batchSize is the most that a VerifyBatch may have.
const batchSize = 100

func batch(s *service) any {
	secret := s.make(&gatehouse.CreateKeyRequest{Name: "batch"}).GetSecret()
	// A good token, junk, nothing, and a question that is malformed, over and over.
	kinds := []*gatehouse.VerifyRequest{
		{Token: secret},
		{Token: "gate_junk"},
		{},
		{Token: secret, Permissions: []string{"a b"}},
	}
	request := &gatehouse.VerifyBatchRequest{}
	for n := range batchSize {
		request.Requests = append(request.Requests, kinds[n%len(kinds)])
	}
	results := []any{}
	for _, result := range must(s.auth.VerifyBatch(s.root, request)).GetResults() {
		switch result := result.GetResult().(type) {
		case *gatehouse.VerifyResult_Response:
			results = append(results, result.Response.GetStatus().String())
		case *gatehouse.VerifyResult_Error:
			results = append(results, told(status.ErrorProto(result.Error)))
		}
	}
	request.Requests = append(request.Requests, kinds[0])
	_, err := s.auth.VerifyBatch(s.root, request)
	return map[string]any{"results": results, "oneMore": told(err)}
}

func parallel(s *service) any {
	request := &gatehouse.VerifyRequest{Token: s.make(&gatehouse.CreateKeyRequest{Name: "parallel"}).GetSecret()}
	var valid atomic.Int32
	var calls sync.WaitGroup
	for range 500 {
		calls.Go(func() {
			if must(s.auth.Verify(s.root, request)).GetValid() {
				valid.Add(1)
			}
		})
	}
	calls.Wait()
	return map[string]int32{"valid": valid.Load()}
}
