package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"golang.org/x/net/http2"
)

// streamID is of the one stream of each connection.
const streamID = 1

// idTag begins a message whose first field, number 1, is an id of idLength hexadecimal digits. Answers come in any order and are
// found by it.
const idTag, idLength = "\x0a\x08", 8

// idEnd is where the id ends within an envelope.
const idEnd = prefixLength + len(idTag) + idLength

// stream sends all its messages on one gRPC stream.
type stream struct {
	*wire
	*turns
	seen  *recorder
	draw  func() []byte
	limit int
	// begun is when the message of each place was; 0 where the place is free.
	begun []int64
	free  []uint32
	// sending are the messages that go out together.
	sending []byte
	// part is of an answer whose rest is to come.
	part []byte
	// window is what the server lets this stream send.
	window int64
	// taken is what came on the stream since the server was last given more of its window.
	taken int
	ended bool
}

func (s *stream) open() error {
	s.begun = make([]int64, s.limit)
	for place := range s.limit {
		s.free = append(s.free, uint32(place))
	}
	s.window = defaultWindow
	s.streamUpdate = func(change int64) { s.window += change }
	if err := s.connect(s); err != nil {
		return err
	}
	s.begin(streamID)
	return nil
}

func (s *stream) run() {
	s.kick()
	why := s.converse(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if why == "" {
		return
	}
	for range s.limit - len(s.free) + len(s.due) {
		s.seen.failed(why)
	}
	// Where all messages were answered, the stream itself did not end as it should.
	if s.limit == len(s.free) {
		s.seen.failed(why)
	}
}

func (s *stream) push(due int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.seen.failed("the stream is gone")
		return
	}
	s.due = append(s.due, due)
}

func (s *stream) kick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.now = clock()
	s.ready()
	if err := s.flush(); err != nil {
		s.close(err.Error())
	}
}

// ready sends as many messages as there are places and turns, all of them together.
func (s *stream) ready() {
	if s.ended {
		return
	}
	for len(s.free) > 0 && min(s.sendWindow, s.window) > int64(len(s.sending)+largestBody) {
		begun, ok := s.turns.next(s.now)
		if !ok {
			break
		}
		s.seen.sent(begun, s.now)
		place := s.free[len(s.free)-1]
		s.free = s.free[:len(s.free)-1]
		s.begun[place] = begun
		at := len(s.sending)
		s.sending = append(s.sending, s.draw()...)
		stamp(s.sending[at:], place)
	}
	over := len(s.free) == s.limit && s.over(s.now)
	if len(s.sending) > 0 || over {
		s.ended = over
		s.window -= int64(len(s.sending))
		s.send(streamID, s.sending, over)
		s.sending = s.sending[:0]
	}
}

func (s *stream) data(_ uint32, payload []byte, end bool) {
	if s.taken += len(payload); s.taken >= window/2 {
		s.windowUpdate(streamID, s.taken)
		s.taken = 0
	}
	if len(s.part) > 0 {
		s.part = append(s.part, payload...)
		payload = s.part
	}
	for len(payload) >= prefixLength && len(payload) >= envelopeLength(payload) {
		length := envelopeLength(payload)
		s.answer(payload[:length])
		payload = payload[length:]
	}
	s.part = append(s.part[:0], payload...)
	if end {
		s.close("the stream has no trailers")
	}
}

func (s *stream) answer(envelope []byte) {
	place, ok := placeOf(envelope)
	if !ok || int(place) >= s.limit || s.begun[place] == 0 {
		s.seen.failed("an answer to nothing that was asked")
		return
	}
	if bytes.Contains(envelope, s.options.want) {
		s.seen.answered(s.begun[place], s.now)
	} else {
		s.seen.failed("another answer than is wanted")
	}
	s.begun[place] = 0
	s.free = append(s.free, place)
}

func (s *stream) headers(_ uint32, end bool) {
	if !end {
		return
	}
	why := s.refused()
	if why == "" && !s.ended {
		why = "the server has ended the stream"
	}
	s.close(why)
}

func (s *stream) reset(_ uint32, code http2.ErrCode) {
	s.close(fmt.Sprintf("reset %v", code))
}

// stamp makes the place the message's id.
func stamp(envelope []byte, place uint32) {
	var bytes [4]byte
	binary.BigEndian.PutUint32(bytes[:], place)
	hex.Encode(envelope[idEnd-idLength:idEnd], bytes[:])
}

func placeOf(envelope []byte) (uint32, bool) {
	if len(envelope) < idEnd || string(envelope[prefixLength:prefixLength+len(idTag)]) != idTag {
		return 0, false
	}
	var place [4]byte
	_, err := hex.Decode(place[:], envelope[idEnd-idLength:idEnd])
	return binary.BigEndian.Uint32(place[:]), err == nil
}
