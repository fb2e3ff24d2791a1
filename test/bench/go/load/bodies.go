package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
)

// prefixLength is of the prefix of each message: a flag and four bytes of length.
const prefixLength = 5

// bodies are what calls send, each with its prefix.
type bodies struct {
	all [][]byte
	// next is of the file's order, over all connections.
	next atomic.Int64
}

// drawer gives the function that finds a body for each call of one connection.
func (b *bodies) drawer(options options, connection int) func() []byte {
	if options.inOrder {
		return func() []byte { return b.all[int(b.next.Add(1)-1)%len(b.all)] }
	}
	random := rand.New(rand.NewPCG(options.seed, uint64(connection)))
	return func() []byte { return b.all[random.IntN(len(b.all))] }
}

// readBodies takes the file apart.
func readBodies(options options) (*bodies, error) {
	if options.bodies == "" {
		return &bodies{all: [][]byte{nil}}, nil
	}
	whole, err := os.ReadFile(options.bodies)
	if err != nil {
		return nil, err
	}
	if options.mode == "json" {
		return &bodies{all: bytes.Split(bytes.TrimRight(whole, "\n"), []byte("\n"))}, nil
	}
	var all [][]byte
	for rest := whole; len(rest) > 0; {
		if len(rest) < prefixLength || len(rest) < envelopeLength(rest) {
			return nil, fmt.Errorf("%s ends within a message", options.bodies)
		}
		length := envelopeLength(rest)
		if _, hasID := placeOf(rest[:length]); options.mode == "stream" && !hasID {
			return nil, errors.New("each message of a stream begins with an id of 8 hexadecimal digits, field 1")
		}
		all, rest = append(all, rest[:length:length]), rest[length:]
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s is empty", options.bodies)
	}
	return &bodies{all: all}, nil
}

// envelopeLength is of the message that begins here, with its prefix, of which all has to be here.
func envelopeLength(bytes []byte) int {
	return prefixLength + int(binary.BigEndian.Uint32(bytes[1:]))
}
