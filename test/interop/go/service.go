package main

import (
	"context"

	gatehouse "gatehouse/interop/gen/gatehouse/v1"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// service is a connection with its clients.
type service struct {
	auth   gatehouse.AuthServiceClient
	keys   gatehouse.KeyServiceClient
	health grpc_health_v1.HealthClient
	// root carries the root key.
	root context.Context
	// again opens another connection.
	again func(options ...grpc.DialOption) *service
}

func connect(address, rootKey string, options ...grpc.DialOption) *service {
	options = append(options, grpc.WithTransportCredentials(insecure.NewCredentials()))
	connection := must(grpc.NewClient(address, options...))
	return &service{
		auth:   gatehouse.NewAuthServiceClient(connection),
		keys:   gatehouse.NewKeyServiceClient(connection),
		health: grpc_health_v1.NewHealthClient(connection),
		root:   bearer(rootKey),
		again:  func(more ...grpc.DialOption) *service { return connect(address, rootKey, more...) },
	}
}

func bearer(key string) context.Context {
	return metadata.AppendToOutgoingContext(context.Background(), "authorization", "Bearer "+key)
}

// refusal is an error as the tests want it told.
type refusal struct {
	Code    string   `json:"code"`
	Reason  string   `json:"reason,omitempty"`
	Domain  string   `json:"domain,omitempty"`
	Fields  []string `json:"fields"`
	RetryMs int64    `json:"retryMs,omitempty"`
	// Unknown counts the details that could not be decoded.
	Unknown int `json:"unknown,omitempty"`
}

// codeNames are gRPC's names; Go's own are spelled otherwise.
var codeNames = map[codes.Code]string{
	codes.OK:                "OK",
	codes.Canceled:          "CANCELLED",
	codes.InvalidArgument:   "INVALID_ARGUMENT",
	codes.DeadlineExceeded:  "DEADLINE_EXCEEDED",
	codes.NotFound:          "NOT_FOUND",
	codes.ResourceExhausted: "RESOURCE_EXHAUSTED",
	codes.Unimplemented:     "UNIMPLEMENTED",
	codes.Unauthenticated:   "UNAUTHENTICATED",
}

func codeOf(err error) string {
	code := status.Code(err)
	if name, ok := codeNames[code]; ok {
		return name
	}
	return code.String()
}

// told reads the details with status.Details(). A nil error is OK.
func told(err error) refusal {
	out := refusal{Code: codeOf(err), Fields: []string{}}
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			out.Reason, out.Domain = detail.GetReason(), detail.GetDomain()
		case *errdetails.BadRequest:
			for _, violation := range detail.GetFieldViolations() {
				out.Fields = append(out.Fields, violation.GetField())
			}
		case *errdetails.RetryInfo:
			out.RetryMs = detail.GetRetryDelay().AsDuration().Milliseconds()
		default:
			out.Unknown++
		}
	}
	return out
}

// make makes a key, in the keyspace `default` unless told otherwise.
func (s *service) make(request *gatehouse.CreateKeyRequest) *gatehouse.CreateKeyResponse {
	if request.Keyspace == "" {
		request.Keyspace = "default"
	}
	return must(s.keys.CreateKey(s.root, request))
}
