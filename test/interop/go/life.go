package main

import (
	"time"

	gatehouse "gatehouse/interop/gen/gatehouse/v1"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

func life(s *service) any {
	made := s.make(&gatehouse.CreateKeyRequest{
		Name:        "größe ✓",
		Owner:       &gatehouse.Owner{Kind: "user", Id: "alice"},
		Project:     "blue",
		Permissions: []string{"docs:*"},
		Metadata:    map[string]string{"plan": "free"},
		Expiry:      &gatehouse.CreateKeyRequest_Ttl{Ttl: durationpb.New(time.Hour)},
	})
	verify := func(request *gatehouse.VerifyRequest, options ...grpc.CallOption) *gatehouse.VerifyResponse {
		request.Token = made.GetSecret()
		return must(s.auth.Verify(s.root, request, options...))
	}

	good := verify(&gatehouse.VerifyRequest{Permissions: []string{"docs:read"}})
	lacking := verify(&gatehouse.VerifyRequest{Permissions: []string{"docs:read", "mail:read"}})
	// Differs from one without a project only in that the empty field is there.
	noProject := verify(&gatehouse.VerifyRequest{Project: proto.String("")})
	compressed := verify(&gatehouse.VerifyRequest{}, grpc.UseCompressor(gzip.Name))
	revoked := must(s.keys.RevokeKey(s.root, &gatehouse.RevokeKeyRequest{
		Target: &gatehouse.RevokeKeyRequest_Id{Id: made.GetKey().GetId()},
		Reason: "no longer used",
	})).GetKey()
	after := verify(&gatehouse.VerifyRequest{})

	key, principal := made.GetKey(), good.GetPrincipal()
	return map[string]any{
		"made": map[string]any{
			"id":      key.GetId(),
			"name":    key.GetName(),
			"secret":  made.GetSecret(),
			"seconds": key.GetExpireTime().GetSeconds() - key.GetCreateTime().GetSeconds(),
		},
		"good": map[string]any{
			"valid":       good.GetValid(),
			"status":      good.GetStatus().String(),
			"keyId":       principal.GetKeyId(),
			"owner":       principal.GetOwner().GetKind() + ":" + principal.GetOwner().GetId(),
			"permissions": principal.GetPermissions(),
			"metadata":    principal.GetMetadata(),
		},
		"lacking":    append([]string{lacking.GetStatus().String()}, lacking.GetMissingPermissions()...),
		"noProject":  noProject.GetStatus().String(),
		"compressed": compressed.GetStatus().String(),
		"revoked":    []string{revoked.GetState().String(), revoked.GetRevokeReason()},
		"after":      map[string]any{"valid": after.GetValid(), "status": after.GetStatus().String()},
	}
}
