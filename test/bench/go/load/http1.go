package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
)

// http1 makes its calls one behind the other over HTTP/1.1 with keep-alive.
type http1 struct {
	options options
	plan    *plan
	seen    *recorder
	draw    func() []byte

	socket net.Conn
	head   string

	mu   sync.Mutex
	due  []int64
	more *sync.Cond
	why  string
}

func (h *http1) open() (err error) {
	h.more = sync.NewCond(&h.mu)
	var head strings.Builder
	fmt.Fprintf(&head, "%s %s HTTP/1.1\r\nhost: %s\r\n", h.options.method, h.options.path, h.options.addr)
	for _, header := range h.options.headers {
		fmt.Fprintf(&head, "%s: %s\r\n", header[0], header[1])
	}
	h.head = head.String()
	h.socket, err = net.Dial("tcp", h.options.addr)
	return err
}

func (h *http1) run() {
	answers := bufio.NewReader(h.socket)
	var body bytes.Buffer
	for {
		begun, ok := h.next()
		if !ok {
			break
		}
		h.seen.sent(begun, clock())
		why, err := h.call(answers, &body)
		switch {
		case err != nil:
			h.abort(err.Error())
			h.seen.failed(h.why)
		case why != "":
			h.seen.failed(why)
		default:
			h.seen.answered(begun, clock())
		}
	}
	h.abort("done")
	for range h.due {
		h.seen.failed(h.why)
	}
}

// next waits, in an open loop, for a call that is due. It gives false where there will be none.
func (h *http1) next() (int64, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.why != "" {
		return 0, false
	}
	if h.options.rate == 0 {
		now := clock()
		return now, h.plan.take(now)
	}
	for len(h.due) == 0 && h.why == "" && !h.plan.over(0) {
		h.more.Wait()
	}
	if len(h.due) == 0 || h.why != "" {
		return 0, false
	}
	begun := h.due[0]
	h.due = h.due[1:]
	return begun, true
}

// call makes one call and says why it failed; an error is one behind which the connection is of no use.
func (h *http1) call(answers *bufio.Reader, body *bytes.Buffer) (string, error) {
	asked := h.draw()
	request := append(make([]byte, 0, len(h.head)+len(asked)+32), h.head...)
	if h.options.method != "GET" {
		request = fmt.Appendf(request, "content-length: %d\r\n", len(asked))
	}
	request = append(append(request, "\r\n"...), asked...)
	if _, err := h.socket.Write(request); err != nil {
		return "", err
	}
	answer, err := http.ReadResponse(answers, nil)
	if err != nil {
		return "", err
	}
	body.Reset()
	if _, err := io.Copy(body, answer.Body); err != nil {
		return "", err
	}
	switch {
	case answer.Close:
		return "", fmt.Errorf("the server has closed the connection with status %d", answer.StatusCode)
	case answer.StatusCode >= 300:
		return fmt.Sprintf("status %d %s", answer.StatusCode, body), nil
	case !bytes.Contains(body.Bytes(), h.options.want):
		return "another answer than is wanted", nil
	}
	return "", nil
}

func (h *http1) push(due int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.why != "" {
		h.seen.failed(h.why)
		return
	}
	h.due = append(h.due, due)
}

func (h *http1) kick() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.more.Signal()
}

func (h *http1) abort(why string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.why == "" {
		h.why = why
		_ = h.socket.Close()
		h.more.Signal()
	}
}
