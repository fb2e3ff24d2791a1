package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
)

// prefixLength is of the prefix of each message: a flag and four bytes of length.
const prefixLength = 5

// readBodies takes the file apart; each body is as it is sent, with its prefix.
func readBodies(options options) ([][]byte, error) {
	if options.bodies == "" {
		return [][]byte{nil}, nil
	}
	whole, err := os.ReadFile(options.bodies)
	if err != nil {
		return nil, err
	}
	if options.mode == "json" {
		return bytes.Split(bytes.TrimRight(whole, "\n"), []byte("\n")), nil
	}
	var bodies [][]byte
	for rest := whole; len(rest) > 0; {
		if len(rest) < prefixLength || len(rest) < envelopeLength(rest) {
			return nil, fmt.Errorf("%s ends within a message", options.bodies)
		}
		length := envelopeLength(rest)
		bodies, rest = append(bodies, rest[:length:length]), rest[length:]
	}
	if len(bodies) == 0 {
		return nil, fmt.Errorf("%s is empty", options.bodies)
	}
	return bodies, nil
}

// envelopeLength is of the message that begins here, with its prefix, of which all has to be here.
func envelopeLength(bytes []byte) int {
	return prefixLength + int(binary.BigEndian.Uint32(bytes[1:]))
}
