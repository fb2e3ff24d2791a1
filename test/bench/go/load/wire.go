package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"sync"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	frameHeader = 9
	// largestFrame is what both sides send at the most: neither announces more.
	largestFrame = 16 << 10
	// window is what the server may send ahead, over the connection and on each stream.
	window        = 16 << 20
	defaultWindow = 65_535
	readBuffer    = 64 << 10
)

// peer is told of what the server sends. It is called with the lock of the wire held.
type peer interface {
	// headers came; the wire has the gRPC status, if there was one.
	headers(id uint32, end bool)
	data(id uint32, payload []byte, end bool)
	reset(id uint32, code http2.ErrCode)
	// ready is called when all that came together is read. Of a wire that is closed then, run returns.
	ready()
}

// wire is one HTTP/2 connection without TLS: frames, header blocks and windows.
type wire struct {
	options options
	mu      sync.Mutex
	socket  net.Conn
	// out is what the next flush writes.
	out []byte
	// in is what was read and not yet understood: less than a frame.
	in   []byte
	room []byte
	// now is when the last bytes came.
	now     int64
	settled bool
	// retired is set when the server has said that it takes no new streams.
	retired bool
	closed  bool
	why     string

	decoder *hpack.Decoder
	// block is of headers whose CONTINUATION is to come.
	block           []byte
	blockEnds       bool
	status, message string

	// first is the header block of the first call, later of each one behind it: all of it is in the table by then.
	first, later []byte

	sendWindow, received int64
	// streamWindow is what a new stream may send.
	streamWindow int64
	// streamUpdate tells of a change of it, and of one stream's own.
	streamUpdate  func(change int64)
	maxStreams    uint32
	maxHeaderList uint32
}

func newWire(options options) *wire {
	w := &wire{
		options: options, room: make([]byte, readBuffer),
		sendWindow: defaultWindow, streamWindow: defaultWindow, maxStreams: math.MaxUint32,
		streamUpdate: func(int64) {},
	}
	w.decoder = hpack.NewDecoder(4096, func(field hpack.HeaderField) {
		switch field.Name {
		case "grpc-status":
			w.status = field.Value
		case "grpc-message":
			w.message = field.Value
		case ":status":
			if field.Value != "200" {
				w.message = "HTTP status " + field.Value
			}
		}
	})
	return w
}

// connect returns when the server has told its settings.
func (w *wire) connect(peer peer) (err error) {
	if w.socket, err = net.Dial("tcp", w.options.addr); err != nil {
		return err
	}
	w.out = append(w.out, http2.ClientPreface...)
	w.frame(http2.FrameSettings, 0, 0, 12)
	w.setting(http2.SettingEnablePush, 0)
	w.setting(http2.SettingInitialWindowSize, window)
	w.windowUpdate(0, window-defaultWindow)
	for !w.settled {
		if err := w.flush(); err != nil {
			return err
		}
		if err := w.read(peer); err != nil {
			return err
		}
	}
	return w.encodeHeaders()
}

// converse reads until the wire is closed. It returns why, where that was not the peer's will.
func (w *wire) converse(peer peer) string {
	for {
		err := w.read(peer)
		w.mu.Lock()
		if err == nil && !w.closed {
			peer.ready()
			err = w.flush()
		}
		closed, why := w.closed, w.why
		w.mu.Unlock()
		if closed {
			return why
		}
		if err != nil {
			return err.Error()
		}
	}
}

// close ends the connection; why is empty where all is done.
func (w *wire) close(why string) {
	if !w.closed {
		w.closed, w.why = true, why
		_ = w.socket.Close()
	}
}

func (w *wire) abort(why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.close(why)
}

func (w *wire) flush() error {
	if len(w.out) == 0 || w.closed {
		return nil
	}
	_, err := w.socket.Write(w.out)
	w.out = w.out[:0]
	return err
}

// encodeHeaders makes the blocks of a call's headers.
func (w *wire) encodeHeaders() error {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	encoder.SetMaxDynamicTableSizeLimit(w.maxHeaderList)
	fields := [][2]string{
		{":method", "POST"}, {":scheme", "http"}, {":path", w.options.path}, {":authority", w.options.addr},
		{"content-type", "application/grpc"}, {"te", "trailers"},
	}
	encode := func() []byte {
		block.Reset()
		for _, field := range append(fields, w.options.headers...) {
			// A buffer takes everything.
			_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
		}
		return bytes.Clone(block.Bytes())
	}
	w.first, w.later = encode(), encode()
	if !bytes.Equal(w.later, encode()) || len(w.first) > largestFrame {
		return errors.New("the headers are larger than the server's table")
	}
	return nil
}

// begin appends the headers of a call.
func (w *wire) begin(id uint32) {
	block := w.later
	if id == 1 {
		block = w.first
	}
	w.frame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, id, len(block))
	w.out = append(w.out, block...)
}

// send appends DATA. The windows have to have room for it.
func (w *wire) send(id uint32, payload []byte, end bool) {
	w.sendWindow -= int64(len(payload))
	for {
		part := payload[:min(len(payload), largestFrame)]
		payload = payload[len(part):]
		flags := http2.Flags(0)
		if end && len(payload) == 0 {
			flags = http2.FlagDataEndStream
		}
		w.frame(http2.FrameData, flags, id, len(part))
		w.out = append(w.out, part...)
		if len(payload) == 0 {
			return
		}
	}
}

func (w *wire) frame(kind http2.FrameType, flags http2.Flags, id uint32, length int) {
	w.out = append(w.out, byte(length>>16), byte(length>>8), byte(length), byte(kind), byte(flags))
	w.out = binary.BigEndian.AppendUint32(w.out, id)
}

func (w *wire) setting(id http2.SettingID, value uint32) {
	w.out = binary.BigEndian.AppendUint16(w.out, uint16(id))
	w.out = binary.BigEndian.AppendUint32(w.out, value)
}

func (w *wire) windowUpdate(id uint32, bytes int) {
	w.frame(http2.FrameWindowUpdate, 0, id, 4)
	w.out = binary.BigEndian.AppendUint32(w.out, uint32(bytes))
}

// refused is why a call failed, empty where it did not.
func (w *wire) refused() string {
	switch {
	case w.status == "0":
		return ""
	case w.status == "":
		return "no grpc-status " + w.message
	default:
		return fmt.Sprintf("grpc-status %s %s", w.status, w.message)
	}
}
