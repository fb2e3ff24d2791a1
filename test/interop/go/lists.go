package main

import (
	"fmt"
	"strings"

	gatehouse "gatehouse/interop/gen/gatehouse/v1"
)

// list makes keys of an owner and reads them back, page by page.
func list(s *service, owner string, count int, permissions []string, pageSize int32) any {
	whose := &gatehouse.Owner{Kind: "team", Id: owner}
	made := []string{}
	for n := range count {
		request := &gatehouse.CreateKeyRequest{Name: fmt.Sprint(n), Owner: whose, Permissions: permissions}
		made = append(made, s.make(request).GetKey().GetId())
	}
	pages, totals := [][]string{}, []int32{}
	request := &gatehouse.ListKeysRequest{Owner: whose, PageSize: pageSize, WithTotals: true}
	for {
		page := must(s.keys.ListKeys(s.root, request))
		ids := []string{}
		for _, key := range page.GetKeys() {
			ids = append(ids, key.GetId())
		}
		pages, totals = append(pages, ids), append(totals, page.GetTotalSize())
		request.PageToken = page.GetNextPageToken()
		if request.PageToken == "" {
			return map[string]any{"made": made, "pages": pages, "totals": totals}
		}
	}
}

func pages(s *service) any {
	return list(s, "pages", 3, nil, 2)
}

// largePage asks at once for more than 4 MiB, which is what a client takes in one message unless told otherwise.
func largePage(s *service) any {
	permissions := []string{}
	for n := range 256 {
		permissions = append(permissions, fmt.Sprintf("%03d", n)+strings.Repeat("x", 125))
	}
	return list(s, "large", 140, permissions, 1000)
}
