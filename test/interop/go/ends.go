package main

import (
	"context"
	"time"

	gatehouse "gatehouse/interop/gen/gatehouse/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"
)

var junk = &gatehouse.VerifyRequest{Token: "gate_junk"}

func check(s *service, name string) (string, error) {
	answer, err := s.health.Check(context.Background(), &grpc_health_v1.HealthCheckRequest{Service: name})
	return answer.GetStatus().String(), err
}

// watch opens Health's Watch, the one call that never ends by itself, and reads its first message.
func watch(ctx context.Context, s *service) (grpc.ServerStreamingClient[grpc_health_v1.HealthCheckResponse], string) {
	stream := must(s.health.Watch(ctx, &grpc_health_v1.HealthCheckRequest{}))
	return stream, must(stream.Recv()).GetStatus().String()
}

func deadline(s *service) any {
	over, stop := context.WithTimeout(s.root, time.Microsecond)
	defer stop()
	_, unary := s.auth.Verify(over, junk)

	// The connection is there before the time runs.
	must(check(s, ""))
	soon, stop := context.WithTimeout(context.Background(), time.Second)
	defer stop()
	stream, first := watch(soon, s)
	_, end := stream.Recv()
	return map[string]string{"unary": codeOf(unary), "first": first, "end": codeOf(end)}
}

func cancelled(s *service) any {
	gone, cancel := context.WithCancel(s.root)
	cancel()
	_, unary := s.auth.Verify(gone, junk)

	watching, cancel := context.WithCancel(context.Background())
	stream, first := watch(watching, s)
	cancel()
	_, end := stream.Recv()
	return map[string]string{
		"unary":      codeOf(unary),
		"first":      first,
		"end":        codeOf(end),
		"afterwards": must(check(s, "")),
	}
}

func healthy(s *service) any {
	_, err := check(s, "nope")
	return map[string]string{
		"whole":   must(check(s, "")),
		"keys":    must(check(s, "gatehouse.v1.KeyService")),
		"unknown": codeOf(err),
	}
}
