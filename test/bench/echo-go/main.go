// A grpc-go server that decodes a VerifyRequest and sends back a VerifyResponse that is always the same, as a call and on
// a stream. Prints its port.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"

	gatehouse "gatehouse/bench/echo/gen/gatehouse/v1"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
)

var answer = &gatehouse.VerifyResponse{
	Valid:   true,
	Status:  gatehouse.VerifyStatus_VERIFY_STATUS_VALID,
	Message: "the key is valid",
	Principal: &gatehouse.Principal{
		Kind:             gatehouse.PrincipalKind_PRINCIPAL_KIND_KEY,
		KeyId:            "key_0123456789abcdefABCDEF",
		Keyspace:         "default",
		Name:             "bench 1",
		DisplayPrefix:    "gate_0123456",
		Owner:            &gatehouse.Owner{Kind: "user", Id: "u1"},
		Permissions:      []string{"docs:*"},
		SecretGeneration: gatehouse.SecretGeneration_SECRET_GENERATION_CURRENT,
	},
	Revision:     1,
	RecordAge:    &durationpb.Duration{},
	CacheableFor: &durationpb.Duration{},
}

type server struct {
	gatehouse.UnimplementedAuthServiceServer
}

func (server) Verify(context.Context, *gatehouse.VerifyRequest) (*gatehouse.VerifyResponse, error) {
	return answer, nil
}

func (server) VerifyStream(stream grpc.BidiStreamingServer[gatehouse.VerifyStreamRequest, gatehouse.VerifyStreamResponse]) error {
	for {
		request, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		result := &gatehouse.VerifyStreamResponse_Response{Response: answer}
		if err := stream.Send(&gatehouse.VerifyStreamResponse{Id: request.GetId(), Result: result}); err != nil {
			return err
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("{\"port\":%d}\n", listener.Addr().(*net.TCPAddr).Port)
	service := grpc.NewServer()
	gatehouse.RegisterAuthServiceServer(service, server{})
	log.Fatal(service.Serve(listener))
}
