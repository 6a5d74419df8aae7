package metainfo

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

func groupID(n byte) (id [32]byte) { return [32]byte(bytes.Repeat([]byte{n}, 32)) }

// manyGroups are n different ids.
func manyGroups(n int) (ids [][32]byte) {
	for i := range n {
		ids = append(ids, groupID(byte(i)))
	}
	return ids
}

// The key stands beside info: it is read and kept, and no part of the info hash.
func TestGroupsOfTorrent(t *testing.T) {
	info := v1Single()
	a, b := string(bytes.Repeat([]byte{1}, 32)), string(bytes.Repeat([]byte{2}, 32))
	in := enc(dict{"info", info, "shoal groups", list{b, a, b}})
	m := mustParse(t, in)
	if want := [][32]byte{groupID(2), groupID(1)}; !reflect.DeepEqual(m.Groups, want) || !reflect.DeepEqual(m.Magnet().Groups, want) {
		t.Errorf("groups %x, in the link %x", m.Groups, m.Magnet().Groups)
	}
	if m.Hash != mustParse(t, torrent(info)).Hash {
		t.Error("the groups changed the info hash")
	}
	if same, err := m.WithGroups(m.Groups); err != nil || !bytes.Equal(same.Bytes(), in) {
		t.Errorf("set to what they are: %q, %v", same.Bytes(), err)
	}
}

func TestWithGroups(t *testing.T) {
	public := mustParse(t, enc(dict{"info", v1Single(), "url-list", "http://w/"}))
	m, err := public.WithGroups([][32]byte{groupID('b'), groupID('a'), groupID('b')})
	if err != nil {
		t.Fatal(err)
	}
	want := enc(dict{"info", v1Single(), "shoal groups", list{strings.Repeat("b", 32), strings.Repeat("a", 32)}, "url-list", "http://w/"})
	if !bytes.Equal(m.Bytes(), want) {
		t.Errorf("written %q, want %q", m.Bytes(), want)
	}
	if public.Groups != nil || m.Hash != public.Hash {
		t.Errorf("the original has %x; hashes %v and %v", public.Groups, public.Hash, m.Hash)
	}
	if back, err := m.WithGroups(nil); err != nil || !bytes.Equal(back.Bytes(), public.Bytes()) {
		t.Errorf("for all again: %q, %v", back.Bytes(), err)
	}
	if m, err := public.WithGroups(manyGroups(MaxGroups)); err != nil || len(mustParse(t, m.Bytes()).Groups) != MaxGroups {
		t.Errorf("%d groups: %v", MaxGroups, err)
	}
	if m, err := public.WithGroups(manyGroups(MaxGroups + 1)); err == nil {
		t.Errorf("%d groups were taken", len(m.Groups))
	}
}

// Built, with layers added, the metainfo is still for the groups.
func TestGroupsAreKept(t *testing.T) {
	groups := manyGroups(2)
	files := []BuildFile{hashed(content{[]string{"f"}, sample(40<<10, 1)}, 16<<10)}
	info, err := PlanLayout("f", true, files, V2, 16<<10)
	if err != nil {
		t.Fatal(err)
	}
	m, err := (&Build{Info: info, Files: files, Groups: groups}).Metainfo()
	if err != nil || !reflect.DeepEqual(m.Groups, groups) {
		t.Fatalf("built: %v", err)
	}
	got, err := ParseInfo(m.InfoBytes, m.Hash)
	if err != nil {
		t.Fatal(err)
	}
	if got, err = got.WithGroups(groups); err != nil {
		t.Fatal(err)
	}
	if got, err = got.WithLayers([]FileLayer{{0, m.Layer(0)}}); err != nil || !bytes.Equal(got.Bytes(), m.Bytes()) {
		t.Errorf("after a link: %q, want %q; %v", got.Bytes(), m.Bytes(), err)
	}
}

// What is meant for a group is never taken for public because its key is broken.
func TestBrokenGroupsAreRefused(t *testing.T) {
	id := strings.Repeat("g", 32)
	many := list{}
	for _, g := range manyGroups(MaxGroups + 1) {
		many = append(many, string(g[:]))
	}
	for name, v := range map[string]any{
		"a string": id, "a number": 1, "a dictionary": dict{}, "nobody": list{}, "a list in it": list{list{id}}, "a number in it": list{id, 1},
		"an id cut": list{id[1:]}, "an id too long": list{id + "g"}, "an empty id": list{""}, "hex": list{strings.Repeat("ab", 32)}, "too many": many,
	} {
		t.Run(name, func(t *testing.T) { refused(t, enc(dict{"info", v1Single(), "shoal groups", v})) })
	}
	t.Run("twice", func(t *testing.T) {
		refused(t, enc(dict{"info", v1Single(), "shoal groups", list{id}, "shoal groups", list{id}}))
	})
}

func TestGroupsOfMagnet(t *testing.T) {
	good := "magnet:?xt=urn:btih:" + strings.ToLower(hex1)
	a, b := groupID(0xab), hash32(hex2)
	ab := strings.Repeat("ab", 32)
	in := good + "&X.Group=" + strings.ToUpper(ab) + "&x.pe=1.2.3.4:5&x.group.2=" + hex2 + "&x.group=" + ab + "&so=1"
	m, err := ParseMagnet(in)
	if err != nil || !reflect.DeepEqual(m.Groups, [][32]byte{a, b}) {
		t.Fatalf("groups %x, %v", m.Groups, err)
	}
	if want := good + "&x.pe=1.2.3.4:5&x.group=" + ab + "&x.group=" + hex2 + "&so=1"; m.String() != want {
		t.Errorf("written %s, want %s", m, want)
	}
	full := Magnet{Hash: m.Hash, Groups: manyGroups(MaxGroups)}
	if again, err := ParseMagnet(full.String()); err != nil || !reflect.DeepEqual(again, full) {
		t.Errorf("%d groups: %+v, %v", MaxGroups, again, err)
	}
	refusedLinks := []string{"", "=", "=" + ab[1:], "=" + ab + "0", "=" + ab + "00", "=g" + ab[1:], "=%20" + ab[1:], "=1220" + ab, "=" + ab + "," + ab}
	for _, value := range refusedLinks {
		if m, err := ParseMagnet(good + "&x.group" + value); err == nil {
			t.Errorf("x.group%s: %+v", value, m)
		}
	}
	if m, err := ParseMagnet(full.String() + "&x.group=" + ab); err == nil {
		t.Errorf("%d groups were taken", len(m.Groups))
	}
	if _, err := ParseMagnet(good + "&x.pe.1=nonsense"); err == nil {
		t.Error("a numbered x.pe is not read")
	}
}
