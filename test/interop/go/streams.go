package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	gatehouse "gatehouse/interop/gen/gatehouse/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type verifyStream = grpc.BidiStreamingClient[gatehouse.VerifyStreamRequest, gatehouse.VerifyStreamResponse]

func ask(stream verifyStream, id string, request *gatehouse.VerifyRequest) error {
	return stream.Send(&gatehouse.VerifyStreamRequest{Id: id, Request: request})
}

// rest reads a stream to its end: the answers, and how it ended.
func rest(stream verifyStream) ([]*gatehouse.VerifyStreamResponse, error) {
	answers := []*gatehouse.VerifyStreamResponse{}
	for {
		answer, err := stream.Recv()
		if err == io.EOF {
			return answers, nil
		}
		if err != nil {
			return answers, err
		}
		answers = append(answers, answer)
	}
}

func outcome(answer *gatehouse.VerifyStreamResponse) any {
	if answer.GetError() != nil {
		return told(status.ErrorProto(answer.GetError()))
	}
	return answer.GetResponse().GetStatus().String()
}

// streamed asks hundreds of questions of every kind, and then says that no more come.
func streamed(s *service) any {
	secret := s.make(&gatehouse.CreateKeyRequest{Name: "stream", Permissions: []string{"docs:read"}}).GetSecret()
	kinds := []*gatehouse.VerifyRequest{
		{Token: secret},
		{Token: secret, Permissions: []string{"mail:read"}},
		{Token: "gate_junk"},
		{Token: secret, Permissions: []string{"a b"}},
		{Token: strings.Repeat("x", 9000)},
		nil,
	}
	stream := must(s.auth.VerifyStream(s.root))
	for n := range 600 {
		must(0, ask(stream, fmt.Sprint(n), kinds[n%len(kinds)]))
	}
	odd := []string{"", strings.Repeat("i", 65), "a\nb"}
	for _, id := range odd {
		must(0, ask(stream, id, kinds[0]))
	}
	must(0, stream.CloseSend())
	answers, end := rest(stream)
	results := map[string]any{}
	for _, answer := range answers {
		results[answer.GetId()] = outcome(answer)
	}
	return map[string]any{"answers": len(answers), "results": results, "end": codeOf(end)}
}

// packed compresses its questions, and has as much metadata as the service takes; or more.
func packed(s *service) any {
	good := &gatehouse.VerifyRequest{Token: s.make(&gatehouse.CreateKeyRequest{Name: "packed"}).GetSecret()}
	play := func(note int) (int, string) {
		ctx := metadata.AppendToOutgoingContext(s.root, "x-note", strings.Repeat("n", note))
		stream, err := s.auth.VerifyStream(ctx, grpc.UseCompressor(gzip.Name))
		if err != nil {
			return 0, codeOf(err)
		}
		for n := range 20 {
			// Where the stream has ended already, its end is told by the reading.
			_ = ask(stream, fmt.Sprint(n), good)
		}
		_ = stream.CloseSend()
		answers, end := rest(stream)
		valid := 0
		for _, answer := range answers {
			if answer.GetResponse().GetValid() {
				valid++
			}
		}
		return valid, codeOf(end)
	}
	valid, end := play(14_000)
	none, tooLarge := play(40_000)
	return map[string]any{"valid": valid, "end": end, "none": none, "tooLarge": tooLarge}
}

// window is the least that Go's library has, in bytes.
const window = 65_536

// unread sends on while it reads nothing, and reads once no more is taken from it.
func unread(s *service) any {
	large := map[string]string{}
	for n := range 10 {
		large[fmt.Sprint("k", n)] = strings.Repeat("x", 200)
	}
	good := &gatehouse.VerifyRequest{
		Token:   s.make(&gatehouse.CreateKeyRequest{Name: "unread", Metadata: large}).GetSecret(),
		Context: &gatehouse.VerifyContext{Path: strings.Repeat("p", 1000)},
	}
	// Windows that are given do not grow: the client would take all of it in unread otherwise.
	stream := must(s.again(grpc.WithInitialWindowSize(window), grpc.WithInitialConnWindowSize(window)).auth.VerifyStream(s.root))
	const count = 4000
	var sent atomic.Int32
	go func() {
		for n := range count {
			must(0, ask(stream, fmt.Sprint(n), good))
			sent.Add(1)
		}
		must(0, stream.CloseSend())
	}()
	// Nothing is taken for a while: the service waits for its client.
	for last, still := int32(0), 0; still < 15; time.Sleep(20 * time.Millisecond) {
		now := sent.Load()
		if now == last && now > 0 {
			still++
		} else {
			last, still = now, 0
		}
	}
	unread := sent.Load()
	answers, end := rest(stream)
	ids := map[string]bool{}
	for _, answer := range answers {
		ids[answer.GetId()] = answer.GetResponse().GetValid()
	}
	return map[string]any{"unread": unread, "answers": len(answers), "ids": len(ids), "end": codeOf(end)}
}

// begun opens a stream and has one question answered.
func begun(ctx context.Context, s *service, good *gatehouse.VerifyRequest) verifyStream {
	stream := must(s.auth.VerifyStream(ctx))
	must(0, ask(stream, "first", good))
	must(stream.Recv())
	return stream
}
