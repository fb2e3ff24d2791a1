package main

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

type options struct {
	addr, path, mode string
	conns, inflight  int
	// calls is how many are made; 0: as many as fit into the duration.
	calls    int64
	duration time.Duration
	// rate is of calls a second over all connections; 0 is a closed loop.
	rate     float64
	bodies   string
	method   string
	headers  [][2]string
	seed     uint64
	inOrder  bool
	warmup   time.Duration
	interval time.Duration
	// want is what each answer must contain.
	want []byte
}

var modes = []string{"unary", "stream", "json"}

func readOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("load", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&o.addr, "addr", "", "`host:port` of the server")
	flags.StringVar(&o.path, "path", "/gatehouse.v1.AuthService/Verify", "path of the method")
	flags.StringVar(&o.mode, "mode", "unary", "unary: an HTTP/2 stream for each call; stream: one gRPC stream for each\n"+
		"connection; json: HTTP/1.1 with keep-alive, one call at once on each connection")
	flags.IntVar(&o.conns, "conns", 4, "connections")
	flags.IntVar(&o.inflight, "inflight", 16, "calls or messages at once on each connection")
	flags.Int64Var(&o.calls, "n", 0, "calls behind the warm-up, over all connections")
	flags.DurationVar(&o.duration, "duration", 0, "time behind the warm-up, instead of -n")
	flags.Float64Var(&o.rate, "rate", 0, "calls a second over all connections, sent when they are due and measured\n"+
		"from that moment; without it each answer is followed by the next call")
	flags.StringVar(&o.bodies, "bodies", "", "`file` of which one body is drawn for each call: gRPC's messages with their prefixes,\n"+
		"or for json lines. In stream mode each begins with an id of 8 digits, field 1, which is overwritten")
	flags.StringVar(&o.method, "method", "POST", "of json mode; GET has no body")
	flags.Func("header", "`name: value` of each call; may be repeated", func(text string) error {
		name, value, found := strings.Cut(text, ":")
		if !found {
			return errors.New("want name: value")
		}
		o.headers = append(o.headers, [2]string{strings.ToLower(name), strings.TrimSpace(value)})
		return nil
	})
	flags.Uint64Var(&o.seed, "seed", 1, "of the draw of bodies")
	flags.BoolVar(&o.inOrder, "inorder", false, "bodies in the file's order, over and over, instead of drawn")
	flags.DurationVar(&o.warmup, "warmup", 0, "time before anything counts")
	flags.DurationVar(&o.interval, "interval", 0, "prints what came in each")
	flags.Func("want", "`hex` of bytes that each answer must contain; without them it failed", func(text string) (err error) {
		o.want, err = hex.DecodeString(text)
		return err
	})
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		flags.SetOutput(os.Stdout)
		flags.PrintDefaults()
		os.Exit(0)
	case err != nil:
		return o, err
	case o.addr == "" || (o.bodies == "" && o.method != "GET"):
		return o, errors.New("-addr and -bodies are needed")
	case !slices.Contains(modes, o.mode):
		return o, fmt.Errorf("-mode is one of %v", modes)
	case (o.calls > 0) == (o.duration > 0):
		return o, errors.New("one of -n and -duration is needed")
	case o.rate > 0 && o.duration == 0:
		return o, errors.New("-rate needs -duration")
	case o.conns < 1 || o.inflight < 1:
		return o, errors.New("-conns and -inflight are at least 1")
	}
	return o, nil
}
