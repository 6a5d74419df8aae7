package krpc

import "testing"

func TestSmoke(t *testing.T) {
	for _, s := range []string{
		"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
		"d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
		"d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
	} {
		m, err := Parse([]byte(s))
		if err != nil || string(m.Append(nil)) != s {
			t.Errorf("%s: %v %s", s, err, m.Append(nil))
		}
	}
}
