package cli

import (
	"testing"

	"shoal/internal/door/api"
)

func TestConnectRequest(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want api.ConnectRequest
		ok   bool
	}{
		{[]string{"anna"}, api.ConnectRequest{Node: "anna"}, true},
		{[]string{"an:na"}, api.ConnectRequest{Node: "an:na"}, true},
		{[]string{"box.example:7463"}, api.ConnectRequest{Address: "box.example:7463"}, true},
		{[]string{"192.0.2.7"}, api.ConnectRequest{Address: "192.0.2.7"}, true},
		{[]string{"2001:db8::7"}, api.ConnectRequest{Address: "2001:db8::7"}, true},
		{[]string{"[2001:db8::7]:1"}, api.ConnectRequest{Address: "[2001:db8::7]:1"}, true},
		{[]string{"anna", "192.0.2.7:1"}, api.ConnectRequest{Node: "anna", Address: "192.0.2.7:1"}, true},
		{[]string{"192.0.2.7:1", "anna"}, api.ConnectRequest{}, false},
		{[]string{""}, api.ConnectRequest{}, false},
		{[]string{"anna", ""}, api.ConnectRequest{}, false},
	} {
		got, err := connectRequest(tc.args)
		if tc.ok != (err == nil) || tc.ok && got != tc.want {
			t.Errorf("%q: %+v %v", tc.args, got, err)
		}
	}
}
