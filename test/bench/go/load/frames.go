package main

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/net/http2"
)

// read waits for bytes and tells the peer of the frames that are whole.
func (w *wire) read(peer peer) error {
	held := copy(w.room, w.in)
	count, err := w.socket.Read(w.room[held:])
	if err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = clock()
	rest := w.room[:held+count]
	for len(rest) >= frameHeader {
		length := int(rest[0])<<16 | int(rest[1])<<8 | int(rest[2])
		if length > largestFrame {
			return fmt.Errorf("a frame of %d bytes", length)
		}
		if len(rest) < frameHeader+length {
			break
		}
		id := binary.BigEndian.Uint32(rest[5:]) & (1<<31 - 1)
		payload := rest[frameHeader : frameHeader+length]
		if err := w.understand(http2.FrameType(rest[3]), http2.Flags(rest[4]), id, payload, peer); err != nil {
			return err
		}
		rest = rest[frameHeader+length:]
	}
	w.in = rest
	return nil
}

func (w *wire) understand(kind http2.FrameType, flags http2.Flags, id uint32, payload []byte, peer peer) error {
	switch kind {
	case http2.FrameData:
		w.receivedData(len(payload))
		payload = unpadded(payload, flags)
		peer.data(id, payload, flags.Has(http2.FlagDataEndStream))
	case http2.FrameHeaders:
		payload = unpadded(payload, flags)
		if flags.Has(http2.FlagHeadersPriority) {
			payload = payload[5:]
		}
		w.blockEnds = flags.Has(http2.FlagHeadersEndStream)
		return w.headerBlock(id, payload, flags.Has(http2.FlagHeadersEndHeaders), peer)
	case http2.FrameContinuation:
		return w.headerBlock(id, payload, flags.Has(http2.FlagContinuationEndHeaders), peer)
	case http2.FrameRSTStream:
		peer.reset(id, http2.ErrCode(binary.BigEndian.Uint32(payload)))
	case http2.FrameSettings:
		if !flags.Has(http2.FlagSettingsAck) {
			w.settings(payload)
		}
	case http2.FramePing:
		if !flags.Has(http2.FlagPingAck) {
			w.frame(http2.FramePing, http2.FlagPingAck, 0, len(payload))
			w.out = append(w.out, payload...)
		}
	case http2.FrameWindowUpdate:
		more := int64(binary.BigEndian.Uint32(payload))
		if id == 0 {
			w.sendWindow += more
		} else {
			w.streamUpdate(more)
		}
	case http2.FrameGoAway:
		w.retired = true
		if code := http2.ErrCode(binary.BigEndian.Uint32(payload[4:])); code != http2.ErrCodeNo {
			return fmt.Errorf("GOAWAY %v %s", code, payload[8:])
		}
	}
	return nil
}

// headerBlock decodes also what nobody asks for: the table changes with each block.
func (w *wire) headerBlock(id uint32, part []byte, whole bool, peer peer) error {
	block := part
	if len(w.block) > 0 || !whole {
		w.block = append(w.block, part...)
		block = w.block
	}
	if !whole {
		return nil
	}
	w.status, w.message = "", ""
	_, err := w.decoder.Write(block)
	w.block = w.block[:0]
	if err == nil {
		err = w.decoder.Close()
	}
	if err == nil {
		peer.headers(id, w.blockEnds)
	}
	return err
}

// receivedData gives the server its window back, half of it at a time.
func (w *wire) receivedData(length int) {
	if w.received += int64(length); w.received >= window/2 {
		w.windowUpdate(0, int(w.received))
		w.received = 0
	}
}

func (w *wire) settings(payload []byte) {
	if !w.settled {
		w.maxHeaderList = 4096
	}
	for ; len(payload) >= 6; payload = payload[6:] {
		value := binary.BigEndian.Uint32(payload[2:])
		switch http2.SettingID(binary.BigEndian.Uint16(payload)) {
		case http2.SettingHeaderTableSize:
			w.maxHeaderList = value
		case http2.SettingInitialWindowSize:
			w.streamUpdate(int64(value) - w.streamWindow)
			w.streamWindow = int64(value)
		case http2.SettingMaxConcurrentStreams:
			w.maxStreams = value
		}
	}
	w.settled = true
	w.frame(http2.FrameSettings, http2.FlagSettingsAck, 0, 0)
}

// unpadded is a payload without its padding.
func unpadded(payload []byte, flags http2.Flags) []byte {
	// The flag is the same one of DATA and HEADERS.
	if !flags.Has(http2.FlagDataPadded) {
		return payload
	}
	return payload[1 : len(payload)-int(payload[0])]
}
